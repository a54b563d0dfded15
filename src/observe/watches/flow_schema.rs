//! FlowSchemas, whole but for their metadata: they are few, and small.

use k8s_openapi::{
    api::flowcontrol::v1::{FlowSchema, FlowSchemaSpec, FlowSchemaStatus},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

use super::slim::{Keep, Seen};
use crate::meter::Schema;

/// How FlowSchemas are read.
pub(in crate::observe) struct FlowSchemas;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    spec: FlowSchemaSpec,
    #[serde(default)]
    status: FlowSchemaStatus,
}

impl Keep for FlowSchemas {
    type Kind = FlowSchema;
    type Body = Body;
    type Key = String;
    type Row = Schema;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        Body { spec, status }: Body,
        _: Seen<'_, Schema>,
    ) -> Result<Option<Schema>, String> {
        let mut conditions = status.conditions.iter().flatten();
        let is_dangling = conditions.any(|condition| {
            condition.type_.as_deref() == Some("Dangling")
                && condition.status.as_deref() == Some("True")
        });
        let schema = Schema::read(meta, spec, is_dangling).ok_or("it has no uid")?;
        Ok(Some(schema))
    }
}
