//! Worked values, and what holds for any cost.

use proptest::prelude::*;

use super::*;

fn around(mid: f64) -> Estimate {
    Estimate {
        low: mid * 0.7,
        mid,
        high: mid * 1.3,
    }
}

/// 200 nodes with 3,000 pods, where 8 agents were seen that cost so many cores each.
fn measured(per_pod: f64) -> Measured {
    Measured {
        objects: Some(3000.0),
        nodes: 200.0,
        servers: 1,
        widest: 8,
        base: 0.1,
        fixed: Estimate::default(),
        per_pod: around(per_pod),
        cores: Some(4.0),
        start: Some(around(0.01)),
        others: Vec::new(),
    }
}

fn target(nodes: f64) -> Target {
    Target {
        nodes,
        objects: None,
        servers: None,
        cores: None,
        in_use: None,
        stated: Vec::new(),
        budget: 0.5,
        unison: 30.0,
    }
}

fn close(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs()).max(1.0)
}

#[test]
fn five_times_the_nodes_cost_five_or_twenty_five_times_as_much() {
    let answer = elsewhere(&[measured(0.001)], &target(1000.0)).unwrap();
    assert_eq!(answer.objects, Objects::Number(15_000.0));
    let [alike, with] = answer.cases.as_slice() else {
        panic!("{:?}", answer.cases);
    };
    assert_eq!(
        (alike.growth, with.growth),
        (Growth::Alike, Growth::WithObjects)
    );
    assert!(close(alike.steady.mid, 0.1 + 1.0), "{alike:?}");
    assert!(close(with.steady.mid, 0.1 + 5.0), "{with:?}");
    assert!(close(alike.unison.unwrap().mid, 1000.0 * 0.01 / 4.0));
    assert!(close(with.unison.unwrap().mid, 5000.0 * 0.01 / 4.0));
    assert!(close(answer.stretch, 125.0));
    // The one is within two cores even by its upper end, the other is not even by its lower.
    assert_eq!(answer.verdict, Verdict::Open);
}

#[test]
fn a_verdict_needs_all_cases_and_everything_known() {
    let verdict = |change: fn(&mut Measured, &mut Target)| {
        let (mut one, mut to) = (measured(0.001), target(400.0));
        one.widest = 40;
        change(&mut one, &mut to);
        elsewhere(&[one], &to).unwrap().verdict
    };
    assert_eq!(verdict(|_, _| {}), Verdict::Within);
    assert_eq!(verdict(|_, to| to.nodes = 10_000.0), Verdict::Exceeded);
    assert_eq!(verdict(|_, to| to.unison = 0.1), Verdict::Exceeded);
    assert_eq!(verdict(|_, to| to.in_use = Some(3.0)), Verdict::Exceeded);
    // What adds less than a fiftieth is harmless where others use too much already.
    assert_eq!(
        verdict(|one, to| {
            to.in_use = Some(3.0);
            one.per_pod = around(0.00005);
        }),
        Verdict::Within
    );
    assert_eq!(
        verdict(|one, to| {
            to.in_use = Some(3.0);
            one.per_pod.low = 0.0;
        }),
        Verdict::Open,
        "it may add nothing"
    );
    assert_eq!(
        verdict(|one, _| {
            let costs_nothing = Gauge {
                base: 600.0,
                per_pod: Estimate::default(),
                ..memory(Some(1024.0))
            };
            one.others = vec![costs_nothing];
        }),
        Verdict::Within,
        "memory is used by others"
    );
    assert_eq!(verdict(|one, _| one.start = None), Verdict::Open);
    assert_eq!(verdict(|one, _| one.cores = None), Verdict::Open);
    assert_eq!(
        verdict(|one, _| one.per_pod.high = f64::INFINITY),
        Verdict::Open
    );
    assert_eq!(verdict(|one, _| one.per_pod.low = 0.0), Verdict::Within);
    assert_eq!(verdict(|one, _| one.widest = 39), Verdict::Open);
}

/// 1 GiB without the agents, and a MiB for each.
fn memory(capacity: Option<f64>) -> Gauge {
    Gauge {
        resource: Resource::Memory,
        base: 1024.0,
        fixed: Estimate::default(),
        per_pod: around(1.0),
        capacity,
    }
}

#[test]
fn what_else_runs_out_is_reckoned_by_both_extremes() {
    let answer = |gauge: Gauge, change: fn(&mut Target)| {
        let mut to = target(400.0);
        change(&mut to);
        let one = Measured {
            widest: 40,
            servers: 3,
            others: vec![gauge],
            ..measured(0.001)
        };
        elsewhere(&[one], &to).unwrap()
    };
    let stated = |capacity: Option<f64>, in_use: Option<f64>| Stated {
        resource: Resource::Memory,
        capacity,
        in_use,
    };
    // Twice the objects: twice of what the API server keeps, and of what a pod asks for.
    let seen = answer(memory(Some(8192.0)), |_| ());
    assert!(close(seen.others[0].steady.mid, 1024.0 + 400.0));
    assert!(close(seen.others[1].steady.mid, 2048.0 + 800.0));
    assert_eq!(seen.verdict, Verdict::Within);
    assert_eq!(answer(memory(Some(4096.0)), |_| ()).verdict, Verdict::Open);
    let little = answer(memory(Some(2048.0)), |_| ());
    assert_eq!(little.verdict, Verdict::Exceeded);
    // Half of the API servers take no more each than they did; one takes what two did.
    let more = answer(memory(Some(8192.0)), |to| to.servers = Some(5));
    assert!(close(more.others[0].per_pod.mid, 1.0));
    let fewer = answer(memory(Some(8192.0)), |to| to.servers = Some(2));
    assert!(close(fewer.others[0].per_pod.mid, 2.0));
    let told = stated(Some(9000.0), Some(100.0));
    let one = Measured {
        others: vec![memory(None)],
        ..measured(0.001)
    };
    let to = Target {
        stated: vec![told],
        ..target(400.0)
    };
    let told = elsewhere(std::slice::from_ref(&one), &to).unwrap();
    assert!(close(told.others[1].steady.mid, 100.0 + 800.0));
    let silent = elsewhere(&[one], &target(400.0)).unwrap();
    assert_eq!(
        (silent.others, silent.unknown),
        (vec![], vec![Resource::Memory])
    );
}

/// What others take of a level is shared as the cost is.
#[test]
fn seats_in_use_are_borne_by_as_many() {
    let seats = |from: u32, to: u32| {
        let gauge = Gauge {
            resource: Resource::Seats,
            base: 12.0,
            per_pod: around(0.01),
            ..memory(Some(50.0))
        };
        let one = Measured {
            servers: from,
            widest: 100,
            others: vec![gauge],
            ..measured(0.001)
        };
        let to = Target {
            servers: Some(to),
            ..target(200.0)
        };
        elsewhere(&[one], &to).unwrap().others[0].clone()
    };
    for (from, to, in_use, steady) in [
        (3, 3, 12.0, 14.0),
        (3, 2, 24.0, 28.0),
        (2, 5, 3.0, 3.5),
        (1, 2, 12.0, 14.0),
    ] {
        let told = seats(from, to);
        assert!(close(told.in_use, in_use), "{from} to {to}: {told:?}");
        assert!(close(told.steady.mid, steady), "{from} to {to}: {told:?}");
    }
}

#[test]
fn all_but_one_api_server_must_bear_it() {
    let per_pod = |from: u32, to: u32| {
        let one = Measured {
            servers: from,
            ..measured(0.001)
        };
        let to = Target {
            servers: Some(to),
            ..target(200.0)
        };
        elsewhere(&[one], &to).unwrap().cases[0].per_pod.mid
    };
    for (from, to, expected) in [
        (1, 1, 0.001),
        (1, 2, 0.001),
        (3, 2, 0.002),
        (1, 3, 0.0005),
        (2, 5, 0.00025),
    ] {
        assert!(close(per_pod(from, to), expected), "{from} to {to}");
    }
}

#[test]
fn two_records_tell_what_grows() {
    // 0.0004 cores for each pod, and 0.0002 more for each thousand objects.
    let small = Measured {
        objects: Some(1000.0),
        ..measured(0.000_6)
    };
    let large = Measured {
        objects: Some(3000.0),
        widest: 50,
        ..measured(0.001)
    };
    for records in [[small.clone(), large.clone()], [large, small]] {
        let answer = elsewhere(&records, &target(1000.0)).unwrap();
        let [case] = answer.cases.as_slice() else {
            panic!("{:?}", answer.cases);
        };
        assert_eq!(case.growth, Growth::AsMeasured);
        assert!(close(case.per_pod.mid, 0.0004 + 0.0002 * 15.0), "{case:?}");
        assert!(close(answer.stretch, 20.0));
    }
}

#[test]
fn what_tells_nothing_is_refused() {
    let no_objects = Measured {
        objects: None,
        ..measured(0.001)
    };
    let stated = Target {
        objects: Some(9e4),
        ..target(1000.0)
    };
    let cheaper = Measured {
        objects: Some(9000.0),
        ..measured(0.000_1)
    };
    let refused = |records: &[Measured], to: &Target| elsewhere(records, to).unwrap_err();
    assert_eq!(refused(&[], &stated), Mismatch::Nothing);
    assert_eq!(
        refused(std::slice::from_ref(&no_objects), &stated),
        Mismatch::ObjectsUnknown
    );
    assert_eq!(
        refused(&[no_objects.clone(), measured(0.001)], &target(1000.0)),
        Mismatch::ObjectsOfOneUnknown
    );
    assert_eq!(
        refused(&[measured(0.001), measured(0.002)], &stated),
        Mismatch::SameObjects
    );
    assert_eq!(
        refused(&[measured(0.001), cheaper], &stated),
        Mismatch::Contradiction
    );
    let answer = elsewhere(&[no_objects], &target(1000.0)).unwrap();
    assert_eq!(answer.objects, Objects::Times(5.0));
    assert!(close(answer.cases[1].per_pod.mid, 0.005));
}

proptest! {
    #[test]
    fn the_truth_lies_between_the_extremes(
        a in 0.0..0.01_f64, b in 0.0..1e-5_f64, here in 100.0..1e5_f64, there in 100.0..1e6_f64,
    ) {
        let one = Measured { objects: Some(here), ..measured(a + b * here) };
        let to = Target { objects: Some(there), ..target(1000.0) };
        let answer = elsewhere(&[one], &to).unwrap();
        let mids = answer.cases.iter().map(|case| case.per_pod.mid);
        let (low, high) = mids.fold((f64::INFINITY, 0.0_f64), |(low, high), mid| {
            (low.min(mid), high.max(mid))
        });
        let truth = a + b * there;
        prop_assert!(low * 0.999_999 <= truth && truth <= high * 1.000_001, "{low} {truth} {high}");
    }

    #[test]
    fn a_line_through_two_intervals_holds_every_cost_that_they_hold(
        a in 0.0..0.01_f64, b in 0.0..1e-5_f64,
        near in 100.0..1e4_f64, further in 1.1..50.0_f64, at in 10.0..1e6_f64,
        off in prop::array::uniform2(-0.29..0.29_f64),
    ) {
        let far = near * further;
        let seen = |objects: f64, off: f64| Measured {
            objects: Some(objects),
            ..measured((a + b * objects) / (1.0 + off))
        };
        let to = Target { objects: Some(at), ..target(1000.0) };
        let answer = elsewhere(&[seen(near, off[0]), seen(far, off[1])], &to).unwrap();
        let found = answer.cases[0].per_pod;
        let truth = a + b * at;
        prop_assert!(found.low <= found.mid && found.mid <= found.high, "{found:?}");
        prop_assert!(found.low * 0.999_999 <= truth, "{found:?} {truth}");
        prop_assert!(truth <= found.high * 1.000_001, "{found:?} {truth}");
    }

    #[test]
    fn more_nodes_never_cost_less(nodes in 1.0..1e4_f64, more in 1.0..10.0_f64) {
        let at = |nodes: f64| elsewhere(&[measured(0.001)], &target(nodes)).unwrap();
        let (few, many) = (at(nodes), at(nodes * more));
        for (few, many) in few.cases.iter().zip(&many.cases) {
            prop_assert!(few.steady.high <= many.steady.high);
        }
    }
}
