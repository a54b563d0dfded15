//! One call that an agent makes, as a profile describes it: what is asked, when, and what is done
//! when the answer is bad.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::Deserialize;

use super::{
    resource::Resource,
    template::{Body, Template},
};

/// A call, made once at the agent's start or again and again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Call {
    /// What is asked.
    pub verb: Verb,
    /// By which of the agents.
    #[serde(default)]
    pub by: By,
    /// Of which resource.
    pub resource: Resource,
    /// Of which subresource, such as `status`.
    pub subresource: Option<String>,
    /// In which namespace; in all of them, or for a cluster-wide resource, none.
    pub namespace: Option<Template>,
    /// Of which object: for get, update, patch and delete.
    pub object: Option<Template>,
    /// What narrows a list or a watch.
    #[serde(default)]
    pub query: Query,
    /// When it is made.
    #[serde(default)]
    pub when: When,
    /// What is done after a failed connection, a time-out, or a status that is neither 2xx nor 429.
    #[serde(default)]
    pub on_error: OnTrouble,
    /// What is done after a 429; if not stated, the same as after an error.
    #[serde(rename = "on429")]
    pub on_429: Option<OnTrouble>,
    /// What a create, update or patch sends.
    pub body: Option<Body>,
    /// How the API server is to merge the body of a patch.
    #[serde(default)]
    pub patch: PatchKind,
}

/// Which agents make a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Each of them.
    #[default]
    All,
    /// Of those that run, the one that started first: whoever holds a lease that is never lost but
    /// with its holder. It is looked at anew each time that the call is due; the others then make none.
    Leader,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read a collection.
    List,
    /// Hold a stream of changes open.
    Watch,
    /// Make an object.
    Create,
    /// Replace an object.
    Update,
    /// Change parts of an object.
    Patch,
    /// Remove an object.
    Delete,
}

impl Verb {
    /// The verb as RBAC writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// Whether the verb is about one named object.
    #[must_use]
    pub const fn names_an_object(self) -> bool {
        matches!(self, Self::Get | Self::Update | Self::Patch | Self::Delete)
    }

    /// Whether the verb sends a body.
    #[must_use]
    pub const fn sends_a_body(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Patch)
    }

    /// Whether the verb reads a collection.
    #[must_use]
    pub const fn reads_a_collection(self) -> bool {
        matches!(self, Self::List | Self::Watch)
    }
}

/// What narrows a list or a watch, and how fresh its answer must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Query {
    /// A label selector.
    pub label_selector: Option<Template>,
    /// A field selector.
    pub field_selector: Option<Template>,
    /// `"0"`: whatever the server has cached; unset: what etcd holds now; `listed`, for a watch:
    /// from the version of this agent's last list of the same resource, as informers do.
    pub resource_version: Option<String>,
    /// Objects per page of a list.
    pub limit: Option<u32>,
    /// Whether the next pages are asked for.
    #[serde(default)]
    pub pages: Pages,
    /// How long the server is asked to keep a watch open.
    #[serde(default, with = "compact::optional")]
    pub lasts: Option<Duration>,
    /// Whether a watch begins with all objects that exist: a list by stream.
    #[serde(default)]
    pub initial_events: bool,
}

/// The word that stands for the version of the last list.
pub const LISTED: &str = "listed";

/// Whether the next pages of a list are asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pages {
    /// Until the server says there are no more.
    #[default]
    All,
    /// The first page is all that is read.
    First,
}

/// When a call is made. Calls of an agent run side by side; each keeps its own time.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct When {
    /// How long after the agent's start it begins.
    #[serde(default, with = "compact::required")]
    pub after: Duration,
    /// How often; once, if not stated. `0s`: again as soon as the last one was answered.
    #[serde(default, with = "compact::optional")]
    pub every: Option<Duration>,
    /// Where in the period.
    #[serde(default)]
    pub phase: Phase,
    /// How far each period may be longer or shorter, as a fraction of it, at random.
    #[serde(default)]
    pub jitter: f64,
}

/// Where in its period a call is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Counted from the agent's own start: agents that start together stay together.
    #[default]
    FromStart,
    /// At the same instant for all agents, whenever they started.
    InPhase,
    /// At an instant of each agent's own, at random.
    Spread,
}

/// What is done when an answer is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTrouble {
    /// Not asked again; a periodic call goes on with its next period.
    GiveUp,
    /// Asked again at once.
    RetryAtOnce,
    /// Asked again after a pause that doubles each time, with a tenth of jitter, and is never
    /// shorter than the server's `Retry-After`.
    BackOff {
        /// The first pause.
        #[serde(with = "compact::required")]
        initial: Duration,
        /// The longest pause.
        #[serde(with = "compact::required")]
        max: Duration,
    },
}

impl Default for OnTrouble {
    /// What client-go's reflectors do.
    fn default() -> Self {
        Self::BackOff {
            initial: Duration::from_millis(800),
            max: Duration::from_secs(30),
        }
    }
}

/// How a patch is merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PatchKind {
    /// Kubernetes' own merge, by the types' merge keys; built-in types only.
    #[default]
    Strategic,
    /// JSON merge patch.
    Merge,
}

impl PatchKind {
    /// The content type that says so.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Merge => "application/merge-patch+json",
        }
    }
}
