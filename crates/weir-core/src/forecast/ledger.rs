//! What a rollout was seen to cost so far: windows go in, in whichever order, and fits come out.
//!
//! ```text
//!  look ──▶ pages ──▶ window ─┬─ calm, same width throughout ──▶ cells    (steady, by width)
//!                             ├─ pods start ───────────────────▶ starts   (by wave)
//!                             └─ queues, refusals, above 60 % ─▶ left out (clients back off there)
//! ```

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    calm::{Calm, Look, NEGLIGIBLE, cores, out_of_proportion},
    cells::Cells,
    estimate::Estimate,
    line::Moments,
    outlook::Outlook,
    quantity::{Quantity, USUAL_KAPPA, Values},
    starts::Starts,
    told::{Forecast, Point, ResourceForecast},
    window::{Pages, Window},
};
use crate::{evidence::ServerId, time::Moment};

/// A capacity that changes by more than this share is another one.
const SAME_CAPACITY: f64 = 0.05;

/// Windows remembered at one width, to see whether cost grows with age.
const AGEING: usize = 32;

/// `FlowSchema`s that are remembered from before the first pod.
const MAX_SCHEMAS: usize = 300;

/// How much the newest window counts in what is used without the rollout at present: the mean is over
/// some three windows, as long as a wave's soak at the fastest.
const NEWEST: f64 = 0.3;

/// What a rollout was seen to cost so far.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Ledger {
    pages: Option<Pages>,
    /// What was seen, by width and by wave.
    pub(super) cells: Cells,
    pub(super) starts: Starts,
    /// CPU by execution seconds of the account.
    pub(super) kappa: Moments,
    /// Execution seconds of the account on each API server.
    pub(super) own_by_server: BTreeMap<ServerId, f64>,
    /// Execution seconds per second of each FlowSchema before the first pod.
    pub(super) quiet: Quiet,
    /// Windows left out, by why.
    pub(super) dropped: BTreeMap<String, u32>,
    /// The last window, whatever it is good for.
    pub(super) latest: Option<Latest>,
    /// CPU at present that the account's requests do not explain, in cores of all API servers.
    pub(super) rest: Option<f64>,
    /// Calm windows at the present width, in the order of time: how long, and what was measured.
    pub(super) ageing: VecDeque<(f64, Values)>,
    calm: Calm,
    /// Cores of each API server when last looked at.
    cores: Option<f64>,
    /// What was found to be exceeded, where nothing since says that it is not.
    exceeded: Exceeded,
    /// What is known of the cluster.
    pub(super) about: About,
}

/// What is known of the cluster.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct About {
    /// The API servers' version.
    pub(super) version: Option<String>,
    /// The pods that they store.
    pub(super) pods: Option<f64>,
}

/// What each FlowSchema's requests ran for before the first pod.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Quiet {
    seconds: f64,
    /// Seconds that its requests ran.
    sums: BTreeMap<String, f64>,
}

/// The last window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Latest {
    /// When it was taken in.
    pub(super) at: Moment,
    /// Pods that cost something then.
    pub(super) width: u32,
    /// CPU of all API servers, and of the busiest, in cores.
    pub(super) cpu: f64,
    pub(super) busiest: f64,
    /// Execution seconds per second of the account, its attempts and its refusals per second.
    pub(super) own: f64,
    pub(super) attempts: f64,
    pub(super) refused: f64,
    /// Execution seconds per second of each FlowSchema.
    pub(super) schemas: BTreeMap<String, f64>,
    /// Whether Priority and Fairness counts at all.
    pub(super) has_schemas: bool,
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
    /// CPU seconds of a pod's start, if one was seen.
    pub start: Option<f64>,
    /// What was found to be exceeded.
    pub exceeded: Exceeded,
}

/// What was found to be exceeded at full width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exceeded {
    /// A capacity.
    pub capacity: bool,
    /// The time that the start of all pods at once may take.
    pub unison: bool,
}

impl Ledger {
    /// A ledger of which only what is on record is left.
    #[must_use]
    pub fn recalled(recalled: &Recalled) -> Self {
        let mut ledger = Self {
            exceeded: recalled.exceeded,
            ..Self::default()
        };
        if let Some(start) = recalled.start.filter(|_| recalled.kappa > 0.0) {
            ledger.starts.recall(start / recalled.kappa);
        }
        for point in &recalled.points {
            ledger.cells.recall(point, recalled.kappa);
        }
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
            self.ageing.clear();
        }
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
    /// is below it.
    pub(crate) fn weigh(&mut self, forecast: &Forecast, outlook: &Outlook) {
        let resources = || forecast.resources.iter();
        let bounded = || resources().filter(|told| outlook.may_hold(told.resource));
        // What is full without the rollout is not full for its sake.
        let above = |told: &ResourceForecast, of: fn(&Estimate) -> f64| {
            let used = of(&told.at_full);
            let adds = |capacity: f64| used - told.base > NEGLIGIBLE * capacity;
            told.capacity
                .is_some_and(|capacity| used > capacity && adds(capacity))
        };
        let exceeds = bounded().any(|told| above(told, |estimate| estimate.low));
        let may_exceed = bounded().any(|told| above(told, |estimate| estimate.mid));
        let unison = |of: fn(&Estimate) -> f64| {
            let told = forecast.unison.as_ref();
            told.is_some_and(|unison| of(&unison.seconds) > unison.budget)
        };
        let before = self.exceeded;
        self.exceeded = Exceeded {
            capacity: exceeds || before.capacity && may_exceed,
            unison: unison(|estimate| estimate.low)
                || before.unison && unison(|estimate| estimate.mid),
        };
        let grown = self.grown_with_age();
        if grown.is_some_and(|[before, after]| outlook.is_material(after - before)) {
            // What was seen before it cost so much says nothing of what it costs.
            let later = self.ageing.iter().skip(self.ageing.len() / 2);
            self.cells.replace(self.calm.width(), later);
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
            self.kappa = Moments::default();
            self.exceeded = Exceeded::default();
        }
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
        self.latest = Some(Latest {
            at: look.now,
            width: look.width,
            cpu: values.of(Quantity::Cpu),
            busiest: window.busiest_cores,
            own: values.of(Quantity::Own),
            attempts: values.of(Quantity::Attempts),
            refused: window.own_refused,
            schemas: window.schemas.clone(),
            has_schemas: window.has_schemas,
            is_calm,
        });
        self.own_by_server
            .retain(|id, _| window.own_by_server.contains_key(id));
        for (id, own) in &window.own_by_server {
            *self.own_by_server.entry(id.clone()).or_default() += own * window.seconds;
        }
        if is_calm {
            self.starts.end();
            self.take_calm(look, window);
        } else if look.width == 0 {
            self.drop("pods being created");
        } else {
            let quiet = || self.cells.quiet_mean(Quantity::Cpu);
            let rest = self.rest.or_else(quiet).unwrap_or(0.0);
            self.starts.add(look.width, window.seconds, values, rest);
        }
    }

    /// Takes in a window in which nothing started, if cost is in proportion to the dose in it.
    fn take_calm(&mut self, look: &Look<'_>, window: &Window) {
        let values = &window.values;
        let [own, cpu] = [Quantity::Own, Quantity::Cpu].map(|quantity| values.of(quantity));
        let rest = cpu - USUAL_KAPPA * own;
        self.rest = Some(
            self.rest
                .map_or(rest, |before| before + NEWEST * (rest - before)),
        );
        let stray = out_of_proportion(look, window);
        if let Some(why) = stray.filter(|_| !look.is_harmless_by(own)) {
            return self.drop(why);
        }
        let is_metered = look.meter.schema().is_some();
        self.cells
            .add(look.width, window.seconds, values, is_metered);
        if is_metered && stray.is_none() {
            let sums = [1.0, cpu, cpu * cpu].map(|value| value * window.seconds);
            self.kappa.add(1, own, sums);
        }
        if self.ageing.len() >= AGEING {
            self.ageing.pop_front();
        }
        self.ageing.push_back((window.seconds, *values));
        if look.width == 0 {
            self.quiet.add(window.seconds, &window.schemas);
        }
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

impl Quiet {
    fn add(&mut self, seconds: f64, schemas: &BTreeMap<String, f64>) {
        self.seconds += seconds;
        for (schema, rate) in schemas {
            if self.sums.contains_key(schema) || self.sums.len() < MAX_SCHEMAS {
                *self.sums.entry(schema.clone()).or_default() += rate * seconds;
            }
        }
    }

    /// Whether anything was seen before the first pod.
    pub(super) const fn is_known(&self) -> bool {
        self.seconds > 0.0
    }

    /// Execution seconds per second of a FlowSchema.
    pub(super) fn rate(&self, schema: &str) -> f64 {
        if self.is_known() {
            self.sums.get(schema).copied().unwrap_or(0.0) / self.seconds
        } else {
            0.0
        }
    }
}
