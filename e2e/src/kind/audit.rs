//! What Weir has asked of the API server, as that has written it down.

use std::path::Path;

use anyhow::{Context, Result};

use super::origin::{AUDIT_LOG, Audit};
use super::{Cluster, NAMESPACE, WEIR, run};
use crate::world::{AuditedRequest, audited};

impl Cluster {
    /// Every request of Weir's account so far, but for those that tests make with its token; none where
    /// the cluster keeps no audit log (`E2E_AUDIT_LOG` is a command that prints one).
    ///
    /// # Errors
    /// The log cannot be read, or is not understood.
    pub async fn weir_requests(&self) -> Result<Option<Vec<AuditedRequest>>> {
        let mut requests = Vec::new();
        match self.origin.audit() {
            Audit::None => return Ok(None),
            Audit::Printed(line) => {
                let log = run::run(Path::new("sh"), &["-c", line]).await;
                requests = audited(&log.context("running E2E_AUDIT_LOG")?)?;
            }
            Audit::OnNodes => {
                for node in &self.control_planes {
                    requests.extend(audited(&self.on_node(node, &["cat", AUDIT_LOG]).await?)?);
                }
            }
        }
        let weir = format!("system:serviceaccount:{NAMESPACE}:{WEIR}");
        requests.retain(|request| request.user == weir && request.user_agent.starts_with("weir/"));
        Ok(Some(requests))
    }
}
