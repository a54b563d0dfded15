//! Rollouts behind the real operator: waves, updates, restarts, rollbacks, nodes that come and fail.
//!
//! All cases share one world and one Weir, each in namespaces of its own. Those that leave nodes and
//! Weir alone run beside each other, as rollouts in one cluster do.

use anyhow::Result;
use tokio::try_join;
use weir_e2e::stage::{PATIENCE, Stage, policy_for};
use weir_e2e::world::{World, WorldSpec};
use weir_e2e::{cases, inside};

mod changes;
mod enrolment;
mod nodes;
mod timing;
mod waves;

/// Nodes at the start.
const NODES: u32 = 10;

/// One of three zones: 4 of the nodes at the start, and a third of those that join.
const ZONE: &str = "z1";

/// Four waves, where a test looks at them or needs them to be in their middle.
fn stepwise() -> String {
    let namespaces = ["fresh", "joining", "failing"];
    let spec = format!("pace: Fast\nsoak: 2s\nwaves: {{ growth: 3, maxStep: 50% }}\n{PATIENCE}");
    policy_for("stepwise", &namespaces, &spec)
}

/// A wave that no test waits for the end of.
fn patient() -> String {
    let spec = format!("pace: Fast\nsoak: 1h\n{PATIENCE}");
    policy_for("patient", &["leaving"], &spec)
}

#[test]
fn rollouts_go_through_the_valve_in_waves_and_come_to_an_end() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        world.apply(&stepwise()).await?;
        world.apply(&patient()).await?;
        world.apply(&timing::closed()?).await?;
        world.apply(&timing::restless()).await?;
        let beside_each_other = cases!(
            &stage;
            waves::a_new_daemon_set_goes_through_waves_to_complete,
            waves::a_paused_rollout_rests_until_the_pause_is_cleared,
            changes::a_restart_is_gated_and_a_rollback_flows,
            changes::what_is_made_again_is_gated_anew,
            enrolment::what_nodes_depend_on_is_refused_until_acknowledged,
            enrolment::what_is_only_observed_or_not_enrolled_is_left_alone,
            enrolment::what_runs_already_is_adopted,
            enrolment::what_is_no_longer_enrolled_is_let_go,
            timing::nothing_begins_outside_the_windows,
            timing::what_others_deploy_keeps_it_narrow,
        );
        let ((), failing, update) = try_join!(
            stage.run(beside_each_other),
            changes::runs_in_a_zone(&stage, "failing", 2),
            changes::runs_in_a_zone(&stage, "update", 1),
        )?;
        stage
            .run(cases!(&stage; nodes::nodes_that_join_are_served))
            .await?;
        // What is only shadowed has its width at once: rollouts that begin later would have to wait
        // for what is usual of the API server.
        try_join!(
            stage.run(cases!(&stage; enrolment::shadow_gates_nothing_and_tells)),
            nodes::an_update_goes_on_while_a_node_is_not_ready(&stage, &failing),
        )?;
        // Weir itself is stopped for a moment: nobody else may need it.
        changes::an_update_stalls_until_weir_lets_it_through(&stage, &update, &weir).await?;
        weir.program.check()
    })
}
