//! The questions behind the facts, of each part all at once.

mod dns;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::{
    admissionregistration::v1::MutatingAdmissionPolicy,
    apps::v1::Deployment,
    authorization::v1::{
        NonResourceAttributes, ResourceAttributes, SelfSubjectAccessReview,
        SelfSubjectAccessReviewSpec, SubjectAccessReview, SubjectAccessReviewSpec,
    },
    coordination::v1::Lease,
    discovery::v1::{Endpoint, EndpointSlice},
};
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
};
use serde::de::DeserializeOwned;

use super::{
    facts::{Cluster, Enrolled, Fact, Facts, Part, Running, Shipped},
    list::MAY_INSTALL,
    manifest::{ACCOUNT, Right},
};
use crate::{
    api::{GROUP, SINGLETON, definitions, marks},
    cli::connect::{Connection, WeirArgs},
    client::{chain, list_all},
    valve::{
        CHECK_NAMESPACE, NAMESPACE, ROLE, gate,
        gates::{self, Which},
        remote,
    },
};

/// Where Weir is, as far as it was said.
pub(super) struct Place<'a> {
    pub(super) weir: &'a WeirArgs,
    /// The account that it runs as.
    pub(super) account: Option<&'a str>,
}

/// Asks for these parts, and for nothing else.
pub(super) async fn gather(
    connection: &Connection,
    at: &Place<'_>,
    rights: &[Right],
    parts: &BTreeSet<Part>,
) -> Facts {
    let client = &connection.client;
    let weir = at.weir;
    let wanted = |part: Part| parts.contains(&part);
    let mut facts = Facts::none(connection.clock.now());
    if wanted(Part::Shipped) || wanted(Part::Rights) {
        facts.account = match at.account {
            Some(given) => given.to_owned(),
            None => account(client, weir).await,
        };
    }
    if wanted(Part::Cluster) {
        facts.cluster = of_cluster(client).await;
    }
    if wanted(Part::Shipped) {
        facts.shipped = of_shipped(client, weir, &facts.account).await;
    }
    if wanted(Part::Rights) {
        let asked = rights
            .iter()
            .map(|right| lacks(client, weir, &facts.account, right));
        facts.lacks = join_all(asked).await;
    }
    if wanted(Part::State) {
        of_state(client, weir, &mut facts.running).await;
    }
    if wanted(Part::Gate) {
        of_gate(client, &mut facts.running).await;
    }
    if wanted(Part::Rollouts) {
        of_rollouts(client, &mut facts.running).await;
    }
    if wanted(Part::Enrolled) {
        facts.enrolled = of_enrolled(client).await;
    }
    if wanted(Part::Dns) {
        facts.dns = dns::of_dns(client).await;
    }
    facts
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

/// The account of the Deployment that bears Weir's label, or else that of `deploy/`.
async fn account(client: &Client, weir: &WeirArgs) -> String {
    let api: Api<Deployment> = Api::namespaced(client.clone(), &weir.weir_namespace);
    let found = all(api, labelled(marks::INSTALLED))
        .await
        .unwrap_or_default();
    let mut accounts = found.into_iter().filter_map(|deployment| {
        let pod = deployment.spec?.template.spec?;
        pod.service_account_name.filter(|name| !name.is_empty())
    });
    accounts.next().unwrap_or_else(|| ACCOUNT.to_owned())
}

async fn of_shipped(client: &Client, weir: &WeirArgs, account: &str) -> Shipped {
    let kinds = definitions().map(|definition| definition.metadata.name.unwrap_or_default());
    let kinds = kinds.into_iter().map(|name| async move {
        let found = one(Api::all(client.clone()), &name).await;
        (name, found)
    });
    let bindings = [gate::NAMESPACES_BINDING, gate::TEMPLATES_BINDING];
    let bindings = bindings.map(|name| one(Api::all(client.clone()), name));
    let shipped = || labelled(marks::INSTALLED);
    let in_weir = &weir.weir_namespace;
    let (kinds, gate_bindings, namespace, check_namespace, account) = futures::join!(
        join_all(kinds),
        join_all(bindings),
        one(Api::all(client.clone()), in_weir),
        one(Api::all(client.clone()), CHECK_NAMESPACE),
        one(Api::namespaced(client.clone(), in_weir), account)
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

async fn of_state(client: &Client, weir: &WeirArgs, running: &mut Running) {
    let leases = Api::namespaced(client.clone(), &weir.weir_namespace);
    (running.lease, running.control_plane) = futures::join!(
        one(leases, &weir.lease_name),
        one(Api::all(client.clone()), SINGLETON),
    );
}

async fn of_gate(client: &Client, running: &mut Running) {
    let (gate, role) = futures::join!(
        remote::check_active(client),
        one(Api::namespaced(client.clone(), NAMESPACE), ROLE),
    );
    running.gate = gate.map_err(|error| chain(&error));
    running.role = role;
}

async fn of_rollouts(client: &Client, running: &mut Running) {
    let (policies, rollouts, gated) = futures::join!(
        all(Api::all(client.clone()), ListParams::default()),
        all(Api::all(client.clone()), ListParams::default()),
        gates::gated(client, Which::All)
    );
    running.policies = policies;
    running.rollouts = rollouts;
    running.gated = gated.map_err(|error| chain(&error));
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
    K: Clone + DeserializeOwned + std::fmt::Debug,
{
    api.get_opt(name).await.map_err(|error| chain(&error))
}

/// All objects, page by page.
async fn all<K>(api: Api<K>, params: ListParams) -> Fact<Vec<K>>
where
    K: Clone + DeserializeOwned + std::fmt::Debug,
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
        ..as_account(NAMESPACE, ROLE)
    };
    is_allowed(client, asks).await
}

/// What Weir's account lacks of one right.
async fn lacks(
    client: &Client,
    weir: &WeirArgs,
    account: &str,
    right: &Right,
) -> Fact<Vec<String>> {
    let asked = right.verbs.iter().map(|(verb, name)| async move {
        let asks = if right.is_path() {
            SubjectAccessReviewSpec {
                non_resource_attributes: Some(NonResourceAttributes {
                    path: Some(right.resource.clone()),
                    verb: Some(verb.clone()),
                }),
                ..as_account(&weir.weir_namespace, account)
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
                ..as_account(&weir.weir_namespace, account)
            }
        };
        let allowed = is_allowed(client, asks).await?;
        Ok::<_, String>((!allowed).then(|| verb.clone()))
    });
    let lacks: Fact<Vec<Option<String>>> = join_all(asked).await.into_iter().collect();
    lacks.map(|lacks| lacks.into_iter().flatten().collect())
}

fn as_account(namespace: &str, name: &str) -> SubjectAccessReviewSpec {
    SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{namespace}:{name}")),
        groups: Some(vec![
            "system:serviceaccounts".to_owned(),
            format!("system:serviceaccounts:{namespace}"),
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
    let endpoints = endpoints(client, "default", "kubernetes").await?;
    let addresses = endpoints.iter().map(|endpoint| endpoint.addresses.len());
    Ok(addresses.sum())
}

/// Who serves a Service, of all its `EndpointSlice`s.
async fn endpoints(client: &Client, namespace: &str, service: &str) -> Fact<Vec<Endpoint>> {
    let api = Api::namespaced(client.clone(), namespace);
    let of_service = labelled(&format!("kubernetes.io/service-name={service}"));
    let slices: Vec<EndpointSlice> = all(api, of_service).await?;
    let endpoints = slices
        .into_iter()
        .flat_map(|slice| slice.endpoints.unwrap_or_default());
    Ok(endpoints.collect())
}

/// How many API servers have an identity Lease.
async fn identities(client: &Client) -> Fact<usize> {
    let api = Api::namespaced(client.clone(), "kube-system");
    let leases = labelled("apiserver.kubernetes.io/identity=kube-apiserver");
    let leases: Vec<Lease> = all(api, leases).await?;
    Ok(leases.len())
}
