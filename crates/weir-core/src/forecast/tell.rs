//! An outlook becomes a [`Forecast`], to be told.

use super::{
    cost::Cost,
    estimate::Estimate,
    ledger::Ledger,
    outlook::{Outlook, last_where},
    quantity::Quantity,
    told::{Basis, Counted, Forecast, Point, Resource, ResourceForecast, Unison},
};
use crate::{policy::Foresight, usage::Meter};

/// What is told of an outlook.
pub(crate) fn forecast(
    outlook: &Outlook,
    ledger: &Ledger,
    meter: &Meter,
    limits: &Foresight,
) -> Forecast {
    let others = [
        (Resource::Seats, Quantity::Seats, outlook.has.seats),
        (Resource::Memory, Quantity::Memory, outlook.has.memory),
        (Resource::EtcdRequests, Quantity::EtcdRequests, None),
        (Resource::ResponseBytes, Quantity::ResponseBytes, None),
        (Resource::Watches, Quantity::Watches, None),
    ];
    let others = others
        .into_iter()
        .filter(|(resource, ..)| *resource != Resource::Seats || outlook.metered)
        .filter_map(|(resource, quantity, capacity)| {
            other(outlook, ledger, resource, quantity, capacity)
        });
    Forecast {
        full_width: outlook.full,
        resources: [cpu(outlook)].into_iter().chain(others).collect(),
        unison: outlook
            .cost
            .start
            .zip(outlook.unison())
            .map(|(start, seconds)| Unison {
                start,
                seconds,
                budget: limits.unison.as_secs_f64(),
                waves: ledger.starts.seen(),
            }),
        budget: limits.budget,
        basis: basis(outlook, ledger, meter),
    }
}

fn cpu(outlook: &Outlook) -> ResourceForecast {
    let full = f64::from(outlook.full);
    let in_cores = |own: Estimate| {
        let cores = own.times_independent(outlook.kappa);
        cores.times(outlook.sharing.own)
    };
    let base = outlook.base();
    let unexplained = outlook.cost.unexplained.as_ref();
    let unexplained = unexplained.map_or_else(Estimate::default, |cost| {
        cost.per_pod(full).times(outlook.sharing.own)
    });
    let (fixed, per_pod) = (
        in_cores(outlook.cost.own.fixed()).floored(),
        in_cores(outlook.cost.own.per_pod(full))
            .plus(unexplained)
            .floored(),
    );
    ResourceForecast {
        resource: Resource::Cpu,
        base,
        fixed,
        per_pod,
        at_full: outlook.cpu(outlook.full),
        capacity: outlook.has.cores,
        knee: outlook
            .has
            .cores
            .and_then(|cores| knee(|width| outlook.cpu(width), cores)),
    }
}

/// A figure that is no single client's, or has no capacity of its own that is known; none as long as
/// nothing tells what of it is the rollout's. (After a restart what was used before the first pod is not
/// on record. Then what does not grow with the width is taken for others', once that was told apart.)
fn other(
    outlook: &Outlook,
    ledger: &Ledger,
    resource: Resource,
    quantity: Quantity,
    capacity: Option<f64>,
) -> Option<ResourceForecast> {
    let quiet = ledger.cells.quiet_mean(quantity);
    let cost = Cost::fit(&ledger.cells, quantity, quiet.unwrap_or(0.0));
    if quiet.is_none() && !cost.is_fitted() {
        return None;
    }
    let others = quiet.map_or_else(|| cost.fixed().mid, |_| 0.0);
    let base = base(outlook, ledger, resource, quiet.unwrap_or(others));
    let share = |cost: Estimate| cost.floored().times(outlook.sharing.own);
    // What it uses at present is in what is used now: the floor is about the difference to that.
    let now = cost.at(f64::from(outlook.width)).mid;
    let at = |width: u32| {
        let more = cost.at(f64::from(width)).map(|then| then - now).floored();
        let all = more.map(|more| (now - others + more).max(0.0));
        all.times(outlook.sharing.own).map(|added| base + added)
    };
    Some(ResourceForecast {
        resource,
        base,
        fixed: share(cost.fixed().map(|all| (all - others).max(0.0))),
        per_pod: share(cost.per_pod(f64::from(outlook.full))),
        at_full: at(outlook.full),
        capacity,
        knee: capacity.and_then(|capacity| knee(at, capacity)),
    })
}

/// What the API server that would be busiest with one missing uses without the rollout, of what all of
/// them use.
fn base(outlook: &Outlook, ledger: &Ledger, resource: Resource, all: f64) -> f64 {
    match resource {
        // Most of it is a copy of everything there is, which each of them holds: none is spared by the others.
        Resource::Memory => {
            let largest = Quantity::LargestMemory;
            let by_widths = || Cost::fit(&ledger.cells, largest, 0.0).fixed().mid;
            ledger.cells.quiet_mean(largest).unwrap_or_else(by_widths)
        }
        // Others are at the account's level too. What is in use is looked at now and then, so that it may
        // be seen less than the account itself was counted to use.
        Resource::Seats => outlook.base_seats.max(all * outlook.sharing.own.mid),
        Resource::Cpu | Resource::EtcdRequests | Resource::ResponseBytes | Resource::Watches => {
            all * outlook.sharing.rest
        }
    }
}

/// Widths beyond this are not looked at.
const WIDEST: u32 = 1 << 20;

/// The width at which a capacity is used up: at the latest by the lower end of the cost, at the
/// earliest by the upper. `None` if even the upper end never uses it up.
fn knee(at: impl Fn(u32) -> Estimate, capacity: f64) -> Option<Estimate> {
    let first = |of: fn(Estimate) -> f64| {
        if of(at(WIDEST)) <= capacity {
            return f64::INFINITY;
        }
        let below = last_where((0, WIDEST), |width| of(at(width)) <= capacity);
        // Between the last width that it bears and the first that it does not.
        let [under, over] = [below, below + 1].map(|width| of(at(width)));
        let part = ((capacity - under) / (over - under)).clamp(0.0, 1.0);
        f64::from(below) + if part.is_finite() { part } else { 0.0 }
    };
    let knee = Estimate {
        low: first(|estimate| estimate.high),
        mid: first(|estimate| estimate.mid),
        high: first(|estimate| estimate.low),
    };
    (knee.low.is_finite() && knee.mid.is_finite()).then_some(knee)
}

fn basis(outlook: &Outlook, ledger: &Ledger, meter: &Meter) -> Basis {
    let points = ledger.cells.all().map(|(width, cell)| {
        let counted = || Counted {
            own_cores: outlook.kappa_of_requests.mid * cell.mean(Quantity::Own),
            unexplained_cores: cell.mean(Quantity::Unexplained),
            watches: cell.mean(Quantity::Watches),
        };
        Point {
            width,
            cpu_cores: cell.mean(Quantity::Cpu),
            counted: cell.tells(Quantity::Own).then(counted),
            windows: u32::try_from(cell.windows()).unwrap_or(u32::MAX),
        }
    });
    Basis {
        points: points.collect(),
        dropped: ledger.dropped(),
        kappa: outlook.kappa_of_requests,
        metered: outlook.metered,
        meter: meter_said(outlook, meter),
        servers: u32::try_from(outlook.sharing.servers).unwrap_or(u32::MAX),
        version: ledger.about.version.clone(),
        pods: ledger.about.pods,
    }
}

fn meter_said(outlook: &Outlook, meter: &Meter) -> String {
    match meter {
        Meter::Own { .. } | Meter::Shared { .. } if !outlook.metered => {
            "Priority and Fairness counts nothing of the account (is it switched off? or are there \
             hundreds of meters?): judged by the CPU of all requests, over the widths seen"
                .to_owned()
        }
        Meter::Own { schema } => format!("the account's requests alone, by FlowSchema {schema}"),
        Meter::Shared { schema, with } => format!(
            "the account's requests, by FlowSchema {schema}; {with} use it too, so that only what \
             grows with the width is taken for this rollout's"
        ),
        Meter::Awaited { why } | Meter::None { why } => {
            format!("{why}: judged by the CPU of all requests, over the widths seen")
        }
    }
}
