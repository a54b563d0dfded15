//! Everything that checks look at, asked for at once.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding,
        },
        apps::v1::DaemonSet,
        authorization::v1::{
            NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview,
            SelfSubjectAccessReviewSpec, SubjectAccessReview, SubjectAccessReviewSpec,
        },
        coordination::v1::Lease,
        core::v1::{Namespace, ServiceAccount},
        discovery::v1::EndpointSlice,
        flowcontrol::v1::FlowSchema,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
};
use kube::{
    Api, Client, Resource,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;
use weir_core::time::Moment;

use super::{list::MAY_INSTALL, manifest::Right};
use crate::{
    api::{ControlPlane, GROUP, GuardedRollout, RolloutPolicy, SINGLETON, definitions, marks},
    cli::connect::{Connection, WeirArgs},
    client::{chain, list_all},
    valve::{
        CHECK_NAMESPACE, NAMESPACE, ROLE, gate,
        gates::{self, Gated, Which},
        remote,
    },
};

/// What was answered, or why it is not known.
pub(super) type Fact<T> = Result<T, String>;

/// Everything that checks look at.
pub(super) struct Facts {
    pub(super) now: Moment,
    pub(super) cluster: Cluster,
    pub(super) shipped: Shipped,
    pub(super) running: Running,
    pub(super) enrolled: Enrolled,
    /// What of each right Weir's account lacks.
    pub(super) lacks: Vec<Fact<Vec<String>>>,
}

/// What the cluster is.
pub(super) struct Cluster {
    pub(super) version: Fact<Info>,
    /// Whether the gate policy would be taken.
    pub(super) takes_policy: Fact<()>,
    /// What the caller may create, of what an installation needs.
    pub(super) may_install: BTreeMap<&'static str, Fact<bool>>,
    /// Whether the account that the gate asks about may do everything.
    pub(super) approves_all: Fact<bool>,
    pub(super) addresses: Fact<usize>,
    pub(super) identities: Fact<usize>,
    pub(super) flow_schemas: Fact<Vec<FlowSchema>>,
}

/// What an installation is made of.
pub(super) struct Shipped {
    pub(super) kinds: BTreeMap<String, Fact<Option<CustomResourceDefinition>>>,
    pub(super) namespace: Fact<Option<Namespace>>,
    pub(super) check_namespace: Fact<Option<Namespace>>,
    pub(super) account: Fact<Option<ServiceAccount>>,
    pub(super) confining: Fact<Vec<ValidatingAdmissionPolicy>>,
    pub(super) confining_bindings: Fact<Vec<ValidatingAdmissionPolicyBinding>>,
    pub(super) gate_policy: Fact<Option<MutatingAdmissionPolicy>>,
    pub(super) gate_bindings: Vec<Fact<Option<MutatingAdmissionPolicyBinding>>>,
    pub(super) role_binding: Fact<Option<RoleBinding>>,
}

/// What there is only once Weir runs.
pub(super) struct Running {
    pub(super) gate: Fact<remote::Gate>,
    pub(super) role: Fact<Option<Role>>,
    pub(super) lease: Fact<Option<Lease>>,
    pub(super) control_plane: Fact<Option<ControlPlane>>,
    pub(super) policies: Fact<Vec<RolloutPolicy>>,
    pub(super) rollouts: Fact<Vec<GuardedRollout>>,
    pub(super) gated: Fact<Vec<Gated>>,
}

/// Who may be enrolled, and what accounts may do.
pub(super) struct Enrolled {
    pub(super) namespaces: Fact<Vec<Namespace>>,
    pub(super) daemon_sets: Fact<Vec<DaemonSet>>,
    pub(super) cluster_bindings: Fact<Vec<ClusterRoleBinding>>,
    pub(super) cluster_roles: Fact<Vec<ClusterRole>>,
}

/// Asks for all of it; before an installation not for rights that nobody has yet.
pub(super) async fn gather(
    connection: &Connection,
    weir: &WeirArgs,
    rights: &[Right],
    pre: bool,
) -> Facts {
    let client = &connection.client;
    let rights: &[Right] = if pre { &[] } else { rights };
    Facts {
        now: connection.clock.now(),
        cluster: of_cluster(client).await,
        shipped: of_shipped(client, weir).await,
        running: of_running(client, weir).await,
        enrolled: of_enrolled(client).await,
        lacks: join_all(rights.iter().map(|right| lacks(client, right))).await,
    }
}

async fn of_cluster(client: &Client) -> Cluster {
    let (version, takes_policy, may_install, approves_all) = futures::join!(
        client.apiserver_version(),
        takes_policy(client),
        may_install(client),
        approves_all(client)
    );
    let (addresses, identities, flow_schemas) = futures::join!(
        addresses(client),
        identities(client),
        all(Api::all(client.clone()), ListParams::default())
    );
    Cluster {
        version: version.map_err(|error| chain(&error)),
        takes_policy,
        may_install,
        approves_all,
        addresses,
        identities,
        flow_schemas,
    }
}

async fn of_shipped(client: &Client, weir: &WeirArgs) -> Shipped {
    let kinds = definitions().map(|definition| definition.metadata.name.unwrap_or_default());
    let kinds = kinds.into_iter().map(|name| async move {
        let found = one(Api::all(client.clone()), &name).await;
        (name, found)
    });
    let bindings = [gate::NAMESPACES_BINDING, gate::TEMPLATES_BINDING];
    let bindings = bindings.map(|name| one(Api::all(client.clone()), name));
    let shipped = || labelled("app.kubernetes.io/name=weir");
    let in_weir = &weir.weir_namespace;
    let (kinds, gate_bindings, namespace, check_namespace, account) = futures::join!(
        join_all(kinds),
        join_all(bindings),
        one(Api::all(client.clone()), in_weir),
        one(Api::all(client.clone()), CHECK_NAMESPACE),
        one(Api::namespaced(client.clone(), in_weir), "weir")
    );
    let (confining, confining_bindings, gate_policy, role_binding) = futures::join!(
        all(Api::all(client.clone()), shipped()),
        all(Api::all(client.clone()), shipped()),
        one(Api::all(client.clone()), gate::POLICY),
        one(Api::namespaced(client.clone(), NAMESPACE), ROLE)
    );
    Shipped {
        kinds: kinds.into_iter().collect(),
        namespace,
        check_namespace,
        account,
        confining,
        confining_bindings,
        gate_policy,
        gate_bindings,
        role_binding,
    }
}

async fn of_running(client: &Client, weir: &WeirArgs) -> Running {
    let leases = Api::namespaced(client.clone(), &weir.weir_namespace);
    let (gate, role, lease, control_plane, policies, rollouts, gated) = futures::join!(
        remote::check_active(client),
        one(Api::namespaced(client.clone(), NAMESPACE), ROLE),
        one(leases, &weir.lease_name),
        one(Api::all(client.clone()), SINGLETON),
        all(Api::all(client.clone()), ListParams::default()),
        all(Api::all(client.clone()), ListParams::default()),
        gates::gated(client, Which::All)
    );
    Running {
        gate: gate.map_err(|error| chain(&error)),
        role,
        lease,
        control_plane,
        policies,
        rollouts,
        gated: gated.map_err(|error| chain(&error)),
    }
}

async fn of_enrolled(client: &Client) -> Enrolled {
    let (namespaces, daemon_sets, cluster_bindings, cluster_roles) = futures::join!(
        all(Api::all(client.clone()), labelled(marks::GUARD)),
        all(Api::all(client.clone()), ListParams::default()),
        all(Api::all(client.clone()), ListParams::default()),
        all(Api::all(client.clone()), ListParams::default())
    );
    Enrolled {
        namespaces,
        daemon_sets,
        cluster_bindings,
        cluster_roles,
    }
}

fn labelled(selector: &str) -> ListParams {
    ListParams::default().labels(selector)
}

/// One object; none if there is none.
async fn one<K>(api: Api<K>, name: &str) -> Fact<Option<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    api.get_opt(name).await.map_err(|error| chain(&error))
}

/// All objects, page by page.
async fn all<K>(api: Api<K>, params: ListParams) -> Fact<Vec<K>>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    list_all(&api, params).await.map_err(|error| chain(&error))
}

/// Whether API servers take the gate policy, by dry run: some publish a kind that they do not serve.
async fn takes_policy(client: &Client) -> Fact<()> {
    let api: Api<MutatingAdmissionPolicy> = Api::all(client.clone());
    let params = PostParams {
        dry_run: true,
        field_manager: None,
    };
    match api.create(&params, &gate::policy()).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(chain(&error)),
    }
}

async fn may_install(client: &Client) -> BTreeMap<&'static str, Fact<bool>> {
    let asked = MAY_INSTALL.iter().map(|(resource, group)| async move {
        let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
        let spec = SelfSubjectAccessReviewSpec {
            resource_attributes: Some(attributes(None, group, resource, "create", None)),
            ..SelfSubjectAccessReviewSpec::default()
        };
        let review = SelfSubjectAccessReview {
            spec,
            ..SelfSubjectAccessReview::default()
        };
        let answer = api.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| chain(&error));
        (
            *resource,
            answer.map(|review| review.status.is_some_and(|status| status.allowed)),
        )
    });
    join_all(asked).await.into_iter().collect()
}

async fn approves_all(client: &Client) -> Fact<bool> {
    let attributes = attributes(Some(NAMESPACE), GROUP, "revisions", "run", Some("any.any"));
    let asks = SubjectAccessReviewSpec {
        resource_attributes: Some(attributes),
        ..as_account(ROLE)
    };
    is_allowed(client, asks).await
}

/// What Weir's account lacks of one right.
async fn lacks(client: &Client, right: &Right) -> Fact<Vec<String>> {
    let asked = right.verbs.iter().map(|(verb, name)| async move {
        let asks = if right.is_path() {
            SubjectAccessReviewSpec {
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(right.resource.clone()),
                    verb: Some(verb.clone()),
                }),
                ..as_account("weir")
            }
        } else {
            let namespace = right.namespace.as_deref();
            let (group, resource) = (&right.group, &right.resource);
            SubjectAccessReviewSpec {
                resource_attributes: Some(attributes(
                    namespace,
                    group,
                    resource,
                    verb,
                    name.as_deref(),
                )),
                ..as_account("weir")
            }
        };
        let allowed = is_allowed(client, asks).await?;
        Ok::<_, String>((!allowed).then(|| verb.clone()))
    });
    let lacks: Fact<Vec<Option<String>>> = join_all(asked).await.into_iter().collect();
    lacks.map(|lacks| lacks.into_iter().flatten().collect())
}

fn as_account(name: &str) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{NAMESPACE}:{name}")),
        groups: Some(vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{NAMESPACE}"),
            "system:authenticated".to_owned(),
        ]),
        ..SubjectAccessReviewSpec::default()
    }
}

fn attributes(
    namespace: Option<&str>,
    group: &str,
    resource: &str,
    verb: &str,
    name: Option<&str>,
) -> ResourceAttributes {
    let (resource, subresource) = match resource.split_once('/') {
        Some((resource, subresource)) => (resource, Some(subresource.to_owned())),
        None => (resource, None),
    };
    ResourceAttributes {
        namespace: namespace.map(str::to_owned),
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource,
        verb: Some(verb.to_owned()),
        name: name.map(str::to_owned),
        ..ResourceAttributes::default()
    }
}

async fn is_allowed(client: &Client, spec: SubjectAccessReviewSpec) -> Fact<bool> {
    let api: Api<SubjectAccessReview> = Api::all(client.clone());
    let review = SubjectAccessReview {
        spec,
        ..SubjectAccessReview::default()
    };
    let answer = api.create(&PostParams::default(), &review).await;
    let answer = answer.map_err(|error| chain(&error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

/// How many addresses API servers publish.
async fn addresses(client: &Client) -> Fact<usize> {
    let api = Api::namespaced(client.clone(), "default");
    let service = labelled("kubernetes.io/service-name=kubernetes");
    let slices: Vec<EndpointSlice> = all(api, service).await?;
    let endpoints = slices
        .into_iter()
        .flat_map(|slice| slice.endpoints.unwrap_or_default());
    Ok(endpoints.map(|endpoint| endpoint.addresses.len()).sum())
}

/// How many API servers have an identity Lease.
async fn identities(client: &Client) -> Fact<usize> {
    let api = Api::namespaced(client.clone(), "kube-system");
    let leases = labelled("apiserver.kubernetes.io/identity=kube-apiserver");
    let leases: Vec<Lease> = all(api, leases).await?;
    Ok(leases.len())
}
