use proptest::prelude::*;

use super::*;

const SECOND: Nanos = crate::clock::NANOS_PER_SECOND;

const SETTINGS: Settings = Settings {
    failures: 2,
    rates: None,
    slow_call: None,
    open_for: 100,
    growth: 1.0,
    max_open_for: 1_000,
    half_open_calls: 2,
    successes: 2,
    max_half_open: 10_000,
};

const RATES: Rates = Rates { span: Span::Calls(10), min_calls: 4, failure_rate: Some(0.5), slow_rate: None };

fn permit(breaker: &CircuitBreaker, now: Nanos) -> Permit {
    match breaker.admit(now) {
        Admission::Admitted(permit) => permit,
        Admission::Refused(wait) => panic!("refused for {wait:?}"),
    }
}

fn end(breaker: &CircuitBreaker, permit: Permit, verdict: Verdict, now: Nanos) {
    let words = (verdict == Verdict::Failure).then_some("OSError: gone");
    breaker.record(permit, verdict, Report { words, ..Report::default() }, now);
}

fn succeed(breaker: &CircuitBreaker, now: Nanos) {
    end(breaker, permit(breaker, now), Verdict::Success, now);
}

fn state(breaker: &CircuitBreaker) -> State {
    breaker.statistics(0).state
}

fn fail(breaker: &CircuitBreaker, now: Nanos) {
    end(breaker, permit(breaker, now), Verdict::Failure, now);
}

#[test]
fn opens_after_failures_in_a_row_and_says_for_how_long() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    end(&breaker, permit(&breaker, 2), Verdict::Success, 2);
    fail(&breaker, 3);
    assert_eq!(state(&breaker), State::Closed);
    fail(&breaker, 4);
    assert_eq!(state(&breaker), State::Open);
    assert_eq!(breaker.admit(5), Admission::Refused(Some(99)));
}

#[test]
fn fewer_trials_than_have_succeeded_close_it() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    end(&breaker, permit(&breaker, 101), Verdict::Success, 101);
    assert_eq!(state(&breaker), State::HalfOpen);
    breaker.replace(Settings { successes: 1, ..SETTINGS });
    assert!(matches!(breaker.admit(102), Admission::Admitted(_)));
    assert_eq!(state(&breaker), State::Closed);
}

#[test]
fn trials_decide_and_a_given_back_trial_is_free_again() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    let (first, second) = (permit(&breaker, 101), permit(&breaker, 101));
    assert_eq!(breaker.admit(101), Admission::Refused(None));
    end(&breaker, first, Verdict::Nothing, 101);
    let third = permit(&breaker, 101);
    end(&breaker, second, Verdict::Success, 102);
    assert_eq!(state(&breaker), State::HalfOpen);
    end(&breaker, third, Verdict::Success, 102);
    assert_eq!(state(&breaker), State::Closed);
}

#[test]
fn a_failed_trial_opens_it_again_and_the_others_no_longer_count() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    let (first, second) = (permit(&breaker, 101), permit(&breaker, 101));
    end(&breaker, first, Verdict::Failure, 110);
    end(&breaker, second, Verdict::Success, 111);
    assert_eq!(breaker.admit(111), Admission::Refused(Some(99)));
    assert_eq!(breaker.statistics(0).opened, 2);
}

#[test]
fn late_results_of_an_earlier_time_are_not_counted() {
    let breaker = CircuitBreaker::new(SETTINGS);
    let late = permit(&breaker, 1);
    fail(&breaker, 1);
    fail(&breaker, 1);
    breaker.set(State::Closed, 2);
    end(&breaker, late, Verdict::Failure, 3);
    assert_eq!(breaker.statistics(0).failures, 0);
}

#[test]
fn forced_and_disabled_and_metrics_only_stay_as_they_were_put() {
    let breaker = CircuitBreaker::new(SETTINGS);
    breaker.set(State::ForcedOpen, 1);
    assert_eq!(breaker.admit(1_000_000), Admission::Refused(None));
    breaker.set(State::Disabled, 1);
    (0..5).for_each(|_| fail(&breaker, 1));
    assert_eq!((state(&breaker), breaker.statistics(0).failures), (State::Disabled, 0));
    breaker.set(State::MetricsOnly, 1);
    (0..5).for_each(|_| fail(&breaker, 1));
    assert_eq!((state(&breaker), breaker.statistics(0).failures), (State::MetricsOnly, 5));
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(State, State, String)>>);

impl Listen for Heard {
    fn changed(&self, change: &Change) {
        self.0.lock().push((change.before, change.after, change.cause.text()));
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
    end(&breaker, first, Verdict::Success, 102);
    end(&breaker, second, Verdict::Success, 102);
    breaker.set(State::Closed, 103);
    assert_eq!(
        *heard.0.lock(),
        [
            (State::Closed, State::Open, "2 failures in a row".to_owned()),
            (State::Open, State::HalfOpen, "open for 0.0000001 s".to_owned()),
            (State::HalfOpen, State::Closed, "2 half-open calls succeeded".to_owned()),
        ]
    );
}

#[test]
fn threads_that_change_it_are_heard_in_the_order_in_which_they_did() {
    let breaker = CircuitBreaker::new(SETTINGS);
    let heard = Arc::new(Heard::default());
    breaker.listen(Some(Arc::clone(&heard) as Listener));
    let states = [State::Open, State::ForcedOpen, State::Disabled, State::MetricsOnly];
    std::thread::scope(|scope| {
        for state in states {
            let breaker = &breaker;
            scope.spawn(move || (0..500).for_each(|_| breaker.set(state, 1)));
        }
    });
    let heard = heard.0.lock();
    assert_eq!(heard.first().map(|(before, ..)| *before), Some(State::Closed));
    assert!(heard.windows(2).all(|pair| pair[0].1 == pair[1].0));
    assert_eq!(heard.last().map(|(_, after, _)| *after), Some(state(&breaker)));
}

/// Closes a breaker as soon as it hears that it has opened.
#[derive(Debug)]
struct Closer(std::sync::Weak<CircuitBreaker>, Heard);

impl Listen for Closer {
    fn changed(&self, change: &Change) {
        if let Some(breaker) = self.0.upgrade()
            && change.after == State::Open
        {
            breaker.set(State::Closed, change.at);
        }
        self.1.changed(change);
    }
}

#[test]
fn who_is_told_may_change_it_and_hears_of_that_next() {
    let breaker = Arc::new(CircuitBreaker::new(SETTINGS));
    let closer = Arc::new(Closer(Arc::downgrade(&breaker), Heard::default()));
    breaker.listen(Some(Arc::clone(&closer) as Listener));
    fail(&breaker, 1);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), State::Closed);
    let heard: Vec<_> = closer.1.0.lock().iter().map(|(before, after, _)| (*before, *after)).collect();
    assert_eq!(heard, [(State::Closed, State::Open), (State::Open, State::Closed)]);
}

#[test]
fn a_failure_rate_over_the_last_calls_opens_it_once_there_are_enough_of_them() {
    let breaker = CircuitBreaker::new(Settings { failures: 0, rates: Some(RATES), ..SETTINGS });
    fail(&breaker, 1);
    fail(&breaker, 1);
    succeed(&breaker, 1);
    assert_eq!(state(&breaker), State::Closed);
    succeed(&breaker, 1);
    let seen = breaker.statistics(1);
    assert_eq!((seen.state, seen.opened_by), (State::Open, Some(Cause::FailureRate(2, 4))));
    assert_eq!(seen.window, Some(Tally { calls: 4, failed: 2, slow: 0 }), "still to be seen while it is open");
    breaker.set(State::Closed, 2);
    assert_eq!(breaker.statistics(2).window, Some(Tally::default()));
}

#[test]
fn successes_that_just_passed_are_in_the_window() {
    let breaker = CircuitBreaker::new(Settings { failures: 0, rates: Some(RATES), ..SETTINGS });
    (0..7).for_each(|_| succeed(&breaker, 1));
    assert_eq!(breaker.statistics(1).window, Some(Tally { calls: 7, failed: 0, slow: 0 }));
    (0..4).for_each(|_| fail(&breaker, 1));
    assert_eq!(breaker.statistics(1).window, Some(Tally { calls: 10, failed: 4, slow: 0 }));
    assert_eq!(state(&breaker), State::Closed);
    fail(&breaker, 1);
    assert_eq!(state(&breaker), State::Open);
}

#[test]
fn old_successes_that_leave_a_time_window_let_a_later_one_open_it() {
    let rates = Rates { span: Span::Time(20 * SECOND), min_calls: 2, ..RATES };
    let breaker = CircuitBreaker::new(Settings { failures: 0, rates: Some(rates), ..SETTINGS });
    (0..4).for_each(|_| succeed(&breaker, SECOND));
    (0..2).for_each(|_| fail(&breaker, 15 * SECOND));
    assert_eq!(state(&breaker), State::Closed, "two of six");
    succeed(&breaker, 21 * SECOND);
    assert_eq!(breaker.statistics(21 * SECOND).opened_by, Some(Cause::FailureRate(2, 3)));
}

#[test]
fn slow_calls_open_it_though_they_succeed_and_a_slow_trial_fails() {
    let rates = Rates { failure_rate: None, slow_rate: Some(0.5), min_calls: 2, ..RATES };
    let settings = Settings { failures: 0, rates: Some(rates), slow_call: Some(10), ..SETTINGS };
    let breaker = CircuitBreaker::new(settings);
    let took = |took, now| {
        breaker.record(permit(&breaker, now), Verdict::Success, Report { took, ..Report::default() }, now);
    };
    took(10, 1);
    took(11, 1);
    assert_eq!(breaker.statistics(1).opened_by, Some(Cause::SlowRate(1, 2, 10)));
    took(11, 101);
    assert_eq!(breaker.statistics(1).opened_by, Some(Cause::HalfOpenSlow(11)));
    took(1, 201);
    took(1, 201);
    assert_eq!(state(&breaker), State::Closed);
}

#[test]
fn more_successes_than_trials_at_once_can_be_asked_for() {
    let breaker = CircuitBreaker::new(Settings { half_open_calls: 1, successes: 3, ..SETTINGS });
    fail(&breaker, 1);
    fail(&breaker, 1);
    for done in 0..3 {
        assert_eq!(state(&breaker), if done == 0 { State::Open } else { State::HalfOpen });
        let trial = permit(&breaker, 101);
        assert_eq!(breaker.admit(101), Admission::Refused(None));
        end(&breaker, trial, Verdict::Success, 101);
    }
    assert_eq!(state(&breaker), State::Closed);
}

#[test]
fn a_hung_trial_opens_it_again_and_one_that_nobody_has_asked_for_does_not() {
    let breaker = CircuitBreaker::new(Settings { half_open_calls: 1, max_half_open: 50, ..SETTINGS });
    fail(&breaker, 1);
    fail(&breaker, 1);
    let hung = permit(&breaker, 101);
    assert_eq!(breaker.admit(150), Admission::Refused(None));
    assert_eq!(breaker.admit(151), Admission::Refused(Some(100)));
    assert_eq!(breaker.statistics(151).opened_by, Some(Cause::HalfOpenSilent(50)));
    end(&breaker, hung, Verdict::Failure, 152);
    assert_eq!(state(&breaker), State::Open);
    // Nobody calls for so long that it would have been open and half open again meanwhile.
    let hung = permit(&breaker, 251);
    let next = permit(&breaker, 900);
    assert_eq!(state(&breaker), State::HalfOpen);
    end(&breaker, hung, Verdict::Failure, 901);
    end(&breaker, next, Verdict::Success, 902);
    // One success so far, and half open without a trial for however long.
    succeed(&breaker, 9_000);
    assert_eq!(state(&breaker), State::Closed);
}

#[test]
fn a_trial_that_was_given_up_and_succeeds_at_last_counts() {
    let breaker = CircuitBreaker::new(Settings { half_open_calls: 1, max_half_open: 50, ..SETTINGS });
    fail(&breaker, 1);
    fail(&breaker, 1);
    let first = permit(&breaker, 101);
    assert_eq!(breaker.admit(151), Admission::Refused(Some(100)));
    let second = permit(&breaker, 251);
    assert_eq!(breaker.admit(301), Admission::Refused(Some(100)));
    end(&breaker, first, Verdict::Success, 302);
    assert_eq!(state(&breaker), State::HalfOpen);
    end(&breaker, second, Verdict::Success, 303);
    assert_eq!(state(&breaker), State::Closed);
    // Not once it was opened for another reason.
    fail(&breaker, 2_000);
    fail(&breaker, 2_000);
    let late = permit(&breaker, 2_100);
    assert_eq!(breaker.admit(2_150), Admission::Refused(Some(100)));
    fail(&breaker, 2_250);
    end(&breaker, late, Verdict::Success, 2_251);
    assert_eq!(state(&breaker), State::Open);
}

#[test]
fn the_wait_grows_up_to_its_cap_until_it_has_been_well_for_as_long() {
    let settings = Settings { failures: 1, successes: 1, growth: 2.0, max_open_for: 350, ..SETTINGS };
    let breaker = CircuitBreaker::new(settings);
    let mut now = 1;
    for wait in [100, 200, 350, 350] {
        fail(&breaker, now);
        assert_eq!(breaker.admit(now), Admission::Refused(Some(wait)));
        now += wait;
    }
    succeed(&breaker, now);
    fail(&breaker, now + 349);
    assert_eq!(breaker.admit(now + 349), Admission::Refused(Some(350)), "it was not well for long enough");
    now += 349 + 350;
    succeed(&breaker, now);
    fail(&breaker, now + 350);
    assert_eq!(breaker.admit(now + 350), Admission::Refused(Some(100)));
}

#[test]
fn what_a_failure_asks_for_is_waited_for_up_to_the_cap() {
    let breaker = CircuitBreaker::new(Settings { failures: 1, ..SETTINGS });
    let ask = |retry_after, now| {
        let report = Report { retry_after: Some(retry_after), ..Report::default() };
        breaker.record(permit(&breaker, now), Verdict::Failure, report, now);
        breaker.admit(now)
    };
    assert_eq!(ask(500, 1), Admission::Refused(Some(500)));
    assert_eq!(ask(5, 501), Admission::Refused(Some(100)));
    assert_eq!(ask(Nanos::MAX, 601), Admission::Refused(Some(1_000)));
}

#[test]
fn says_why_it_refuses_with_the_last_failure() {
    let breaker = CircuitBreaker::new(SETTINGS);
    fail(&breaker, 1);
    fail(&breaker, 1);
    assert_eq!(&*breaker.explain(), "the circuit is open: 2 failures in a row; last failure: OSError: gone");
    permit(&breaker, 101);
    assert_eq!(
        &*breaker.explain(),
        "the circuit is half open and its calls are under way; it opened after 2 failures in a row; last failure: \
         OSError: gone"
    );
    breaker.set(State::ForcedOpen, 102);
    assert_eq!(&*breaker.explain(), "the circuit is open: forced by hand");
    assert_eq!((breaker.statistics(102).refused, breaker.statistics(102).last_failure.is_some()), (0, true));
    breaker.reset(103);
    let seen = breaker.statistics(103);
    assert_eq!((seen.state, seen.opened, seen.opened_by, seen.last_failure), (State::Closed, 1, None, None));
}

#[test]
fn a_window_of_the_same_span_is_kept_and_another_one_begins_anew() {
    let settings = Settings { failures: 0, rates: Some(RATES), ..SETTINGS };
    let breaker = CircuitBreaker::new(settings);
    (0..3).for_each(|_| succeed(&breaker, 1));
    let late = permit(&breaker, 1);
    breaker.replace(Settings { rates: Some(Rates { min_calls: 1, ..RATES }), ..settings });
    assert_eq!(breaker.statistics(1).window, Some(Tally { calls: 3, failed: 0, slow: 0 }));
    breaker.replace(Settings { rates: Some(Rates { span: Span::Time(SECOND), ..RATES }), ..settings });
    end(&breaker, late, Verdict::Failure, 2);
    assert_eq!(breaker.statistics(2).window, Some(Tally::default()));
    breaker.replace(SETTINGS);
    assert_eq!(breaker.statistics(2).window, None);
}

#[test]
fn clocks_that_jump_lose_nothing_but_what_is_too_old() {
    let rates = Rates { span: Span::Time(20 * SECOND), min_calls: 3, ..RATES };
    let breaker = CircuitBreaker::new(Settings { failures: 0, rates: Some(rates), ..SETTINGS });
    fail(&breaker, 1_000 * SECOND);
    fail(&breaker, SECOND);
    assert_eq!(breaker.statistics(SECOND).window, Some(Tally { calls: 2, failed: 2, slow: 0 }));
    fail(&breaker, Nanos::MAX);
    let seen = breaker.statistics(Nanos::MAX);
    assert_eq!((seen.state, seen.window.map(|tally| tally.failed)), (State::Closed, Some(1)));
}

#[test]
fn threads_lose_no_count() {
    const THREADS: u32 = 4;
    const CALLS: u32 = 5_000;
    let rates = Rates { span: Span::Calls(THREADS * CALLS), min_calls: u32::MAX, ..RATES };
    let breaker = CircuitBreaker::new(Settings { failures: 0, rates: Some(rates), ..SETTINGS });
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| (0..CALLS).for_each(|n| if n % 10 == 0 { fail(&breaker, 1) } else { succeed(&breaker, 1) }));
        }
    });
    let expected = Tally { calls: THREADS * CALLS, failed: THREADS * CALLS / 10, slow: 0 };
    assert_eq!(breaker.statistics(1).window, Some(expected));
}

/// The breaker as one would write it without a thought to speed or memory.
struct Naive {
    settings: Settings,
    state: State,
    epoch: u32,
    results: Vec<(Nanos, bool, bool)>,
    failures: u32,
    open_until: Nanos,
    open_for: Nanos,
    streak: i32,
    closed_at: Option<Nanos>,
    successes: u32,
    trials: u32,
    heard_at: Nanos,
    /// Periods of trials that nothing was heard of, since something was.
    silent: Vec<u32>,
}

impl Naive {
    fn new(settings: Settings) -> Self {
        Self {
            settings,
            state: State::Closed,
            epoch: 0,
            results: Vec::new(),
            failures: 0,
            open_until: 0,
            open_for: 0,
            streak: 0,
            closed_at: None,
            successes: 0,
            trials: 0,
            heard_at: 0,
            silent: Vec::new(),
        }
    }

    fn enter(&mut self, state: State) {
        (self.state, self.epoch, self.successes, self.trials) = (state, self.epoch + 1, 0, 0);
        if state == State::Closed {
            self.failures = 0;
            self.results.clear();
        }
    }

    fn open(&mut self, now: Nanos) {
        let well = self.state == State::Closed && self.closed_at.is_none_or(|at| now >= at + self.open_for);
        self.streak = if well { 0 } else { self.streak + 1 };
        let grown = 100.0 * self.settings.growth.powi(self.streak);
        self.open_for = (grown.min(1e9) as Nanos).min(self.settings.max_open_for);
        self.open_until = now + self.open_for;
        self.enter(State::Open);
    }

    fn admit(&mut self, now: Nanos) -> Option<u32> {
        loop {
            match self.state {
                State::Open if now >= self.open_until => self.enter(State::HalfOpen),
                State::HalfOpen if self.trials > 0 && now >= self.heard_at + self.settings.max_half_open => {
                    self.silent.push(self.epoch);
                    self.open(self.heard_at + self.settings.max_half_open);
                }
                State::HalfOpen if self.trials < self.settings.half_open_calls => {
                    if self.trials == 0 {
                        self.heard_at = now;
                    }
                    self.trials += 1;
                    return Some(self.epoch);
                }
                State::Closed => return Some(self.epoch),
                _ => return None,
            }
        }
    }

    fn half_open_call_succeeded(&mut self, now: Nanos) {
        self.failures = 0;
        self.successes += 1;
        if self.successes >= self.settings.successes {
            self.silent.clear();
            self.closed_at = Some(now);
            self.enter(State::Closed);
        }
    }

    fn record(&mut self, epoch: u32, verdict: Verdict, took: Nanos, now: Nanos) {
        let (failed, slow) = (verdict == Verdict::Failure, self.settings.slow_call.is_some_and(|limit| took > limit));
        if epoch != self.epoch {
            if self.silent.contains(&epoch) && verdict == Verdict::Success && !slow {
                if self.state == State::Open {
                    self.enter(State::HalfOpen);
                }
                self.half_open_call_succeeded(now);
            }
            return;
        }
        if self.state == State::HalfOpen {
            self.trials -= 1;
            self.heard_at = now;
            self.failures += u32::from(failed);
            if failed || slow && verdict == Verdict::Success {
                self.silent.clear();
                self.open(now);
            } else if verdict == Verdict::Success {
                self.half_open_call_succeeded(now);
            }
        } else if verdict != Verdict::Nothing {
            self.failures = if failed { self.failures + 1 } else { 0 };
            self.results.push((now, failed, slow));
            let counted: Vec<_> = match self.settings.rates.map(|rates| rates.span) {
                None => Vec::new(),
                Some(Span::Calls(size)) => self.results.iter().rev().take(size as usize).collect(),
                Some(Span::Time(time)) => {
                    let width = time.div_ceil(BUCKETS);
                    self.results.iter().filter(|(at, ..)| at / width + BUCKETS > now / width).collect()
                }
            };
            let part = |chosen: usize| chosen as f64 / counted.len() as f64;
            let reached = self.settings.rates.is_some_and(|rates| {
                let failed = part(counted.iter().filter(|(_, failed, _)| *failed).count());
                let slow = part(counted.iter().filter(|(.., slow)| *slow).count());
                counted.len() >= rates.min_calls as usize
                    && (rates.failure_rate.is_some_and(|limit| failed >= limit)
                        || rates.slow_rate.is_some_and(|limit| slow >= limit))
            });
            if reached || self.settings.failures > 0 && self.failures >= self.settings.failures {
                self.open(now);
            }
        }
    }
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let span = prop_oneof![(1_u32..12).prop_map(Span::Calls), (20_u64..400).prop_map(Span::Time)];
    let rate = || prop::option::of(prop_oneof![Just(0.1), Just(0.5), Just(1.0)]);
    let rates = (span, 1_u32..8, rate(), rate()).prop_map(|(span, min_calls, failure_rate, slow_rate)| Rates {
        span,
        min_calls,
        failure_rate,
        slow_rate,
    });
    let rest = (prop_oneof![Just(1.0), Just(2.0)], 1_u32..3, 1_u32..4, 30_u64..200);
    (0_u32..4, prop::option::of(rates), prop::option::of(0_u64..30), rest).prop_map(
        |(failures, rates, slow_call, (growth, half_open_calls, successes, max_half_open))| Settings {
            failures,
            rates,
            slow_call,
            growth,
            half_open_calls,
            successes,
            max_half_open,
            ..SETTINGS
        },
    )
}

proptest! {
    #[test]
    fn behaves_like_the_naive_breaker(
        settings in any_settings(),
        steps in prop::collection::vec((0_u8..7, 0_u64..40, 0_usize..8), 1..250),
    ) {
        let (breaker, mut naive) = (CircuitBreaker::new(settings), Naive::new(settings));
        let mut now = 1;
        let mut running: Vec<(Permit, u32, Nanos)> = Vec::new();
        for (step, pause, which) in steps {
            now += pause;
            if step < 3 || running.is_empty() {
                match (breaker.admit(now), naive.admit(now)) {
                    (Admission::Admitted(permit), Some(epoch)) => running.push((permit, epoch, now)),
                    (Admission::Refused(_), None) => {}
                    other => prop_assert!(false, "{other:?}"),
                }
            } else {
                let (permit, epoch, began) = running.swap_remove(which % running.len());
                let verdict = [Verdict::Success, Verdict::Success, Verdict::Failure, Verdict::Nothing];
                let (verdict, took) = (verdict[usize::from(step) - 3], now - began);
                breaker.record(permit, verdict, Report { took, ..Report::default() }, now);
                naive.record(epoch, verdict, took, now);
            }
            // Seldom: asking has successes that just passed told to the window.
            if which == 0 {
                let seen = breaker.statistics(now);
                prop_assert_eq!((seen.state, seen.failures), (naive.state, naive.failures));
            }
        }
    }
}
