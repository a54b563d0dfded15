//! A model of two electors, their clocks, and a server with optimistic concurrency, in virtual
//! time. Any schedule of steps, delays, lost answers and restarts: never two may write at once.

use proptest::prelude::*;

use super::*;

/// One candidate with a clock of its own and at most one request under way.
struct Candidate {
    elector: Elector,
    /// Its clock runs at this many millionths of true time, and started at `offset`.
    rate: u64,
    offset: u64,
    restarts: u32,
    request: Option<Request>,
    /// Claims given up by the candidate, which may reach the server all the same.
    late: Vec<Claim>,
}

struct Request {
    claim: Option<Claim>,
    sent: Moment,
    answer: Option<Answer>,
}

enum Answer {
    Read(LeaseSpec, Option<String>),
    Won(Claim, String),
    Refused,
}

#[derive(Default)]
struct Server {
    spec: LeaseSpec,
    version: Option<u64>,
}

impl Server {
    fn version(&self) -> Option<String> {
        self.version.map(|version| version.to_string())
    }

    fn apply(&mut self, claim: Claim) -> Answer {
        if claim.over != self.version() {
            return Answer::Refused;
        }
        self.spec = claim.spec.clone();
        self.version = Some(self.version.unwrap_or(0) + 1);
        Answer::Won(claim, self.version().unwrap())
    }
}

impl Candidate {
    fn new(name: &str, rate: u64, offset: u64) -> Self {
        Self {
            elector: Elector::new(format!("{name}-0")),
            rate,
            offset,
            restarts: 0,
            request: None,
            late: Vec::new(),
        }
    }

    fn now(&self, time: u64) -> Moment {
        Moment::from_millis(self.offset + time * self.rate / 1_000_000)
    }

    fn may_write(&self, time: u64) -> bool {
        self.elector
            .may_write_until()
            .is_some_and(|until| self.now(time) < until)
    }

    fn send(&mut self, time: u64) {
        let now = self.now(time);
        let claim = if self.elector.current {
            let Ok(claim) = self.elector.claim(now) else {
                self.elector.doubt();
                return;
            };
            Some(claim)
        } else {
            None
        };
        self.request = Some(Request {
            claim,
            sent: now,
            answer: None,
        });
    }

    fn arrive(&mut self, server: &mut Server) {
        let Some(request) = self
            .request
            .as_mut()
            .filter(|request| request.answer.is_none())
        else {
            if let Some(claim) = self.late.pop() {
                server.apply(claim);
            }
            return;
        };
        request.answer = Some(match request.claim.take() {
            Some(claim) => server.apply(claim),
            None => Answer::Read(server.spec.clone(), server.version()),
        });
    }

    fn hear(&mut self, time: u64) {
        let now = self.now(time);
        let Some(Request { sent, answer, .. }) = self.request.take() else {
            return;
        };
        match answer {
            Some(Answer::Read(spec, version)) => self.elector.saw(spec, version, now),
            Some(Answer::Won(claim, version)) if claim.spec.holder_identity.is_some() => {
                self.elector.won(claim, Some(version), sent);
            }
            Some(Answer::Won(..) | Answer::Refused) | None => self.elector.doubt(),
        }
    }

    fn lose_answer(&mut self) {
        let request = self.request.take();
        self.late.extend(request.and_then(|request| request.claim));
        self.elector.doubt();
    }

    fn restart(&mut self, name: &str) {
        self.restarts += 1;
        self.lose_answer();
        self.elector = Elector::new(format!("{name}-{}", self.restarts));
    }

    fn hand_back(&mut self, time: u64) {
        let now = self.now(time);
        if let Some(claim) = self.elector.hand_back(now) {
            self.lose_answer();
            self.request = Some(Request {
                claim: Some(claim),
                sent: now,
                answer: None,
            });
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Send(usize),
    Arrive(usize),
    Hear(usize),
    LoseAnswer(usize),
    Restart(usize),
    HandBack(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u64..15_000).prop_map(Step::Pass),
        6 => (0_usize..2).prop_map(Step::Send),
        6 => (0_usize..2).prop_map(Step::Arrive),
        6 => (0_usize..2).prop_map(Step::Hear),
        2 => (0_usize..2).prop_map(Step::LoseAnswer),
        1 => (0_usize..2).prop_map(Step::Restart),
        1 => (0_usize..2).prop_map(Step::HandBack),
    ]
}

/// Runs a schedule; returns how often anyone could write, or the time at which both could.
fn run(rates: [u64; 2], offset: u64, schedule: &[Step]) -> Result<usize, u64> {
    let mut server = Server::default();
    let mut both = [
        Candidate::new("a", rates[0], 0),
        Candidate::new("b", rates[1], offset),
    ];
    let mut time = 0;
    let mut led = 0;
    for step in schedule {
        match *step {
            Step::Pass(millis) => time += millis,
            Step::Send(who) if both[who].request.is_none() => both[who].send(time),
            Step::Send(_) => {}
            Step::Arrive(who) => both[who].arrive(&mut server),
            Step::Hear(who) => both[who].hear(time),
            Step::LoseAnswer(who) => both[who].lose_answer(),
            Step::Restart(who) => both[who].restart(["a", "b"][who]),
            Step::HandBack(who) => both[who].hand_back(time),
        }
        match both.iter().filter(|one| one.may_write(time)).count() {
            0 => {}
            1 => led += 1,
            _ => return Err(time),
        }
    }
    Ok(led)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn two_never_write_at_once(
        rates in [870_000_u64..1_130_000, 870_000_u64..1_130_000],
        offset in 0_u64..600_000,
        schedule in prop::collection::vec(step(), 1..120),
    ) {
        prop_assert!(run(rates, offset, &schedule).is_ok());
    }
}

/// Both ask, are answered, and time passes, as the task does it.
fn rounds(count: usize, millis: u64) -> Vec<Step> {
    let ask = |who| [Step::Send(who), Step::Arrive(who), Step::Hear(who)];
    let round = [ask(0), ask(1), ask(0), ask(1)].concat();
    (0..count)
        .flat_map(|_| [round.clone(), vec![Step::Pass(millis)]].concat())
        .collect()
}

#[test]
fn the_model_lets_someone_lead() {
    let led = run([1_000_000, 1_000_000], 7, &rounds(100, 10_000)).unwrap();
    assert!(led > 1_000, "only {led} steps had a leader");
}

#[test]
fn clocks_further_apart_than_promised_do_break_it() {
    // The negative control: one runs at half the other's rate. It renews, goes quiet, and the other
    // takes over while the slow one still believes that it leads.
    let mut schedule = rounds(2, 0);
    schedule.extend([
        Step::Pass(41_000),
        Step::Send(1),
        Step::Arrive(1),
        Step::Hear(1),
    ]);
    schedule.extend([Step::Send(1), Step::Arrive(1), Step::Hear(1)]);
    assert!(run([500_000, 1_000_000], 0, &schedule).is_err());
    assert!(run([1_000_000, 1_000_000], 0, &schedule).is_ok());
}

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn leading(identity: &str, sent: Moment) -> Elector {
    let mut elector = Elector::new(identity.to_owned());
    elector.saw(LeaseSpec::default(), None, sent);
    let claim = elector.claim(sent).unwrap();
    elector.won(claim, Some("1".to_owned()), sent);
    elector
}

#[test]
fn a_free_lease_is_created_and_led_from_when_it_was_asked_for() {
    let leader = leading("a", at(100));
    assert_eq!(leader.holder(), Some("a"));
    assert_eq!(leader.may_write_until(), Some(at(130)));
    let renewal = leader.claim(at(110)).unwrap();
    assert_eq!(renewal.over.as_deref(), Some("1"));
    assert_eq!(renewal.spec.lease_transitions, Some(1));
    assert_eq!(renewal.spec.acquire_time, Some(micro_time(at(100))));
}

#[test]
fn anothers_lease_is_taken_only_after_it_was_seen_unchanged_for_its_duration() {
    let theirs = leading("a", at(0)).claim(at(0)).unwrap().spec;
    let mut elector = Elector::new("b".to_owned());
    elector.saw(theirs.clone(), Some("1".to_owned()), at(1_000));
    assert_eq!(elector.claim(at(1_000)), Err(at(1_040)));
    elector.saw(theirs.clone(), Some("1".to_owned()), at(1_039));
    assert_eq!(elector.claim(at(1_039)), Err(at(1_040)));
    assert!(elector.claim(at(1_040)).is_ok());

    let renewed = LeaseSpec {
        renew_time: Some(micro_time(at(5))),
        ..theirs
    };
    elector.saw(renewed, Some("2".to_owned()), at(1_040));
    assert_eq!(elector.claim(at(1_041)), Err(at(1_080)));
}

#[test]
fn a_lease_that_someone_else_took_ends_our_writes_at_once() {
    let mut elector = leading("a", at(0));
    let theirs = LeaseSpec {
        holder_identity: Some("b".to_owned()),
        ..LeaseSpec::default()
    };
    elector.saw(theirs, Some("9".to_owned()), at(1));
    assert_eq!(elector.may_write_until(), None);
}

#[test]
fn what_is_handed_back_is_free_at_once() {
    let mut leader = leading("a", at(0));
    let freed = leader.hand_back(at(5)).unwrap();
    assert_eq!(leader.may_write_until(), None);
    let mut other = Elector::new("b".to_owned());
    other.saw(freed.spec, Some("2".to_owned()), at(6));
    assert_eq!(other.claim(at(6)).unwrap().spec.lease_transitions, Some(2));
}

#[test]
fn after_a_failure_the_lease_is_read_before_it_is_claimed() {
    let mut elector = leading("a", at(0));
    elector.doubt();
    assert!(!elector.can_renew_unread());
    assert_eq!(elector.claim(at(10)), Err(at(10)));
    assert_eq!(elector.hand_back(at(10)), None);
}
