//! Whether the cluster's DNS is there, and follows the API. Weir itself does without: it reaches API servers by
//! their addresses.

use super::{Check, Ended, Entry, bad, few, known, skip};
use crate::{
    api::marks::conditions,
    cli::check::facts::{Facts, NameServer},
    view::check::Level,
};

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    let entries = [
        Entry {
            id: "dns-served",
            title: "The cluster's DNS is served",
            about: "Agents that cannot resolve names ask again and again; a rollout then looks as if it did \
                    harm, or hides that it does. Weir itself reaches API servers by address.",
            hint: "look at `kubectl get pods -n kube-system -l k8s-app=kube-dns`",
            ask: served,
        },
        Entry {
            id: "dns-answers",
            title: "The servers of the cluster's DNS can be reached, and say that they are ready",
            about: "Asked through the API server, of CoreDNS's plugin `ready`: who may not `get` pods/proxy in \
                    kube-system does not learn it.",
            hint: "look at the logs of those pods, and at the network between API servers and nodes",
            ask: answers,
        },
        Entry {
            id: "dns-fresh",
            title: "The cluster's DNS follows the API",
            about: "DNS servers and caches go on answering when they hear of no change any longer; the answers look \
                    as ever. Weir writes a beacon, and looks where it arrives. While DNS hides what is going on, no \
                    wave goes out.",
            hint: "the message names the servers, and what to do is in docs/held.md; while the API is silent do not \
                   restart CoreDNS",
            ask: fresh,
        },
    ];
    let checks = entries.map(|entry| entry.check("DNS", false));
    checks.into_iter().collect()
}

/// What Weir has on record.
fn fresh(facts: &Facts) -> Ended {
    let control_plane = known(&facts.running.control_plane)?.as_ref();
    let status = control_plane.and_then(|one| one.status.as_ref());
    let mut conditions = status.iter().flat_map(|status| &status.conditions);
    let Some(fresh) = conditions.find(|one| one.type_ == conditions::DNS_FRESH) else {
        return skip("Weir does not measure it (dns.enabled of the chart), or has not looked yet");
    };
    let is_measured = status.is_some_and(|status| {
        status
            .dns
            .as_ref()
            .is_some_and(|dns| dns.not_measured.is_none())
    });
    match fresh.status.as_str() {
        "True" => Ok(fresh.message.clone()),
        _ if is_measured => bad(fresh.message.clone()),
        _ => skip(fresh.message.clone()),
    }
}

fn servers(facts: &Facts) -> Result<&[NameServer], (Level, String)> {
    let servers = known(&facts.dns)?;
    if servers.is_empty() {
        return skip("there is no Service kube-dns in kube-system");
    }
    Ok(servers)
}

fn served(facts: &Facts) -> Ended {
    let servers = servers(facts)?;
    let ready = servers.iter().filter(|server| server.ready).count();
    let said = format!("{ready} of {} servers are ready", servers.len());
    if ready == 0 { bad(said) } else { Ok(said) }
}

fn answers(facts: &Facts) -> Ended {
    let servers = servers(facts)?.iter();
    let asked = servers.filter_map(|server| Some((server, server.answer.as_ref()?)));
    let (fine, silent): (Vec<_>, Vec<_>) = asked.partition(|(_, answer)| answer.is_ok());
    if fine.is_empty() && silent.is_empty() {
        return skip("you may not ask them through the API server, or they do not say");
    }
    let silent: Vec<String> = silent
        .iter()
        .filter_map(|(server, answer)| {
            let Err(why) = answer else {
                return None;
            };
            Some(format!("{}: {why}", server.name))
        })
        .collect();
    if silent.is_empty() {
        return Ok(format!("{} do", fine.len()));
    }
    bad(few(silent.iter().map(String::as_str)))
}
