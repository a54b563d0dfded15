//! Rollouts that are in progress when DNS begins to hide something: whether any wave goes out then.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, sleep};
use weir::api::State as RolloutState;

use super::{DnsRun, Part, look, rollout};
use crate::{
    experiment::story::line,
    lab::cells::{headed, yes},
    line::State,
    stage::{LIMIT, Logs, Measured, QUICK},
    world::dns::{DnsSeen, DnsSpec},
};

/// So many waves of one pod each that a mask finds a rollout in its middle.
const MANY_WAVES: &str =
    "soak: 3s\nwaves: { canary: 2%, growth: 1.01, maxStep: 2%, releasesPerSecond: 50 }";

/// Pods that are out when a fault begins.
const OUT: u32 = 4;

/// How long faults last.
const LASTS: Duration = Duration::from_secs(75);

/// What a mask may take to be seen: from then on until the fault is mended every second counts as masked, whatever
/// Weir says.
const SEEN_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// Weir acts before it tells: what it is seen to say may be so much older.
const TOLD_AFTER: SignedDuration = SignedDuration::from_secs(1);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What is done to DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// One replica hears nothing.
    OneFrozen,
    /// No replica hears anything, while the API is well, and takes whatever Weir lets through.
    AllFrozen,
    /// The API stands still.
    ApiStopped,
}

impl Fault {
    const ALL: [Self; 3] = [Self::OneFrozen, Self::AllFrozen, Self::ApiStopped];

    const fn name(self) -> &'static str {
        match self {
            Self::OneFrozen => "one replica hears nothing",
            Self::AllFrozen => "no replica hears anything",
            Self::ApiStopped => "the API stands still",
        }
    }

    /// Whether pods can be let through while it lasts: an API that stands still takes nothing from Weir.
    fn leaves_the_api(self) -> bool {
        self != Self::ApiStopped
    }

    fn set(self, here: &Measured, is_wrong: bool) -> Result<()> {
        let state = if is_wrong {
            State::Silent
        } else {
            State::Whole
        };
        let cut = |number| {
            let replicas = here.dns.replicas.iter().take(number);
            replicas.for_each(|replica| replica.line(state));
        };
        match self {
            Self::OneFrozen => cut(1),
            Self::AllFrozen => cut(usize::MAX),
            Self::ApiStopped => {
                for server in here.world.api_servers() {
                    if is_wrong {
                        server.pause()?;
                    } else {
                        server.resume()?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A stretch of time.
type Span = (Timestamp, Timestamp);

/// What came of one rollout.
struct Row {
    fault: Fault,
    is_asked_for: bool,
    /// Seconds of the fault in which Weir told of a mask.
    seen: f64,
    /// Looks, of all of them, at which Weir did not answer.
    unheard: u32,
    /// Seconds in which something was masked, as Weir told it, or in truth.
    masked: f64,
    /// Pods that were let through in all …
    let_through: usize,
    /// … and in those seconds.
    in_masked: usize,
    complete: bool,
}

pub(super) async fn run(args: &DnsRun) -> Result<Part> {
    let here = args.start(&DnsSpec::default()).await?;
    let mut rows = vec![];
    for (run, fault) in (1..=args.rollouts).zip(Fault::ALL.into_iter().cycle()) {
        let row = one(&here, &format!("rollout-{run}"), fault, true).await?;
        line(&format!(
            "rollout {run} of {}: {}: {} of {} pods in {:.0} masked seconds",
            args.rollouts,
            fault.name(),
            row.in_masked,
            row.let_through,
            row.masked
        ));
        rows.push(row);
    }
    // The strictest of all policies that apply decides: none may ask for it.
    let never = r#"{"spec":{"required":{"dns":"Never"}}}"#;
    here.world
        .kubectl(&["patch", "rolloutpolicy", QUICK, "--type=merge", "-p", never])
        .await?;
    rows.push(one(&here, "control", Fault::AllFrozen, false).await?);
    Ok(told(&rows))
}

/// One rollout, through a fault to its end.
async fn one(here: &Measured, name: &str, fault: Fault, is_asked_for: bool) -> Result<Row> {
    let from = Timestamp::now();
    let spec = if is_asked_for {
        MANY_WAVES.to_owned()
    } else {
        format!("{MANY_WAVES}\nrequired: {{ dns: Never }}")
    };
    let (logs, revision) = rollout(here, name, &spec).await?;
    logs.until(&revision, "some pods are out", |status| status.width >= OUT)
        .await?;
    let begun = Timestamp::now();
    fault.set(here, true)?;
    let during = watched(here, LASTS).await?;
    let mended = Timestamp::now();
    fault.set(here, false)?;
    let after = until_fresh(here).await?;
    let unheard = during.unheard + after.unheard;
    let mut masked = during.ended();
    let seen = seconds(&masked);
    masked.extend(after.ended());
    masked.push((begun + SEEN_WITHIN, mended));
    let complete = complete(&logs, &revision).await;
    let releases = releases(here, from)?;
    let in_masked = releases.iter().filter(|at| lies_in(**at, &masked));
    let row = Row {
        fault,
        is_asked_for,
        seen,
        unheard,
        masked: seconds(&masked),
        let_through: releases.len(),
        in_masked: in_masked.count(),
        complete,
    };
    logs.delete().await?;
    Ok(row)
}

async fn complete(logs: &Logs, revision: &str) -> bool {
    // One wave of one pod takes some five seconds: it may need longer than others wait for a state.
    let mut tries = 0;
    while tries < 5 {
        let ended = logs.until_state(revision, RolloutState::Complete).await;
        if ended.is_ok() {
            return true;
        }
        tries += 1;
    }
    false
}

/// When anything is masked, as Weir tells it, in so long a time.
async fn watched(here: &Measured, time: Duration) -> Result<Spans> {
    let begun = Instant::now();
    let mut spans = Spans::default();
    while begun.elapsed() < time {
        let at = Timestamp::now();
        spans.look(look(here).await?.as_ref().map(is_masked), at);
        sleep(LOOK_EVERY).await;
    }
    Ok(spans)
}

/// The same until nothing is masked any longer.
async fn until_fresh(here: &Measured) -> Result<Spans> {
    let servers = here.dns.servers();
    let mut spans = Spans::default();
    let begun = Instant::now();
    loop {
        let at = Timestamp::now();
        let seen = look(here).await?;
        spans.look(seen.as_ref().map(is_masked), at);
        if seen.as_ref().is_some_and(|seen| seen.is_fresh(servers)) {
            return Ok(spans);
        }
        ensure!(begun.elapsed() < LIMIT, "DNS is not fresh again: {seen:?}");
        sleep(LOOK_EVERY).await;
    }
}

fn is_masked(seen: &DnsSeen) -> bool {
    !seen.masked.is_empty()
}

/// Stretches of looks that all found something masked, from the first such look to the last.
#[derive(Default)]
struct Spans {
    closed: Vec<Span>,
    open: Option<Span>,
    unheard: u32,
}

impl Spans {
    /// Whether something is masked, if Weir answers: one that does not says nothing of that second.
    fn look(&mut self, is_masked: Option<bool>, at: Timestamp) {
        self.unheard += u32::from(is_masked.is_none());
        match (is_masked, self.open) {
            (Some(true), Some((from, _))) => self.open = Some((from, at)),
            (Some(true), None) => self.open = Some((at, at)),
            (Some(false) | None, _) => self.closed.extend(self.open.take()),
        }
    }

    fn ended(mut self) -> Vec<Span> {
        self.closed.extend(self.open.take());
        let sure = |(from, to): Span| (from, to - TOLD_AFTER);
        let sure = self.closed.into_iter().map(sure);
        sure.filter(|(from, to)| from < to).collect()
    }
}

/// When pods were let through: Weir takes a gate away by a patch of the pod.
fn releases(here: &Measured, from: Timestamp) -> Result<Vec<Timestamp>> {
    let requests = here.world.weir_requests()?.into_iter();
    let releases = requests.filter(|request| {
        request.at >= from && request.target == "pods" && request.is_write() && request.code == 200
    });
    Ok(releases.map(|request| request.at).collect())
}

fn lies_in(at: Timestamp, spans: &[Span]) -> bool {
    spans.iter().any(|(from, to)| (*from..*to).contains(&at))
}

/// Seconds that lie in any of the stretches.
fn seconds(spans: &[Span]) -> f64 {
    let mut spans = spans.to_vec();
    spans.sort();
    let mut sum = 0.0;
    let mut until: Option<Timestamp> = None;
    for (from, to) in spans {
        let from = until.map_or(from, |until| from.max(until));
        sum += from.duration_until(to).as_secs_f64().max(0.0);
        until = Some(until.map_or(to, |until| until.max(to)));
    }
    sum
}

fn told(rows: &[Row]) -> Part {
    let head = [
        "fault",
        "DNS required",
        "seen for",
        "looks unanswered",
        "masked for",
        "pods let through",
        "of these in masked seconds",
        "complete in the end",
        "as it must be",
    ];
    let row = |row: &Row| {
        vec![
            row.fault.name().to_owned(),
            if row.is_asked_for { "yes" } else { "never" }.to_owned(),
            format!("{:.0} s", row.seen),
            row.unheard.to_string(),
            format!("{:.0} s", row.masked),
            row.let_through.to_string(),
            row.in_masked.to_string(),
            yes(row.complete),
            yes(unmet(row).is_none()),
        ]
    };
    let asked_for: Vec<&Row> = rows.iter().filter(|row| row.is_asked_for).collect();
    let able = asked_for.iter().filter(|row| row.fault.leaves_the_api());
    let able = able.count();
    Part {
        title: "Waves in masked seconds".to_owned(),
        says: format!(
            "Rollouts of many waves of one pod each, and a fault of {} s in the middle of each. Masked are the seconds \
             that Weir's own metrics say so (of those of the fault: \"seen\"), and all from {} s after the fault until \
             it is mended, whatever Weir says. Pods let through are writes in the API servers' audit log. With {able} \
             of the rollouts the API works all the while and takes whatever Weir lets through: these could fail. With \
             {unable} it stands still and takes nothing until it is mended: that none is let through before says \
             nothing of Weir there. The last row is the control: a fault with which the API works, under policies that \
             do not ask for DNS, where waves do go on.",
            LASTS.as_secs(),
            SEEN_WITHIN.as_secs(),
            unable = asked_for.len() - able,
        ),
        table: headed(head, rows.iter().map(row)),
        unmet: rows.iter().filter_map(unmet).collect(),
    }
}

/// Why a row is not as it must be, if it is not.
fn unmet(row: &Row) -> Option<String> {
    let Row {
        fault,
        is_asked_for,
        seen,
        unheard: _,
        masked,
        let_through: _,
        in_masked,
        complete,
    } = row;
    let fault = fault.name();
    if *is_asked_for && *in_masked > 0 {
        return Some(format!(
            "{fault}: {in_masked} pods were let through in {masked:.0} masked seconds"
        ));
    }
    if !is_asked_for && *in_masked == 0 {
        return Some(format!(
            "{fault}: nothing was let through where nobody asks for DNS: this shows nothing"
        ));
    }
    let late = SEEN_WITHIN.as_secs_f64() + 2.0 * TOLD_AFTER.as_secs_f64();
    if *seen < LASTS.as_secs_f64() - late {
        return Some(format!("{fault}: seen for {seen:.0} s only"));
    }
    (!complete).then(|| format!("{fault}: the rollout did not come through afterwards"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_860_000 + second).expect("a moment")
    }

    #[test]
    fn a_stretch_ends_a_second_before_the_last_look_that_found_a_mask() {
        let mut spans = Spans::default();
        for second in 0..20 {
            let is_masked = (5..=9).contains(&second) || second == 15;
            spans.look(Some(is_masked), at(second));
        }
        let spans = spans.ended();
        assert_eq!(spans, [(at(5), at(8))]);
        assert!(lies_in(at(5), &spans) && !lies_in(at(8), &spans) && !lies_in(at(15), &spans));
    }

    #[test]
    fn what_weir_does_not_answer_ends_a_stretch() {
        let mut spans = Spans::default();
        for second in 0..10 {
            spans.look((second != 5).then_some(true), at(second));
        }
        assert_eq!(spans.unheard, 1);
        assert_eq!(spans.ended(), [(at(0), at(3)), (at(6), at(8))]);
    }

    #[test]
    fn seconds_in_two_stretches_count_once() {
        let spans = [
            (at(10), at(20)),
            (at(0), at(4)),
            (at(15), at(25)),
            (at(16), at(17)),
        ];
        assert!((seconds(&spans) - 19.0).abs() < 1e-9);
    }

    #[test]
    fn a_pod_in_a_masked_second_is_wrong_and_none_in_the_control_too() {
        let row = |is_asked_for, in_masked| Row {
            fault: Fault::AllFrozen,
            is_asked_for,
            seen: 50.0,
            unheard: 0,
            masked: 50.0,
            let_through: 40,
            in_masked,
            complete: true,
        };
        assert_eq!(unmet(&row(true, 0)), None);
        assert!(unmet(&row(true, 1)).is_some());
        assert_eq!(unmet(&row(false, 9)), None);
        assert!(unmet(&row(false, 0)).is_some());
        let part = told(&[row(true, 0), row(false, 9)]);
        assert!(part.unmet.is_empty() && part.table[0].len() == part.table[1].len());
        let stopped = Row {
            fault: Fault::ApiStopped,
            ..row(true, 0)
        };
        let says = told(&[row(true, 0), row(true, 0), stopped, row(false, 9)]).says;
        assert!(
            says.contains("With 2 of the rollouts") && says.contains("With 1 it stands"),
            "{says}"
        );
    }
}
