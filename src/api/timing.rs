//! Which time counts, and at which waves may begin, as people write it.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::forms::{Duration, Percent};

/// A time without deployments that soak must include. What fails only in processes that have run for long is masked
/// by redeploys, and shows in a quiet night.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Undisturbed {
    /// How long, in one piece of soak, nobody may have deployed anything else in the workload's namespace
    /// (Deployments, StatefulSets and DaemonSets), nor may its own pods have been replaced.
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1m') && duration(self) <= duration('72h')")
            .message("stretch is between 1m and 72h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub stretch: Duration,
    /// How wide the rollout may become before that, as a share of full width; always at least one pod. Absent means
    /// `10%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Percent>,
}

/// A time at which waves may begin, on each of its days. Outside all windows nothing begins; what is out soaks on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Window")]
pub struct WindowSpec {
    /// The days on which it begins; absent means each day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7), extend("x-kubernetes-list-type" = "set"))]
    pub days: Option<Vec<Day>>,
    /// When it begins, such as `09:00`.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub from: String,
    /// When it ends: the next time that clocks show this, such as `17:00`. One that begins at 22:00 and ends at
    /// 06:00 ends on the day after; one that begins and ends at the same time lasts a day.
    #[schemars(length(max = 5), regex(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub to: String,
    /// The time zone of all this by its name in the IANA database, such as `Europe/Zurich`; absent means UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 64),
        regex(pattern = "^[A-Za-z][A-Za-z0-9_+/-]*$")
    )]
    pub time_zone: Option<String>,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

impl Day {
    /// All days, from Monday.
    pub(crate) const ALL: [Self; 7] = [
        Self::Mon,
        Self::Tue,
        Self::Wed,
        Self::Thu,
        Self::Fri,
        Self::Sat,
        Self::Sun,
    ];
}
