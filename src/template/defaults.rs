//! What an API server fills into a pod template, after `pkg/apis/core/v1/defaults.go` of Kubernetes
//! 1.36. Templates get fewer defaults than pods: what only pods get is not here.

use serde_json::{Map, Value};

use super::quantity;

/// A value that a field has when nobody gave it one.
#[derive(Debug, Clone, Copy)]
enum Filled {
    Text(&'static str),
    Number(i64),
    /// The same where zero is filled in too, since Go cannot tell it from a number not given.
    Count(i64),
    /// A quantity of nothing, however it is written.
    Nothing,
    False,
}

use Filled::{Count, False, Nothing, Number, Text};

impl PartialEq<Value> for Filled {
    fn eq(&self, value: &Value) -> bool {
        match self {
            Text(text) => value.as_str() == Some(text),
            Number(number) => value.as_i64() == Some(*number),
            Count(number) => value.as_i64().is_some_and(|one| one == *number || one == 0),
            Nothing => quantity::plain(value.clone()) == quantity::plain("0".into()),
            False => *value == Value::Bool(false),
        }
    }
}

const CONTAINER: &[(&str, Filled)] = &[
    ("terminationMessagePath", Text("/dev/termination-log")),
    ("terminationMessagePolicy", Text("File")),
];
const PROBE: &[(&str, Filled)] = &[
    ("timeoutSeconds", Count(1)),
    ("periodSeconds", Count(10)),
    ("successThreshold", Count(1)),
    ("failureThreshold", Count(3)),
    ("initialDelaySeconds", Count(0)),
];
const MODE: &[(&str, Filled)] = &[("defaultMode", Number(0o644))];

/// What is filled into an object, by the field that holds it, or the list that it is an item of.
const OBJECTS: &[(&str, &[(&str, Filled)])] = &[
    (
        "spec",
        &[
            ("restartPolicy", Text("Always")),
            ("dnsPolicy", Text("ClusterFirst")),
            ("schedulerName", Text("default-scheduler")),
            // Of a volume's claim.
            ("volumeMode", Text("Filesystem")),
        ],
    ),
    ("containers", CONTAINER),
    ("initContainers", CONTAINER),
    (
        "ports",
        &[("protocol", Text("TCP")), ("hostPort", Number(0))],
    ),
    ("livenessProbe", PROBE),
    ("readinessProbe", PROBE),
    ("startupProbe", PROBE),
    ("httpGet", &[("scheme", Text("HTTP")), ("path", Text("/"))]),
    ("fileKeyRef", &[("optional", False)]),
    ("fieldRef", &[("apiVersion", Text("v1"))]),
    ("resourceFieldRef", &[("divisor", Nothing)]),
    ("secret", MODE),
    ("configMap", MODE),
    ("downwardAPI", MODE),
    ("projected", MODE),
    (
        "serviceAccountToken",
        &[("expirationSeconds", Number(3600))],
    ),
    ("iscsi", &[("iscsiInterface", Text("default"))]),
    (
        "rbd",
        &[
            ("pool", Text("rbd")),
            ("user", Text("admin")),
            ("keyring", Text("/etc/ceph/keyring")),
        ],
    ),
    (
        "azureDisk",
        &[
            ("cachingMode", Text("ReadWrite")),
            ("fsType", Text("ext4")),
            ("kind", Text("Shared")),
        ],
    ),
    (
        "scaleIO",
        &[
            ("storageMode", Text("ThinProvisioned")),
            ("fsType", Text("xfs")),
        ],
    ),
];

/// Fields of which `false` says no more than their absence.
const FALSE: &[&str] = &[
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "readOnly",
    "stdin",
    "stdinOnce",
    "tty",
];

/// Whether the value is a `false` that is not even written.
pub(super) fn is_falsy(key: &str, value: &Value) -> bool {
    *value == Value::Bool(false) && FALSE.contains(&key)
}

/// Takes out of an object what is filled into those that this field holds.
pub(super) fn take_out_of(key: &str, object: &mut Map<String, Value>) {
    let Some((_, filled)) = OBJECTS.iter().find(|(holder, _)| *holder == key) else {
        return;
    };
    object.retain(|field, value| {
        !filled
            .iter()
            .any(|(name, filled)| name == field && filled == value)
    });
}

/// Takes out of a pod's spec what depends on more than one field.
pub(super) fn take_out(spec: &mut Map<String, Value>) {
    // An older name of the same field, which is filled in as well.
    if let Some(account) = spec.remove("serviceAccount") {
        let name = spec.entry("serviceAccountName").or_insert(Value::Null);
        if name.is_null() || name == "" {
            *name = account;
        }
    }
    // Zero would be a decision here, unlike elsewhere.
    if spec
        .get("terminationGracePeriodSeconds")
        .and_then(Value::as_i64)
        == Some(30)
    {
        spec.remove("terminationGracePeriodSeconds");
    }
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for list in ["containers", "initContainers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        let containers = containers.into_iter().flatten();
        for container in containers.filter_map(Value::as_object_mut) {
            take_out_of_container(container, on_host);
        }
    }
    let volumes = spec.get_mut("volumes").and_then(Value::as_array_mut);
    let volumes = volumes.into_iter().flatten();
    for image in volumes.filter_map(|volume| volume.get_mut("image")?.as_object_mut()) {
        take_out_pull_policy(image, "reference", "pullPolicy");
    }
}

/// Takes out the pull policy that an image's name makes of an absent one.
fn take_out_pull_policy(of: &mut Map<String, Value>, image: &str, policy: &str) {
    let image = of.get(image).and_then(Value::as_str).unwrap_or_default();
    if of.get(policy).and_then(Value::as_str) == Some(pull_policy(image)) {
        of.remove(policy);
    }
}

fn take_out_of_container(container: &mut Map<String, Value>, on_host: bool) {
    take_out_pull_policy(container, "image", "imagePullPolicy");
    let ports = container.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter_map(Value::as_object_mut) {
        // On the host's network a port is the host's; older API servers write that into templates.
        if on_host && port.get("hostPort") == port.get("containerPort") {
            port.remove("hostPort");
        }
    }
}

/// What an image's name makes of an absent pull policy: only a tag that moves is always pulled.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or_default();
    let (name, digest) = name
        .split_once('@')
        .map_or((name, None), |(name, digest)| (name, Some(digest)));
    match (name.split_once(':'), digest) {
        (Some((_, "latest")), _) | (None, None) => "Always",
        (Some(_), _) | (None, Some(_)) => "IfNotPresent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tag_that_moves_is_always_pulled() {
        for image in [
            "nginx",
            "nginx:latest",
            "host:5000/a/nginx",
            "host:5000/nginx:latest",
        ] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        for image in ["nginx:1.27", "host:5000/nginx:1", "nginx@sha256:00ff"] {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
    }
}
