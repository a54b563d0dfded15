use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const KEY: &str = "11111111-2222-3333-4444-555555555555.7d9f8c6b5";

fn read(rules: Value) -> Standing {
    let rules: Vec<PolicyRule> = serde_json::from_value(rules).unwrap();
    Standing::read(&ObjectMeta::default(), &rules)
}

/// A Role that holds what Weir would write.
fn written(approvals: &Approvals) -> Standing {
    let meta = ObjectMeta {
        annotations: Some(approvals.notes()),
        ..ObjectMeta::default()
    };
    Standing::read(&meta, &approvals.rules())
}

fn adopt() -> Value {
    json!({ "apiGroups": ["weir.dev"], "resources": ["valve"], "verbs": ["adopt"] })
}

fn run(names: &Value) -> Value {
    json!({
        "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["run"],
        "resourceNames": names,
    })
}

proptest! {
    #[test]
    fn what_weir_writes_it_reads_again(
        adopted: bool,
        approved in proptest::collection::btree_map("[ab]{8}\\.[cd]{1,70}", "|x|y by weir", 0..5),
    ) {
        let mut approvals = Approvals { adopted, approved };
        let read = written(&approvals);
        // A key that is too long for an annotation keeps its approval, and loses its note.
        for (key, note) in &mut approvals.approved {
            if key.len() > ANNOTATION {
                note.clear();
            }
        }
        prop_assert_eq!(&read.says, &approvals);
        prop_assert!(read.tidy && !read.approves_all);
    }

    #[test]
    fn no_rule_that_weir_writes_is_without_names_but_the_mark(
        adopted: bool,
        approved in proptest::collection::btree_map("[ab]\\.[cd]", "x", 0..4),
    ) {
        for rule in (Approvals { adopted, approved }).rules() {
            prop_assert!(!names(&rule).is_empty() || grants(&rule, VALVE, ADOPT));
            prop_assert!(!grants(&rule, REVISIONS, RUN) || !names(&rule).is_empty());
            prop_assert_eq!(rule.api_groups.as_deref(), Some(&[GROUP.to_owned()][..]));
        }
    }
}

#[test]
fn nothing_approved_is_a_rule_that_approves_nobody_so_that_another_can_be_added() {
    let rules = json!(Approvals::default().rules());
    assert_eq!(rules, json!([run(&json!(["none"]))]));
    assert_eq!(read(rules).says, Approvals::default());
}

#[test]
fn a_rule_that_a_person_adds_is_read_and_yet_to_be_merged() {
    let read = read(json!([
        run(&json!(["none"])),
        adopt(),
        rule_for(KEY),
        run(&json!([KEY, "b.c"]))
    ]));
    assert!(read.says.adopted && !read.tidy);
    assert!(read.says.approved.keys().eq([KEY, "b.c"]));
    let merged = written(&read.says);
    assert!(merged.tidy);
    assert_eq!(merged.says, read.says);
}

#[test]
fn a_rule_that_means_all_revisions_empties_the_list() {
    let all = |groups: Value, resources: Value, verbs: Value| json!({ "apiGroups": groups, "resources": resources, "verbs": verbs });
    for rule in [
        run(&json!([])),
        run(&json!(null)),
        all(json!(["*"]), json!(["*"]), json!(["*"])),
        all(json!(["weir.dev"]), json!(["*"]), json!(["run"])),
        all(
            json!(["", "weir.dev"]),
            json!(["valve", "revisions"]),
            json!(["get", "*"]),
        ),
    ] {
        let read = read(json!([adopt(), run(&json!([KEY])), rule]));
        assert!(read.approves_all && !read.tidy, "{rule}");
        assert_eq!(read.says, Approvals::default(), "{rule}");
    }
}

#[test]
fn rules_about_other_things_say_nothing() {
    for rule in [
        json!({ "apiGroups": [""], "resources": ["revisions"], "verbs": ["run"] }),
        json!({ "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["get"] }),
        json!({ "apiGroups": ["weir.dev"], "resources": ["revisions/status"], "verbs": ["run"] }),
        json!({ "nonResourceURLs": ["*"], "verbs": ["*"] }),
        json!({
            "apiGroups": ["weir.dev"], "resources": ["valve"], "verbs": ["adopt"],
            "resourceNames": ["one"],
        }),
    ] {
        let read = read(json!([run(&json!([KEY])), rule]));
        assert!(!read.approves_all && !read.says.adopted, "{rule}");
        assert!(!read.tidy, "{rule}");
        assert!(read.says.approved.keys().eq([KEY]), "{rule}");
    }
}

#[test]
fn a_full_list_of_notes_fits_into_what_api_servers_take_of_annotations() {
    const MOST_BYTES: usize = 256 << 10;
    let key = |number: usize| format!("{number:036}.{}", "h".repeat(26));
    let note = bounds::clip(&"ä".repeat(bounds::NOTE * 2), bounds::NOTE);
    let notes = Approvals {
        adopted: true,
        approved: (0..bounds::APPROVED)
            .map(|n| (key(n), note.clone()))
            .collect(),
    }
    .notes();
    assert_eq!(notes.len(), bounds::APPROVED);
    // Names of workloads are ASCII, but for the mark where one was cut.
    let bytes: usize = notes
        .iter()
        .map(|(key, note)| key.len() + note.chars().count() + 2)
        .sum();
    assert!(bytes < MOST_BYTES - (8 << 10), "{bytes} bytes");
}

#[test]
fn a_key_that_no_annotation_could_have_is_approved_without_a_note() {
    for key in ["a b", "shop/logs", "", "-a", "a.", &"a".repeat(64)] {
        assert_eq!(annotation(key), None, "{key}");
    }
    assert_eq!(annotation(KEY), Some(format!("weir.dev/{KEY}")));
}
