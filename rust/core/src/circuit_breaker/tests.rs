use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings { failures: 2, wait: 100, trials: 2 };

fn permit(breaker: &CircuitBreaker, now: Nanos) -> Permit {
    match breaker.admit(now) {
        Admission::Admitted(permit) => permit,
        Admission::Refused(wait) => panic!("refused for {wait:?}"),
    }
}

fn fail(breaker: &CircuitBreaker, now: Nanos) {
    breaker.record(permit(breaker, now), Verdict::Failure, now);
}

#[test]
fn opens_after_failures_in_a_row_and_says_for_how_long() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    breaker.record(permit(&breaker, 2), Verdict::Success, 2);
    fail(&breaker, 3);
    assert_eq!(breaker.statistics().state, State::Closed);
    fail(&breaker, 4);
    assert_eq!(breaker.statistics().state, State::Open);
    assert_eq!(breaker.admit(5), Admission::Refused(Some(99)));
}

#[test]
fn fewer_trials_than_have_succeeded_close_it() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    breaker.record(permit(&breaker, 101), Verdict::Success, 101);
    assert_eq!(breaker.statistics().state, State::HalfOpen);
    breaker.replace(Settings { trials: 1, ..SETTINGS });
    assert!(matches!(breaker.admit(102), Admission::Admitted(_)));
    assert_eq!(breaker.statistics().state, State::Closed);
}

#[test]
fn trials_decide_and_a_given_back_trial_is_free_again() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    let (first, second) = (permit(&breaker, 101), permit(&breaker, 101));
    assert_eq!(breaker.admit(101), Admission::Refused(None));
    breaker.record(first, Verdict::Nothing, 101);
    let third = permit(&breaker, 101);
    breaker.record(second, Verdict::Success, 102);
    assert_eq!(breaker.statistics().state, State::HalfOpen);
    breaker.record(third, Verdict::Success, 102);
    assert_eq!(breaker.statistics().state, State::Closed);
}

#[test]
fn a_failed_trial_opens_it_again_and_the_others_no_longer_count() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    let (first, second) = (permit(&breaker, 101), permit(&breaker, 101));
    breaker.record(first, Verdict::Failure, 110);
    breaker.record(second, Verdict::Success, 111);
    assert_eq!(breaker.admit(111), Admission::Refused(Some(99)));
    assert_eq!(breaker.statistics().opened, 2);
}

#[test]
fn late_results_of_an_earlier_time_are_not_counted() {
    let breaker = CircuitBreaker::new(SETTINGS);
    let late = permit(&breaker, 1);
    fail(&breaker, 1);
    fail(&breaker, 1);
    breaker.set(State::Closed, 2);
    breaker.record(late, Verdict::Failure, 3);
    assert_eq!(breaker.statistics().failures, 0);
}

#[test]
fn forced_and_disabled_and_metrics_only_stay_as_they_were_put() {
    let breaker = CircuitBreaker::new(SETTINGS);
    breaker.set(State::ForcedOpen, 1);
    assert_eq!(breaker.admit(1_000_000), Admission::Refused(None));
    breaker.set(State::Disabled, 1);
    (0..5).for_each(|_| fail(&breaker, 1));
    assert_eq!((breaker.statistics().state, breaker.statistics().failures), (State::Disabled, 0));
    breaker.set(State::MetricsOnly, 1);
    (0..5).for_each(|_| fail(&breaker, 1));
    assert_eq!((breaker.statistics().state, breaker.statistics().failures), (State::MetricsOnly, 5));
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(State, State)>>);

impl Listen for Heard {
    fn changed(&self, change: Change) {
        self.0.lock().push((change.before, change.after));
    }
}

#[test]
fn a_listener_hears_of_each_change_once() {
    let breaker = CircuitBreaker::new(SETTINGS);
    let heard = Arc::new(Heard::default());
    breaker.listen(Some(Arc::clone(&heard) as Listener));
    fail(&breaker, 1);
    fail(&breaker, 1);
    let (first, second) = (permit(&breaker, 101), permit(&breaker, 101));
    breaker.record(first, Verdict::Success, 102);
    breaker.record(second, Verdict::Success, 102);
    breaker.set(State::Closed, 103);
    assert_eq!(
        *heard.0.lock(),
        [(State::Closed, State::Open), (State::Open, State::HalfOpen), (State::HalfOpen, State::Closed)]
    );
}

/// The breaker as one would write it without a thought to speed.
struct Naive {
    open_at: Option<Nanos>,
    half_open: bool,
    failures: u32,
    successes: u32,
    trials: u32,
    epoch: u32,
}

impl Naive {
    fn admit(&mut self, now: Nanos) -> Option<u32> {
        if let Some(at) = self.open_at {
            if now < at + SETTINGS.wait {
                return None;
            }
            *self =
                Self { open_at: None, half_open: true, failures: 0, successes: 0, trials: 0, epoch: self.epoch + 1 };
        }
        if self.half_open {
            if self.trials + self.successes >= SETTINGS.trials {
                return None;
            }
            self.trials += 1;
        }
        Some(self.epoch)
    }

    fn record(&mut self, epoch: u32, verdict: Verdict, now: Nanos) {
        if epoch != self.epoch {
            return;
        }
        if self.half_open {
            self.trials -= 1;
        }
        let opens = match verdict {
            Verdict::Failure => {
                self.failures += 1;
                self.half_open || self.failures == SETTINGS.failures
            }
            Verdict::Success => {
                self.failures = 0;
                self.successes += 1;
                if self.half_open && self.successes == SETTINGS.trials {
                    self.half_open = false;
                    self.epoch += 1;
                }
                false
            }
            Verdict::Nothing => false,
        };
        if opens {
            *self = Self {
                open_at: Some(now),
                half_open: false,
                failures: 0,
                successes: 0,
                trials: 0,
                epoch: self.epoch + 1,
            };
        }
    }
}

proptest! {
    #[test]
    fn behaves_like_the_naive_breaker(steps in prop::collection::vec((0_u8..4, 0_u64..60, 0_usize..8), 1..200)) {
        let breaker = CircuitBreaker::new(SETTINGS);
        let mut naive =
            Naive { open_at: None, half_open: false, failures: 0, successes: 0, trials: 0, epoch: 0 };
        let mut now = 1;
        let mut running: Vec<(Permit, u32)> = Vec::new();
        for (step, pause, which) in steps {
            now += pause;
            if step == 0 || running.is_empty() {
                let (ours, theirs) = (breaker.admit(now), naive.admit(now));
                match (ours, theirs) {
                    (Admission::Admitted(permit), Some(epoch)) => running.push((permit, epoch)),
                    (Admission::Refused(_), None) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            } else {
                let (permit, epoch) = running.swap_remove(which % running.len());
                let verdict = [Verdict::Success, Verdict::Failure, Verdict::Nothing][usize::from(step) - 1];
                breaker.record(permit, verdict, now);
                naive.record(epoch, verdict, now);
            }
        }
    }
}
