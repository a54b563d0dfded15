//! Meters: a FlowSchema for each enrolled account, which counts that account's requests alone and
//! changes nothing about them.
//!
//! ```text
//!  others' FlowSchemas, by precedence, then name
//!    100 leader-election       takes none of the account's requests, or only leases and probes
//!   8999 weir-meter-shop.logs  ◀── the meter: the level and the distinguisher of the next one
//!   9000 service-accounts      the first that takes all its requests
//! ```
//!
//! Pure: what is watched comes in, what should be there goes out.
//!
//! - [`matching`]: what of an account's requests a FlowSchema takes.
//! - [`plan()`]: which meters there should be, and who cannot have one.

mod matching;
mod plan;

use std::collections::BTreeMap;

use k8s_openapi::{
    api::flowcontrol::v1::FlowSchemaSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

pub use self::plan::{Client, MAX_METERS, Plan, plan};
use crate::fnv;

/// What the names of all meters begin with.
pub const PREFIX: &str = weir_core::usage::METERS;

/// The label that says who made an object, and its value on Weir's.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "weir");

/// The longest name that an object may have.
const MAX_NAME: usize = 253;

/// A ServiceAccount.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// A FlowSchema, as far as Weir needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// `metadata.uid`.
    pub uid: String,
    /// It bears the label of what Weir made.
    pub is_labelled: bool,
    /// Its level does not exist: API servers leave it out.
    pub is_dangling: bool,
    /// What it says.
    pub spec: FlowSchemaSpec,
}

impl Schema {
    /// Reads one.
    #[must_use]
    pub fn read(meta: &ObjectMeta, spec: FlowSchemaSpec, is_dangling: bool) -> Option<Self> {
        let (label, value) = MANAGED_BY;
        let labels = meta.labels.as_ref();
        Some(Self {
            uid: meta.uid.clone()?,
            is_labelled: labels
                .and_then(|labels| labels.get(label))
                .is_some_and(|it| it == value),
            is_dangling,
            spec,
        })
    }

    /// Whether it is a meter of Weir's. A name alone does not say who made it.
    #[must_use]
    pub fn is_meter(&self, name: &str) -> bool {
        self.is_labelled && name.starts_with(PREFIX)
    }
}

impl Account {
    /// The name of its meter. A namespace has no dot in its name, so that no two accounts share one.
    #[must_use]
    pub fn meter_name(&self) -> String {
        let name = format!("{PREFIX}{}.{}", self.namespace, self.name);
        if name.len() <= MAX_NAME {
            return name;
        }
        let hash = format!("-{:016x}", fnv::hash(name.bytes()));
        let kept = &name[..MAX_NAME - hash.len()];
        // What stands before a dash or a dot must be a letter or a digit.
        let kept = kept.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        format!("{kept}{hash}")
    }

    /// Its name as a user.
    #[must_use]
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// The groups that it is in.
    #[must_use]
    pub fn groups(&self) -> [String; 3] {
        [
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{}", self.namespace),
            "system:authenticated".to_owned(),
        ]
    }
}

/// FlowSchemas by name.
pub type Schemas = BTreeMap<String, Schema>;

#[cfg(test)]
mod tests;
