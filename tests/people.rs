//! When the policy of `deploy/orders.yaml` asks for the right to approve, evaluated without an API server.
//! That an API server gives people's roles what they need is shown in `e2e/tests/worlds/valve/people.rs`.

use std::{fs, path::Path};

use kube_cel::{
    KubeCelExt,
    cel::{Context, Value as CelValue, parser::Parser},
};
use serde_json::{Value, json};

/// The condition under which the right is asked for.
fn condition() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/orders.yaml");
    let manifest = fs::read_to_string(path).expect("the manifest is committed");
    let documents: Vec<Value> = serde_saphyr::from_multiple(&manifest).expect("YAML documents");
    let policy = documents
        .iter()
        .find(|one| one["kind"] == "ValidatingAdmissionPolicy")
        .expect("a policy");
    let condition = &policy["spec"]["matchConditions"][0]["expression"];
    condition.as_str().expect("an expression").to_owned()
}

/// Whether it is asked for as a spec comes to be another one; `null` is none.
fn asks(old: &Value, new: &Value) -> CelValue {
    let parsed = Parser::new()
        .parse(&condition())
        .expect("the expression parses");
    let old = match old {
        Value::Null => Value::Null,
        spec => json!({ "spec": spec }),
    };
    let mut context = Context::default().with_all();
    context
        .add_variable("object", json!({ "spec": new }))
        .expect("an object");
    context
        .add_variable("oldObject", old)
        .expect("an object, or none");
    CelValue::resolve(&parsed, &context).expect("the expression has a value")
}

#[test]
fn to_let_through_takes_the_right_and_to_hold_does_not() {
    let nothing = json!({ "paused": false });
    let paused = json!({ "paused": true });
    let order = |width: u32| json!({ "paused": false, "letThrough": { "width": width } });
    for (old, new, expected) in [
        (&Value::Null, &nothing, false),
        (&Value::Null, &order(1), true),
        (&nothing, &paused, false),
        (&paused, &nothing, false),
        (&nothing, &order(1), true),
        (&order(1), &order(2), true),
        (&order(1), &order(1), false),
        (&order(1), &nothing, false),
    ] {
        assert_eq!(
            asks(old, new),
            CelValue::Bool(expected),
            "from {old} to {new}"
        );
    }
}
