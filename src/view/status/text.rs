//! The status as one screen of text.

use weir_core::time::Span;

use super::{ApiServer, ApiServers, Gate, Life, Rollout, Rollouts, Status, Weir, dns};
use crate::{
    api::{BurnPace, BurnStatus, Finding, Hold, ServerState, Severity, State},
    view::{
        age::age,
        clean::one_line,
        style::{BAD, FAINT, GOOD, HEAD, WARN},
        table::{self, Cell},
        words::{mode, state},
    },
};

/// Open rollouts on a screen that is not wide; what is held comes first.
const ROLLOUTS: usize = 20;
/// Sentences on what is wrong, on a screen that is not wide.
const TROUBLES: usize = 10;

/// How much is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// One screen.
    Screen,
    /// Everything.
    Wide,
}

/// The status as text, with colours, and a line break at its end.
#[must_use]
pub fn render(status: &Status, detail: Detail) -> String {
    let lines = [
        api_servers(&status.api_servers),
        dns::lines(&status.dns),
        rollouts(&status.rollouts, detail),
        weir(&status.weir),
        conclusion(&status.trouble, detail),
    ];
    let parts = lines.into_iter().filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(|part| part.join("\n")).collect();
    let mut text = parts.join("\n\n");
    text.push('\n');
    text
}

fn head(title: &str, rest: &str) -> String {
    format!("{HEAD}{title}{HEAD:#}  {rest}")
        .trim_end()
        .to_owned()
}

fn unknown(title: &str, why: &str) -> Vec<String> {
    vec![head(
        title,
        &format!("{WARN}not known{WARN:#}: {}", one_line(why)),
    )]
}

fn api_servers(servers: &ApiServers) -> Vec<String> {
    const TITLE: &str = "API SERVERS";
    if let Some(why) = &servers.unknown {
        return unknown(TITLE, why);
    }
    let seen = servers.seen.len();
    let count = match servers.expected {
        Some(expected) => format!("{seen} of {expected} seen"),
        None => format!("{seen} seen; how many there should be is not known"),
    };
    let rows: Vec<_> = servers.seen.iter().map(api_server).collect();
    [vec![head(TITLE, &count)], table::lines(&rows)].concat()
}

fn api_server(server: &ApiServer) -> Vec<Cell> {
    let (state, style) = match server.state {
        ServerState::Quiet => ("Quiet", GOOD),
        ServerState::Suffering => ("Suffering", BAD),
        ServerState::Unseen => ("Unseen", WARN),
    };
    let latency = match (server.latency_ms, server.usual_latency_ms) {
        (Some(now), Some(usual)) => format!("{now} ms, usually {usual} ms"),
        (Some(now), None) => format!("{now} ms"),
        (None, _) => String::new(),
    };
    let why = server.why.as_deref();
    // A finding about it says more.
    let is_said = why.is_some_and(|why| why.starts_with("BurnFast"));
    let burn = server.burn.as_ref().filter(|_| !is_said).and_then(burn);
    let why = burn.into_iter().chain(why.map(str::to_owned));
    vec![
        server.address.as_str().into(),
        Cell::styled(state, style),
        latency.into(),
        why.collect::<Vec<_>>().join("; ").into(),
    ]
}

/// How fast its error budget is spent, where that is beyond a limit.
fn burn(burn: &BurnStatus) -> Option<String> {
    let [(long, over_long), (short, over_short)] = match burn.too_fast? {
        BurnPace::Fast => [(burn.hour, "1h"), (burn.five_minutes, "5m")],
        BurnPace::Slow => [(burn.six_hours, "6h"), (burn.half_hour, "30m")],
        BurnPace::Steady => [(burn.three_days, "3d"), (burn.six_hours, "6h")],
    };
    Some(format!(
        "spends its error budget {long} times too fast over {over_long}, {short} over {over_short}"
    ))
}

fn rollouts(rollouts: &Rollouts, detail: Detail) -> Vec<String> {
    const TITLE: &str = "ROLLOUTS";
    if let Some(why) = &rollouts.unknown {
        return unknown(TITLE, why);
    }
    let mut lines = vec![head(TITLE, &count(rollouts))];
    let limit = match detail {
        Detail::Screen => ROLLOUTS,
        Detail::Wide => usize::MAX,
    };
    let mut shown: Vec<_> = rollouts.open.iter().take(limit).collect();
    if detail == Detail::Wide {
        shown.extend(&rollouts.complete);
    }
    if shown.is_empty() {
        return lines;
    }
    let titles = ["NAMESPACE", "NAME", "STATE", "WIDTH", "WAVE", "MODE", "AGE"];
    let mut rows = vec![titles.map(|title| Cell::styled(title, FAINT)).to_vec()];
    rows.extend(shown.iter().map(|rollout| row(rollout)));
    let mut table = table::lines(&rows).into_iter();
    lines.extend(table.next());
    for (line, rollout) in table.zip(&shown) {
        lines.push(line);
        lines.extend(
            reasons(rollout, detail)
                .into_iter()
                .map(|why| format!("      {why}")),
        );
    }
    let hidden = rollouts.open.len().saturating_sub(limit);
    if hidden > 0 {
        lines.push(format!("  and {hidden} more: see them with -o wide"));
    }
    lines
}

fn count(rollouts: &Rollouts) -> String {
    let count = |state| {
        let open = rollouts.open.iter();
        open.filter(|one| one.state == Some(state)).count()
    };
    let held = rollouts
        .open
        .iter()
        .filter(|one| one.hold.is_some())
        .count();
    let (refused, let_go) = (count(State::Refused), count(State::LetGo));
    let in_flight = rollouts.open.len() - refused - let_go;
    let refused = match refused {
        0 => String::new(),
        some => format!(", {some} refused"),
    };
    let let_go = match let_go {
        0 => String::new(),
        some => format!(", {some} let go"),
    };
    let complete = rollouts.complete.len();
    let beyond = match rollouts.beyond {
        0 => String::new(),
        more => format!(", {more} more not looked at"),
    };
    if rollouts.open.is_empty() && complete == 0 && rollouts.beyond == 0 {
        return "none".to_owned();
    }
    format!("{in_flight} in flight, {held} held{refused}{let_go}, {complete} complete{beyond}")
}

fn row(rollout: &Rollout) -> Vec<Cell> {
    let (state, style) = state(rollout.state);
    vec![
        rollout.namespace.as_str().into(),
        rollout.name.as_str().into(),
        Cell::styled(state, style),
        format!("{}/{}", rollout.width, rollout.full_width).into(),
        rollout.wave.to_string().into(),
        rollout.mode.map_or("-", mode).into(),
        age(Span::from_secs(rollout.age_seconds)).into(),
    ]
}

/// Why a rollout is where it is: what holds it, or its summary if nothing does.
fn reasons(rollout: &Rollout, detail: Detail) -> Vec<String> {
    let quiet = matches!(rollout.state, Some(State::Complete)) && detail == Detail::Screen;
    let mut lines: Vec<_> = rollout
        .findings
        .iter()
        .filter(|finding| detail == Detail::Wide || finding.severity == Severity::Hold)
        .map(reason)
        .collect();
    let shown = if detail == Detail::Wide {
        lines.len()
    } else {
        lines.len().min(2)
    };
    let cut = lines.len() - shown + rollout.findings_omitted as usize;
    lines.truncate(shown);
    if cut > 0 {
        lines.push(format!("and {cut} more findings"));
    }
    let is_stranded = rollout.hold.as_ref().is_some_and(Hold::is_stranded);
    if is_stranded {
        // Nobody judges it any more: what was found belongs to before, and the summary says what to do.
        lines.clear();
    }
    if lines.is_empty() && !quiet {
        let summary = rollout.summary.iter().flat_map(|summary| summary.lines());
        lines.extend(summary.map(one_line));
    }
    if rollout.nodes_without_pod > 0 {
        lines.push(format!(
            "{} nodes wait for a pod",
            rollout.nodes_without_pod
        ));
    }
    lines
}

fn reason(finding: &Finding) -> String {
    let Finding {
        reason,
        severity: _,
        subject,
        evidence,
        clears_when,
    } = finding;
    one_line(&format!(
        "{reason} on {subject}: {evidence}; clears when {clears_when}"
    ))
}

fn weir(weir: &Weir) -> Vec<String> {
    let state = match weir.state {
        Life::Running => format!("{GOOD}Running{GOOD:#}"),
        Life::Silent => format!("{BAD}Silent{BAD:#}"),
        Life::NotInstalled => format!("{BAD}Not installed{BAD:#}"),
        Life::NoLease => format!("{BAD}No lease{BAD:#}"),
        Life::Unknown => format!("{WARN}Not known{WARN:#}"),
    };
    let parts = [
        Some(state),
        weir.version
            .as_ref()
            .map(|version| format!("version {}", one_line(version))),
        weir.mode.map(|ceiling| format!("mode {}", mode(ceiling))),
        weir.gate.map(gate),
        weir.leader
            .as_ref()
            .map(|leader| format!("leader {}", one_line(leader))),
        weir.renewed_seconds_ago
            .map(|seconds| format!("lease renewed {} ago", age(Span::from_secs(seconds)))),
    ];
    vec![head(
        "WEIR",
        &parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
    )]
}

fn gate(gate: Gate) -> String {
    match gate {
        Gate::InForce => "gate in force".to_owned(),
        Gate::NotInForce => format!("{BAD}gate not in force{BAD:#}"),
        Gate::Stranding => format!("{BAD}pods stranded{BAD:#}"),
        Gate::Unknown => format!("{WARN}gate not known{WARN:#}"),
    }
}

fn conclusion(trouble: &[String], detail: Detail) -> Vec<String> {
    if trouble.is_empty() {
        return vec![format!("{GOOD}Nothing is wrong.{GOOD:#}")];
    }
    let limit = match detail {
        Detail::Screen => TROUBLES,
        Detail::Wide => usize::MAX,
    };
    let mut lines = vec![format!("{BAD}Not fine:{BAD:#}")];
    lines.extend(
        trouble
            .iter()
            .take(limit)
            .map(|what| format!("  - {}", one_line(what))),
    );
    let hidden = trouble.len().saturating_sub(limit);
    if hidden > 0 {
        lines.push(format!("  and {hidden} more: see them with -o wide"));
    }
    lines
}
