use k8s_openapi::api::core::v1::PodSpec;
use weir_core::time::Span;

use super::*;

fn key(name: &str) -> WorkloadKey {
    WorkloadKey {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn daemon_set(uid: &str, generation: i64, observed_generation: i64) -> DaemonSetView {
    DaemonSetView {
        uid: uid.to_owned(),
        generation,
        observed_generation,
        desired: 3,
        updated: 0,
        max_unavailable: 1,
        template_labels: BTreeMap::new(),
        template_facts: PodSpec::default(),
        template_hash: "sha256:0".to_owned(),
        selector: "app=logs".to_owned(),
        revision: None,
        revisions: Vec::new(),
        deleting: false,
    }
}

fn revision(owner: &str, hash: &str, number: i64) -> (WorkloadKey, OwnedRevision) {
    let view = RevisionView {
        hash: hash.to_owned(),
        number,
    };
    (
        key(&format!("{owner}-{hash}")),
        OwnedRevision {
            owner: owner.to_owned(),
            view,
        },
    )
}

fn one(view: DaemonSetView) -> DaemonSetRows {
    Arc::new(BTreeMap::from([(key("logs"), view)]))
}

fn three_revisions() -> RevisionRows {
    let revisions = [
        revision("u1", "aaa", 3),
        revision("u1", "bbb", 2),
        revision("u2", "ccc", 9),
    ];
    Arc::new(BTreeMap::from(revisions))
}

fn joined(view: DaemonSetView) -> DaemonSetView {
    let read = Join::default().join(Reading::Fresh(one(view)), Reading::Fresh(three_revisions()));
    read.fresh().unwrap()[&key("logs")].clone()
}

#[test]
fn the_highest_number_is_the_current_revision_wherever_its_hash_sorts() {
    let view = joined(daemon_set("u1", 2, 2));
    assert_eq!(view.revision.as_deref(), Some("aaa"));
    let hashes: Vec<_> = view
        .revisions
        .iter()
        .map(|revision| revision.hash.as_str())
        .collect();
    assert_eq!(hashes, ["bbb", "aaa"]);
}

#[test]
fn until_the_controller_has_looked_nobody_knows_the_current_revision() {
    let view = joined(daemon_set("u1", 3, 2));
    assert_eq!((view.revision, view.revisions.len()), (None, 2));
}

#[test]
fn one_that_was_made_anew_has_none_of_the_old_one_s_revisions() {
    let view = joined(daemon_set("u3", 1, 1));
    assert_eq!((view.revision, view.revisions.len()), (None, 0));
}

#[test]
fn nothing_is_joined_anew_while_nothing_changes() {
    let mut join = Join::default();
    let (sets, revisions) = (one(daemon_set("u1", 2, 2)), three_revisions());
    let mut again = |sets: &DaemonSetRows, revisions: &RevisionRows| {
        let read = join.join(
            Reading::Fresh(Arc::clone(sets)),
            Reading::Fresh(Arc::clone(revisions)),
        );
        Arc::clone(read.fresh().unwrap())
    };
    let first = again(&sets, &revisions);
    assert!(Arc::ptr_eq(&first, &again(&sets, &revisions)));
    let rolled = Arc::new(BTreeMap::from([revision("u1", "ddd", 4)]));
    assert_eq!(
        again(&sets, &rolled)[&key("logs")].revision.as_deref(),
        Some("ddd")
    );
}

#[test]
fn two_readings_are_as_fresh_as_the_worse() {
    let stale = |seconds| Reading::Stale {
        value: 1,
        age: Span::from_secs(seconds),
    };
    let absent = || Reading::<u8>::Absent {
        why: "forbidden".to_owned(),
    };
    let garbled = || Reading::<u8>::Garbled {
        why: "odd".to_owned(),
    };
    assert_eq!(
        both(Reading::Fresh(1), Reading::Fresh(2)),
        Reading::Fresh((1, 2))
    );
    assert_eq!(
        both(stale(100), stale(120)),
        Reading::Stale {
            value: (1, 1),
            age: Span::from_secs(120)
        }
    );
    assert!(matches!(
        both(Reading::Fresh(1), stale(100)),
        Reading::Stale { value: (1, 1), .. }
    ));
    assert!(matches!(
        both(garbled(), stale(100)),
        Reading::Garbled { .. }
    ));
    assert!(matches!(both(garbled(), absent()), Reading::Absent { .. }));
    assert!(matches!(
        both(absent(), Reading::Fresh(1)),
        Reading::Absent { .. }
    ));
}
