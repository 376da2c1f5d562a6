use proptest::prelude::*;

use super::*;
use crate::adaptive_limit::{self, AdaptiveLimit};
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::{self, CircuitBreaker, State};
use crate::clock::Nanos;
use crate::rate_limit::{AnyLimiter, Limit, Rate, TokenBucket};
use crate::retry::{self, Retry};

fn breaker(failures: u32) -> Arc<CircuitBreaker> {
    Arc::new(CircuitBreaker::new(circuit_breaker::Settings {
        failures,
        open_for: 1_000,
        ..circuit_breaker::Settings::default()
    }))
}

fn guarded_by(breaker: &Arc<CircuitBreaker>) -> Policy {
    Policy::CircuitBreaker { breaker: Arc::clone(breaker), timed: false }
}

fn retry(max_attempts: u32) -> Policy {
    let backoffs = retry::Backoffs::Growing { initial: 10, multiplier: 2.0, jitter: 0.0 };
    let settings = retry::Settings { max_attempts, backoffs, max_backoff: 100_000_000, max_time: None };
    Policy::Retry(Arc::new(Retry::new(settings, 1)))
}

fn places(bulkhead: &Arc<Bulkhead>, max_wait: Option<Nanos>) -> Policy {
    Policy::Bulkhead { bulkhead: Arc::clone(bulkhead), max_wait, priority: Priority::Same(0) }
}

fn limit(burst: u64, max_wait: Nanos) -> Policy {
    let bucket = TokenBucket::new(Limit::new(Rate::per_second(1_000.0).unwrap(), burst));
    Policy::RateLimit { limiter: AnyLimiter::TokenBucket(Arc::new(bucket)), cost: Cost::Fixed(1), max_wait }
}

fn pipeline(policies: Vec<Policy>) -> Pipeline {
    Pipeline::new(policies, OwnEndings::default(), Arc::new(Counts::default()), true, None).unwrap()
}

const FAILED: Outcome = Outcome::Failed(Failure { counts: u32::MAX, retry_after: None, within: None });

fn proceeds(decision: &Decision) -> bool {
    matches!(decision, Decision::Proceed)
}

#[test]
fn a_retry_enters_again_what_is_inside_it_and_keeps_what_is_outside() {
    let (outer, inner) = (breaker(9), breaker(9));
    let p = pipeline(vec![guarded_by(&outer), retry(3), guarded_by(&inner)]);
    let mut call = Call::new(1);
    for delay in [10, 20] {
        assert!(proceeds(&p.enter(&mut call, 1)));
        assert_eq!(p.leave(&mut call, FAILED, 1), Decision::Retry(delay));
    }
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(p.leave(&mut call, FAILED, 1), Decision::Raise);
    assert_eq!((outer.statistics(1).failures, inner.statistics(1).failures), (1, 3));
    assert_eq!((p.counts().totals().errors, p.counts().totals().retries), (1, 2));
}

#[test]
fn a_refusal_inside_is_no_failure_of_a_breaker_and_gives_its_trial_back() {
    let trial = breaker(1);
    let p = pipeline(vec![guarded_by(&trial), limit(1, 0)]);
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    p.leave(&mut call, FAILED, 1);
    assert_eq!(trial.statistics(1).state, State::Open);
    for _ in 0..2 {
        let mut call = Call::new(1_001);
        let Decision::Refuse(refusal) = p.enter(&mut call, 1_001) else { panic!() };
        assert_eq!(refusal.policy, Kind::RateLimit);
        assert_eq!(trial.statistics(1).state, State::HalfOpen);
    }
}

#[test]
fn a_refusal_is_repeated_only_when_it_says_after_how_long() {
    let p = pipeline(vec![retry(2), limit(1, 0)]);
    let mut first = Call::new(1);
    assert!(proceeds(&p.enter(&mut first, 1)));
    let mut second = Call::new(1);
    assert!(matches!(p.enter(&mut second, 1), Decision::Retry(1_000_000)));
    assert!(proceeds(&p.enter(&mut second, 1_000_001)));

    let full = pipeline(vec![retry(2), places(&Arc::new(Bulkhead::new(1, 0)), None)]);
    let mut first = Call::new(1);
    assert!(proceeds(&full.enter(&mut first, 1)));
    assert!(matches!(full.enter(&mut Call::new(1), 1), Decision::Refuse(Refusal { policy: Kind::Bulkhead, .. })));
}

#[test]
fn a_breaker_knows_how_long_a_call_took_inside_of_it_and_what_failed() {
    let rates = circuit_breaker::Rates {
        span: circuit_breaker::Span::Calls(10),
        min_calls: 2,
        failure_rate: None,
        slow_rate: Some(1.0),
    };
    let settings = circuit_breaker::Settings {
        failures: 0,
        rates: Some(rates),
        slow_call: Some(50),
        ..circuit_breaker::Settings::default()
    };
    let slow = Arc::new(CircuitBreaker::new(settings));
    let p = pipeline(vec![
        limit(1, 10_000_000),
        Policy::CircuitBreaker { breaker: Arc::clone(&slow), timed: true },
        Policy::Timeout(60),
    ]);
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(p.leave_saying(&mut call, FAILED, Some("OSError: gone"), 52), Decision::Raise);
    assert_eq!(slow.statistics(52).last_failure.as_deref(), Some("OSError: gone"));
    let mut call = Call::new(100);
    let Decision::Wait(wait) = p.enter(&mut call, 100) else { panic!() };
    assert!(proceeds(&p.enter(&mut call, 100 + wait)));
    p.leave(&mut call, Outcome::TimedOut, 100 + wait + 60);
    let seen = slow.statistics(200 + wait);
    assert_eq!(seen.opened_by, Some(circuit_breaker::Cause::SlowRate(2, 2, 50)));
    assert_eq!(seen.last_failure.as_deref(), Some("DeadlineExceeded: it did not finish within 0.00000006 s"));
    let Decision::Refuse(refusal) = p.enter(&mut Call::new(1), 2_000_000_000) else { panic!() };
    assert_eq!((refusal.policy, refusal.index), (Kind::CircuitBreaker, 1));
}

#[test]
fn what_a_fallback_gives_is_a_success_outside_and_what_it_raises_a_failure() {
    let (outer, inner) = (breaker(9), breaker(9));
    let p = pipeline(vec![
        retry(2),
        Policy::CircuitBreaker { breaker: Arc::clone(&outer), timed: false },
        Policy::Fallback,
        Policy::CircuitBreaker { breaker: Arc::clone(&inner), timed: false },
    ]);
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(p.leave(&mut call, FAILED, 1), Decision::FallBack(2, Cause::Raised));
    assert_eq!((outer.statistics(1).failures, inner.statistics(1).failures), (0, 1));
    assert_eq!(p.leave(&mut call, FAILED, 1), Decision::Retry(10), "the fallback failed");
    assert_eq!(outer.statistics(1).failures, 1);
    assert!(proceeds(&p.enter(&mut call, 11)));
    assert_eq!(p.leave(&mut call, FAILED, 11), Decision::FallBack(2, Cause::Raised));
    assert_eq!(p.leave(&mut call, Outcome::Success, 11), Decision::Return);
    let totals = p.counts().totals();
    assert_eq!((outer.statistics(1).failures, totals.successes), (0, 1));
}

#[test]
fn a_fallback_is_asked_for_refusals_and_time_limits_inside_of_it_but_not_outside() {
    let own = OwnEndings { refusals: [[u32::MAX; 2]; Kind::ALL.len()], ..OwnEndings::default() };
    let policies = vec![Policy::Timeout(100), Policy::Fallback, Policy::Timeout(50), limit(1, 0)];
    let p = Pipeline::new(policies, own, Arc::new(Counts::default()), true, None).unwrap();
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(p.leave(&mut call, Outcome::TimedOut, 51), Decision::FallBack(1, Cause::DeadlineExceeded(50)));
    assert_eq!(call.deadline(), Some(101), "the limit outside goes on");
    assert_eq!(p.leave(&mut call, Outcome::TimedOut, 101), Decision::DeadlineExceeded(100));
    let mut call = Call::new(101);
    let Decision::FallBack(1, Cause::Refused(refusal)) = p.enter(&mut call, 101) else { panic!() };
    assert_eq!(refusal.policy, Kind::RateLimit);
    p.abandon(&mut call, 101);
    assert_eq!(p.counts().totals().cancelled, 1);
}

#[test]
fn a_time_limit_is_a_failure_outside_and_a_cancellation_inside() {
    let (outer, inner) = (breaker(9), breaker(9));
    let p = pipeline(vec![guarded_by(&outer), Policy::Timeout(100), guarded_by(&inner)]);
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(call.deadline(), Some(101));
    assert_eq!(p.leave(&mut call, Outcome::TimedOut, 101), Decision::DeadlineExceeded(100));
    assert_eq!((outer.statistics(1).failures, inner.statistics(1).failures), (1, 0));
    assert_eq!(call.deadline(), None);
    assert_eq!(p.counts().totals().timeouts, 1);
}

#[test]
fn a_limit_inside_a_retry_is_for_each_attempt_and_one_outside_for_all() {
    let p = pipeline(vec![Policy::Timeout(25), retry(5), Policy::Timeout(8)]);
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(call.deadline(), Some(9));
    assert_eq!(p.leave(&mut call, Outcome::TimedOut, 9), Decision::Retry(10));
    assert_eq!(call.deadline(), Some(26));
    assert!(proceeds(&p.enter(&mut call, 19)));
    assert_eq!(call.deadline(), Some(26));
    assert_eq!(p.leave(&mut call, Outcome::TimedOut, 26), Decision::DeadlineExceeded(25));
}

#[test]
fn no_attempt_is_waited_for_beyond_the_deadline() {
    let p = pipeline(vec![Policy::Timeout(15), retry(5)]);
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    assert_eq!(p.leave(&mut call, FAILED, 3), Decision::Retry(10));
    assert!(proceeds(&p.enter(&mut call, 13)));
    assert_eq!(p.leave(&mut call, FAILED, 13), Decision::Raise);
}

#[test]
fn an_abandoned_call_gives_back_places_tokens_and_its_place_in_the_queue() {
    let bulkhead = Arc::new(Bulkhead::new(1, 1));
    let p = pipeline(vec![places(&bulkhead, None), limit(1, 10_000_000)]);
    let mut first = Call::new(1);
    assert!(proceeds(&p.enter(&mut first, 1)));
    let mut second = Call::new(1);
    let Decision::Queue(ticket, None) = p.enter(&mut second, 1) else { panic!() };
    p.abandon(&mut second, 1);
    assert_eq!(bulkhead.statistics().waiting, 0);
    assert!(!ticket.is_granted());
    p.leave(&mut first, Outcome::Success, 1);
    let mut third = Call::new(1);
    assert!(matches!(p.enter(&mut third, 1), Decision::Wait(1_000_000)));
    p.abandon(&mut third, 1);
    let mut fourth = Call::new(1);
    assert!(matches!(p.enter(&mut fourth, 1), Decision::Wait(1_000_000)), "the token came back");
    p.abandon(&mut fourth, 1);
    assert_eq!(bulkhead.statistics().running, 0);
    assert_eq!(p.counts().totals().cancelled, 3);
}

#[test]
fn an_adaptive_limit_learns_from_what_happens_inside_of_it() {
    let limit =
        Arc::new(AdaptiveLimit::new(adaptive_limit::Settings { initial: 1, max_waiting: 1, ..Default::default() }));
    let stage = Policy::AdaptiveLimit { limit: Arc::clone(&limit), max_wait: Some(50) };
    let p = pipeline(vec![Policy::Timeout(1_000), stage, Policy::Timeout(100)]);
    let drops = |expected| assert_eq!(limit.statistics().dropped, expected);
    for (outcome, at, expected) in [
        (Outcome::Success, 5, 0),
        (Outcome::Cancelled, 5, 0),
        (FAILED, 5, 1),
        (Outcome::TimedOut, 101, 2),
        (Outcome::TimedOut, 1_001, 2), // the outer limit: to what is inside of it a cancellation
    ] {
        let mut call = Call::new(1);
        assert!(proceeds(&p.enter(&mut call, 1)));
        p.leave(&mut call, outcome, at);
        drops(expected);
    }
    let mut first = Call::new(1);
    assert!(proceeds(&p.enter(&mut first, 1)));
    let mut second = Call::new(1);
    assert!(matches!(p.enter(&mut second, 1), Decision::Queue(_, Some(51))));
    let Decision::Refuse(refusal) = p.enter(&mut Call::new(1), 1) else { panic!() };
    assert_eq!((refusal.policy, refusal.reason), (Kind::AdaptiveLimit, Reason::Full));
    p.leave(&mut first, Outcome::Success, 40);
    assert!(proceeds(&p.enter_from_queue(&mut second, 40)));
    assert_eq!(second.slots[2], 40, "the latency is that inside of its place");
    p.abandon(&mut second, 50);
    assert_eq!(limit.statistics().running, 0);

    let inner = Arc::new(AdaptiveLimit::new(adaptive_limit::Settings::default()));
    let stage = Policy::AdaptiveLimit { limit: Arc::clone(&inner), max_wait: None };
    let p = pipeline(vec![stage, self::limit(1, 0)]);
    for _ in 0..2 {
        let mut call = Call::new(1);
        if proceeds(&p.enter(&mut call, 1)) {
            p.leave(&mut call, Outcome::Success, 2);
        }
    }
    assert_eq!((inner.statistics().dropped, inner.statistics().running), (1, 0));
}

#[test]
fn who_waits_too_long_in_the_queue_is_refused_and_a_place_granted_at_the_last_moment_is_taken() {
    let bulkhead = Arc::new(Bulkhead::new(1, 1));
    let p = pipeline(vec![places(&bulkhead, Some(50))]);
    let mut first = Call::new(1);
    assert!(proceeds(&p.enter(&mut first, 1)));
    let mut second = Call::new(1);
    assert!(matches!(p.enter(&mut second, 1), Decision::Queue(_, Some(51))));
    assert!(matches!(p.stop_waiting(&mut second, 51), Decision::Refuse(Refusal { reason: Reason::WaitedTooLong, .. })));
    let mut third = Call::new(1);
    assert!(matches!(p.enter(&mut third, 60), Decision::Queue(_, Some(110))));
    p.leave(&mut first, Outcome::Success, 109);
    assert!(proceeds(&p.stop_waiting(&mut third, 110)));
    p.leave(&mut third, Outcome::Success, 111);
    assert_eq!(bulkhead.statistics().running, 0);
}

#[test]
fn too_many_policies_are_refused() {
    let policies = (0..9).map(|_| Policy::Timeout(1)).collect();
    assert!(Pipeline::new(policies, OwnEndings::default(), Arc::new(Counts::default()), true, None).is_err());
}

fn any_policy() -> impl Strategy<Value = u8> {
    0_u8..8
}

#[test]
fn a_deadline_before_time_began_has_passed() {
    let retrying = pipeline(vec![retry(3)]);
    let mut call = Call::new(1);
    call.set_horizon(0);
    assert!(proceeds(&retrying.enter(&mut call, 1)));
    assert_eq!(retrying.leave(&mut call, FAILED, 1), Decision::Raise);
}

#[test]
fn as_many_policies_as_fit_share_no_room_in_a_call() {
    let breakers: Vec<_> = (0..16).map(|_| breaker(9)).collect();
    for (times, breaker) in breakers.iter().enumerate() {
        (0..times).for_each(|_| breaker.set(State::Closed, 1)); // so that no two permits are the same
    }
    let p = pipeline(breakers.iter().map(guarded_by).collect());
    let mut call = Call::new(1);
    assert!(proceeds(&p.enter(&mut call, 1)));
    p.leave(&mut call, FAILED, 1);
    assert!(breakers.iter().all(|breaker| breaker.statistics(1).failures == 1));
}

#[test]
fn a_place_is_not_waited_for_beyond_a_deadline_that_somebody_else_keeps() {
    let bulkhead = Arc::new(Bulkhead::new(1, 1));
    let p = pipeline(vec![places(&bulkhead, None)]);
    assert!(proceeds(&p.enter(&mut Call::new(1), 1)));
    let mut call = Call::new(1);
    call.set_horizon(1_000_000_000);
    let Decision::Queue(_, Some(until)) = p.enter(&mut call, 1) else { panic!("it waits") };
    assert!((1_000_000_000..1_100_000_000).contains(&until));
    assert!(matches!(
        p.stop_waiting(&mut call, until),
        Decision::Refuse(Refusal { reason: Reason::WaitedTooLong, .. })
    ));
}

proptest! {
    /// Whatever the order of policies and whatever callers do: every call is counted once, and nothing stays held.
    #[test]
    fn nothing_leaks_and_every_call_is_counted_once(
        kinds in prop::collection::vec(any_policy(), 0..7),
        steps in prop::collection::vec((0_u8..8, 0_usize..16), 1..150),
    ) {
        let (mut bulkheads, mut limits) = (Vec::new(), Vec::new());
        let policies = kinds.iter().map(|kind| match kind {
            0 => limit(2, 0),
            1 => limit(1, 5_000_000),
            2 => guarded_by(&breaker(2)),
            3 => {
                let bulkhead = Arc::new(Bulkhead::new(2, 1));
                bulkheads.push(Arc::clone(&bulkhead));
                places(&bulkhead, Some(3_000_000))
            }
            4 => retry(2),
            5 => Policy::Fallback,
            6 => {
                let settings = adaptive_limit::Settings { initial: 2, max: 3, max_waiting: 1, ..Default::default() };
                let limit = Arc::new(AdaptiveLimit::new(settings));
                limits.push(Arc::clone(&limit));
                Policy::AdaptiveLimit { limit, max_wait: Some(3_000_000) }
            }
            _ => Policy::Timeout(2_000_000),
        });
        let p = pipeline(policies.collect());
        let (mut now, mut begun, mut calls): (Nanos, u64, Vec<(Call, Decision)>) = (1, 0, Vec::new());
        let hold = |calls: &mut Vec<(Call, Decision)>, call: Call, decision: Decision| match decision {
            Decision::Return | Decision::Raise | Decision::Refuse(_) | Decision::DeadlineExceeded(_) => {}
            pending => calls.push((call, pending)),
        };
        for (step, which) in steps {
            now += 400_000;
            if step < 3 || calls.is_empty() {
                begun += 1;
                let mut call = Call::new(now);
                let entered = p.enter(&mut call, now);
                hold(&mut calls, call, entered);
                continue;
            }
            let (mut call, held) = calls.swap_remove(which % calls.len());
            if step == 3 {
                p.abandon(&mut call, now);
                continue;
            }
            let decision = match held {
                Decision::Wait(_) | Decision::Retry(_) => p.enter(&mut call, now),
                Decision::Queue(ticket, _) if ticket.is_granted() => p.enter_from_queue(&mut call, now),
                Decision::Queue(..) => p.stop_waiting(&mut call, now),
                _ => {
                    let outcome = match step {
                        4 => Outcome::Success,
                        5 => FAILED,
                        6 => Outcome::Cancelled,
                        _ => Outcome::TimedOut,
                    };
                    p.leave(&mut call, outcome, now)
                }
            };
            hold(&mut calls, call, decision);
        }
        for (mut call, _) in calls {
            p.abandon(&mut call, now);
        }
        for bulkhead in bulkheads {
            let seen = bulkhead.statistics();
            prop_assert_eq!((seen.running, seen.waiting), (0, 0));
        }
        for limit in limits {
            let seen = limit.statistics();
            prop_assert_eq!((seen.running, seen.waiting), (0, 0));
        }
        let totals = p.counts().totals();
        let ended = totals.successes + totals.errors + totals.timeouts + totals.cancelled;
        prop_assert_eq!(ended + totals.refused.iter().sum::<u64>(), begun);
    }
}
