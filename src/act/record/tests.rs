use super::*;

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn resource() -> ApiResource {
    ApiResource {
        group: "weir.dev".to_owned(),
        version: "v1alpha1".to_owned(),
        api_version: "weir.dev/v1alpha1".to_owned(),
        kind: "GuardedRollout".to_owned(),
        plural: "guardedrollouts".to_owned(),
    }
}

fn entry(name: &str, want: Want) -> Entry {
    Entry {
        resource: resource(),
        namespace: Some("shop".to_owned()),
        name: name.to_owned(),
        want,
    }
}

fn status(desired: Value, seen: Value) -> Want {
    Want::Status { desired, seen }
}

fn create() -> Want {
    Want::Created(Box::new(DynamicObject::new("logs", &resource())))
}

fn wrote(want: &Want, when: Moment) -> Memory {
    Memory {
        written: Some((want.written(), when)),
        ..Memory::default()
    }
}

#[test]
fn what_is_as_it_should_be_is_never_written() {
    let same = status(json!({ "state": "Held" }), json!({ "state": "Held" }));
    assert_eq!(Memory::default().due(&same, at(0)), None);
}

#[test]
fn a_write_is_not_repeated_while_the_watch_lags_but_is_if_it_never_shows() {
    let want = status(json!({ "state": "Held" }), json!({ "state": "Soaking" }));
    let memory = wrote(&want, at(100));
    assert_eq!(memory.due(&want, at(105)), None);
    assert_eq!(memory.due(&want, at(110)), Some(Difference::Turn));

    for want in [
        create(),
        Want::Gone {
            uid: "0b5c".to_owned(),
        },
    ] {
        let memory = wrote(&want, at(100));
        assert_eq!(memory.due(&want, at(105)), None);
        assert_eq!(memory.due(&want, at(110)), Some(Difference::Turn));
    }
}

#[test]
fn the_status_follows_the_object_at_once() {
    let memory = wrote(&create(), at(100));
    let want = status(json!({ "state": "Pending" }), Value::Null);
    assert_eq!(memory.due(&want, at(101)), Some(Difference::Turn));
}

#[test]
fn figures_wait_longer_than_turns() {
    let before = json!({ "state": "Progressing", "width": 1 });
    let memory = wrote(&status(before.clone(), Value::Null), at(100));
    let wider = status(
        json!({ "state": "Progressing", "width": 2 }),
        before.clone(),
    );
    let held = status(json!({ "state": "Held", "width": 2 }), before);
    assert_eq!(memory.due(&wider, at(102)), None);
    assert_eq!(memory.due(&wider, at(105)), Some(Difference::Figures));
    assert_eq!(memory.due(&held, at(102)), Some(Difference::Turn));
}

#[test]
fn what_failed_is_left_alone_for_a_while_and_then_tried_again() {
    let mut memory = Memory::default();
    memory.backoff.failed("logs", at(0));
    assert_eq!(memory.due(&create(), at(1)), None);
    assert_eq!(memory.due(&create(), at(2)), Some(Difference::Turn));
}

#[test]
fn the_most_urgent_goes_first_and_nobody_starves() {
    let wider = |name| entry(name, status(json!({ "width": 2 }), json!({ "width": 1 })));
    let books = vec![wider("a"), wider("b"), entry("c", create())];
    let mut memory = BTreeMap::new();
    assert_eq!(most_urgent(&memory, &books, at(200)).unwrap().name, "c");
    memory.insert(books[2].key(), wrote(&books[2].want, at(200)));
    let older = status(json!({ "width": 1 }), Value::Null);
    memory.insert(books[0].key(), wrote(&older, at(190)));
    memory.insert(books[1].key(), wrote(&older, at(180)));
    assert_eq!(most_urgent(&memory, &books, at(200)).unwrap().name, "b");
    memory.insert(books[1].key(), wrote(&books[1].want, at(200)));
    assert_eq!(most_urgent(&memory, &books, at(200)).unwrap().name, "a");
}

#[test]
fn what_is_applied_is_written_until_it_is_seen_and_fights_nobody() {
    let applied = |precedence: u32, holds| Want::Applied {
        object: json!({ "spec": { "matchingPrecedence": precedence } }),
        holds,
    };
    let none = Memory::default();
    assert_eq!(none.due(&applied(8999, true), at(0)), None);
    assert!(none.due(&applied(8999, false), at(0)).is_some());
    let memory = wrote(&applied(8999, false), at(100));
    assert_eq!(memory.due(&applied(8999, false), at(109)), None);
    assert!(memory.due(&applied(8999, false), at(110)).is_some());
    assert_eq!(memory.due(&applied(7000, false), at(104)), None);
    assert!(memory.due(&applied(7000, false), at(105)).is_some());
}

#[test]
fn what_somebody_changes_back_is_written_ever_more_rarely_and_told() {
    let want = Want::Applied {
        object: json!({ "spec": { "matchingPrecedence": 8999 } }),
        holds: false,
    };
    let mut memory = Memory::default();
    let mut writes = Vec::new();
    for second in 0..3600 {
        if memory.due(&want, at(second)).is_some() {
            memory.wrote(&want, "weir-meter-shop.logs", at(second));
            writes.push((second, memory.undone.is_stuck()));
        }
    }
    let told: Vec<_> = writes.iter().map(|(_, told)| *told).collect();
    assert_eq!(told[..5], [false, false, false, true, true]);
    assert!(writes[1].0 <= 10 && writes[3].0 <= 60, "{writes:?}");
    assert!((15..25).contains(&writes.len()), "{writes:?}");
    let last = writes.last().unwrap().0;
    memory.wrote(&want, "weir-meter-shop.logs", at(last + 1800));
    assert!(!memory.undone.is_stuck(), "it held for long");
    assert!(!memory.undone.waits(at(last + 1801)));
}
