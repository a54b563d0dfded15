//! One agent: the calls of its profile, side by side, over connections of its own.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use futures::{StreamExt, stream::FuturesUnordered};
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{count::Counters, flow, request};
use crate::{
    profile::{
        Http, Profile,
        call::{By, Call, LISTED, Pages, Verb},
        resource::Resource,
        template::Values,
    },
    wire::{
        Caller, Link, Servers, Trouble,
        list_meta::{self, ListMeta},
        read,
    },
};

/// A watch that ends sooner than this without a single event is a failure, as to client-go.
const SHORT_WATCH: Duration = Duration::from_secs(1);

/// The pod that an agent plays.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its node.
    pub node: String,
}

/// Which of a workload's agents one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Decides its first server and its jitter.
    pub number: usize,
    /// Whether it makes the leader's calls; if none, as long as its number is the least of those that
    /// play.
    pub leads: Option<bool>,
}

/// What all agents of a swarm share.
pub(super) struct Cast {
    pub(super) profile: Profile,
    pub(super) servers: Servers,
    pub(super) caller: Caller,
    pub(super) counters: Arc<Counters>,
    pub(super) epoch: Instant,
    /// The numbers of the agents that play: the first of them leads.
    pub(super) playing: RefCell<BTreeSet<usize>>,
}

/// An agent's place among those that play, for as long as it does, however it ends.
struct Place<'a> {
    cast: &'a Cast,
    part: Part,
}

impl<'a> Place<'a> {
    fn take(cast: &'a Cast, part: Part) -> Self {
        cast.playing.borrow_mut().insert(part.number);
        Self { cast, part }
    }

    fn leads(&self) -> bool {
        let is_first = || self.cast.playing.borrow().first() == Some(&self.part.number);
        self.part.leads.unwrap_or_else(is_first)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.cast.playing.borrow_mut().remove(&self.part.number);
    }
}

/// Plays one pod's agent until it is dropped.
pub(super) async fn play(cast: Rc<Cast>, pod: Pod, part: Part) {
    let _counted = cast.counters.agent();
    let place = Place::take(&cast, part);
    let agent = Agent::new(&cast, pod, part.number);
    let mut rng = Rng::with_seed(part.number as u64);
    let mut flows: FuturesUnordered<_> = cast
        .profile
        .calls
        .iter()
        .enumerate()
        .map(|(number, call)| {
            let rng = rng.fork();
            let (agent, place) = (&agent, &place);
            let line = Line {
                number,
                call,
                link: &agent.links[number],
            };
            flow::run(call, cast.epoch, rng, async move |made| {
                if call.by == By::Leader && !place.leads() {
                    return Ok(());
                }
                agent.ask(&line, made).await
            })
        })
        .collect();
    while flows.next().await.is_some() {}
    // An agent with nothing left to call still runs, and still counts.
    std::future::pending::<()>().await;
}

/// A call, its number in the profile, and the connection that it uses.
struct Line<'a> {
    number: usize,
    call: &'a Call,
    link: &'a Link,
}

/// What the watches that follow a list know of it.
#[derive(Debug, PartialEq, Eq)]
enum Listed {
    /// It is yet to be made, by its own call.
    NotYet,
    /// It was last made at this version.
    At(String),
    /// That version is too old to watch from. Its own call may never be made again, so that a watch
    /// makes it.
    TooOld,
}

impl Listed {
    fn version(&self) -> Option<String> {
        match self {
            Self::At(version) => Some(version.clone()),
            Self::NotYet | Self::TooOld => None,
        }
    }
}

struct Agent {
    cast: Rc<Cast>,
    pod: Pod,
    /// One for each call; with HTTP/2 all the same.
    links: Vec<Rc<Link>>,
    /// The last list of each resource.
    listed: BTreeMap<Resource, watch::Sender<Listed>>,
    /// Where each watch goes on, by the number of its call.
    seen: RefCell<BTreeMap<usize, String>>,
}

impl Agent {
    fn new(cast: &Rc<Cast>, pod: Pod, number: usize) -> Self {
        let link = || Rc::new(Link::new(cast.servers.clone(), cast.caller.clone(), number));
        let shared = link();
        let links = cast
            .profile
            .calls
            .iter()
            .map(|_| match cast.caller.http {
                Http::H2 => Rc::clone(&shared),
                Http::Http1 => link(),
            })
            .collect();
        let listed = cast
            .profile
            .calls
            .iter()
            .map(|call| (call.resource.clone(), watch::Sender::new(Listed::NotYet)))
            .collect();
        Self {
            cast: Rc::clone(cast),
            pod,
            links,
            listed,
            seen: RefCell::default(),
        }
    }

    async fn ask(&self, line: &Line<'_>, made: u64) -> Result<(), Trouble> {
        match line.call.verb {
            Verb::Watch => self.hold(line, made).await,
            Verb::List => self.list(line, made).await,
            Verb::Get | Verb::Create | Verb::Update | Verb::Patch | Verb::Delete => {
                let exchange = async {
                    let answer = self.send(line, made, &request::Page::default()).await?;
                    read::to_end(answer, |bytes| self.cast.counters.received(bytes)).await
                };
                self.timed(line.call, exchange).await
            }
        }
    }

    /// Lists all pages that the profile asks for, and remembers the version for a watch.
    async fn list(&self, line: &Line<'_>, made: u64) -> Result<(), Trouble> {
        let call = line.call;
        let mut page = request::Page::default();
        loop {
            let exchange = async {
                let answer = self.send(line, made, &page).await?;
                self.read_list(call, answer).await
            };
            let meta = self.timed(call, exchange).await?;
            if let (Some(listed), Some(version)) =
                (self.listed.get(&call.resource), meta.resource_version)
            {
                listed.send_replace(Listed::At(version));
            }
            match meta.next {
                Some(next) if call.query.pages == Pages::All => page.next = Some(next),
                Some(_) | None => return Ok(()),
            }
        }
    }

    async fn read_list(
        &self,
        call: &Call,
        answer: http::Response<Incoming>,
    ) -> Result<ListMeta, Trouble> {
        let count = |bytes| self.cast.counters.received(bytes);
        let paged = call.query.limit.is_some() && call.query.pages == Pages::All;
        let watched = self.cast.profile.calls.iter().any(|other| {
            other.resource == call.resource
                && other.query.resource_version.as_deref() == Some(LISTED)
        });
        if paged || watched {
            read::list(answer, count).await
        } else {
            read::to_end(answer, count).await?;
            Ok(ListMeta::default())
        }
    }

    /// Opens a watch and holds it until it ends.
    async fn hold(&self, line: &Line<'_>, made: u64) -> Result<(), Trouble> {
        let call = line.call;
        let page = request::Page {
            version: self.version_to_watch_from(line, made).await?,
            next: None,
        };
        let opened = Instant::now();
        let answer = self.timed(call, self.send(line, made, &page)).await;
        let answer = answer.inspect_err(|trouble| {
            if *trouble == Trouble::Status(StatusCode::GONE) {
                self.forget(line);
            }
        })?;
        let _counted = self.cast.counters.watch();
        let mut events = false;
        let mut body = answer.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| self.noted(call, Trouble::Broken))?;
            let Some(piece) = frame.data_ref() else {
                continue;
            };
            events = true;
            self.cast.counters.received(piece.len());
            if list_meta::holds_an_error(piece) {
                self.forget(line);
                return Err(self.noted(call, Trouble::Cut));
            }
            if let Some(version) = list_meta::last_version(piece) {
                self.seen.borrow_mut().insert(line.number, version);
            }
        }
        if events || opened.elapsed() >= SHORT_WATCH {
            Ok(())
        } else {
            Err(self.noted(call, Trouble::Cut))
        }
    }

    /// The last version seen; else that of the list, which is waited for; after a 410 the list is
    /// made again first, as a reflector does.
    async fn version_to_watch_from(
        &self,
        line: &Line<'_>,
        made: u64,
    ) -> Result<Option<String>, Trouble> {
        if let Some(seen) = self.seen.borrow().get(&line.number) {
            return Ok(Some(seen.clone()));
        }
        let call = line.call;
        let Some(listed) = self.followed(call) else {
            return Ok(call.query.resource_version.clone());
        };
        // The sender lives as long as the agent, so the wait can only end with a list.
        let mut news = listed.subscribe();
        let made_once = news.wait_for(|listed| *listed != Listed::NotYet).await;
        made_once.map(drop).map_err(|_| Trouble::Broken)?;
        if *listed.borrow() == Listed::TooOld {
            let list = self
                .cast
                .profile
                .calls
                .iter()
                .find(|other| other.verb == Verb::List && other.resource == call.resource);
            if let Some(call) = list {
                self.list(&Line { call, ..*line }, made).await?;
            }
        }
        Ok(listed.borrow().version())
    }

    /// The list that a watch follows, if it follows one.
    fn followed(&self, call: &Call) -> Option<&watch::Sender<Listed>> {
        let follows = call.query.resource_version.as_deref() == Some(LISTED);
        self.listed.get(&call.resource).filter(|_| follows)
    }

    /// Forgets where a watch was, so that it begins with a list again.
    fn forget(&self, line: &Line<'_>) {
        self.seen.borrow_mut().remove(&line.number);
        if let Some(listed) = self.followed(line.call) {
            listed.send_replace(Listed::TooOld);
        }
    }

    async fn send(
        &self,
        line: &Line<'_>,
        made: u64,
        page: &request::Page,
    ) -> Result<http::Response<Incoming>, Trouble> {
        let values = Values {
            node: &self.pod.node,
            pod: &self.pod.name,
            namespace: &self.pod.namespace,
            index: made,
            now: jiff::Timestamp::now(),
        };
        let request = request::build(line.call, &values, page)?;
        self.cast.counters.sent();
        line.link.send(request).await
    }

    async fn timed<T>(
        &self,
        call: &Call,
        exchange: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        timeout(self.cast.profile.agent.timeout, exchange)
            .await
            .unwrap_or(Err(Trouble::TimedOut))
            .inspect(|_| {
                if call.verb != Verb::Watch {
                    self.cast.counters.answered();
                }
            })
            .map_err(|trouble| self.noted(call, trouble))
    }

    fn noted(&self, call: &Call, trouble: Trouble) -> Trouble {
        let what = format!("{} {}", call.verb.name(), call.resource);
        self.cast.counters.failed(&what, &trouble);
        trouble
    }
}

#[cfg(test)]
mod tests;
