//! What a ledger says of widths that were not seen yet, against what there is.

use super::{
    calm::{NEGLIGIBLE, cores},
    cells::Cell,
    cost::{Cost, is_wide},
    estimate::Estimate,
    kappa::{self, kappa},
    ledger::Ledger,
    quantity::{OTHERS_STRAY, Quantity},
    sharing::Sharing,
    starts::Running,
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
    width: u32,
    /// What there is, and how much of it may be used.
    pub(super) has: Capacity,
    budget: f64,
    unison_budget: f64,
    pub(super) sharing: Sharing,
    pub(super) kappa: Estimate,
    /// Whether the account's requests are counted.
    pub(super) metered: bool,
    /// What is used without the rollout, of all API servers.
    pub(super) base_cores: f64,
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

/// What pods cost.
#[derive(Debug, Clone)]
pub(super) struct Costs {
    /// Execution seconds per second, or, without a meter, cores.
    pub(super) own: Cost,
    /// Cores that nobody's requests explain, where they surely grow with the width.
    pub(super) unexplained: Option<Cost>,
    /// CPU seconds of the account for one pod's start, and of everybody.
    pub(super) start: Option<Estimate>,
    start_by_all: f64,
}

/// What was seen of widths.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenWidths {
    /// Whether a calm window was seen before the first pod, and at the present width.
    quiet: bool,
    present: bool,
    /// The widest.
    widest: u32,
    /// Whether it is many times as wide as the narrowest.
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

impl Outlook {
    /// What a ledger says; `None` before it has seen anything.
    pub(crate) fn of(ledger: &Ledger, given: &Given<'_>) -> Option<Self> {
        let latest = ledger.latest.as_ref()?;
        let metered = given.meter.schema().is_some() && latest.has_schemas;
        let kappa = if metered { kappa(ledger) } else { kappa::ONE };
        let base_cores = base(ledger, metered);
        let sharing = Sharing::of(ledger, given.servers);
        Some(Self {
            full: given.full,
            width: given.width,
            has: Capacity::of(given, metered),
            budget: given.limits.budget,
            unison_budget: given.limits.unison.as_secs_f64(),
            cost: Costs::of(ledger, given.full, (kappa, base_cores, metered)),
            seen: SeenWidths::of(ledger, given.width, fitted(metered)),
            sharing,
            kappa,
            metered,
            base_cores,
        })
    }

    /// CPU that the rollout would add to the busiest API server at a width, in cores.
    fn added(&self, width: u32) -> Estimate {
        let width = f64::from(width);
        let own = self.cost.own.at(width).times_independent(self.kappa);
        let unexplained = self.cost.unexplained.as_ref();
        let all = unexplained.map_or(own, |cost| own.plus(cost.at(width)));
        all.floored().times(self.sharing.own)
    }

    /// CPU of the busiest API server without the rollout.
    pub(super) fn base(&self) -> f64 {
        self.base_cores * self.sharing.rest
    }

    /// Whether a calm window was seen before the first pod.
    pub(crate) const fn has_seen_quiet(&self) -> bool {
        self.seen.quiet
    }

    /// Whether a calm window was seen at the present width.
    pub(crate) const fn has_seen_present(&self) -> bool {
        self.seen.present
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
        matches!(self.cost.own, Cost::Unknown)
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
        if self.is_within(to) {
            return Some(to);
        }
        // The upper end grows with the width.
        let within = last_where((from, to), |width| self.is_within(width));
        (within > from).then_some(within)
    }

    /// The budget of each API server, in cores, where it is known what it has.
    pub(crate) fn budget_cores(&self) -> Option<f64> {
        self.has.cores.map(|cores| self.budget * cores)
    }

    /// Whether so many cores are next to nothing of what an API server has.
    pub(super) fn is_negligible(&self, cores: f64) -> bool {
        self.has.cores.is_some_and(|all| cores <= NEGLIGIBLE * all)
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
        let servers = given.servers.iter();
        let pages: Vec<&Counted> = servers
            .filter_map(|(_, known)| known.counted.last().map(AsRef::as_ref))
            .collect();
        let least = |of: &dyn Fn(&Counted) -> Option<f64>| {
            let all = pages.iter().filter_map(|page| of(page));
            all.reduce(f64::min)
        };
        let measured = pages.iter().map(|page| page.cpu_limit_cores);
        let stated = given.limits;
        let schema = given.meter.schema().filter(|_| metered);
        Self {
            cores: cores(stated.cores, measured),
            memory: stated
                .memory_bytes
                .or_else(|| least(&|page| page.memory_limit_bytes)),
            seats: schema.and_then(|schema| least(&|page| seats(page, schema))),
        }
    }
}

impl Costs {
    fn of(ledger: &Ledger, full: u32, basis: (Estimate, f64, bool)) -> Self {
        let (kappa, base_cores, metered) = basis;
        let quiet_own = ledger.cells.quiet_mean(Quantity::Own).unwrap_or(0.0);
        let base = if metered { quiet_own } else { base_cores };
        let own = Cost::fit(&ledger.cells, fitted(metered), base);
        let each = kappa.mid * own.per_pod(f64::from(full)).mid;
        let running = Running {
            steady: &own,
            quiet: quiet_own,
            strays: ledger.cells.strays(Quantity::Own),
        };
        let start = ledger.starts.cost(running, kappa);
        Self {
            own,
            unexplained: metered.then(|| unexplained(ledger)).flatten(),
            start: start.filter(|_| metered).map(Estimate::floored),
            start_by_all: ledger.starts.by_all(base_cores, each),
        }
    }
}

impl SeenWidths {
    fn of(ledger: &Ledger, width: u32, quantity: Quantity) -> Self {
        let mut widths = ledger.cells.telling(quantity).map(|(width, _)| width);
        Self {
            quiet: ledger.cells.tells(0, quantity),
            present: ledger.cells.tells(width, quantity),
            widest: widths.next_back().unwrap_or(0),
            is_wide: is_wide(&ledger.cells, quantity),
            busiest: ledger.latest.as_ref().map_or(0.0, |latest| latest.busiest),
        }
    }
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

/// What is fitted by width.
const fn fitted(metered: bool) -> Quantity {
    if metered {
        Quantity::Own
    } else {
        Quantity::Cpu
    }
}

/// What nobody's requests explain, if it surely grows with the width over widths that are far apart: the
/// events of watches are no requests.
///
/// Others' load drifts, and over a few widths now and then it passes for a slope. So open watches must
/// grow as well, since nobody else sends events; and at the widest there must be more than others stray by.
fn unexplained(ledger: &Ledger) -> Option<Cost> {
    let quantity = Quantity::Unexplained;
    if !is_wide(&ledger.cells, quantity) || !watches_grow(ledger) {
        return None;
    }
    let base = ledger.cells.quiet_mean(quantity)?;
    let cost = Cost::fit(&ledger.cells, quantity, base);
    let (widest, _) = ledger.cells.telling(quantity).next_back()?;
    let others = ledger.cells.quiet_mean(Quantity::Cpu)?;
    let is_felt = cost.at(f64::from(widest)).mid > OTHERS_STRAY * others;
    (cost.is_fitted() && cost.grows() && is_felt).then_some(cost)
}

/// Whether at least every other pod surely keeps a watch open.
fn watches_grow(ledger: &Ledger) -> bool {
    const OF_A_POD: f64 = 0.5;
    let base = ledger.cells.quiet_mean(Quantity::Watches).unwrap_or(0.0);
    let watches = Cost::fit(&ledger.cells, Quantity::Watches, base);
    watches.is_fitted() && watches.grows() && watches.per_pod(1.0).mid >= OF_A_POD
}

/// CPU of all API servers without the rollout: what its account does not explain at present, where it is
/// metered; else what was used before the first pod, or, where no such time was seen, the least that was
/// used with pods.
///
/// Not what was used before the first pod for ever: the creation of its gated pods is felt for a minute,
/// days have mornings, and other rollouts add to it.
fn base(ledger: &Ledger, metered: bool) -> f64 {
    let mean = |(_, cell): (u32, &Cell)| cell.mean(Quantity::Cpu);
    let least = || {
        let seen = ledger.cells.telling(Quantity::Cpu);
        seen.map(mean).reduce(f64::min)
    };
    let quiet = || ledger.cells.quiet_mean(Quantity::Cpu).or_else(least);
    let present = ledger.rest.filter(|_| metered);
    present.or_else(quiet).unwrap_or(0.0).max(0.0)
}

/// Seats of the level that a FlowSchema's requests are at.
fn seats(page: &Counted, schema: &str) -> Option<f64> {
    let level = &page.schemas.get(schema)?.level;
    page.seats.get(level).copied()
}
