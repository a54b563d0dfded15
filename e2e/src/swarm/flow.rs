//! One call of one agent over time: when it is made, again after what pause, and when it is given up.
//! How it is made is the caller's business, so that time alone can be tested here.

use std::time::Duration;

use fastrand::Rng;
use tokio::time::{Instant, sleep, sleep_until};

use super::schedule::Schedule;
use crate::{
    profile::call::{Call, OnTrouble, Verb},
    wire::Trouble,
};

/// What "at once" takes at least: a round trip in a data centre, which a loopback device does not
/// have. Without it a refused connection would be retried as fast as the processor can.
const ROUND_TRIP: Duration = Duration::from_millis(1);

/// Makes a call as its profile says until its agent is stopped, or until there is nothing more to do.
///
/// `ask` makes it once; it is told how often it was made before, retries not counted. For a watch it
/// returns when the watch has ended. `epoch` is the swarm's start, the same for all agents.
pub(super) async fn run(
    call: &Call,
    epoch: Instant,
    mut rng: Rng,
    mut ask: impl AsyncFnMut(u64) -> Result<(), Trouble>,
) {
    let started = epoch.elapsed();
    if call.verb == Verb::Watch {
        sleep(call.when.after).await;
        let mut opened = 0;
        while persevere(call, &mut rng, opened, &mut ask).await == Outcome::Done {
            opened += 1;
        }
        return;
    }
    let Some(every) = call.when.every else {
        sleep(call.when.after).await;
        persevere(call, &mut rng, 0, &mut ask).await;
        return;
    };
    let (mut schedule, mut due) = Schedule::begin(&call.when, every, started, &mut rng);
    for made in 0.. {
        sleep_until(epoch + due).await;
        persevere(call, &mut rng, made, &mut ask).await;
        due = schedule.next(epoch.elapsed(), &mut rng);
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    GivenUp,
}

/// Asks until it is answered or given up.
async fn persevere(
    call: &Call,
    rng: &mut Rng,
    made: u64,
    ask: &mut impl AsyncFnMut(u64) -> Result<(), Trouble>,
) -> Outcome {
    let mut pause = Duration::ZERO;
    loop {
        let Err(trouble) = ask(made).await else {
            return Outcome::Done;
        };
        let (reaction, retry_after) = match trouble {
            Trouble::Refused { retry_after } => (call.on_429.unwrap_or(call.on_error), retry_after),
            Trouble::Broken | Trouble::TimedOut | Trouble::Status(_) | Trouble::Cut => {
                (call.on_error, None)
            }
        };
        match reaction {
            OnTrouble::GiveUp => return Outcome::GivenUp,
            OnTrouble::RetryAtOnce => sleep(ROUND_TRIP).await,
            OnTrouble::BackOff { initial, max } => {
                pause = pause.saturating_mul(2).clamp(initial, max);
                let jittered = pause.mul_f64(1.0 + 0.1 * rng.f64());
                sleep(jittered.max(retry_after.unwrap_or_default())).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use http::StatusCode;

    use super::*;
    use crate::profile::Profile;

    fn call(yaml: &str) -> Call {
        let text = format!("calls:\n  - {{verb: list, resource: v1/pods, {yaml}}}");
        Profile::parse(&text, "test")
            .expect("a good profile")
            .calls
            .remove(0)
    }

    /// The seconds at which a call was made within `span`, with these answers in turn and good ones
    /// after them, each after a tenth of a second.
    async fn times(call: &Call, span: f64, answers: Vec<Trouble>) -> Vec<f64> {
        let epoch = Instant::now();
        let made = RefCell::new(Vec::new());
        let answers = RefCell::new(answers.into_iter());
        let ask = async |_| {
            made.borrow_mut().push(epoch.elapsed().as_secs_f64());
            sleep(Duration::from_millis(100)).await;
            answers.borrow_mut().next().map_or(Ok(()), Err)
        };
        let running = run(call, epoch, Rng::with_seed(3), ask);
        let ended = tokio::time::timeout(Duration::from_secs_f64(span), running).await;
        drop(ended);
        made.into_inner()
    }

    fn near(actual: &[f64], expected: &[f64], slack: f64) {
        assert_eq!(
            actual.len(),
            expected.len(),
            "{actual:?} against {expected:?}"
        );
        for (actual, expected) in actual.iter().zip(expected) {
            assert!(
                (actual - expected).abs() <= slack,
                "{actual} against {expected}"
            );
        }
    }

    fn error() -> Trouble {
        Trouble::Status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_at_the_start_is_made_once_after_its_onset() {
        near(
            &times(&call("when: {after: 5s}"), 100.0, vec![]).await,
            &[5.0],
            0.01,
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_periodic_call_keeps_its_period_and_gives_up_each_time_anew() {
        let call = call("when: {every: 10s}, onError: give-up");
        let times = times(&call, 35.0, vec![error(), error()]).await;
        near(&times, &[0.0, 10.0, 20.0, 30.0], 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_at_once_pauses_for_no_more_than_a_round_trip() {
        let call = call("onError: retry-at-once");
        let times = times(
            &call,
            35.0,
            vec![error(), Trouble::Broken, Trouble::TimedOut],
        )
        .await;
        near(&times, &[0.0, 0.1, 0.2, 0.3], 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn a_back_off_doubles_up_to_its_limit() {
        let call = call("onError: {back-off: {initial: 1s, max: 3s}}");
        let times = times(&call, 35.0, vec![error(), error(), error(), error()]).await;
        // Pauses of 1, 2, 3 and 3 s with a tenth of jitter, and a tenth of a second for each answer.
        near(&times, &[0.0, 1.1, 3.2, 6.3, 9.4], 1.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_back_off_waits_as_long_as_the_server_asks() {
        let call = call("onError: {back-off: {initial: 1s, max: 3s}}");
        let refused = Trouble::Refused {
            retry_after: Some(Duration::from_secs(20)),
        };
        near(&times(&call, 35.0, vec![refused]).await, &[0.0, 20.1], 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_may_be_treated_unlike_an_error() {
        let call = call("onError: give-up, on429: retry-at-once");
        let refused = || Trouble::Refused {
            retry_after: Some(Duration::from_secs(20)),
        };
        let times = times(&call, 35.0, vec![refused(), refused(), error()]).await;
        near(&times, &[0.0, 0.1, 0.2], 0.01);
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_is_opened_again_whenever_it_ends_until_it_is_given_up() {
        let text = "calls: [{verb: watch, resource: v1/pods, onError: give-up}]";
        let watch = Profile::parse(text, "test")
            .expect("a good profile")
            .calls
            .remove(0);
        let epoch = Instant::now();
        let made = RefCell::new(0);
        let ask = async |_| {
            *made.borrow_mut() += 1;
            sleep(Duration::from_mins(5)).await;
            if *made.borrow() < 3 {
                Ok(())
            } else {
                Err(Trouble::Broken)
            }
        };
        run(&watch, epoch, Rng::with_seed(3), ask).await;
        assert_eq!((made.into_inner(), epoch.elapsed().as_secs()), (3, 900));
    }
}
