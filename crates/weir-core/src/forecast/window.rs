//! Two pages of each API server become a window: what was counted between them, per second.
//!
//! ```text
//!  pages of a   ●──────────●──────────●          a window ends once every API server has told
//!  pages of b      ●──────────●──────────●       a page that is younger than the one it began with
//!               └── window ──┘
//! ```

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    quantity::{Quantity, Values},
    sharing,
};
use crate::{
    evidence::{ServerEvidence, ServerId},
    time::{Moment, Span},
    usage::{Counted, OTHER_METERS, SchemaCount},
};

/// What lies further apart is no picture of one width: pages are read every minute at the latest, and
/// a large one as seldom as it costs.
const LONGEST: Span = Span::from_secs(90);

/// Pages that are closer together count as this far apart: CPU time is told in hundredths of a second.
const SHORTEST_SECONDS: f64 = 1.0;

/// Why what lies between two pages tells nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Gap {
    /// Some page was missing, old or garbled.
    Blind,
    /// Other processes answer than before: one restarted, came or went.
    OtherServers,
    /// The pages lie too far apart.
    TooLong,
}

impl Gap {
    /// As people are told.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Blind => "pages missing",
            Self::OtherServers => "an API server restarted, came or went",
            Self::TooLong => "pages too far apart",
        }
    }
}

/// The last pages of all API servers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Pages(BTreeMap<ServerId, Arc<Counted>>);

/// What was counted between two pages of each API server.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Window {
    /// When the earliest page of its beginning was made.
    pub(super) began: Moment,
    /// How long it is, on average over the servers, in seconds.
    pub(super) seconds: f64,
    /// What was measured.
    pub(super) values: Values,
    /// CPU of the busiest API server, in cores.
    pub(super) busiest_cores: f64,
    /// The share of its cores that the busiest API server used, where it is known what it has.
    pub(super) busiest_share: f64,
    /// The account's execution seconds per second on each API server.
    pub(super) own_by_server: BTreeMap<ServerId, f64>,
    /// Execution seconds per second of each FlowSchema.
    pub(super) schemas: BTreeMap<String, f64>,
    /// Seats of each priority level that requests take of the API server that would be busiest with one
    /// missing.
    pub(super) levels: BTreeMap<String, f64>,
    /// Requests of the account that were refused, per second.
    pub(super) own_refused: f64,
    /// Whether Priority and Fairness counts at all, and what counts the account's requests is told apart
    /// from other meters wherever it is told.
    pub(super) has_schemas: bool,
}

impl Pages {
    /// The pages that count at this moment; `None` if one is not fresh.
    pub(super) fn now(servers: &[(&ServerId, &ServerEvidence)]) -> Option<Self> {
        let page = |(id, known): &(&ServerId, &ServerEvidence)| {
            let counted = known.counted.fresh()?;
            Some(((*id).clone(), Arc::clone(counted)))
        };
        let pages: Option<BTreeMap<_, _>> = servers.iter().map(page).collect();
        pages.filter(|pages| !pages.is_empty()).map(Self)
    }

    /// What lies between these and later ones: `None` while some API server has not told a new page.
    pub(super) fn until(&self, later: &Self, schema: Option<&str>) -> Option<Result<Window, Gap>> {
        if !self.0.keys().eq(later.0.keys()) {
            return Some(Err(Gap::OtherServers));
        }
        let pairs = || self.0.iter().zip(later.0.values());
        if pairs().any(|((_, old), new)| new.at <= old.at) {
            return None;
        }
        if pairs().any(|((_, old), new)| new.at.since(old.at) > LONGEST) {
            return Some(Err(Gap::TooLong));
        }
        let mut window = Window::empty(later);
        for ((id, old), new) in pairs() {
            window.add(id, &Between { old, new }, schema);
        }
        window.average(self.0.len());
        let is_hidden = |page: &Counted| {
            let told = |schema: &str| page.schemas.contains_key(schema);
            schema.is_some_and(|schema| !told(schema)) && told(OTHER_METERS)
        };
        window.has_schemas &= !later.all().any(is_hidden);
        Some(Ok(window))
    }

    /// The process whose page is the youngest, to tell what only a page tells.
    pub(super) fn youngest(&self) -> Option<&Counted> {
        self.0
            .values()
            .map(AsRef::as_ref)
            .max_by_key(|page| page.at)
    }

    /// All pages.
    pub(super) fn all(&self) -> impl Iterator<Item = &Counted> {
        self.0.values().map(AsRef::as_ref)
    }
}

/// Two pages of one process.
struct Between<'a> {
    old: &'a Counted,
    new: &'a Counted,
}

impl Between<'_> {
    fn seconds(&self) -> f64 {
        let span = self.new.at.since(self.old.at);
        span.as_secs_f64().max(SHORTEST_SECONDS)
    }

    /// How fast a counter grew. One that went back was begun anew.
    fn rate(&self, of: impl Fn(&Counted) -> f64) -> f64 {
        grown(of(self.old), of(self.new)) / self.seconds()
    }

    fn schema_rate(&self, schema: &str, of: impl Fn(&SchemaCount) -> f64) -> f64 {
        let value = |page: &Counted| page.schemas.get(schema).map_or(0.0, &of);
        self.rate(value)
    }
}

/// Seats of each level in use, as the later pages tell them: as many as on the busiest API server, with a
/// part of those of one that is missing, but no more than there are on all.
fn seats_in_use(pages: &Pages) -> BTreeMap<String, f64> {
    let mut levels: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for (level, seats) in pages.all().flat_map(|page| &page.executing_seats) {
        let (sum, most) = levels.entry(level.clone()).or_default();
        *sum += seats;
        *most = most.max(*seats);
    }
    let servers = pages.0.len();
    let more = servers as f64 / sharing::left(servers);
    let busiest = |(level, (sum, most)): (String, (f64, f64))| (level, (most * more).min(sum));
    levels.into_iter().map(busiest).collect()
}

fn grown(old: f64, new: f64) -> f64 {
    if new >= old { new - old } else { new }
}

impl Window {
    fn empty(later: &Pages) -> Self {
        let ats = later.0.values().map(|page| page.at);
        Self {
            began: ats.max().unwrap_or_default(),
            seconds: 0.0,
            values: Values::default(),
            busiest_cores: 0.0,
            busiest_share: 0.0,
            own_by_server: BTreeMap::new(),
            schemas: BTreeMap::new(),
            levels: seats_in_use(later),
            own_refused: 0.0,
            has_schemas: false,
        }
    }

    /// Adds what one process counted.
    fn add(&mut self, id: &ServerId, pages: &Between<'_>, schema: Option<&str>) {
        let new = pages.new;
        let cpu = pages.rate(|page| page.cpu_seconds);
        self.began = self.began.min(pages.old.at);
        self.seconds += pages.seconds();
        self.busiest_cores = self.busiest_cores.max(cpu);
        let share = new.cpu_limit_cores.map_or(0.0, |cores| cpu / cores);
        self.busiest_share = self.busiest_share.max(share);
        self.has_schemas |= !new.schemas.is_empty();
        for name in new.schemas.keys() {
            let rate = pages.schema_rate(name, |schema| schema.execution_seconds);
            *self.schemas.entry(name.clone()).or_default() += rate;
        }
        let largest = self.values.of(Quantity::LargestMemory);
        let largest = largest.max(new.resident_bytes);
        self.values.set(Quantity::LargestMemory, largest);
        let mut more = |quantity, value| {
            let before = self.values.of(quantity);
            self.values.set(quantity, before + value);
        };
        more(Quantity::Cpu, cpu);
        more(Quantity::Memory, new.resident_bytes);
        more(
            Quantity::EtcdRequests,
            pages.rate(|page| page.etcd_requests),
        );
        more(
            Quantity::ResponseBytes,
            pages.rate(|page| page.response_bytes),
        );
        more(Quantity::Watches, new.watches);
        let Some(schema) = schema else { return };
        let own = pages.schema_rate(schema, |schema| schema.execution_seconds);
        let dispatched = pages.schema_rate(schema, |schema| schema.dispatched);
        let refused = pages.schema_rate(schema, |schema| schema.rejected);
        let taken = pages.schema_rate(schema, |schema| schema.estimated_seats);
        // What each request was taken for, on average, for as long as it ran.
        let seats = if dispatched > 0.0 {
            own * taken / dispatched
        } else {
            0.0
        };
        more(Quantity::Own, own);
        more(Quantity::Attempts, dispatched + refused);
        more(Quantity::Seats, seats);
        self.own_refused += refused;
        self.own_by_server.insert(id.clone(), own);
    }

    /// Makes means of what is no sum.
    fn average(&mut self, servers: usize) {
        self.seconds /= servers as f64;
        let all: f64 = self.schemas.values().sum();
        // Requests never cost more than the time that they run: what is left is surely of no request.
        let unexplained = self.values.of(Quantity::Cpu) - all;
        self.values.set(Quantity::Unexplained, unexplained);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: &str = "weir-meter-shop.logs";

    /// Pages of API servers with so much memory each, and so many seats of one level in use.
    fn pages(at: u64, servers: &[(f64, f64)]) -> Pages {
        let page = |(index, (memory, seats)): (usize, &(f64, f64))| {
            let id = ServerId {
                address: format!("api-{index}"),
                started: Some(1),
            };
            let counted = Counted {
                at: Moment::from_millis(at),
                resident_bytes: *memory,
                executing_seats: BTreeMap::from([("low".to_owned(), *seats)]),
                ..Counted::default()
            };
            (id, Arc::new(counted))
        };
        Pages(servers.iter().enumerate().map(page).collect())
    }

    fn window(servers: &[(f64, f64)]) -> Window {
        let before = pages(1_000_000, servers);
        let window = before.until(&pages(1_005_000, servers), Some(SCHEMA));
        window.expect("all are new").expect("they are whole")
    }

    #[test]
    fn the_largest_memory_is_told_beside_that_of_all() {
        let values = window(&[(3e9, 0.0), (5e9, 0.0), (4e9, 0.0)]).values;
        assert!((values.of(Quantity::Memory) - 12e9).abs() < 1.0);
        assert!((values.of(Quantity::LargestMemory) - 5e9).abs() < 1.0);
    }

    /// An API server that has run for long tells of all meters that there ever were.
    #[test]
    fn an_account_that_is_added_up_with_others_is_not_metered() {
        let has_schemas = |told: &[&str]| {
            let at = |at| {
                let mut pages = pages(at, &[(1e9, 0.0), (1e9, 0.0)]);
                let last = pages.0.values_mut().next_back().expect("there are two");
                let schema = |name: &&str| ((*name).to_owned(), SchemaCount::default());
                Arc::make_mut(last).schemas = told.iter().map(schema).collect();
                pages
            };
            let window = at(1_000_000).until(&at(1_005_000), Some(SCHEMA));
            window.expect("all are new").expect("whole").has_schemas
        };
        assert!(!has_schemas(&[]));
        assert!(has_schemas(&["global-default"]), "it has not asked yet");
        assert!(has_schemas(&[SCHEMA, OTHER_METERS]));
        assert!(!has_schemas(&["global-default", OTHER_METERS]));
    }

    #[test]
    fn seats_are_those_of_the_busiest_with_one_missing() {
        for (seats, expected) in [
            (&[6.0][..], 6.0),
            (&[6.0, 3.0], 9.0),
            (&[6.0, 3.0, 0.0], 9.0),
            (&[6.0, 5.0, 4.0], 9.0),
            (&[6.0, 0.0, 0.0], 6.0),
        ] {
            let servers: Vec<_> = seats.iter().map(|seats| (0.0, *seats)).collect();
            let low = window(&servers).levels["low"];
            assert!((low - expected).abs() < 1e-9, "{seats:?}: {low}");
        }
    }
}
