//! How often a mask is seen where there is none: CoreDNS restarts now and then, and packets get lost.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use super::{DnsRun, Part, look};
use crate::{
    experiment::story::line,
    lab::cells::headed,
    relay::{Manner, Relay},
    report::html::seconds,
    stage::Measured,
    world::dns::{DnsSeen, DnsSpec},
};

/// One packet in so many is lost, each way.
const ONE_OF: u32 = 100;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(args: &DnsRun) -> Result<Part> {
    let here = args.start(&DnsSpec::default()).await?;
    here.dns.all(Manner::Lossy { one_of: ONE_OF });
    let (begun, before) = (Instant::now(), here.dns.asked());
    let mut dice = args.dice();
    let mut tally = Tally::new(here.dns.servers());
    let mut restarted = 0;
    while begun.elapsed() < args.healthy {
        // In the middle of its share of the time, give or take a quarter of that.
        let share = args.healthy / args.restarts.max(1);
        let due = share * restarted + share.mul_f64(0.25 + dice.f64() / 2.0);
        let next = due.min(args.healthy);
        watch(&here, &mut tally, begun, next).await?;
        if restarted < args.restarts {
            let which = dice.usize(0..here.dns.replicas.len());
            let replica = here.dns.replicas.get(which).context("no such replica")?;
            replica.program.restart()?;
            restarted += 1;
            line(&format!(
                "{}: {} restarted ({restarted} of {})",
                seconds(begun.elapsed().as_secs_f64()),
                replica.pod(),
                args.restarts
            ));
        } else {
            watch(&here, &mut tally, begun, args.healthy).await?;
        }
    }
    Ok(tally.told(&Done {
        time: begun.elapsed(),
        restarts: restarted,
        wanted: args.restarts,
        asked: here.dns.asked() - before,
        lost: here.dns.relays().map(Relay::lost).sum(),
    }))
}

/// Looks until so long after the beginning.
async fn watch(here: &Measured, tally: &mut Tally, begun: Instant, until: Duration) -> Result<()> {
    while begun.elapsed() < until {
        tally.look(look(here).await?.as_ref(), begun.elapsed());
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// What was done to it.
struct Done {
    time: Duration,
    /// CoreDNS restarts, and as many as were asked for.
    restarts: u32,
    wanted: u32,
    /// Packets with a question that relays got, and packets, either way, that they dropped.
    asked: u64,
    lost: u64,
}

/// What was seen of it.
struct Tally {
    servers: usize,
    looks: u32,
    /// Looks at which some server was not heard, since it begins anew or since Weir did not answer.
    unheard: u32,
    /// Masks that were seen to begin, in words.
    masks: Vec<String>,
    masked: BTreeSet<String>,
    most_lag: f64,
}

impl Tally {
    const fn new(servers: usize) -> Self {
        Self {
            servers,
            looks: 0,
            unheard: 0,
            masks: Vec::new(),
            masked: BTreeSet::new(),
            most_lag: 0.0,
        }
    }

    /// Weir does not answer each time: what was masked before is then taken to be so still.
    fn look(&mut self, seen: Option<&DnsSeen>, at: Duration) {
        self.looks += 1;
        let heard = seen.map_or(0, |seen| seen.lag.len());
        self.unheard += u32::from(heard < self.servers);
        let Some(seen) = seen else { return };
        self.most_lag = seen.lag.values().copied().fold(self.most_lag, f64::max);
        let now: BTreeSet<String> = seen
            .masked
            .iter()
            .map(|(name, by)| format!("{name} by {by}"))
            .collect();
        let begun = now.difference(&self.masked);
        let told = begun.map(|mask| format!("{mask} after {:.0} s", at.as_secs_f64()));
        self.masks.extend(told);
        self.masked = now;
    }

    /// What is not as it must be: masks, and whatever would make a run without any worth nothing.
    fn unmet(&self, done: &Done) -> Vec<String> {
        let masks = self.masks.iter();
        let mut unmet: Vec<String> = masks
            .map(|mask| format!("nothing was masked, and Weir saw {mask}"))
            .collect();
        let (looks, unheard) = (self.looks, self.unheard);
        if looks == 0 || unheard > looks / 4 {
            unmet.push(format!(
                "at {unheard} of {looks} looks some server was not heard: too little was measured"
            ));
        }
        let Done {
            time: _,
            restarts,
            wanted,
            asked,
            lost,
        } = done;
        if restarts < wanted {
            unmet.push(format!("CoreDNS restarted {restarts} times, not {wanted}"));
        }
        // Questions and answers are lost: nearly two in `ONE_OF` questions.
        if *lost == 0 || lost * 2 * u64::from(ONE_OF) < *asked {
            unmet.push(format!(
                "only {lost} packets were lost, of {asked} questions and their answers"
            ));
        }
        unmet
    }

    fn told(&self, done: &Done) -> Part {
        let head = [
            "time",
            "CoreDNS restarts",
            "questions",
            "packets lost",
            "looks",
            "looks with a server unheard",
            "largest lag",
            "false masks",
        ];
        let row = vec![
            seconds(done.time.as_secs_f64()),
            done.restarts.to_string(),
            done.asked.to_string(),
            done.lost.to_string(),
            self.looks.to_string(),
            self.unheard.to_string(),
            seconds(self.most_lag),
            self.masks.len().to_string(),
        ];
        Part {
            title: "Where nothing is masked".to_owned(),
            says: format!(
                "Two CoreDNS replicas behind what kube-proxy does. One of them is killed and begins anew again and \
                 again, and of {ONE_OF} packets between Weir and each server one is lost, each way, by a seed. What \
                 Weir's metrics show is looked at five times a second; where they do not answer nothing is heard."
            ),
            table: headed(head, [row]),
            unmet: self.unmet(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DONE: Done = Done {
        time: Duration::from_secs(5),
        restarts: 2,
        wanted: 2,
        asked: 1_000,
        lost: 20,
    };

    #[test]
    fn a_mask_counts_once_however_long_it_lasts() {
        let mut tally = Tally::new(1);
        let mut seen = DnsSeen::default();
        seen.lag.insert("coredns-1".to_owned(), 4.0);
        tally.look(Some(&seen), Duration::from_secs(1));
        seen.masked
            .insert("coredns-1".to_owned(), "Cache".to_owned());
        tally.look(Some(&seen), Duration::from_secs(2));
        tally.look(None, Duration::from_secs(3));
        tally.look(Some(&seen), Duration::from_secs(4));
        seen.masked.clear();
        tally.look(Some(&seen), Duration::from_secs(5));
        let part = tally.told(&DONE);
        assert_eq!(part.unmet.len(), 1);
        assert!(part.unmet[0].contains("coredns-1 by Cache after 2 s"));
        assert_eq!(part.table[0].len(), part.table[1].len());
        assert_eq!(part.table[1][4..6], ["5", "1"]);
    }

    #[test]
    fn a_run_in_which_nothing_was_measured_is_not_as_it_must_be() {
        let unmet = |heard: u32, done: &Done| {
            let tally = Tally {
                looks: 100,
                unheard: 100 - heard,
                ..Tally::new(1)
            };
            tally.unmet(done)
        };
        assert!(unmet(75, &DONE).is_empty());
        assert_eq!(unmet(74, &DONE).len(), 1);
        assert_eq!(Tally::new(1).unmet(&DONE).len(), 1, "nobody looked");
        for done in [
            Done {
                restarts: 1,
                ..DONE
            },
            Done { lost: 4, ..DONE },
            Done {
                asked: 0,
                lost: 0,
                ..DONE
            },
        ] {
            assert_eq!(unmet(100, &done).len(), 1);
        }
    }
}
