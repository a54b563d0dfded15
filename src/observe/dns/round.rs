//! All DNS servers are asked, again and again, for as long as this replica leads.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::sync::watch;
use weir_core::{dns::Placed, evidence::Role, time::Span};

use super::{
    BEACON, Desk,
    ask::{Names, ask},
    find::{Facts, Server},
};
use crate::tasks::TaskError;

/// Between two rounds at the least. A lost API is to be seen within thirty seconds: a beat, what a replica may
/// take to hear of it, and one round.
const ROUND: Duration = Duration::from_secs(5);
/// Questions that go out in a second at the most, on average.
const QUESTIONS_PER_SECOND: f64 = 4.6;
/// Questions to each server.
const QUESTIONS: usize = 2;
/// Replicas that are asked in one round; of more it is some each time, in turn.
const REPLICAS: usize = 20;

/// Asks for as long as it is polled.
pub(super) async fn run(
    mut desk: Desk,
    mut facts: watch::Receiver<Arc<Facts>>,
) -> Result<(), TaskError> {
    let mut turn = 0_usize;
    loop {
        desk.lead().await;
        let known = Arc::clone(&facts.borrow_and_update());
        let asked = round(&desk, &known, turn).await;
        turn = turn.wrapping_add(1);
        tokio::select! {
            () = tokio::time::sleep(rest(asked)) => {}
            // The first facts are waited for no longer than they take.
            _ = facts.changed() => {}
        }
    }
}

/// How long to rest after so many servers were asked.
fn rest(asked: usize) -> Duration {
    let questions = (asked * QUESTIONS) as f64;
    ROUND.max(Duration::from_secs_f64(questions / QUESTIONS_PER_SECOND))
}

/// How often each of so many servers is asked.
fn every(servers: usize) -> Span {
    let rounds = servers.div_ceil(REPLICAS).max(1);
    let rest = rest(servers.min(REPLICAS));
    Span::from_millis(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)).times(rounds as f64)
}

/// Asks those whose turn it is; returns how many these are.
async fn round(desk: &Desk, facts: &Facts, turn: usize) -> usize {
    if facts.zone.is_empty() {
        return 0;
    }
    let now = desk.clock.now();
    let servers = facts.servers(&desk.place.service, &desk.replicas());
    let placed: BTreeMap<String, Placed> = servers
        .iter()
        .map(|(name, server)| (name.clone(), server.placed))
        .collect();
    {
        let mut layers = desk.layers();
        layers.placed(&placed, now);
        layers.ask_every(every(servers.len()));
        if let Some(ttl) = facts.ttl {
            layers.ttl(ttl);
        }
    }
    let names = match Names::new(BEACON, &desk.namespace, &facts.zone) {
        Ok(names) => names,
        Err(why) => {
            tracing::warn!(
                why,
                zone = facts.zone,
                "the beacon can have no name in this zone"
            );
            return 0;
        }
    };
    let asked = in_turn(&servers, turn);
    let number = asked.len();
    join_all(asked.into_iter().map(|(name, server)| {
        let names = &names;
        async move {
            let answers = ask(server.address, names).await;
            desk.layers().looked(name, &answers, desk.clock.now());
        }
    }))
    .await;
    number
}

/// All servers but replicas, and as many of these as a round has room for: those after the ones of the round
/// before.
fn in_turn(servers: &BTreeMap<String, Server>, turn: usize) -> Vec<(&String, &Server)> {
    let is_replica = |(_, server): &(&String, &Server)| server.placed.role == Role::Replica;
    let (replicas, mut asked): (Vec<_>, Vec<_>) = servers.iter().partition(is_replica);
    let from = match replicas.len() {
        0 => 0,
        number => turn.wrapping_mul(REPLICAS) % number,
    };
    let in_order = replicas.iter().cycle().skip(from);
    asked.extend(in_order.take(REPLICAS.min(replicas.len())));
    asked
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn servers(replicas: usize) -> BTreeMap<String, Server> {
        let server = |role| Server {
            address: SocketAddr::from(([10, 0, 0, 1], 53)),
            placed: Placed {
                role,
                serve_stale: None,
            },
        };
        let replicas = (0..replicas).map(|at| (format!("coredns-{at:02}"), server(Role::Replica)));
        let others = [("kube-dns".to_owned(), server(Role::Service))];
        replicas.chain(others).collect()
    }

    #[test]
    fn few_servers_are_all_asked_each_time() {
        for turn in 0..3 {
            assert_eq!(in_turn(&servers(3), turn).len(), 4);
        }
        assert_eq!(in_turn(&servers(0), 7).len(), 1);
    }

    #[test]
    fn of_many_replicas_each_has_its_turn_and_the_others_are_always_asked() {
        let servers = servers(45);
        let mut seen = std::collections::BTreeSet::new();
        for turn in 0..3 {
            let asked = in_turn(&servers, turn);
            assert_eq!(asked.len(), REPLICAS + 1);
            assert!(asked.iter().any(|(name, _)| *name == "kube-dns"));
            seen.extend(asked.into_iter().map(|(name, _)| name));
        }
        assert_eq!(seen.len(), 46);
    }

    #[test]
    fn rests_keep_questions_few() {
        assert_eq!(rest(3), ROUND);
        let asked = REPLICAS + 3;
        assert!((asked * QUESTIONS) as f64 / rest(asked).as_secs_f64() <= 5.0);
        assert_eq!(every(3), Span::from_secs(5));
        assert!(every(100) >= Span::from_secs(40));
    }
}
