//! What a ledger says of widths that were not seen yet, against what there is.

use super::{
    calm::{cores, is_negligible},
    cost::is_wide,
    costs::{Basis, Costs, base, fitted, kappa_of_requests},
    estimate::Estimate,
    kappa,
    ledger::Ledger,
    quantity::Quantity,
    sharing::Sharing,
    told::Resource,
};
use crate::{
    evidence::{ServerEvidence, ServerId},
    policy::Foresight,
    usage::{Counted, Meter},
};

/// The share of a capacity that starts may bring its use to. They are over in seconds, and others' calls
/// are hardly slower up to there (reference, control-plane, section 2).
const WHILE_STARTING: f64 = 0.7;

/// The share of a capacity that starts may always use: else a busy control plane would stop everything.
const LEAST_FOR_STARTS: f64 = 0.1;

/// Pods are never let through more slowly than this many a second: one in five, as pages come.
const SLOWEST: f64 = 0.2;

/// The share of a capacity up to which one pod more is tried where nothing can be seen of what pods
/// cost: rules that find harm still watch it.
const UNSEEN: f64 = 0.8;

/// How many times as wide as what was seen full width may be before memory holds no rollout any more:
/// a cache that warms up grows with time, and so does the width.
const MEMORY_REACHES: u32 = 4;

/// What is foreseen.
#[derive(Debug, Clone)]
pub(crate) struct Outlook {
    pub(super) full: u32,
    /// The width at present.
    pub(super) width: u32,
    /// What there is, and how much of it may be used.
    pub(super) has: Capacity,
    budget: f64,
    unison_budget: f64,
    pub(super) sharing: Sharing,
    /// CPU seconds for each of the units in which costs are fitted: one where that is CPU itself.
    pub(super) kappa: Estimate,
    /// CPU seconds for each second that requests of the account run.
    pub(super) kappa_of_requests: Estimate,
    /// Whether the account's requests are counted.
    pub(super) metered: bool,
    /// What is used without the rollout, of all API servers.
    pub(super) base_cores: f64,
    /// Seats of the account's level that are in use without the rollout.
    pub(super) base_seats: f64,
    pub(super) cost: Costs,
    pub(super) seen: SeenWidths,
}

/// What an API server has, as far as is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capacity {
    pub(super) cores: Option<f64>,
    pub(super) memory: Option<f64>,
    pub(super) seats: Option<f64>,
}

/// What was seen of widths.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenWidths {
    /// Whether a calm window was seen before the first pod, and at the present width.
    quiet: bool,
    present: bool,
    /// The widest at which what all clients move was seen, and whether it is many times as wide as the
    /// narrowest.
    widest: u32,
    is_wide: bool,
    /// CPU of the busiest API server at present, in cores.
    busiest: f64,
}

/// What an outlook is made of besides the ledger.
pub(crate) struct Given<'a> {
    pub(crate) limits: &'a Foresight,
    pub(crate) meter: &'a Meter,
    pub(crate) servers: &'a [(&'a ServerId, &'a ServerEvidence)],
    pub(crate) full: u32,
    pub(crate) width: u32,
}

/// The last page of each API server.
fn pages<'a>(servers: &'a [(&ServerId, &'a ServerEvidence)]) -> impl Iterator<Item = &'a Counted> {
    let page = |(_, known): &'a (&ServerId, &ServerEvidence)| known.counted.last();
    servers.iter().filter_map(page).map(AsRef::as_ref)
}

/// Cores of the API server that has least, as far as all of their processes say so.
pub(crate) fn measured_cores(servers: &[(&ServerId, &ServerEvidence)]) -> Option<f64> {
    cores(None, pages(servers).map(|page| page.cpu_limit_cores))
}

impl Given<'_> {
    /// The last page of each API server.
    fn pages(&self) -> impl Iterator<Item = &Counted> {
        pages(self.servers)
    }

    /// The priority level of the account's requests, once it has asked for something.
    fn level(&self) -> Option<&str> {
        let schema = self.meter.schema()?;
        let mut schemas = self.pages().filter_map(|page| page.schemas.get(schema));
        schemas.next().map(|schema| schema.level.as_str())
    }
}

impl Outlook {
    /// What a ledger says; `None` before it has seen anything.
    pub(crate) fn of(ledger: &Ledger, given: &Given<'_>) -> Option<Self> {
        let latest = ledger.present.latest.as_ref()?;
        let metered = latest.has_schemas && counts(given.meter, ledger);
        let kappa_of_requests = kappa_of_requests(ledger);
        let base_cores = base(ledger, metered, kappa_of_requests.mid);
        let basis = Basis {
            kappa: kappa_of_requests,
            base_cores,
            metered,
        };
        let sharing = Sharing::of(ledger, given.servers);
        Some(Self {
            full: given.full,
            width: given.width,
            has: Capacity::of(given, metered),
            budget: given.limits.budget,
            unison_budget: given.limits.unison.as_secs_f64(),
            cost: Costs::of(ledger, given.full, basis),
            seen: SeenWidths::of(ledger, given.width, fitted(metered)),
            sharing,
            kappa: if metered {
                kappa_of_requests
            } else {
                kappa::ONE
            },
            kappa_of_requests,
            metered,
            base_cores,
            base_seats: given
                .level()
                .map_or(0.0, |level| ledger.levels.in_use(level)),
        })
    }

    /// CPU that the rollout would add to the busiest API server at a width, in cores.
    ///
    /// What it uses at present is in what is used now, whatever κ is: κ, and the floor of an interval, are
    /// about the difference to that.
    fn added(&self, width: u32) -> Estimate {
        let now = self.kappa.mid * self.cost.now;
        let more = self
            .cost
            .own
            .at(f64::from(width))
            .map(|own| own - self.cost.now);
        let unexplained = self.cost.unexplained.as_ref();
        let unexplained = unexplained.map_or_else(Estimate::default, |cost| {
            let now = cost.at(f64::from(self.width)).mid;
            cost.at(f64::from(width)).map(|then| then - now)
        });
        let more = more.times_independent(self.kappa).plus(unexplained);
        more.floored()
            .map(|more| (now + more).max(0.0))
            .times(self.sharing.own)
    }

    /// CPU of the busiest API server without the rollout.
    pub(super) fn base(&self) -> f64 {
        self.base_cores * self.sharing.rest
    }

    /// Whether a calm window was seen before the first pod.
    pub(crate) const fn has_seen_quiet(&self) -> bool {
        self.seen.quiet
    }

    /// Whether a few more windows at the present width have to be seen: there was none yet; or full width
    /// looks like too much, and they may tell that it is.
    pub(crate) fn is_unsettled(&self) -> bool {
        let looks_too_much = || self.is_unlikely_borne(self.full);
        !self.seen.present || self.cost.own.rests_on_few() && looks_too_much()
    }

    /// CPU of the busiest API server at a width, in cores.
    pub(crate) fn cpu(&self, width: u32) -> Estimate {
        let base = self.base();
        self.added(width).map(|added| base + added)
    }

    /// Whether a width is surely within budget.
    pub(crate) fn is_within(&self, width: u32) -> bool {
        let Some(cores) = self.has.cores else {
            return true;
        };
        self.cpu(width).high <= self.budget * cores || self.is_negligible(self.added(width).high)
    }

    /// Whether a width would surely be survived, if perhaps beyond the budget. Where nothing was seen of
    /// what pods cost, it is asked whether much is left at present.
    pub(crate) fn is_bearable(&self, width: u32) -> bool {
        let Some(cores) = self.has.cores else {
            return true;
        };
        if self.is_unseen() {
            return self.seen.busiest <= UNSEEN * cores;
        }
        self.cpu(width).high <= cores
    }

    /// Whether nothing was seen of what pods cost.
    pub(crate) const fn is_unseen(&self) -> bool {
        self.cost.own.is_unknown()
    }

    /// Whether a width would probably not be survived, by what pods cost.
    pub(crate) fn is_unlikely_borne(&self, width: u32) -> bool {
        let cores = self.has.cores.filter(|_| !self.is_unseen());
        cores.is_some_and(|cores| {
            self.cpu(width).mid > cores && !self.is_negligible(self.added(width).mid)
        })
    }

    /// The widest width from one to another that is surely within budget, if any is.
    pub(crate) fn widest_within(&self, from: u32, to: u32) -> Option<u32> {
        // The upper end grows with the width.
        widest((from, to), |width| self.is_within(width))
    }

    /// The widest width from one to another that is probably within budget and would surely be survived, if
    /// any is.
    pub(crate) fn widest_likely(&self, from: u32, to: u32) -> Option<u32> {
        let budget = self.budget_cores()?;
        widest((from, to), |width| {
            self.cpu(width).mid <= budget && self.is_bearable(width)
        })
    }

    /// The budget of each API server, in cores, where it is known what it has.
    pub(crate) fn budget_cores(&self) -> Option<f64> {
        self.has.cores.map(|cores| self.budget * cores)
    }

    /// Whether so many cores are next to nothing of what an API server has.
    pub(super) fn is_negligible(&self, cores: f64) -> bool {
        self.has.cores.is_some_and(|all| is_negligible(cores, all))
    }

    /// Whether it matters at full width that requests of the account run for so many seconds a second
    /// more at the present one.
    pub(crate) fn is_material(&self, more: f64) -> bool {
        let wider = f64::from(self.full) / f64::from(self.width.max(1));
        !self.is_negligible(more * wider * self.kappa.mid * self.sharing.own.mid)
    }

    /// Whether full width is surely within budget, by a fit that tells fixed cost from growing.
    pub(crate) fn has_room(&self) -> bool {
        self.cost.own.is_fitted() && self.is_within(self.full) && self.starts_within()
    }

    /// Whether what was seen tells fixed cost from what grows.
    pub(crate) const fn is_fitted(&self) -> bool {
        self.cost.own.is_fitted()
    }

    /// Whether what is foreseen of a resource may hold: of what others move too only once the widths seen
    /// are far enough apart.
    pub(crate) fn may_hold(&self, resource: Resource) -> bool {
        match resource {
            Resource::Cpu | Resource::Seats => true,
            Resource::Memory => {
                self.seen.is_wide && self.full <= MEMORY_REACHES.saturating_mul(self.seen.widest)
            }
            Resource::EtcdRequests | Resource::ResponseBytes | Resource::Watches => {
                self.seen.is_wide
            }
        }
    }

    /// How many pods a second may start, by what the start of one costs everybody and by what the
    /// API servers have left. `None` where it is not known what they have.
    pub(crate) fn starts_per_second(&self) -> Option<f64> {
        let cores = self.has.cores?;
        let left = WHILE_STARTING * cores - self.cpu(self.width).mid;
        let start = self.cost.start_by_all * self.sharing.own.mid;
        Some((left.max(LEAST_FOR_STARTS * cores) / start).max(SLOWEST))
    }

    /// Whether the start of all pods at once is surely served in time, as far as starts are metered.
    fn starts_within(&self) -> bool {
        let surely = |unison: Estimate| unison.high <= self.unison_budget;
        !self.metered || self.unison().is_some_and(surely)
    }

    /// How long the API servers would need to serve the start of all pods at once, in seconds.
    pub(crate) fn unison(&self) -> Option<Estimate> {
        let (start, cores) = (self.cost.start?, self.has.cores?);
        let full = f64::from(self.full);
        Some(
            start
                .times(self.sharing.own)
                .map(|each| full * each / cores),
        )
    }
}

impl Capacity {
    fn of(given: &Given<'_>, metered: bool) -> Self {
        let least = |of: &dyn Fn(&Counted) -> Option<f64>| {
            let all = given.pages().filter_map(of);
            all.reduce(f64::min)
        };
        let measured = measured_cores(given.servers);
        let memory = least(&|page| page.memory_limit_bytes);
        let stated = given.limits;
        let schema = given.meter.schema().filter(|_| metered);
        Self {
            cores: stated.cores.stated(measured).or(measured),
            memory: stated.memory_bytes.stated(memory).or(memory),
            seats: schema.and_then(|schema| least(&|page| seats(page, schema))),
        }
    }
}

impl SeenWidths {
    fn of(ledger: &Ledger, width: u32, quantity: Quantity) -> Self {
        // Whatever pages tell of everybody is told by the same windows as memory.
        let of_all = Quantity::Memory;
        let mut widths = ledger.cells.telling(of_all).map(|(width, _)| width);
        Self {
            quiet: ledger.cells.tells(0, quantity),
            present: ledger.cells.tells(width, quantity),
            widest: widths.next_back().unwrap_or(0),
            is_wide: is_wide(&ledger.cells, of_all),
            busiest: ledger
                .present
                .latest
                .as_ref()
                .map_or(0.0, |latest| latest.busiest),
        }
    }
}

/// The widest of these widths beyond the first of which something holds, if it does of any.
fn widest((from, to): (u32, u32), holds: impl Fn(u32) -> bool) -> Option<u32> {
    if holds(to) {
        return Some(to);
    }
    let within = last_where((from, to), holds);
    (within > from).then_some(within)
}

/// The last width of which something holds that holds at the first of these, and not at the second, and
/// of none beyond the first of which it does not.
pub(super) fn last_where((first, beyond): (u32, u32), holds: impl Fn(u32) -> bool) -> u32 {
    let (mut within, mut beyond) = (first, beyond);
    while beyond - within > 1 {
        let middle = within + (beyond - within) / 2;
        if holds(middle) {
            within = middle;
        } else {
            beyond = middle;
        }
    }
    within
}

/// Whether the account's requests are counted: now, or until a moment ago and again soon. What was
/// counted stays true while a FlowSchema that somebody took away is written again.
fn counts(meter: &Meter, ledger: &Ledger) -> bool {
    match meter {
        Meter::Own { .. } | Meter::Shared { .. } => true,
        Meter::Awaited { .. } => ledger.cells.telling(Quantity::Own).next().is_some(),
        Meter::None { .. } => false,
    }
}

/// Seats of the level that a FlowSchema's requests are at.
fn seats(page: &Counted, schema: &str) -> Option<f64> {
    let level = &page.schemas.get(schema)?.level;
    page.seats.get(level).copied()
}
