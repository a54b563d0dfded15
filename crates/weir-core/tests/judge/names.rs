//! A little world of DNS: replicas that follow an API, a cache before them, and faults by a schedule. What is so
//! is known here second by second; what Weir makes of it goes through the same code as in a cluster.

use std::{collections::BTreeMap, ops::Range};

use weir_core::{
    dns::{Answers, Code, Epoch, Heard, Layers, Message, Placed},
    evidence::{Dns, Role},
    time::{Moment, Span},
};

/// Between two rounds of questions.
const ROUND: u64 = 5;

/// What a replica may take to hear of a change, in seconds, and one round.
const ALLOWED: u64 = 8 + ROUND;

/// How long a replica takes to begin.
const BEGINS: u64 = 6;

/// For how long answers may be kept.
const TTL: u64 = 30;

/// Something that goes wrong for a while, in seconds of the play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The API answers nobody.
    ApiGone(Range<u64>),
    /// One replica hears of nothing; its number.
    Frozen(usize, Range<u64>),
    /// The cache before the replicas reaches none of them, and serves what it has.
    CacheAlone(Range<u64>),
    /// One replica begins anew at that second.
    Restart(usize, u64),
    /// Nobody writes the beacon.
    Unwritten(Range<u64>),
    /// Weir's own watch of the beacon tells of nothing.
    FrozenWatch(Range<u64>),
    /// Of so many packets one is lost.
    Loss(u64),
}

/// DNS, as it is and as Weir sees it.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    faults: Vec<Fault>,
    layers: Layers,
    replicas: Vec<Replica>,
    cache: Cache,
    /// The beats that the API took, by their seconds.
    beats: Vec<u64>,
    /// The second of the beat that Weir's own watch last told of; none before its first event.
    watched: Option<u64>,
    dice: Dice,
}

/// The cache before the replicas.
#[derive(Debug, Clone)]
struct Cache {
    /// The second of the beat that it has.
    knows: u64,
    /// When it was told.
    told: u64,
    /// For how long it keeps what it is told.
    keeps: u64,
    /// For how long it serves what has ended while it reaches no replica; for ever, unless that is known.
    serve_stale: Option<u64>,
}

#[derive(Debug, Clone)]
struct Replica {
    /// The second of the beat that it knows; none before it has read the API.
    knows: Option<u64>,
    /// When it has begun, and can read.
    reads_from: u64,
    /// How many seconds its clock is late.
    late: u32,
}

/// Numbers that look random and are the same for the same seed (xorshift, Marsaglia 2003).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `limit`.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

impl Names {
    /// `replicas` that know the first beat, at second 0 of a play that begins at `begin`.
    pub(crate) fn new(replicas: usize, faults: Vec<Fault>, mut dice: Dice, begin: Moment) -> Self {
        let mut layers = Layers::new(begin);
        layers.placed(&placed(replicas, 0), begin);
        let replica = |_| Replica {
            knows: Some(0),
            reads_from: 0,
            late: u32::try_from(dice.below(4) * 30).unwrap_or(0),
        };
        Self {
            faults,
            layers,
            replicas: (0..replicas).map(replica).collect(),
            cache: Cache {
                knows: 0,
                told: 0,
                keeps: TTL,
                serve_stale: None,
            },
            beats: vec![0],
            watched: None,
            dice,
        }
    }

    /// The cache serves what has ended for so many seconds while it reaches no replica, and that is known.
    pub(crate) fn serving_stale(mut self, seconds: u64, begin: Moment) -> Self {
        self.cache.serve_stale = Some(seconds);
        self.layers
            .placed(&placed(self.replicas.len(), seconds), begin);
        self
    }

    /// The cache keeps whatever it is told for so many seconds.
    pub(crate) fn stubborn(mut self, seconds: u64) -> Self {
        self.cache.keeps = seconds;
        self
    }

    /// When what the cache has ends, in seconds of the play.
    pub(crate) fn cache_ends(&self) -> u64 {
        self.cache.told + self.cache.keeps + self.cache.serve_stale.unwrap_or(0)
    }

    /// One second passes, to `second` of the play, which is the moment `now`.
    pub(crate) fn second(&mut self, second: u64, now: Moment) {
        self.write(second, now);
        self.watch(second, now);
        self.follow(second);
        if second.is_multiple_of(ROUND) {
            self.ask(second, now);
        }
    }

    /// Another replica of Weir begins to lead at `second`, reads what the one before has written, and has a watch that
    /// has told of as much.
    pub(crate) fn lead_anew(&mut self, second: u64, now: Moment) {
        let begin = now - Span::from_secs(second);
        let record = self.layers.beats.newest();
        self.layers = Layers::new(now);
        let serve_stale = self.cache.serve_stale.unwrap_or(0);
        let placed = placed(self.replicas.len(), serve_stale);
        self.layers.placed(&placed, now);
        self.layers.beats.read(record, now);
        if let Some(beat) = self.watched {
            let epoch = Epoch::at(begin + Span::from_secs(beat));
            self.layers.watched(Some(epoch), now);
        }
    }

    /// Nothing is heard of one replica at `now`.
    pub(crate) fn silence(&mut self, number: usize, now: Moment) {
        self.layers.looked(&name(number), &silence(), now);
    }

    /// What Weir makes of it.
    pub(crate) fn evidence(&self, now: Moment) -> Dns {
        self.layers.evidence(now)
    }

    /// Whether clients have been answered with what was for longer than anything explains: by the rules of the
    /// world, not by what Weir saw.
    pub(crate) fn is_masked(&self, second: u64) -> bool {
        let gone = |fault: &Fault| match fault {
            // Two answers that do not come, and the time-out of each.
            Fault::ApiGone(when) => when.contains(&second) && second - when.start > 10 + ALLOWED,
            _ => false,
        };
        let behind = |knows: u64, allowed: u64| {
            let unknown = self.beats.iter().find(|beat| **beat > knows);
            unknown.is_some_and(|beat| second - beat > allowed)
        };
        let frozen = |replica: &Replica| replica.knows.is_some_and(|knows| behind(knows, ALLOWED));
        // No client sees it, but whatever else Weir watches may hide as much from it.
        let watch = behind(self.watched.unwrap_or(0), ALLOWED);
        self.faults.iter().any(gone)
            || watch
            || self.replicas.iter().any(frozen)
            || behind(self.cache.knows, TTL + 10 + 2 + ROUND)
    }

    fn is(&self, holds: impl Fn(&Fault) -> bool) -> bool {
        self.faults.iter().any(holds)
    }

    fn api_is_gone(&self, second: u64) -> bool {
        self.is(|fault| matches!(fault, Fault::ApiGone(when) if when.contains(&second)))
    }

    /// The beacon is written every ten seconds, and looked at while it is not known whether anybody answers.
    fn write(&mut self, second: u64, now: Moment) {
        let unwritten =
            self.is(|fault| matches!(fault, Fault::Unwritten(when) if when.contains(&second)));
        let gone = self.api_is_gone(second);
        let beats = &mut self.layers.beats;
        match (second % 10, gone) {
            (0, false) if !unwritten => {
                beats.took(Epoch::at(now), now);
                self.beats.push(second);
            }
            (0, false) => beats.refused("429: too many requests".to_owned(), now),
            (0 | 2 | 4 | 6 | 8, true) => beats.unanswered("timed out".to_owned()),
            (2 | 4 | 6 | 8, false) if beats.is_in_doubt() => beats.read(None, now),
            _ => {}
        }
    }

    /// Weir's own watch tells of the beat.
    fn watch(&mut self, second: u64, now: Moment) {
        let frozen =
            self.is(|fault| matches!(fault, Fault::FrozenWatch(when) if when.contains(&second)));
        let last = self.beats.last().copied();
        if frozen || self.api_is_gone(second) || last == self.watched {
            return;
        }
        if let Some(beat) = last {
            let begin = now - Span::from_secs(second);
            let epoch = Epoch::at(begin + Span::from_secs(beat));
            self.layers.watched(Some(epoch), now);
            self.watched = last;
        }
    }

    /// Replicas hear of the beat, and the cache asks one of them.
    fn follow(&mut self, second: u64) {
        let gone = self.api_is_gone(second);
        for number in 0..self.replicas.len() {
            let frozen = self.is(
                |fault| matches!(fault, Fault::Frozen(one, when) if *one == number && when.contains(&second)),
            );
            let begins = self.is(
                |fault| matches!(fault, Fault::Restart(one, at) if *one == number && *at == second),
            );
            let replica = &mut self.replicas[number];
            if begins {
                (replica.knows, replica.reads_from) = (None, second + BEGINS);
            }
            if !gone && !frozen && second >= replica.reads_from {
                replica.knows = self.beats.last().copied();
            }
        }
        if !self.cache_is_alone(second) && second >= self.cache.told + self.cache.keeps {
            let which = self.dice.below(self.replicas.len() as u64);
            let asked = usize::try_from(which)
                .ok()
                .and_then(|which| self.replicas.get(which));
            if let Some(knows) = asked.and_then(|replica| replica.knows) {
                (self.cache.knows, self.cache.told) = (knows, second);
            }
        }
    }

    fn cache_is_alone(&self, second: u64) -> bool {
        self.is(|fault| matches!(fault, Fault::CacheAlone(when) if when.contains(&second)))
    }

    fn ask(&mut self, second: u64, now: Moment) {
        let begin = now - Span::from_secs(second);
        for number in 0..self.replicas.len() {
            let replica = self.replicas[number].clone();
            let said = match replica.knows {
                Some(knows) => answers(begin, [knows, knows], replica.late, TTL),
                None => cold(),
            };
            self.hear(&name(number), said, now);
        }
        if self.cache.serve_stale.is_some()
            && self.cache_is_alone(second)
            && second >= self.cache_ends()
        {
            self.hear("kube-dns", cold(), now);
            return;
        }
        let beat = self.cache.knows;
        let left = (self.cache.told + self.cache.keeps).saturating_sub(second);
        let behind = self
            .replicas
            .iter()
            .filter_map(|replica| replica.knows)
            .max();
        let said = answers(begin, [beat, behind.unwrap_or(beat)], 0, left);
        self.hear("kube-dns", said, now);
    }

    /// What arrives of it: a packet that is lost is sent again twice.
    fn hear(&mut self, name: &str, said: Answers, now: Moment) {
        let rate = self.faults.iter().find_map(|fault| match fault {
            Fault::Loss(one_of) => Some(*one_of),
            _ => None,
        });
        let is_lost = rate.is_some_and(|one_of| {
            (0..3).all(|_| self.dice.below(one_of) == 0 || self.dice.below(one_of) == 0)
        });
        let said = if is_lost { silence() } else { said };
        self.layers.looked(name, &said, now);
    }
}

fn name(number: usize) -> String {
    format!("coredns-{number}")
}

/// So many replicas, and the Service before them, whose cache serves what has ended for so many seconds.
fn placed(replicas: usize, serve_stale: u64) -> BTreeMap<String, Placed> {
    let place = |role| Placed {
        role,
        serve_stale: Some(Span::from_secs(serve_stale)),
    };
    let replicas = (0..replicas).map(|number| (name(number), place(Role::Replica)));
    let service = ("kube-dns".to_owned(), place(Role::Service));
    replicas.chain([service]).collect()
}

fn message(code: Code) -> Message {
    Message {
        code,
        addresses: Vec::new(),
        ttl: None,
        serial: None,
    }
}

/// Of what is shown and what was last heard of, as seconds of the play.
fn answers(begin: Moment, [shown, heard]: [u64; 2], late: u32, ttl: u64) -> Answers {
    let at = |second| begin + Span::from_secs(second);
    let serial = u32::try_from(at(heard).as_millis() / 1000).unwrap_or(0);
    Answers {
        named: Heard::Message(Message {
            addresses: Epoch::at(at(shown)).addresses(1).to_vec(),
            ttl: Some(Span::from_secs(ttl)),
            ..message(Code::NoError)
        }),
        nonce: Heard::Message(Message {
            serial: Some(serial.saturating_sub(late)),
            ..message(Code::NxDomain)
        }),
    }
}

fn cold() -> Answers {
    let failure = Heard::Message(message(Code::ServFail));
    Answers {
        named: failure.clone(),
        nonce: failure,
    }
}

fn silence() -> Answers {
    let nothing = Heard::Nothing {
        why: "timed out".to_owned(),
    };
    Answers {
        named: nothing.clone(),
        nonce: nothing,
    }
}
