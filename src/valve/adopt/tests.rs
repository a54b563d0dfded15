use proptest::prelude::*;

use weir_core::time::Moment;

use super::*;

const UID: &str = "11111111-2222-3333-4444-555555555555";

fn revision(number: i64, pods: Pods, rollout: Option<Completion>) -> Revision {
    Revision {
        hash: format!("r{number}"),
        number,
        pods,
        rollout,
    }
}

fn pods(gated: u32, released: u32, free: u32) -> Pods {
    Pods {
        gated,
        released,
        free,
    }
}

fn workload(revisions: Vec<Revision>) -> Workload {
    Workload {
        uid: UID.to_owned(),
        name: "shop/logs".to_owned(),
        enforced: true,
        revisions,
    }
}

fn approved(adoption: &Adoption) -> Vec<&str> {
    let keys = adoption.approvals.approved.keys();
    keys.map(|key| key.strip_prefix(UID).unwrap_or(key).trim_start_matches('.'))
        .collect()
}

fn adopted(revisions: Vec<Revision>) -> Adoption {
    adopt(None, &[workload(revisions)], Mode::Enforce)
}

#[test]
fn pods_are_counted_by_what_they_have_to_do_with_the_valve() {
    let row = |state, born_gated| PodRow {
        node: "n1".to_owned(),
        state,
        since: Moment::from_millis(0),
        placed: None,
        born_gated,
    };
    let rows = [
        row(PodState::Gated, true),
        row(PodState::Starting, true),
        row(PodState::Ready, true),
        row(PodState::Failing, false),
        // Gated by hand, or by an older Weir: it is held all the same.
        row(PodState::Gated, false),
    ];
    let mut counted = Pods::default();
    for row in &rows {
        counted.add(row);
    }
    assert_eq!(counted, pods(2, 2, 1));
}

#[test]
fn what_runs_ungated_is_approved() {
    let adoption = adopted(vec![revision(1, pods(0, 0, 50), None)]);
    assert_eq!(approved(&adoption), ["r1"]);
    assert!(adoption.approvals.adopted);
    assert_eq!(
        adoption.approvals.approved[&revision_key(UID, "r1")],
        "shop/logs by weir"
    );
}

#[test]
fn an_update_under_way_at_enrolment_goes_on_by_itself() {
    let old = revision(1, pods(0, 0, 30), None);
    let new = revision(2, pods(0, 0, 20), None);
    assert_eq!(approved(&adopted(vec![old, new])), ["r1", "r2"]);
}

#[test]
fn a_new_workload_has_to_pass_the_valve() {
    assert!(approved(&adopted(vec![revision(1, pods(50, 0, 0), None)])).is_empty());
    assert!(approved(&adopted(vec![revision(1, pods(0, 0, 0), None)])).is_empty());
}

#[test]
fn a_rollout_in_flight_stays_in_flight() {
    for running in [
        pods(40, 10, 0),
        pods(0, 10, 0),
        pods(0, 0, 10),
        pods(1, 0, 40),
    ] {
        let old = revision(1, pods(0, 0, 40), None);
        let new = revision(2, running, Some(Completion::Unfinished));
        assert_eq!(approved(&adopted(vec![old, new])), ["r1"], "{running:?}");
    }
}

#[test]
fn a_complete_rollout_is_approved_whatever_runs_of_it() {
    for running in [pods(0, 50, 0), pods(3, 47, 0), pods(0, 0, 0)] {
        let done = revision(1, running, Some(Completion::Complete));
        assert_eq!(approved(&adopted(vec![done])), ["r1"], "{running:?}");
    }
}

#[test]
fn a_rollout_whose_record_was_lost_is_resumed() {
    let old = || revision(1, pods(0, 0, 40), None);
    assert_eq!(
        approved(&adopted(vec![old(), revision(2, pods(8, 2, 0), None)])),
        ["r1"]
    );
    // In an update the controller makes room bit by bit: for a moment nothing may be gated.
    assert_eq!(
        approved(&adopted(vec![old(), revision(2, pods(0, 2, 0), None)])),
        ["r1"]
    );
    // A first rollout, for the record.
    assert!(approved(&adopted(vec![revision(1, pods(8, 2, 0), None)])).is_empty());
}

#[test]
fn a_finished_rollout_whose_record_was_lost_is_approved() {
    assert_eq!(
        approved(&adopted(vec![revision(1, pods(0, 50, 0), None)])),
        ["r1"]
    );
    // Also once it is being replaced by the next.
    let old = revision(1, pods(0, 45, 0), None);
    let new = revision(2, pods(5, 0, 0), Some(Completion::Unfinished));
    assert_eq!(approved(&adopted(vec![old, new])), ["r1"]);
}

#[test]
fn a_pod_gated_between_enrolment_and_adoption_does_not_hold_its_revision() {
    assert_eq!(
        approved(&adopted(vec![revision(1, pods(1, 0, 49), None)])),
        ["r1"]
    );
    // Half is no majority: rather hold than let through.
    assert!(approved(&adopted(vec![revision(1, pods(5, 0, 5), None)])).is_empty());
    assert!(approved(&adopted(vec![revision(1, pods(2, 3, 5), None)])).is_empty());
}

#[test]
fn approvals_by_hand_are_kept_while_their_revision_exists() {
    let valve = Approvals {
        adopted: true,
        approved: [
            (UID, "r1"),
            (UID, "r9"),
            ("99999999-0000-0000-0000-000000000000", "r1"),
        ]
        .map(|(uid, hash)| (revision_key(uid, hash), "by hand".to_owned()))
        .into(),
    };
    let held = revision(1, pods(40, 10, 0), Some(Completion::Unfinished));
    let mut other = workload(vec![held]);
    other.enforced = false;
    let adoption = adopt(Some(&valve), &[other], Mode::Enforce);
    assert_eq!(approved(&adoption), ["r1"]);
    assert_eq!(
        adoption.approvals.approved[&revision_key(UID, "r1")],
        "by hand"
    );
    assert_eq!(adoption.changes.len(), 2);
    assert!(
        adoption
            .changes
            .iter()
            .all(|change| !change.approved && change.workload.is_none())
    );
}

#[test]
fn what_is_not_enforced_gets_no_approval() {
    let mut free = workload(vec![revision(
        1,
        pods(0, 0, 50),
        Some(Completion::Complete),
    )]);
    free.enforced = false;
    assert!(approved(&adopt(None, &[free], Mode::Enforce)).is_empty());
}

#[test]
fn below_enforce_the_valve_gates_nothing_and_forgets_nothing() {
    let valve = Approvals {
        adopted: true,
        approved: BTreeMap::from([("gone.r1".to_owned(), "by hand".to_owned())]),
    };
    for ceiling in [Mode::Observe, Mode::Shadow] {
        let adoption = adopt(Some(&valve), &[], ceiling);
        assert!(!adoption.approvals.adopted);
        assert_eq!(adoption.approvals.approved, valve.approved);
        assert_eq!(adopt(None, &[], ceiling).approvals, Approvals::default());
    }
}

#[test]
fn a_full_list_gives_up_the_longest_superseded_and_never_what_runs() {
    let history = |number| revision(number, pods(0, 0, 0), Some(Completion::Complete));
    let mut workloads: Vec<_> = (0..bounds::APPROVED / 4)
        .map(|index| Workload {
            uid: format!("{index:08}"),
            revisions: (1..=5).map(history).collect(),
            ..workload(Vec::new())
        })
        .collect();
    workloads[0].revisions[0].pods = pods(0, 0, 1);
    let adoption = adopt(None, &workloads, Mode::Enforce);
    let approved = &adoption.approvals.approved;
    assert_eq!(approved.len(), bounds::APPROVED - ROOM);
    for workload in &workloads {
        assert!(approved.contains_key(&revision_key(&workload.uid, "r5")));
    }
    assert!(approved.contains_key(&revision_key(&workloads[0].uid, "r1")));
    assert!(!approved.contains_key(&revision_key(&workloads[1].uid, "r1")));
    assert_eq!(
        adoption.changes.len(),
        bounds::APPROVED - ROOM,
        "only what changed is told"
    );
}

#[test]
fn a_list_that_is_just_full_has_room_made_for_the_next_approval() {
    let revisions = (1..=8).map(|number| revision(number, pods(0, 0, 0), None));
    let workloads: Vec<_> = (0..bounds::APPROVED / 8)
        .map(|index| Workload {
            uid: format!("{index:08}"),
            revisions: revisions.clone().collect(),
            ..workload(Vec::new())
        })
        .collect();
    let keys = workloads.iter().flat_map(|workload| {
        let revisions = workload.revisions.iter();
        revisions.map(|one| revision_key(&workload.uid, &one.hash))
    });
    let full = Approvals {
        adopted: true,
        approved: keys.map(|key| (key, "by hand".to_owned())).collect(),
    };
    assert_eq!(full.approved.len(), bounds::APPROVED);
    let adoption = adopt(Some(&full), &workloads, Mode::Enforce);
    assert!(adoption.approvals.approved.len() < bounds::APPROVED);
    assert!(
        adoption
            .changes
            .iter()
            .all(|change| !change.approved && change.why.contains("room"))
    );
}

fn any_workloads() -> impl Strategy<Value = Vec<Workload>> {
    let progress = prop_oneof![
        Just(None),
        Just(Some(Completion::Complete)),
        Just(Some(Completion::Unfinished))
    ];
    let parts = ((0_u32..3, 0_u32..3, 0_u32..3), progress);
    let revisions = proptest::collection::vec(parts, 0..4);
    let one = (any::<bool>(), revisions).prop_map(|(enforced, revisions)| {
        let revisions = (1..).zip(revisions);
        let revisions = revisions.map(|(number, ((gated, released, free), rollout))| {
            revision(number, pods(gated, released, free), rollout)
        });
        Workload {
            enforced,
            ..workload(revisions.collect())
        }
    });
    proptest::collection::vec(one, 0..4).prop_map(|mut workloads| {
        for (index, workload) in workloads.iter_mut().enumerate() {
            workload.uid = format!("{index}");
        }
        workloads
    })
}

fn any_valve() -> impl Strategy<Value = Option<Approvals>> {
    let approved =
        proptest::collection::btree_map("[0-4]\\.r[1-4]", Just("by hand".to_owned()), 0..6);
    let spec = (any::<bool>(), approved);
    proptest::option::of(spec.prop_map(|(adopted, approved)| Approvals { adopted, approved }))
}

proptest! {
    #[test]
    fn adopting_twice_changes_nothing_more(
        valve in any_valve(), workloads in any_workloads(),
    ) {
        let once = adopt(valve.as_ref(), &workloads, Mode::Enforce);
        let twice = adopt(Some(&once.approvals), &workloads, Mode::Enforce);
        prop_assert_eq!(&once.approvals, &twice.approvals);
        prop_assert!(twice.changes.is_empty());
    }

    #[test]
    fn changes_are_exactly_what_differs(valve in any_valve(), workloads in any_workloads()) {
        let adoption = adopt(valve.as_ref(), &workloads, Mode::Enforce);
        let mut replayed = valve.unwrap_or_default().approved;
        for change in &adoption.changes {
            if change.approved {
                prop_assert!(replayed.insert(change.key.clone(), String::new()).is_none());
            } else {
                prop_assert!(replayed.remove(&change.key).is_some());
            }
        }
        prop_assert!(replayed.keys().eq(adoption.approvals.approved.keys()));
    }

    #[test]
    fn a_rollout_that_is_not_complete_is_never_approved_by_adoption(
        workloads in any_workloads(),
    ) {
        let adoption = adopt(None, &workloads, Mode::Enforce);
        for workload in &workloads {
            for revision in &workload.revisions {
                if revision.rollout == Some(Completion::Unfinished) {
                    let key = revision_key(&workload.uid, &revision.hash);
                    prop_assert!(!adoption.approvals.approved.contains_key(&key));
                }
            }
        }
    }
}
