//! Who is enrolled → which meters there should be, and what counts each workload's requests now.
//!
//! Level-triggered: all meters are in the books at every tick, so that one that was edited or removed
//! by hand is written again. Nothing is written, and what is known stays, while FlowSchemas are not
//! freshly seen.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::flowcontrol::v1::{FlowSchema, FlowSchemaSpec};
use kube::{Resource, api::ApiResource};
use serde_json::json;
use weir_core::{policy::Mode, usage::Meter};

use super::{
    roster::{Enrolled, RolloutId},
    world::{Gap, World},
};
use crate::{
    act::record::{Books, Entry, Want},
    meter::{Client, MANAGED_BY, Plan, Schema, Schemas, plan},
    observe::WorkloadKey,
};

/// The annotation that says to people what a meter is.
const ABOUT: (&str, &str) = (
    "weir.dev/about",
    "Counts the requests of one account apart and changes nothing about them. Weir writes it again if \
     it is changed, and removes it once nothing that runs under the account is enrolled.",
);

/// What is remembered of meters.
#[derive(Debug, Default)]
pub(super) struct Meters {
    /// What counts each workload's requests, by `namespace/name`, as last known.
    known: BTreeMap<String, Meter>,
    /// Why nothing newer is known, if so.
    blind: Option<String>,
}

impl Meters {
    /// Takes in one look at the world; returns which meters there should be. A Weir that may only read
    /// makes none; those that are left it removes while it `may_tidy`, holding the lease anyway.
    pub(super) fn look<'a>(
        &mut self,
        world: &World,
        may_tidy: bool,
        enrolled: Option<&[Enrolled<'_>]>,
        rollouts: impl IntoIterator<Item = &'a RolloutId>,
    ) -> Books {
        let cluster = &world.cluster;
        self.blind = Gap::of("flowschemas", &cluster.flow_schemas).map(|gap| gap.what);
        let (Some(schemas), Some(all)) =
            (cluster.flow_schemas.fresh(), cluster.daemon_sets.fresh())
        else {
            return Books::new();
        };
        let Some(enrolled) = enrolled else {
            return Books::new();
        };
        let in_flight: BTreeSet<_> = rollouts.into_iter().map(|id| &id.workload).collect();
        let clients: Vec<_> = enrolled
            .iter()
            .filter(|one| one.mode().is_some_and(|mode| mode > Mode::Observe))
            .map(|one| client(one, &in_flight))
            .collect();
        let living = all.iter().filter(|(_, view)| !view.deleting);
        let living = living.map(|(key, view)| {
            (
                key.to_string(),
                key.namespace.as_str(),
                &view.template_facts,
            )
        });
        let plan = plan(schemas, &clients, living);
        self.known = plan
            .meters
            .iter()
            .map(|(workload, meter)| (workload.clone(), confirmed(meter, &plan, schemas, world)))
            .collect();
        let mut books = Books::new();
        if world.ceiling > Mode::Observe {
            books.extend(wanted(&plan, schemas));
        }
        if world.ceiling > Mode::Observe || may_tidy {
            books.extend(left(&plan, schemas));
        }
        books
    }

    /// What counts a workload's requests.
    pub(super) fn of(&self, workload: &WorkloadKey) -> Meter {
        let known = self.known.get(&workload.to_string());
        known.cloned().unwrap_or_else(|| Meter::None {
            why: match &self.blind {
                Some(why) => format!("it is not known which FlowSchemas there are ({why})"),
                None => "Weir does not guard it".to_owned(),
            },
        })
    }

    /// What counts the requests of each enrolled workload, by `namespace/name`.
    pub(super) const fn known(&self) -> &BTreeMap<String, Meter> {
        &self.known
    }
}

fn client<'a>(one: &Enrolled<'a>, in_flight: &BTreeSet<&WorkloadKey>) -> Client<'a> {
    Client {
        workload: one.key.to_string(),
        namespace: &one.key.namespace,
        template: &one.view.template_facts,
        in_flight: in_flight.contains(one.key),
    }
}

/// A planned meter, if its FlowSchema is seen to be as planned.
fn confirmed(meter: &Meter, plan: &Plan, schemas: &Schemas, world: &World) -> Meter {
    let Some(name) = meter.schema() else {
        return meter.clone();
    };
    let seen = schemas.get(name);
    if seen.is_some_and(|seen| {
        plan.schemas
            .get(name)
            .is_some_and(|spec| counts(seen, spec))
    }) {
        return meter.clone();
    }
    let key = (FlowSchema::kind(&()).into_owned(), None, name.to_owned());
    match world.unrecorded.get(&key) {
        Some(failure) => Meter::None {
            why: format!(
                "its FlowSchema {name} is not as it should be: {}",
                failure.sentence()
            ),
        },
        // Nobody writes it where Weir may only read.
        None if world.ceiling == Mode::Observe => Meter::None {
            why: format!("its FlowSchema {name} does not exist, and Weir may only read"),
        },
        None => Meter::Awaited {
            why: format!("its FlowSchema {name} is not there yet"),
        },
    }
}

/// Whether a meter counts. One that dangles is as it is written, and API servers leave it out.
fn counts(seen: &Schema, spec: &FlowSchemaSpec) -> bool {
    !seen.is_dangling && holds(seen, spec)
}

/// Whether a meter is as it is written.
fn holds(seen: &Schema, spec: &FlowSchemaSpec) -> bool {
    seen.is_labelled && seen.spec == *spec
}

/// All meters that there should be.
fn wanted(plan: &Plan, schemas: &Schemas) -> Books {
    let wanted = plan.schemas.iter().map(|(name, spec)| {
        let seen = schemas.get(name);
        let want = Want::Applied {
            object: object(name, spec),
            holds: seen.is_some_and(|seen| holds(seen, spec)),
        };
        entry(name, want)
    });
    wanted.collect()
}

/// Meters that are there and should not be.
fn left(plan: &Plan, schemas: &Schemas) -> Books {
    let is_left = |(name, schema): &(&String, &Schema)| {
        schema.is_meter(name) && !plan.schemas.contains_key(*name)
    };
    let left = schemas.iter().filter(is_left);
    left.map(|(name, schema)| entry(name, gone(schema)))
        .collect()
}

fn gone(schema: &Schema) -> Want {
    Want::Gone {
        uid: schema.uid.clone(),
    }
}

fn object(name: &str, spec: &FlowSchemaSpec) -> serde_json::Value {
    let (label, value) = MANAGED_BY;
    let (about, text) = ABOUT;
    json!({
        "apiVersion": FlowSchema::api_version(&()),
        "kind": FlowSchema::kind(&()),
        "metadata": {
            "name": name,
            "labels": { label: value },
            "annotations": { about: text },
        },
        "spec": spec,
    })
}

fn entry(name: &str, want: Want) -> Entry {
    Entry {
        resource: ApiResource::erase::<FlowSchema>(&()),
        namespace: None,
        name: name.to_owned(),
        want,
    }
}
