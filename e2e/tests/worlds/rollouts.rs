//! Rollouts behind the real operator: waves, updates, restarts, rollbacks, nodes that come and fail.
//!
//! All cases share one world and one Weir, each in namespaces of its own. Those that leave nodes and
//! Weir alone run beside each other, as rollouts in one cluster do.

use anyhow::Result;
use weir_e2e::stage::Stage;
use weir_e2e::world::{World, WorldSpec};
use weir_e2e::{cases, inside};

mod changes;
mod enrolment;
mod nodes;
mod waves;

/// Nodes at the start: four waves by the stage's policy.
const NODES: u32 = 12;

#[test]
fn rollouts_go_through_the_valve_in_waves_and_come_to_an_end() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        let beside_each_other = cases!(
            &stage;
            waves::a_new_daemon_set_goes_through_waves_to_complete,
            waves::a_paused_rollout_rests_until_the_pause_is_cleared,
            changes::a_restart_is_gated_and_a_rollback_flows,
            changes::what_is_made_again_is_gated_anew,
            enrolment::what_nodes_depend_on_is_refused_until_acknowledged,
            enrolment::shadow_gates_nothing_and_tells,
            enrolment::what_is_only_observed_or_not_enrolled_is_left_alone,
            enrolment::what_runs_already_is_adopted,
        );
        stage.run(beside_each_other).await?;
        stage
            .run(cases!(&stage; nodes::nodes_that_join_are_served))
            .await?;
        stage
            .run(cases!(&stage; nodes::an_update_goes_on_while_a_node_is_not_ready))
            .await?;
        // Weir itself is stopped for a moment: nobody else may need it.
        changes::an_update_stalls_until_weir_lets_it_through(&stage, &weir).await?;
        weir.program.check()
    })
}
