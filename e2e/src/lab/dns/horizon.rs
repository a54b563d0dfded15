//! When a cache's mask ends, and when it was foretold to.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use super::{DnsRun, Part};
use crate::{
    experiment::story::line,
    lab::cells::{headed, yes},
    stage::{Measured, Server},
    world::dns::{Cache, DnsSpec, RESOLVER, SERVICE, ask, beacon},
};

/// The most that what is foretold may be off.
const MOST_OFF_S: f64 = 10.0;

/// How long the stubborn cache keeps what it has: longer than anything explains, so that it masks for a while each
/// time, though everything before and behind it is well.
const STUBBORN_S: u16 = 90;

/// For how long the other serves what is stale.
const STALE_S: u16 = 60;

/// Between two questions to a cache.
const ASKED_EVERY: Duration = Duration::from_millis(200);

/// No mask here lasts for longer.
const ENDS_WITHIN: Duration = Duration::from_mins(4);

/// One mask of a cache.
struct Row {
    cache: &'static str,
    foretold: Timestamp,
    ended: Timestamp,
}

pub(super) async fn run(args: &DnsRun) -> Result<Part> {
    let dns = DnsSpec {
        front: Some(Cache::Stubborn {
            seconds: STUBBORN_S,
        }),
        resolver: Some(Cache::Stale { seconds: STALE_S }),
        ..DnsSpec::default()
    };
    let here = args.start(&dns).await?;
    let mut rows = vec![];
    for run in 1..=args.horizons {
        rows.push(stubborn(&here).await?);
        rows.push(stale(&here).await?);
        line(&format!("run {run} of {} is over", args.horizons));
    }
    let head = ["cache", "foretold", "ended", "off", "within"];
    let row = |row: &Row| {
        vec![
            row.cache.to_owned(),
            row.foretold.strftime("%H:%M:%S").to_string(),
            row.ended.strftime("%H:%M:%S").to_string(),
            format!("{:+.1} s", row.off()),
            yes(row.is_right()),
        ]
    };
    let unmet = rows.iter().filter(|row| !row.is_right());
    let unmet = unmet.map(|row| format!("{}: {:+.1} s off", row.cache, row.off()));
    Ok(Part {
        title: "When a cache's mask ends".to_owned(),
        says: format!(
            "At the Service's address a cache that keeps what it has for {STUBBORN_S} s, whatever its TTL: its mask \
             ends when it shows another beacon. At the resolver's one that serves what is stale for {STALE_S} s, as \
             its ConfigMap says too; all CoreDNS replicas are killed, and its mask ends with its last answer. Foretold \
             is `endsAt` of the ControlPlane's status, as it is first told. At most {MOST_OFF_S:.0} s off."
        ),
        table: headed(head, rows.iter().map(row)),
        unmet: unmet.collect(),
    })
}

impl Row {
    /// By how many seconds it ended later than foretold.
    fn off(&self) -> f64 {
        self.foretold.duration_until(self.ended).as_secs_f64()
    }

    fn is_right(&self) -> bool {
        self.off().abs() <= MOST_OFF_S
    }
}

/// A cache that keeps what it has.
async fn stubborn(here: &Measured) -> Result<Row> {
    // The next mask from its beginning, so that all of it lies ahead.
    here.until("nothing is masked", |seen| seen.masked.is_empty())
        .await?;
    here.only("Cache", &["kube-dns"]).await?;
    let foretold = foretold(here, Server::At(SERVICE.into())).await?;
    let cache = here.dns.front.own.context("there is a cache")?;
    let shown = shown(cache).await;
    let ended = until(async || self::shown(cache).await != shown).await?;
    Ok(Row {
        cache: "keeps what it has",
        foretold,
        ended,
    })
}

/// A cache that serves what is stale.
async fn stale(here: &Measured) -> Result<Row> {
    here.until("nothing is masked", |seen| seen.masked.is_empty())
        .await?;
    for replica in &here.dns.replicas {
        replica.program.kill()?;
    }
    here.until("the resolver is masked", |seen| {
        let mut masked = seen.masked.iter();
        masked.any(|(name, by)| name.starts_with("resolver") && by == "Cache")
    })
    .await?;
    let foretold = foretold(here, Server::At(RESOLVER.into())).await?;
    let resolver = here.dns.resolver.as_ref().context("there is one")?;
    let cache = resolver.own.context("there is a cache")?;
    let ended = until(async || shown(cache).await.is_none()).await?;
    for replica in &here.dns.replicas {
        replica.program.restart()?;
    }
    here.dns.answering().await?;
    Ok(Row {
        cache: "serves what is stale",
        foretold,
        ended,
    })
}

/// When a server's mask is to end, as soon as that is on record.
async fn foretold(here: &Measured, server: Server<'_>) -> Result<Timestamp> {
    let began = Instant::now();
    while began.elapsed() < ENDS_WITHIN {
        let told = here.told(server).await?;
        if let Some(ends_at) = told.and_then(|told| told.ends_at) {
            return Ok(ends_at.0);
        }
        sleep(ASKED_EVERY).await;
    }
    bail!("{server:?}: its end is never foretold")
}

/// The addresses of the beacon that a server shows; nothing if it answers with none.
async fn shown(server: SocketAddr) -> Option<Vec<std::net::Ipv4Addr>> {
    let said = ask(server, &beacon()).await.ok()??;
    (!said.addresses.is_empty()).then_some(said.addresses)
}

/// When it is so, twice in a row: one packet may be lost on the way.
async fn until(is: impl AsyncFn() -> bool) -> Result<Timestamp> {
    let began = Instant::now();
    let mut first: Option<Timestamp> = None;
    while began.elapsed() < ENDS_WITHIN {
        let now = Timestamp::now();
        match (is().await, first) {
            (true, Some(first)) => return Ok(first),
            (true, None) => first = Some(now),
            (false, _) => first = None,
        }
        sleep(ASKED_EVERY).await;
    }
    bail!("it does not end within {ENDS_WITHIN:?}")
}
