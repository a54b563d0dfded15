//! What a rollout was seen to cost so far: windows go in, in whichever order, and fits come out.
//!
//! ```text
//!  look ──▶ pages ──▶ window ─┬─ calm, same width throughout ──▶ cells    (steady, by width)
//!                             ├─ pods start ───────────────────▶ starts   (by wave)
//!                             (calm ones with queues, refusals or CPU above 60 %: see `watched`)
//! ```

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    calm::{Calm, Look, cores, out_of_proportion},
    cells::Cells,
    costs::{base, kappa_of_requests},
    exceeded::Exceeded,
    kappa::Kappa,
    levels::Levels,
    means::Means,
    outlook::Outlook,
    quantity::{Quantity, Values},
    starts::{Rest, Starts},
    told::{Forecast, Point, Resource},
    watched::{Calmly, Watched},
    window::{Pages, Window},
};
use crate::{evidence::ServerId, time::Moment, usage::MAX_SCHEMAS};

/// A capacity that changes by more than this share is another one.
const SAME_CAPACITY: f64 = 0.05;

/// Windows remembered at one width, to see whether cost grows with age.
const AGEING: usize = 32;

/// How much the newest window counts in what is used at present: the mean is over
/// some three windows, as long as a wave's soak at the fastest.
const NEWEST: f64 = 0.3;

/// What a rollout was seen to cost so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ledger {
    pages: Option<Pages>,
    watched: Watched,
    /// What counts of that, by width, and what was seen by wave.
    pub(super) cells: Cells,
    pub(super) starts: Starts,
    pub(super) kappa: Kappa,
    /// Execution seconds of the account on each API server.
    pub(super) own_by_server: BTreeMap<ServerId, f64>,
    /// Execution seconds per second of each FlowSchema before the first pod.
    pub(super) quiet: Means,
    pub(super) levels: Levels,
    /// What was no calm window, by why.
    dropped: BTreeMap<String, u32>,
    pub(super) present: Present,
    calm: Calm,
    /// Cores of each API server when last looked at.
    cores: Option<f64>,
    /// The FlowSchema that counts the account's requests, and since when it does.
    counts: Option<(String, Moment)>,
    /// What was found to be exceeded, where nothing since says that it is not.
    exceeded: Exceeded,
    /// What is known of the cluster.
    pub(super) about: About,
}

/// What is seen at present.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Present {
    /// The last window, whatever it is good for.
    pub(super) latest: Option<Latest>,
    /// What is used while nothing starts.
    pub(super) used: Option<Used>,
    /// Calm windows at this width in which the account was metered, in the order of time: how long, and
    /// what was measured.
    pub(super) ageing: VecDeque<(f64, Values)>,
}

/// What is used at one time, so that each is what it was beside the other.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Used {
    /// CPU of all API servers, in cores.
    pub(super) cpu: f64,
    /// Execution seconds per second of the account.
    pub(super) own: f64,
}

/// What is known of the cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct About {
    /// The API servers' version.
    pub(super) version: Option<String>,
    /// The pods that they store.
    pub(super) pods: Option<f64>,
}

/// The last window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Latest {
    /// When it was taken in.
    pub(super) at: Moment,
    /// Pods that cost something then.
    pub(super) width: u32,
    /// What was measured.
    pub(super) values: Values,
    /// CPU of the busiest API server, in cores.
    pub(super) busiest: f64,
    /// Refusals of the account's requests per second.
    pub(super) refused: f64,
    /// Execution seconds per second of each FlowSchema.
    pub(super) schemas: BTreeMap<String, f64>,
    /// The one of them that counts the account's requests.
    pub(super) meter: Option<String>,
    /// Whether Priority and Fairness counts at all, and the account's requests in the whole of it.
    pub(super) has_schemas: bool,
    pub(super) is_metered: bool,
    /// Whether nothing started in it.
    pub(super) is_calm: bool,
}

/// What of a ledger is on record.
#[derive(Debug, Clone, Default)]
pub struct Recalled {
    /// What was seen, by width.
    pub points: Vec<Point>,
    /// CPU seconds for each second that requests of the account ran.
    pub kappa: f64,
    /// CPU seconds of a pod's start, and by how many waves that was told, if one was seen.
    pub start: Option<(f64, u32)>,
    /// Each resource: what full width would probably take of it, and what there is where that is known.
    pub resources: Vec<(Resource, f64, Option<f64>)>,
}

impl Recalled {
    /// The resource that a hold was for: the first that would probably be exceeded.
    pub(crate) fn exceeded(&self) -> Resource {
        let mut resources = self.resources.iter();
        let above = |(_, used, capacity): &&(Resource, f64, Option<f64>)| {
            capacity.is_some_and(|capacity| *used > capacity)
        };
        resources
            .find(above)
            .map_or(Resource::Cpu, |(resource, ..)| *resource)
    }
}

impl Ledger {
    /// A ledger of which only what is on record is left.
    pub(crate) fn recalled(recalled: &Recalled, exceeded: Exceeded) -> Self {
        let mut ledger = Self {
            exceeded,
            kappa: Kappa::recalled(recalled.kappa),
            ..Self::default()
        };
        if let Some((start, waves)) = recalled.start {
            ledger.starts.recall(start, waves);
        }
        for point in &recalled.points {
            ledger.watched.recall(point, recalled.kappa);
        }
        ledger.cells = ledger.watched.counted(None);
        ledger
    }

    /// The one of two ledgers of the same rollout that holds more.
    pub(crate) fn richer(self, other: Self) -> Self {
        let windows = |ledger: &Self| {
            ledger
                .cells
                .all()
                .map(|(_, cell)| cell.windows())
                .sum::<usize>()
        };
        if windows(&other) > windows(&self) {
            other
        } else {
            self
        }
    }

    /// Takes in what is seen at one moment.
    pub(crate) fn look(&mut self, look: &Look<'_>) {
        let followed = self.calm.follow(look);
        self.starts.begin(followed.let_through);
        if followed.width_changed {
            self.present.ageing.clear();
        }
        self.follow_meter(look);
        let Some(pages) = Pages::now(look.servers) else {
            self.gap("pages missing");
            return;
        };
        self.follow_capacity(look, &pages);
        let Some(before) = &self.pages else {
            self.pages = Some(pages);
            return;
        };
        match before.until(&pages, look.meter.schema()) {
            None => {}
            Some(Err(gap)) => {
                self.drop(gap.name());
                self.pages = Some(pages);
            }
            Some(Ok(window)) => {
                self.take(look, &window);
                self.pages = Some(pages);
            }
        }
    }

    /// Takes in what is foreseen at full width: what would be exceeded stays so until the most likely cost
    /// is below it. What cannot be told at present says nothing of what was told before.
    pub(crate) fn weigh(&mut self, forecast: &Forecast, outlook: &Outlook) {
        self.exceeded = self.exceeded.weigh(forecast, outlook);
        let grown = self.grown_with_age();
        if grown.is_some_and(|[before, after]| outlook.is_material(after - before)) {
            // What was seen before it cost so much says nothing of what it costs.
            let ageing = &self.present.ageing;
            let later = ageing.iter().skip(ageing.len() / 2);
            let width = self.calm.width();
            self.watched.replace(width, later.clone());
            self.cells.replace(width, later);
        }
    }

    /// What would be exceeded at full width, as far as is known.
    pub(crate) const fn exceeded(&self) -> Exceeded {
        self.exceeded
    }

    /// Whether no pod started, or went, for so long before a moment.
    pub(crate) fn rested(&self, span: crate::time::Span, before: Moment) -> bool {
        self.calm.rested(span, before)
    }

    /// Begins the conversion of execution seconds to CPU anew if the API servers have other cores than
    /// before. What requests ask for does not depend on that.
    fn follow_capacity(&mut self, look: &Look<'_>, pages: &Pages) {
        let measured = pages.all().map(|page| page.cpu_limit_cores);
        let Some(cores) = cores(look.stated_cores, measured) else {
            return;
        };
        let before = self.cores.replace(cores);
        if before.is_some_and(|before| (before - cores).abs() > SAME_CAPACITY * before) {
            self.kappa = Kappa::default();
            self.exceeded = Exceeded::default();
        }
    }

    /// Since when which FlowSchema counts the account's requests: what was counted of a window in which
    /// it was not there from beginning to end is a part.
    fn follow_meter(&mut self, look: &Look<'_>) {
        let schema = look.meter.schema();
        let counts = self.counts.as_ref().map(|(schema, _)| schema.as_str());
        if schema != counts {
            self.counts = schema.map(|schema| (schema.to_owned(), look.now));
        }
    }

    /// Whether the account's requests were counted in the whole of a window.
    fn is_metered(&self, window: &Window) -> bool {
        let counts = self.counts.as_ref();
        window.has_schemas && counts.is_some_and(|(_, since)| *since <= window.began)
    }

    fn take(&mut self, look: &Look<'_>, window: &Window) {
        let values = &window.values;
        if let Some(page) = self.pages.as_ref().and_then(Pages::youngest) {
            self.about = About {
                version: page.version.clone(),
                pods: page.pods,
            };
        }
        let is_calm = self.calm.is_calm_since(window.began);
        let is_metered = self.is_metered(window);
        self.present.latest = Some(Latest {
            at: look.now,
            width: look.width,
            values: *values,
            busiest: window.busiest_cores,
            refused: window.own_refused,
            schemas: window.schemas.clone(),
            meter: look.meter.schema().map(str::to_owned),
            has_schemas: window.has_schemas,
            is_metered,
            is_calm,
        });
        if is_metered {
            self.own_by_server
                .retain(|id, _| window.own_by_server.contains_key(id));
            for (id, own) in &window.own_by_server {
                *self.own_by_server.entry(id.clone()).or_default() += own * window.seconds;
            }
        }
        if is_calm {
            self.starts.end();
            self.take_calm(look, window, is_metered);
        } else if look.width == 0 {
            self.drop("pods being created");
        } else {
            let cores = base(self, true, kappa_of_requests(self).mid);
            let rest = Rest { cores, is_metered };
            self.starts.add(look.width, window.seconds, values, rest);
        }
    }

    /// Takes in a window in which nothing started.
    fn take_calm(&mut self, look: &Look<'_>, window: &Window, is_metered: bool) {
        let values = &window.values;
        let [own, cpu] = [Quantity::Own, Quantity::Cpu].map(|quantity| values.of(quantity));
        if is_metered {
            let now = Used { cpu, own };
            let newer = |before: Used| Used {
                cpu: before.cpu + NEWEST * (cpu - before.cpu),
                own: before.own + NEWEST * (own - before.own),
            };
            self.present.used = Some(self.present.used.map_or(now, newer));
        }
        let uneven = out_of_proportion(look, window);
        self.watched.add(Calmly {
            width: look.width,
            seconds: window.seconds,
            values,
            is_metered,
            uneven,
        });
        self.cells = self.watched.counted(look.negligible());
        self.levels.add(look.width, window.seconds, &window.levels);
        if is_metered && uneven.is_none() {
            self.kappa.add(own, cpu, window.seconds);
        }
        if look.width == 0 {
            self.quiet.add(window.seconds, &window.schemas, MAX_SCHEMAS);
        } else if is_metered && uneven.is_none() {
            let ageing = &mut self.present.ageing;
            if ageing.len() >= AGEING {
                ageing.pop_front();
            }
            ageing.push_back((window.seconds, *values));
        }
    }

    /// What tells nothing of what pods cost, by why: how many windows, or gaps between them.
    pub(super) fn dropped(&self) -> BTreeMap<String, u32> {
        let mut dropped = self.watched.left_out(&self.cells);
        for (why, number) in &self.dropped {
            *dropped.entry(why.clone()).or_default() += number;
        }
        dropped
    }

    /// Nothing is known at this moment: what lies before and after is no window.
    fn gap(&mut self, why: &str) {
        if self.pages.take().is_some() {
            self.drop(why);
        }
    }

    fn drop(&mut self, why: &str) {
        *self.dropped.entry(why.to_owned()).or_default() += 1;
    }
}
