//! Policies that make no sense, workloads that vanish, and a valve that somebody breaks.
//!
//! All cases share one world and one Weir. Each ends in words that say what to do, and none of them
//! may keep the next rollout from going through.

use anyhow::Result;
use tokio::try_join;
use weir_e2e::stage::{Shape, Stage};
use weir_e2e::world::{World, WorldSpec};
use weir_e2e::{cases, inside};

mod policies;
mod valve;
mod vanishing;

/// Nodes of the world: two waves by the stage's policy.
const NODES: u32 = 10;

#[test]
fn bad_input_ends_in_a_clear_message_and_harms_nothing() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        let beside_each_other = cases!(
            &stage;
            policies::an_invalid_one_is_refused_with_words_that_help,
            policies::a_contradictory_one_says_so_and_careful_applies,
            policies::one_that_matches_nothing_says_so,
            policies::of_two_the_stricter_applies,
            vanishing::a_daemon_set_deleted_in_the_middle_leaves_nothing_behind,
            vanishing::a_namespace_deleted_in_the_middle_goes_away,
        );
        let ((), approved) = try_join!(stage.run(beside_each_other), valve::approved(&stage))?;
        // What is born while the valve is broken is gated by nobody: nothing else may roll.
        valve::one_that_is_emptied_deleted_or_approves_everything_is_rebuilt(&stage, &approved)
            .await?;
        valve::one_that_approves_everything_is_told_of_until_it_is_rebuilt(&stage, &approved)
            .await?;
        let last = async {
            let last = stage.logs("last", &Shape::default()).await?;
            last.completes(&stage).await
        };
        try_join!(valve::it_gates_what_is_new(&stage, &approved), last)?;
        weir.program.check()
    })
}
