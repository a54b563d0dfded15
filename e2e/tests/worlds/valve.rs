//! The gate, the manifests and Weir's rights, on a real control plane and without Weir.
//!
//! All cases share one world, each in a namespace of its own; those that write the Role of the
//! approvals put it back. Nothing here runs Weir: what is shown is what holds while it is dead.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use weir_e2e::inside;
use weir_e2e::world::{Ceiling, World, WorldSpec};

mod cluster;
mod gating;
mod parameters;
mod people;
mod restarts;
mod rights;

use cluster::Cluster;

/// Nodes of the world: enough for an update to stall with most of them untouched.
const NODES: u32 = 6;

/// Runs each case and collects what failed, so that one fault does not hide another.
macro_rules! run {
    ($cluster:expr, $($module:ident :: $case:ident),+ $(,)?) => {{
        let mut failed = Vec::new();
        $(
            let started = Instant::now();
            match $module::$case($cluster).await {
                Ok(()) => println!("ok   {} ({:.1?})", stringify!($case), started.elapsed()),
                Err(error) => {
                    println!("FAIL {}", stringify!($case));
                    failed.push(format!("{}: {error:?}", stringify!($case)));
                }
            }
        )+
        failed
    }};
}

#[test]
fn the_valve_holds_what_is_to_be_held_and_nothing_else() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        world.install_weir(Ceiling::Enforce).await?;
        let cluster = Cluster::new(&world).await?;
        let failed = run!(
            &cluster,
            parameters::nothing_is_gated_before_anything_is_adopted,
            gating::a_new_daemon_set_is_born_gated_and_marked,
            gating::a_gated_pod_is_released_by_a_plain_patch_alone,
            gating::the_runbook_opens_the_valve_for_a_revision,
            gating::pods_of_an_approved_revision_are_born_free_on_new_nodes_too,
            gating::an_update_stalls_at_max_unavailable,
            gating::a_restart_passes_the_valve_and_a_rollback_flows,
            gating::deleting_released_pods_brings_them_back_gated,
            gating::pods_of_deployments_are_untouched,
            gating::kube_system_is_untouched_whatever_its_labels,
            gating::the_templates_label_wins_over_the_namespaces,
            gating::a_pod_that_names_its_node_is_let_through,
            gating::what_nodes_depend_on_is_not_held_until_acknowledged,
            gating::others_gates_are_kept_and_left_alone,
            gating::a_pod_of_unusual_size_is_gated_like_any_other,
            parameters::an_approval_takes_effect_within_a_hundred_looks,
            parameters::an_emptied_or_missing_role_gates_nothing,
            parameters::a_role_that_approves_everything_gates_nothing,
            parameters::where_every_account_may_do_everything_nothing_is_gated,
            parameters::a_full_list_is_taken_and_read,
            parameters::the_valve_survives_being_unbound_and_bound_again,
            rights::weir_may_ask_whether_the_gate_is_in_force_and_nothing_comes_of_it,
            rights::weir_may_remove_its_gate_from_a_pod_and_change_nothing_else,
            rights::weir_may_approve_and_grant_nothing_else,
            rights::weir_may_do_no_more_than_it_needs,
            people::an_approver_may_add_to_the_approvals_and_an_operator_may_only_pause,
            restarts::from_a_restarted_api_server_s_first_answer_on_no_unapproved_pod_slips_through,
        );
        world.check()?;
        let log = std::fs::read_to_string(world.api_servers()[0].log())?;
        assert!(!log.contains("panic"), "the API server panicked");
        if !failed.is_empty() {
            bail!("{} cases failed:\n{}", failed.len(), failed.join("\n"));
        }
        Ok(())
    })
}

/// Asks again until the answer is yes.
async fn eventually<F>(what: &str, limit: Duration, mut ask: impl FnMut() -> F) -> Result<Duration>
where
    F: Future<Output = Result<bool>>,
{
    let started = Instant::now();
    while !ask().await? {
        if started.elapsed() > limit {
            bail!("not within {limit:?}: {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(started.elapsed())
}
