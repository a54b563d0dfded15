//! Which meters there should be, and who cannot have one.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    core::v1::{PodSpec, Volume},
    flowcontrol::v1::{
        FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule,
        ServiceAccountSubject, Subject,
    },
};
use weir_core::usage::Meter;

use super::{
    Account, Schema, Schemas,
    matching::{Takes, takes},
};

/// Meters at a time: API servers match each request against one FlowSchema after the other.
pub const MAX_METERS: usize = 100;

/// Levels that no meter stands at: one that nothing limits, and those that the cluster itself lives
/// by. `deploy/confine.yaml` forbids them too.
const RESERVED: [&str; 4] = ["exempt", "system", "node-high", "leader-election"];

/// Whose accounts are the cluster's own. `deploy/confine.yaml` forbids meters of them.
const SYSTEM: &str = "kube-system";

/// How a FlowSchema says that requests of each user are a flow of their own.
const BY_USER: &str = "ByUser";

/// How the API server calls itself where a token says whom it is for.
const API_SERVER: &str = "https://kubernetes.default.svc";

/// Kubernetes' own FlowSchemas for Leases and for nodes that report have lower ones (100 to 200): no
/// meter ever comes before them.
const FIRST_PRECEDENCE: i32 = 201;

/// Where a kubelet or the control plane keeps its credentials. Who mounts a whole disk, as agents that
/// read logs or sizes do, hardly does it for these.
const CREDENTIALS: [&str; 3] = [
    "/etc/kubernetes/",
    "/var/lib/kubelet/pki/",
    "/var/lib/kubelet/kubeconfig/",
];
const KUBELET: &str = "/var/lib/kubelet/";

/// Other workloads that are named in a sentence.
const NAMED: usize = 3;

/// An enrolled workload, as far as its meter is concerned.
#[derive(Debug, Clone)]
pub struct Client<'a> {
    /// `namespace/name`.
    pub workload: String,
    /// Its namespace.
    pub namespace: &'a str,
    /// What is kept of its pod template.
    pub template: &'a PodSpec,
    /// Whether a rollout of it is on its way: those come first.
    pub in_flight: bool,
}

/// Which meters there should be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// FlowSchemas by name.
    pub schemas: BTreeMap<String, FlowSchemaSpec>,
    /// Of each workload, by `namespace/name`, what counts its requests once they are there.
    pub meters: BTreeMap<String, Meter>,
}

impl Client<'_> {
    /// The account that its pods run under.
    #[must_use]
    pub fn account(&self) -> Account {
        account(self.namespace, self.template)
    }
}

/// The account that pods of a template run under.
pub(super) fn account(namespace: &str, template: &PodSpec) -> Account {
    let named = template.service_account_name.as_deref();
    Account {
        namespace: namespace.to_owned(),
        name: named
            .filter(|name| !name.is_empty())
            .unwrap_or("default")
            .to_owned(),
    }
}

/// Plans the meters of `clients`. `all` is every workload with its namespace and template, enrolled or
/// not: whoever else uses an account is counted by its meter too.
#[must_use]
pub fn plan<'a>(
    schemas: &Schemas,
    clients: &[Client<'_>],
    all: impl IntoIterator<Item = (String, &'a str, &'a PodSpec)>,
) -> Plan {
    let mut users: BTreeMap<Account, BTreeSet<String>> = BTreeMap::new();
    for (workload, namespace, template) in all {
        users
            .entry(account(namespace, template))
            .or_default()
            .insert(workload);
    }
    let mut first_come: Vec<&Client<'_>> = clients.iter().collect();
    // A meter that is there stays, unless a rollout needs its place.
    let has_none = |client: &Client<'_>| {
        let name = client.account().meter_name();
        schemas.get(&name).is_none_or(|seen| !seen.is_meter(&name))
    };
    first_come.sort_by_cached_key(|client| {
        (!client.in_flight, has_none(client), client.workload.clone())
    });
    let order = in_order(schemas);
    let mut plan = Plan::default();
    for client in first_come {
        let meter = match plan.admit(client, &order) {
            Ok(schema) => named(client, schema, &users),
            Err(why) => Meter::None { why },
        };
        plan.meters.insert(client.workload.clone(), meter);
    }
    plan
}

impl Plan {
    /// Plans one meter, unless the account has it already; returns its name.
    fn admit(&mut self, client: &Client<'_>, order: &[Ranked<'_>]) -> Result<String, String> {
        check_credentials(client.template)?;
        let account = client.account();
        if account.namespace == SYSTEM {
            return Err(format!(
                "its account is one of {SYSTEM}'s, whose FlowSchemas Weir leaves alone"
            ));
        }
        let name = account.meter_name();
        if self.schemas.contains_key(&name) {
            return Ok(name);
        }
        let spec = meter(&account, &name, order)?;
        if self.schemas.len() >= MAX_METERS {
            return Err(format!(
                "{MAX_METERS} other accounts have a meter already, and each one makes API servers \
                 look longer for the FlowSchema of every request"
            ));
        }
        self.schemas.insert(name.clone(), spec);
        Ok(name)
    }
}

/// What counts a workload's requests, by who else uses its account.
fn named(
    client: &Client<'_>,
    schema: String,
    users: &BTreeMap<Account, BTreeSet<String>>,
) -> Meter {
    let account = client.account();
    let users = users.get(&account);
    let others: Vec<&str> = users
        .into_iter()
        .flatten()
        .filter(|user| **user != client.workload)
        .map(String::as_str)
        .collect();
    if account.name == "default" {
        let namespace = &account.namespace;
        let with = format!("whatever in the namespace {namespace} has no account of its own");
        return Meter::Shared { schema, with };
    }
    if others.is_empty() {
        return Meter::Own { schema };
    }
    let named = others
        .iter()
        .take(NAMED)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let with = match others.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    };
    Meter::Shared { schema, with }
}

/// Whether all that its pods ask for is asked for by their account, as far as its template shows.
fn check_credentials(template: &PodSpec) -> Result<(), String> {
    let volumes = || template.volumes.iter().flatten();
    if template.automount_service_account_token == Some(false) && !volumes().any(holds_token) {
        return Err(
            "its pods are given no token of their account for the API server, so that they may use \
             other credentials, which cannot be counted apart"
                .to_owned(),
        );
    }
    let mut paths = volumes().filter_map(|volume| Some(&volume.host_path.as_ref()?.path));
    let Some(path) = paths.find(|path| holds_credentials(path)) else {
        return Ok(());
    };
    Err(format!(
        "its pods mount {path} from the node, so that they may use the node's own credentials, which \
         cannot be counted apart"
    ))
}

/// Whether a volume holds a token of the pod's account that the API server takes.
fn holds_token(volume: &Volume) -> bool {
    let projected = volume.projected.iter();
    let sources = projected.flat_map(|projected| projected.sources.iter().flatten());
    let mut tokens = sources.filter_map(|source| source.service_account_token.as_ref());
    tokens.any(|token| {
        let audience = token.audience.as_deref().unwrap_or_default();
        audience.is_empty() || audience.starts_with(API_SERVER)
    })
}

fn holds_credentials(path: &str) -> bool {
    let plain = format!("{path}/").replace("//", "/");
    plain == KUBELET || CREDENTIALS.iter().any(|place| plain.starts_with(place))
}

/// A FlowSchema of somebody else's, where it stands.
struct Ranked<'a> {
    /// What API servers order by.
    rank: (i32, &'a str),
    spec: &'a FlowSchemaSpec,
}

/// Others' FlowSchemas in the order in which API servers try them.
fn in_order(schemas: &Schemas) -> Vec<Ranked<'_>> {
    let counts =
        |(name, schema): &(&String, &Schema)| !schema.is_dangling && !schema.is_meter(name);
    let others = schemas.iter().filter(counts);
    let ranked = others.map(|(name, schema)| Ranked {
        // Stored ones always have one.
        rank: (
            schema.spec.matching_precedence.unwrap_or(1000),
            name.as_str(),
        ),
        spec: &schema.spec,
    });
    let mut order: Vec<_> = ranked.collect();
    order.sort_by_key(|one| one.rank);
    order
}

/// An account's meter, or why it can have none.
fn meter(account: &Account, name: &str, order: &[Ranked<'_>]) -> Result<FlowSchemaSpec, String> {
    let mut aside = None;
    for other in order.iter().filter(|other| other.rank.1 != name) {
        let (precedence, other_name) = other.rank;
        match takes(other.spec, account) {
            Takes::Nothing => {}
            Takes::Aside => aside = Some(other.rank),
            Takes::Part => {
                return Err(format!(
                    "the FlowSchema {other_name} takes some of its requests and leaves the rest to \
                     others: a meter would take away what is not its own, or count only a part"
                ));
            }
            Takes::Everything => {
                may_be_copied(other_name, other.spec)?;
                let precedence = room(name, aside, (precedence, other_name))?;
                return Ok(like(other.spec, account, precedence));
            }
        }
    }
    Err("no FlowSchema takes all its requests".to_owned())
}

/// Whether what it does with an account's requests a FlowSchema for them alone may do as well.
fn may_be_copied(name: &str, spec: &FlowSchemaSpec) -> Result<(), String> {
    let level = spec.priority_level_configuration.name.as_str();
    if RESERVED.contains(&level) {
        return Err(format!(
            "the FlowSchema {name} puts its requests at the level {level}, which no meter may"
        ));
    }
    let distinguisher = spec.distinguisher_method.as_ref();
    if distinguisher.is_none_or(|method| method.type_ != BY_USER) {
        return Err(format!(
            "the FlowSchema {name} queues its requests together with those of others \
             (distinguisherMethod is not {BY_USER}): a meter would give it queues, and a share, of its own"
        ));
    }
    Ok(())
}

/// The precedence just before `before` and still behind `behind`; equal ones go by name.
fn room(name: &str, behind: Option<(i32, &str)>, before: (i32, &str)) -> Result<i32, String> {
    let fits = |precedence: &i32| {
        let rank = (*precedence, name);
        *precedence >= FIRST_PRECEDENCE
            && rank < before
            && behind.is_none_or(|behind| behind < rank)
    };
    let choices = [before.0 - 1, before.0];
    choices.into_iter().find(fits).ok_or_else(|| {
        let (precedence, taker) = before;
        let after = behind.map_or_else(
            || "those of the system".to_owned(),
            |(precedence, name)| format!("{name} ({precedence})"),
        );
        format!(
            "there is no room for a meter between the FlowSchema {taker} ({precedence}), which takes \
             its requests, and {after} before it"
        )
    })
}

/// A FlowSchema that does with the account what `other` would, and counts it apart.
fn like(other: &FlowSchemaSpec, account: &Account, precedence: i32) -> FlowSchemaSpec {
    let any = || vec!["*".to_owned()];
    FlowSchemaSpec {
        distinguisher_method: other.distinguisher_method.clone(),
        matching_precedence: Some(precedence),
        priority_level_configuration: other.priority_level_configuration.clone(),
        rules: Some(vec![PolicyRulesWithSubjects {
            subjects: vec![Subject {
                kind: "ServiceAccount".to_owned(),
                service_account: Some(ServiceAccountSubject {
                    name: account.name.clone(),
                    namespace: account.namespace.clone(),
                }),
                ..Subject::default()
            }],
            resource_rules: Some(vec![ResourcePolicyRule {
                api_groups: any(),
                cluster_scope: Some(true),
                namespaces: Some(any()),
                resources: any(),
                verbs: any(),
            }]),
            non_resource_rules: Some(vec![NonResourcePolicyRule {
                non_resource_urls: any(),
                verbs: any(),
            }]),
        }]),
    }
}
