//! Answers that are none, and a beacon that others lay hands on: each is said, no wave goes out meanwhile, and nothing
//! ends.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use weir_e2e::inside;
use weir_e2e::relay::Manner;
use weir_e2e::stage::{Logs, Measured, PATIENCE, Server, Stage, eventually, policy_for};
use weir_e2e::world::WorldSpec;
use weir_e2e::world::dns::{Cache, DnsSpec, RESOLVER};

use super::{held_by, stays_held};

/// More than all that is done here takes at one pod for each soak.
const NODES: u32 = 60;

/// So short that a wave is due in the middle of each.
const SOAK: Duration = Duration::from_secs(10);

/// The beacon's Service and EndpointSlice.
const BEACON: &str = "weir-beacon";

/// By this label kube-proxy passes over it.
const HEADLESS: &str = "service.kubernetes.io/headless";

#[test]
fn odd_answers_and_a_beacon_in_others_hands_hold_and_are_told() -> Result<()> {
    inside!(async {
        let world = WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        };
        let dns = DnsSpec {
            replicas: 4,
            resolver: Some(Cache::NodeLocal),
            ..DnsSpec::default()
        };
        let here = Measured::start(&world, &dns).await?;
        let stage = here.stage();
        let waves = "waves: { growth: 1.01, maxStep: 1% }";
        let soak = SOAK.as_secs();
        let spec = format!("pace: Fast\nsoak: {soak}s\n{waves}\n{PATIENCE}");
        here.world
            .apply(&policy_for("slow", &["odd"], &spec))
            .await?;
        here.fresh().await.context("before anything is wrong")?;
        let (logs, revision) = stage.soaking("odd", NODES / 2).await?;
        let case = Case {
            here: &here,
            logs,
            revision,
        };
        case.answers().await?;
        case.edits(&stage).await?;
        here.world.check()
    })
}

struct Case<'a> {
    here: &'a Measured,
    logs: Logs,
    revision: String,
}

impl Case<'_> {
    /// What each server says makes no sense, in another way: each is told by its name, and the one that clients are
    /// answered by holds.
    async fn answers(&self) -> Result<()> {
        let odd = [
            (Manner::Garbled, "decoding error"),
            (Manner::Huge, "more than 64 records"),
            (Manner::CutOff, "cut off"),
            (Manner::Elsewhere, "does not answer"),
        ];
        for (replica, (manner, _)) in self.here.dns.replicas.iter().zip(odd) {
            replica.relay.set(manner);
        }
        let resolver = self.here.dns.resolver.as_ref().context("there is one")?;
        resolver.relay.set(Manner::Rewritten);
        for (replica, (manner, because)) in self.here.dns.replicas.iter().zip(odd) {
            let why = self.here.unseen(Server::Pod(replica.pod()), because).await;
            println!("{manner:?}: {}", why?);
        }
        let resolver = Server::At(RESOLVER.into());
        let why = self.here.unseen(resolver, "rewrites").await?;
        println!("{:?}: {why}", Manner::Rewritten);
        self.held("EvidenceAbsent", "resolver").await?;
        self.stays_held().await?;
        self.here.dns.all(Manner::Honest);
        self.here.fresh().await?;
        Ok(())
    }

    /// Somebody else edits the beacon, fights over it, deletes it, and deletes what it goes with.
    async fn edits(&self, stage: &Stage<'_>) -> Result<()> {
        let mut edit = foreign();
        edit["metadata"] = json!({ "labels": { HEADLESS: null } });
        self.edit(&edit).await?;
        self.whole().await.context("edited")?;
        self.fought_over().await.context("fought over")?;
        self.slices()
            .delete(BEACON, &DeleteParams::default())
            .await?;
        self.whole().await.context("deleted")?;
        self.orphaned(stage).await.context("without its Service")
    }

    fn slices(&self) -> Api<EndpointSlice> {
        Api::namespaced(self.here.world.client(), "weir-system")
    }

    async fn edit(&self, patch: &Value) -> Result<()> {
        self.slices()
            .patch(BEACON, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        Ok(())
    }

    /// Weir writes it anew with the next beat, as it was, and DNS shows it.
    async fn whole(&self) -> Result<()> {
        let begun = Instant::now();
        eventually("it is as Weir writes it", async || {
            let slice = self.slices().get_opt(BEACON).await?;
            Ok(slice.is_some_and(|slice| is_weirs(&slice)))
        })
        .await?;
        self.here.fresh().await?;
        println!(
            "all was as before {:.1} s later",
            begun.elapsed().as_secs_f64()
        );
        self.here.weir.program.check()
    }

    /// Addresses of somebody else's are there whenever DNS is asked: nobody knows how old what DNS says is.
    async fn fought_over(&self) -> Result<()> {
        let fighting = async {
            loop {
                // What is met by Weir's own write at that moment is written the next time.
                drop(self.edit(&foreign()).await);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let held = async {
            println!("{}", self.held("EvidenceAbsent", "kube-dns").await?);
            self.stays_held().await
        };
        tokio::select! {
            () = fighting => unreachable!("it ends only with the other"),
            held = held => held?,
        }
        self.whole().await
    }

    /// The Service that it goes with is gone, and it with that: Weir says what to do, and does not make one.
    async fn orphaned(&self, stage: &Stage<'_>) -> Result<()> {
        let services: Api<Service> = Api::namespaced(self.here.world.client(), "weir-system");
        services.delete(BEACON, &DeleteParams::default()).await?;
        let (_, message) = stage
            .control_plane_says("DNSFresh", "BeaconLagging")
            .await?;
        println!("{message}");
        ensure!(message.contains("apply them again"), "{message}");
        self.held("BeaconLagging", "").await?;
        self.stays_held().await?;
        self.here.world.install_beacon().await?;
        self.whole().await
    }

    async fn held(&self, reason: &str, subject: &str) -> Result<String> {
        held_by(&self.logs, &self.revision, reason, subject).await
    }

    /// No pod is let through, and Weir lives.
    async fn stays_held(&self) -> Result<()> {
        stays_held(&self.logs, &self.revision, SOAK).await?;
        self.here.weir.program.check()
    }
}

/// Addresses that Weir never writes.
fn foreign() -> Value {
    json!({ "endpoints": [{ "addresses": ["10.0.0.7"], "conditions": { "ready": true } }] })
}

fn is_weirs(slice: &EndpointSlice) -> bool {
    let addresses = slice.endpoints.iter().flatten();
    let mut addresses = addresses.flat_map(|endpoint| &endpoint.addresses);
    let labels = slice.metadata.labels.as_ref();
    addresses.all(|address| address.starts_with("198.18.") || address.starts_with("198.19."))
        && labels.is_some_and(|labels| labels.contains_key(HEADLESS))
}
