//! What agents cost in a play: API servers count it, and tell it on a page every five seconds.

use std::{collections::BTreeMap, sync::Arc};

use weir_core::{
    evidence::{Process, Reading, ServerEvidence, ServerId},
    time::{Moment, Span},
    usage::{Counted, SchemaCount},
};

/// The rollout's FlowSchema.
pub(crate) const METER: &str = "weir-meter-shop.logs";

/// The level of all requests.
const LEVEL: &str = "workload-low";

/// Another account's.
pub(crate) const OTHER: &str = "weir-meter-shop.other";

/// How often a page is told, in seconds.
const PAGE: u64 = 5;

/// What is used, in cores; of the account's own requests all is CPU.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    /// Without the rollout.
    pub(crate) base: f64,
    /// By whichever of the pods leads.
    pub(crate) leader: f64,
    /// By each pod that has run for `late`.
    pub(crate) each: f64,
    /// How often each pod asks, in seconds, for all that it costs from one time to the next; else always.
    pub(crate) period: u64,
    /// How long a pod runs before it costs anything.
    pub(crate) late: Span,
    /// What the cost of each pod grows by with each second of its age, as a share.
    pub(crate) ageing: f64,
    /// CPU seconds of a pod's start, and what the first pod's, which leads, takes more.
    pub(crate) start: f64,
    pub(crate) leader_start: f64,
    /// By others with the same account.
    pub(crate) shared: f64,
    /// Requests of the account for each second that they run, and refusals a second.
    pub(crate) asks: f64,
    pub(crate) refused: f64,
    /// By each pod for each pod: lists of what the pods themselves make.
    pub(crate) squared: f64,
    /// By another account.
    pub(crate) other: f64,
    /// By the watches of each pod, which no meter counts.
    pub(crate) watches: f64,
    /// Watches that each pod keeps open at no cost.
    pub(crate) open: f64,
    /// By others, who happen to do more with each of the first sixteen pods.
    pub(crate) drift: f64,
    /// By how much a second strays, to either side in turn.
    pub(crate) noise: f64,
    /// What each API server has.
    pub(crate) cores: f64,
    /// Memory of each API server without the rollout, what each pod adds to all of them together, and what
    /// each may use, if anything bounds it; in bytes.
    pub(crate) memory: f64,
    pub(crate) memory_each: f64,
    pub(crate) memory_limit: Option<f64>,
    /// Seats of each request of the account, what others take at its level, and what each API server has there.
    pub(crate) wide: f64,
    pub(crate) others_seats: f64,
    pub(crate) seats: Option<f64>,
    /// Pages tell no `FlowSchema`s.
    pub(crate) unmetered: bool,
    /// The books.
    pub(crate) books: Books,
}

/// What was counted so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Books {
    counted: Counted,
    seconds: u64,
}

impl Costs {
    /// Quiet API servers with so many cores each.
    pub(crate) fn of(cores: f64) -> Self {
        Self {
            base: 0.1,
            asks: 10.0,
            wide: 1.0,
            cores,
            ..Self::default()
        }
    }

    /// A second passes, with pods of these ages.
    pub(crate) fn second(
        &mut self,
        servers: &mut BTreeMap<ServerId, ServerEvidence>,
        ages: &[Span],
        now: Moment,
    ) {
        let begun = ages
            .iter()
            .filter(|age| **age == Span::from_secs(1))
            .count() as f64;
        let pods = ages.len() as f64;
        let grown = |age: &Span| self.asks_at(*age) * (1.0 + self.ageing * age.as_secs_f64());
        let old = ages.iter().filter(|age| **age >= self.late);
        let leader = if pods > 0.0 { self.leader } else { 0.0 };
        let steady: f64 = old.map(grown).sum::<f64>() + leader + self.squared * pods * pods;
        self.books.seconds += 1;
        // Five seconds to a page: two and three of either sign would not cancel out.
        let sign =
            [1.0, -1.0, 1.0, -1.0, 0.0][usize::try_from(self.books.seconds % 5).unwrap_or(0)];
        let page_sign = if (self.books.seconds / PAGE).is_multiple_of(2) {
            1.0
        } else {
            -1.0
        };
        let leads = if pods < 2.0 { self.leader_start } else { 0.0 };
        let own = self.shared + steady + (self.start + leads) * begun;
        let strayed = self.noise * (sign + page_sign);
        let others = self.base + self.other + self.watches * pods + self.drift * pods.min(16.0);
        let opens = self.open + if self.watches > 0.0 { 1.0 } else { 0.0 };
        self.books.counted.watches = opens * pods;
        self.books.counted.resident_bytes = self.memory_each * pods;
        let taken = self.others_seats + self.wide * own;
        let taken = BTreeMap::from([(LEVEL.to_owned(), taken)]);
        self.books.counted.executing_seats = taken;
        self.books.counted.cpu_seconds += (others + own + strayed).max(0.0);
        if !self.unmetered {
            self.count(METER, own);
            self.refuse();
            self.count(OTHER, self.other);
            self.count("service-accounts", self.base / 2.0);
        }
        if self.books.seconds.is_multiple_of(PAGE) {
            self.tell(servers, others + own, now);
        }
    }

    /// What a pod costs in one second.
    fn asks_at(&self, age: Span) -> f64 {
        match self.period {
            0 => self.each,
            period if (age.as_millis() / 1000).is_multiple_of(period) => self.each * period as f64,
            _ => 0.0,
        }
    }

    fn count(&mut self, schema: &str, cores: f64) {
        let count = self
            .books
            .counted
            .schemas
            .entry(schema.to_owned())
            .or_insert_with(|| SchemaCount {
                level: LEVEL.to_owned(),
                ..SchemaCount::default()
            });
        count.execution_seconds += cores;
        count.dispatched += self.asks * cores;
        count.estimated_seats += self.wide * self.asks * cores;
    }

    fn refuse(&mut self) {
        if let Some(count) = self.books.counted.schemas.get_mut(METER) {
            count.rejected += self.refused;
        }
    }

    /// All API servers tell the same: each bears an equal part.
    fn tell(&mut self, servers: &mut BTreeMap<ServerId, ServerEvidence>, cores: f64, now: Moment) {
        self.books.counted.at = now;
        self.books.counted.cpu_limit_cores = Some(self.cores);
        let part = 1.0 / servers.len() as f64;
        let mut counted = self.books.counted.clone();
        counted.cpu_seconds *= part;
        counted.resident_bytes = self.memory + counted.resident_bytes * part;
        counted.memory_limit_bytes = self.memory_limit;
        counted.seats = self
            .seats
            .map(|seats| (LEVEL.to_owned(), seats))
            .into_iter()
            .collect();
        for taken in counted.executing_seats.values_mut() {
            *taken *= part;
        }
        for schema in counted.schemas.values_mut() {
            schema.execution_seconds *= part;
            schema.dispatched *= part;
            schema.estimated_seats *= part;
            schema.rejected *= part;
        }
        let counted = Arc::new(counted);
        for known in servers.values_mut() {
            known.counted = Reading::Fresh(Arc::clone(&counted));
            if let Reading::Fresh(Process { cpu_cores, .. }) = &mut known.process {
                *cpu_cores = cores * part;
            }
        }
    }
}
