//! The way outwards: each policy learns how the call ended, and may repeat it.

use super::outcome::Ended;
use super::stage::Stage;
use super::{Call, Cause, Decision, Outcome, Pipeline, Policy, Reason, Refusal, position_of};
use crate::adaptive_limit::Signal;
use crate::bulkhead::Fate;
use crate::circuit_breaker::{CircuitBreaker, Permit, Report, Verdict};
use crate::clock::{Nanos, seconds_from_nanos};
use crate::retry::{self};

impl Pipeline {
    /// Walks outwards with the call's outcome.
    #[inline]
    pub fn leave(&self, call: &mut Call, outcome: Outcome, now: Nanos) -> Decision {
        self.leave_saying(call, outcome, None, now)
    }

    /// Walks outwards, with the text of the call's error for breakers.
    #[inline]
    pub fn leave_saying(&self, call: &mut Call, outcome: Outcome, words: Option<&str>, now: Nanos) -> Decision {
        if outcome == Outcome::Success && call.unwanted == 0 {
            self.succeed(call, now);
            return Decision::Return;
        }
        self.leave_for_another_reason(call, outcome, words, now)
    }

    /// The common path of [`Self::leave_saying`]: nothing stops a success, so only policies that heed it learn of it.
    #[inline]
    fn succeed(&self, call: &mut Call, now: Nanos) {
        let mut left = self.heeds_success & 1_u32.checked_shl(position_of(call)).map_or(u32::MAX, |bit| bit - 1);
        call.position = 0;
        while left != 0 {
            let index = left.ilog2();
            left ^= 1 << index;
            let Some(Stage { policy, slot }) = self.stages.get(index as usize) else { break };
            match policy {
                Policy::CircuitBreaker { breaker, timed } => {
                    let took = if *timed { now.saturating_sub(call.slots[*slot + 1]) } else { 0 };
                    let report = Report { took, ..Report::default() };
                    breaker.record(Permit::from_bits(call.slots[*slot]), Verdict::Success, report, now);
                }
                Policy::Bulkhead { bulkhead, .. } => bulkhead.leave(),
                Policy::AdaptiveLimit { limit, .. } => limit.leave(Signal::Completed, call.slots[*slot], now),
                Policy::RateLimit { .. } | Policy::Retry(_) | Policy::Timeout(_) | Policy::Fallback => {}
            }
        }
        self.record(call, Ended::Success, now);
    }

    fn leave_for_another_reason(&self, call: &mut Call, outcome: Outcome, words: Option<&str>, now: Nanos) -> Decision {
        let ended = match outcome {
            Outcome::Success => Ended::Success,
            Outcome::Failed(failure) => Ended::Failed(failure),
            Outcome::Cancelled => Ended::Cancelled,
            Outcome::TimedOut => self.expired(call, now).map_or(Ended::Cancelled, Ended::TimedOut),
        };
        self.end(call, ended, words, now)
    }

    /// The policy at `index` does not let the call through.
    pub(super) fn refuse(
        &self,
        call: &mut Call,
        index: usize,
        reason: Reason,
        retry_after: Option<Nanos>,
        now: Nanos,
    ) -> Decision {
        let policy = self.stages[index].policy.kind();
        self.end(call, Ended::Refused(Refusal { policy, index, reason, retry_after }), None, now)
    }

    /// Passes an ending outwards, and counts the call unless a policy on the way has another attempt or a fallback.
    fn end(&self, call: &mut Call, ended: Ended, words: Option<&str>, now: Nanos) -> Decision {
        if let Some(decision) = self.unwind(call, ended, words, now) {
            return decision;
        }
        self.record(call, ended, now);
        match ended {
            Ended::Success => Decision::Return,
            Ended::Refused(refusal) => Decision::Refuse(refusal),
            ended => self.limit_of(ended).map_or(Decision::Raise, Decision::DeadlineExceeded),
        }
    }

    /// The time limit that ended a call.
    #[inline]
    fn limit_of(&self, ended: Ended) -> Option<Nanos> {
        let Ended::TimedOut(index) = ended else { return None };
        match self.stages.get(index).map(|stage| &stage.policy) {
            Some(Policy::Timeout(limit)) => Some(*limit),
            _ => None,
        }
    }

    /// Gives back all that an abandoned call holds.
    pub fn abandon(&self, call: &mut Call, now: Nanos) {
        if let Some((_, Fate::Granted)) = self.leave_queue(call)
            && let Some(places) = self.places(call.position)
        {
            places.leave();
        }
        let claim = std::mem::take(&mut call.claim);
        if claim != 0
            && let Some(Stage { policy: Policy::RateLimit { limiter, cost, .. }, slot }) =
                call.position.checked_sub(1).and_then(|index| self.stages.get(index))
        {
            limiter.get().cancel(call.slots[*slot], claim, call.cost(*cost, limiter, *slot));
        }
        self.leave(call, Outcome::Cancelled, now);
    }

    #[inline]
    fn record(&self, call: &Call, ended: Ended, now: Nanos) {
        if self.counts_calls {
            self.counts.record(ended, now.saturating_sub(call.started));
        }
    }

    /// The outermost time limit that has passed.
    fn expired(&self, call: &Call, now: Nanos) -> Option<usize> {
        self.stages[..call.position]
            .iter()
            .position(|stage| matches!(stage.policy, Policy::Timeout(_)) && call.slots[stage.slot] <= now)
    }

    /// Leaves stage after stage; a retry or a fallback may stop that.
    #[inline]
    fn unwind(&self, call: &mut Call, ended: Ended, words: Option<&str>, now: Nanos) -> Option<Decision> {
        while let Some(index) = call.position.checked_sub(1) {
            let Some(Stage { policy, slot }) = self.stages.get(index) else { break };
            call.position = index;
            match policy {
                Policy::RateLimit { .. } => {}
                Policy::CircuitBreaker { breaker, timed } => {
                    let permit = Permit::from_bits(call.slots[*slot]);
                    let took = if *timed { now.saturating_sub(call.slots[*slot + 1]) } else { 0 };
                    match self.verdict(ended, index) {
                        Verdict::Failure => self.record_failure(breaker, permit, took, ended, words, now),
                        verdict => breaker.record(permit, verdict, Report { took, ..Report::default() }, now),
                    }
                }
                Policy::Bulkhead { bulkhead, .. } => bulkhead.leave(),
                Policy::AdaptiveLimit { limit, .. } => {
                    limit.leave(self.signal(ended, index), call.slots[*slot], now);
                }
                Policy::Timeout(_) => call.restore_deadline(*slot),
                Policy::Fallback => {
                    if !matches!(ended, Ended::Success | Ended::Cancelled) && self.reacts_to(ended, index) {
                        return Some(Decision::FallBack(index, self.cause(ended)));
                    }
                }
                Policy::Retry(retry) => {
                    let retry_after = match ended {
                        Ended::Success if call.unwanted >> index & 1 == 0 => continue,
                        Ended::Cancelled => continue,
                        Ended::Success | Ended::TimedOut(_) => None,
                        Ended::Refused(refusal) => refusal.retry_after,
                        Ended::Failed(failure) => failure.retry_after,
                    };
                    if !self.reacts_to(ended, index) {
                        continue;
                    }
                    let failed = retry::Failed {
                        attempt: u32::try_from(call.slots[*slot]).unwrap_or(u32::MAX),
                        waited: if retry.remembers_backoff() { call.slots[*slot + 2] } else { 0 },
                        retry_after,
                        elapsed: now.saturating_sub(call.slots[*slot + 1]),
                        time_left: call.time_left(now),
                    };
                    let Some(delay) = retry.delay(failed) else { continue };
                    if self.budget.as_ref().is_some_and(|budget| !budget.withdraw(self.counts.worked(), now)) {
                        call.overdrawn = true;
                        continue;
                    }
                    call.slots[*slot] += 1;
                    if retry.remembers_backoff() {
                        call.slots[*slot + 2] = delay;
                    }
                    call.attempt = failed.attempt;
                    call.repeats = call.repeats.saturating_add(1);
                    call.unwanted = 0;
                    call.position = index + 1;
                    self.counts.retried();
                    return Some(Decision::Retry(delay));
                }
            }
        }
        None
    }

    /// The cause of an ending, for a fallback.
    fn cause(&self, ended: Ended) -> Cause {
        match ended {
            Ended::Refused(refusal) => Cause::Refused(refusal),
            ended => self.limit_of(ended).map_or(Cause::Raised, Cause::DeadlineExceeded),
        }
    }

    /// Whether the policy at `index` handles an ending.
    fn reacts_to(&self, ended: Ended, index: usize) -> bool {
        match ended {
            Ended::Success => true, // as it was asked before
            Ended::Refused(Refusal { policy, retry_after, .. }) => {
                self.own.refusals[policy as usize][usize::from(retry_after.is_some())] >> index & 1 == 1
            }
            _ => self.verdict(ended, index) == Verdict::Failure,
        }
    }

    /// The meaning of an ending to the adaptive limit at `index`.
    fn signal(&self, ended: Ended, index: usize) -> Signal {
        match ended {
            Ended::Success => Signal::Completed,
            ended if self.reacts_to(ended, index) => Signal::Dropped,
            _ => Signal::Nothing,
        }
    }

    #[cold]
    fn record_failure(
        &self,
        breaker: &CircuitBreaker,
        permit: Permit,
        took: Nanos,
        ended: Ended,
        words: Option<&str>,
        now: Nanos,
    ) {
        let retry_after = if let Ended::Failed(failure) = ended { failure.retry_after } else { None };
        let limit = match ended {
            Ended::TimedOut(index) => match self.stages.get(index).map(|stage| &stage.policy) {
                Some(Policy::Timeout(limit)) => {
                    Some(format!("DeadlineExceeded: it did not finish within {} s", seconds_from_nanos(*limit)))
                }
                _ => None,
            },
            _ => None,
        };
        let words = limit.as_deref().or(words);
        breaker.record(permit, Verdict::Failure, Report { took, retry_after, words }, now);
    }

    /// The meaning of an ending to the policy at `index`.
    #[inline]
    fn verdict(&self, ended: Ended, index: usize) -> Verdict {
        match ended {
            Ended::Success => Verdict::Success,
            Ended::Failed(failure) if failure.counts >> index & 1 == 1 => Verdict::Failure,
            // Inside of the time limit it looks like a cancellation, outside like a failure.
            Ended::TimedOut(limit) if index < limit && self.own.timeouts >> index & 1 == 1 => Verdict::Failure,
            _ => Verdict::Nothing,
        }
    }
}
