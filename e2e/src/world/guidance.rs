//! Turns "the system does not allow namespaces" into what a person can do about it.

/// Worlds need Linux namespaces.
pub(super) const NOT_LINUX: &str = "a world needs Linux namespaces, and this is not Linux: run it \
    in a Linux virtual machine, or in a Linux container that is started with --privileged, with \
    Rust (rustup), Go 1.26, make, gcc and the programs of iproute2, util-linux, mount and hostname \
    (Debian's names) in it, such as the image golang:1.26 with rustup and iproute2 added";

/// Switches that forbid user namespaces: where they are, the value that forbids, how to undo it.
const SWITCHES: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "sysctl -w user.max_user_namespaces=10000",
    ),
];

/// `unshare` cannot even be started.
pub(super) fn no_unshare(error: &std::io::Error) -> String {
    format!(
        "unshare cannot be started ({error}): install util-linux, it makes a world's namespaces"
    )
}

/// `unshare` was refused, as any user and then without a user namespace; says both answers, and what
/// of this system's settings explains them.
pub(super) fn forbidden(refusals: &[String]) -> String {
    let mut text = format!(
        "this system does not allow the namespaces that a world lives in (unshare says: {})",
        refusals.join("; without a user namespace: ")
    );
    let in_the_way: String = SWITCHES
        .iter()
        .filter(|(path, forbids, _)| {
            std::fs::read_to_string(path).is_ok_and(|value| value.trim() == *forbids)
        })
        .flat_map(|(path, forbids, undo)| ["\n- ", path, " is ", forbids, ": as root, ", undo])
        .collect();
    text.push_str(&in_the_way);
    if in_the_way.is_empty() {
        text.push_str(
            "\n- in a container: start it with --privileged; or with --security-opt \
             seccomp=unconfined --security-opt apparmor=unconfined --security-opt \
             systempaths=unconfined\n- else: run as root, which needs no user namespace",
        );
    }
    text
}
