//! The lab itself: small experiments from preparation to report.

use anyhow::{Context, Result, ensure};
use weir_e2e::{
    experiment::{Patience, Plan, Stage},
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

async fn stage() -> Result<Stage> {
    let spec = WorldSpec {
        nodes: NODES,
        pods: PODS,
        audit: true,
        ..WorldSpec::bare()
    };
    Stage::set(World::start(&spec).await?, NODES, PODS).await
}

async fn unguarded(stage: &mut Stage, profile: &str) -> Result<Report> {
    let plan = Plan {
        profile: Profile::parse(profile, "test")?,
        update: false,
        guard: None,
        patience: Patience {
            steady: 5.0,
            observe: 12.0,
            timeout: 120.0,
        },
    };
    stage.run(&plan).await
}

#[test]
fn a_profile_from_anywhere_is_played_call_by_call() -> Result<()> {
    inside!(Beside::Nobody, async {
        let mut stage = stage().await?;
        let report = unguarded(&mut stage, EVERYTHING).await?;
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
        let report = unguarded(&mut stage, "name: silent").await?;
        assert_eq!((report.state, report.swarm.requests), (State::Complete, 0));
        assert_eq!(report.width.last().context("a width")?.running, NODES);
        assert!(report.bystander.idle.calls > 100 && report.bystander.during.calls > 100);
        assert_eq!(report.bystander.during.failed, 0);
        assert!(report.api_server.peak_rss_mib > 50.0 && report.weir.is_none());
        Ok(())
    })
}
