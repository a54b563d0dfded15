//! The lab itself: small experiments from preparation to report.

use anyhow::{Context, Result, ensure};
use weir::api::Pace;
use weir_e2e::{
    experiment::{Bench, Patience, Plan, policy},
    inside,
    profile::Profile,
    report::{Report, State},
    world::{Beside, World, WorldSpec},
};

const NODES: u32 = 20;
const PODS: u32 = 200;

/// Uses every verb, custom resources, both kinds of lists, pages, writes and an informer.
const EVERYTHING: &str = r#"
name: everything
about: makes every kind of call
agent: {userAgent: everything/1.0}
needs:
  - resource: example.com/v1/things
    kind: Thing
    define: true
    count: {fixed: 30, perNode: 1}
    bytes: 1000
calls:
  - {verb: list, resource: v1/pods, query: {limit: 50}}
  - {verb: list, resource: v1/nodes, query: {fieldSelector: metadata.name=$(NODE_NAME)}}
  - {verb: list, resource: example.com/v1/things}
  - {verb: watch, resource: example.com/v1/things, query: {resourceVersion: listed, lasts: 5m}}
  - {verb: watch, resource: v1/pods, query: {resourceVersion: listed, lasts: 5m}}
  - {verb: get, resource: v1/pods, namespace: $(POD_NAMESPACE), object: $(POD_NAME), when: {every: 2s, phase: spread}}
  - verb: patch
    resource: v1/nodes
    subresource: status
    object: $(NODE_NAME)
    when: {every: 5s, phase: in-phase}
    body: {status: {conditions: [{type: Lab, status: "True", reason: Test, message: test,
      lastHeartbeatTime: $(NOW), lastTransitionTime: $(NOW)}]}}
  - verb: create
    resource: v1/configmaps
    namespace: $(POD_NAMESPACE)
    body: {metadata: {name: $(POD_NAME)}, data: {node: $(NODE_NAME)}}
    onError: give-up
  - verb: update
    resource: v1/configmaps
    namespace: $(POD_NAMESPACE)
    object: $(POD_NAME)
    when: {after: 4s}
    body: {metadata: {name: $(POD_NAME)}, data: {node: changed}}
  - {verb: delete, resource: v1/configmaps, namespace: $(POD_NAMESPACE), object: $(POD_NAME), when: {after: 8s}}
"#;

/// Calls of one agent that are made once: three lists (the pods in five pages and more), two watches,
/// create, update and delete.
const ONCE: u64 = 5 + 2 + 2 + 3;

/// Lists all pods ten times a second: forty of them are more than one core can answer.
const LISTER: &str = r#"
name: lister
about: lists all pods ten times a second
expect: {ends: held, because: hundreds of lists a second are more than one core can answer}
agent: {userAgent: lister/1.0}
calls:
  - {verb: list, resource: v1/pods, query: {resourceVersion: "0"}, when: {every: 100ms}, onError: give-up}
"#;

/// Lists all pods every two seconds: one of them takes a twentieth of a core, and forty take two.
const SELDOM: &str = r#"
name: seldom
about: lists all pods every two seconds
expect: {ends: held, because: twenty lists a second are twice what one core can answer}
agent: {userAgent: seldom/1.0}
calls:
  - {verb: list, resource: v1/pods, query: {resourceVersion: "0"}, when: {every: 2s}, onError: give-up}
"#;

async fn bench(nodes: u32, pods: u32) -> Result<Bench> {
    let spec = WorldSpec {
        nodes,
        pods,
        audit: true,
        ..WorldSpec::bare()
    };
    Bench::set(World::start(&spec).await?, nodes, pods).await
}

async fn run(bench: &mut Bench, profile: &str, guard: Option<Pace>) -> Result<Report> {
    let profile = Profile::parse(profile, "test")?;
    let guard = guard.map(|pace| policy(pace, &profile));
    let patience = Patience {
        idle: 15.0,
        steady: 5.0,
        observe: 12.0,
        timeout: 300.0,
        until_width: None,
    };
    bench.run(&Plan::new(profile, guard, patience)).await
}

#[test]
fn a_profile_from_anywhere_is_played_call_by_call() -> Result<()> {
    inside!(Beside::Nobody, async {
        let mut bench = bench(NODES, PODS).await?;
        let report = run(&mut bench, EVERYTHING, None).await?;
        let text = serde_json::to_string_pretty(&report)?;
        assert_eq!(
            (report.state, report.timed_out),
            (State::Complete, false),
            "{text}"
        );
        assert_eq!(
            report.swarm.failures,
            std::collections::BTreeMap::new(),
            "{text}"
        );
        let agents = u64::from(NODES);
        let last = report.swarm.series.last().context("a series")?;
        assert_eq!((last.agents, last.watches), (agents, 2 * agents), "{text}");
        // Twelve seconds of gets every two, and of patches every five.
        let fewest = agents * (ONCE + 5 + 2);
        ensure!(
            report.swarm.requests >= fewest,
            "{} < {fewest}\n{text}",
            report.swarm.requests
        );
        ensure!(
            report.swarm.requests < 2 * fewest,
            "{} is too many\n{text}",
            report.swarm.requests
        );

        // A second experiment in the same world finds it as the first did.
        let report = run(&mut bench, "name: silent", None).await?;
        assert_eq!((report.state, report.swarm.requests), (State::Complete, 0));
        assert_eq!(report.width.last().context("a width")?.running, NODES);
        assert!(report.bystander.idle.calls > 100 && report.bystander.during.calls > 100);
        assert_eq!(report.bystander.during.failed, 0);
        assert!(report.api_server.peak_rss_mib > 50.0 && report.weir.is_none());
        Ok(())
    })
}

/// The main job, from the harm that is done without Weir to the hold that keeps it from being done.
#[test]
fn a_rollout_that_drowns_the_api_server_is_held_by_what_the_server_suffers() -> Result<()> {
    inside!(Beside::Nobody, async {
        let mut bench = bench(40, 800).await?;
        let unguarded = run(&mut bench, LISTER, None).await?;
        let guarded = run(&mut bench, LISTER, Some(Pace::Fast)).await?;
        for report in [&unguarded, &guarded] {
            let text = serde_json::to_string_pretty(report)?;
            let expected = report.expected.as_ref().context("it expects")?;
            ensure!(expected.met, "{:?}\n{text}", expected.why);
        }
        let width = guarded.held_at_width.context("it was held")?;
        ensure!(0 < width && width < 40, "held at {width} of 40");
        let weir = guarded.weir.context("what Weir used")?;
        ensure!(
            weir.bytes.is_some_and(|bytes| bytes > 0) && weir.writes > 0,
            "{weir:?}"
        );
        Ok(())
    })
}

/// The main job done in time: a few pods tell what all of them would cost, and nobody feels those few.
#[test]
fn what_full_width_would_cost_is_foreseen_before_anybody_suffers() -> Result<()> {
    inside!(Beside::Nobody, async {
        let mut bench = bench(40, 800).await?;
        let report = run(&mut bench, SELDOM, Some(Pace::Fast)).await?;
        let text = serde_json::to_string_pretty(&report)?;
        ensure!(
            report.held_by.as_deref() == Some("ForecastExceedsCapacity"),
            "{text}"
        );
        let width = report.held_at_width.context("it was held")?;
        ensure!(width <= 8, "held at {width} of 40\n{text}");
        let forecast = report.forecast.context("it was forecast")?;
        ensure!(forecast.metered, "{forecast:?}");
        ensure!(report.harm.first_second.is_none(), "{text}");
        Ok(())
    })
}
