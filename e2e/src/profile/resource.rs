//! Which resource a call is about: `v1/pods`, `apps/v1/replicasets`, `cilium.io/v2/ciliumendpoints`.
//! Any group is as good as another; nothing about a resource is built in.

use std::{fmt, str::FromStr};

use serde::Deserialize;

/// A resource by group, version and plural.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Resource {
    /// The API group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The plural, in lower case, as it stands in paths.
    pub plural: String,
}

impl Resource {
    /// The path of the collection, in `namespace` if one is given.
    #[must_use]
    pub fn path(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        match namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{}", self.plural),
            None => format!("{root}/{}", self.plural),
        }
    }

    /// What stands in an object's `apiVersion`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.api_version(), self.plural)
    }
}

/// A resource that is not written as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotAResource(String);

impl fmt::Display for NotAResource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "`{}` is not a resource; write version/plural for the core group, such as v1/pods, \
             or group/version/plural, such as apps/v1/replicasets",
            self.0
        )
    }
}

impl std::error::Error for NotAResource {}

impl FromStr for Resource {
    type Err = NotAResource;

    fn from_str(source: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = source.split('/').collect();
        let plain = |part: &str| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        };
        let (group, version, plural) = match parts.as_slice() {
            [version, plural] => ("", *version, *plural),
            [group, version, plural] if !group.is_empty() => (*group, *version, *plural),
            _ => return Err(NotAResource(source.to_owned())),
        };
        if !parts.iter().all(|part| plain(part)) || !version.starts_with('v') {
            return Err(NotAResource(source.to_owned()));
        }
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
        })
    }
}

impl TryFrom<String> for Resource {
    type Error = NotAResource;

    fn try_from(source: String) -> Result<Self, Self::Error> {
        source.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_of_any_group_have_their_paths() {
        let table = [
            ("v1/pods", None, "/api/v1/pods"),
            ("v1/pods", Some("x"), "/api/v1/namespaces/x/pods"),
            ("apps/v1/replicasets", None, "/apis/apps/v1/replicasets"),
            (
                "cilium.io/v2/ciliumendpoints",
                Some("x"),
                "/apis/cilium.io/v2/namespaces/x/ciliumendpoints",
            ),
        ];
        for (source, namespace, path) in table {
            let resource: Resource = source.parse().expect("the table's sources are good");
            assert_eq!(resource.path(namespace), path);
            assert_eq!(resource.to_string(), source);
        }
    }

    #[test]
    fn what_is_not_a_resource_is_told_how_to_be_one() {
        for source in [
            "pods",
            "Pods",
            "v1/Pods",
            "/v1/pods",
            "a/b/c/d",
            "apps/replicasets",
            "",
        ] {
            let error = source.parse::<Resource>().expect_err(source).to_string();
            assert!(error.contains("v1/pods"), "{error}");
        }
    }
}
