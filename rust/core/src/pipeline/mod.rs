//! The pipeline: policies in order, walked inwards before a call and outwards after it.
//!
//! What a call has to remember is in a small [`Call`] of its caller's; the policies' shared state is behind `Arc`s. A
//! call is entered until it may proceed, and left with its outcome. In between the answer may be to wait, to queue, or
//! to come again later: the caller does that, and nothing here ever blocks.

mod call;
mod counts;
mod durations;
mod hits;
mod outcome;
mod stage;

use std::sync::Arc;

use crate::adaptive_limit::Signal;
use crate::bulkhead::{self, Fate};
use crate::circuit_breaker::{self, CircuitBreaker, Permit, Report, Verdict};
use crate::clock::{Nanos, seconds_from_nanos};
use crate::rate_limit::Reservation;
use crate::retry::{self, Budget};

pub use call::Call;
pub use counts::{Counts, Metrics, Totals};
pub use hits::{CacheHits, Hits};
pub use outcome::{Failure, Next, Outcome, OwnEndings, Reason, Refusal, Step, Why, Within};
pub use stage::{Cost, Kind, Policy, Priority, TooManyPolicies};

use outcome::{Ended, Halt};
use stage::Stage;

/// Policies in order, outermost first; never changes. Another configuration is another pipeline that shares state.
#[derive(Debug)]
pub struct Pipeline {
    stages: Box<[Stage]>,
    own: OwnEndings,
    counts: Arc<Counts>,
    /// Not where it is a part further inside: the outermost part counts the calls.
    counts_calls: bool,
    /// Of all further attempts.
    budget: Option<Arc<Budget>>,
    /// Bit n: the policy at n gives something back, or counts, when a call succeeds. The others need not be asked.
    heeds_success: u32,
}

impl Pipeline {
    /// Policies, outermost first. Of a pipeline in several parts only the outermost one `counts_calls`; they share
    /// the budget of further attempts.
    ///
    /// # Errors
    /// More policies than a call has room to remember.
    pub fn new(
        policies: Vec<Policy>,
        own: OwnEndings,
        counts: Arc<Counts>,
        counts_calls: bool,
        budget: Option<Arc<Budget>>,
    ) -> Result<Self, TooManyPolicies> {
        let stages = stage::lay_out(policies)?;
        let heeds = |stage: &Stage| u32::from(stage.policy.heeds_success());
        let heeds_success = stages.iter().enumerate().fold(0, |bits, (index, stage)| bits | heeds(stage) << index);
        Ok(Self { stages, own, counts, counts_calls, budget, heeds_success })
    }

    /// What its calls came to.
    #[must_use]
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Whether it is the outermost part, which counts the pipeline's calls.
    #[must_use]
    pub fn counts_calls(&self) -> bool {
        self.counts_calls
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Tells a call the hash of its key for the keyed limit at `index`; to be done before it enters.
    pub fn set_key(&self, call: &mut Call, index: usize, hash: u64) {
        if let Some(Stage { policy: Policy::RateLimit { limiter, .. }, slot }) = self.stages.get(index)
            && limiter.is_keyed()
        {
            call.slots[*slot] = hash;
        }
    }

    /// Tells a call how urgent it is to the bulkhead at `index`; to be done before it enters.
    pub fn set_priority(&self, call: &mut Call, index: usize, priority: i32) {
        if let Some(Stage { policy: Policy::Bulkhead { priority: Priority::OfCall, .. }, slot }) =
            self.stages.get(index)
        {
            call.slots[*slot] = u64::from(priority.cast_unsigned());
        }
    }

    /// Tells a call how many tokens it takes from the limit at `index`; to be done before it enters.
    pub fn set_cost(&self, call: &mut Call, index: usize, n: u64) {
        if let Some(Stage { policy: Policy::RateLimit { limiter, cost: Cost::Told, .. }, slot }) =
            self.stages.get(index)
        {
            call.slots[*slot + usize::from(limiter.is_keyed())] = n;
        }
    }

    /// Walks inwards from where the call is, until it may proceed or something is to be done first.
    #[inline]
    pub fn enter(&self, call: &mut Call, now: Nanos) -> Step {
        call.claim = 0; // whoever comes here again has waited for its tokens
        while let Some(stage) = self.stages.get(call.position) {
            let slot = stage.slot;
            let (reason, retry_after) = match &stage.policy {
                Policy::RateLimit { limiter, cost, max_wait } => {
                    // Whoever does not wait need not ask how long there is.
                    let patience = match *max_wait {
                        0 => 0,
                        max_wait => call.time_left(now).map_or(max_wait, |left| left.min(max_wait)),
                    };
                    match limiter.reserve(call.slots[slot], call.cost(*cost, limiter, slot), patience, now) {
                        Reservation::Granted => {
                            call.position += 1;
                            continue;
                        }
                        Reservation::Later(wait, claim) => {
                            call.position += 1;
                            call.claim = claim;
                            return Step::Wait(wait);
                        }
                        Reservation::Refused(wait) => (Reason::NoToken, Some(wait)),
                        Reservation::TooMany => (Reason::TooCostly, None),
                    }
                }
                Policy::CircuitBreaker { breaker, timed } => match breaker.admit(now) {
                    circuit_breaker::Admission::Admitted(permit) => {
                        call.slots[slot] = permit.bits();
                        if *timed {
                            call.slots[slot + 1] = now;
                        }
                        call.position += 1;
                        continue;
                    }
                    circuit_breaker::Admission::Refused(wait) => (Reason::Open, wait),
                },
                Policy::Bulkhead { bulkhead, max_wait, priority } => {
                    let priority = match priority {
                        Priority::Same(priority) => *priority,
                        #[expect(clippy::cast_possible_truncation, reason = "that is what was put in")]
                        Priority::OfCall => (call.slots[slot] as u32).cast_signed(),
                    };
                    match bulkhead.enter(priority, now) {
                        bulkhead::Admission::Entered => {
                            call.position += 1;
                            continue;
                        }
                        bulkhead::Admission::Queued(ticket) => return call.queue(ticket, *max_wait, now),
                        bulkhead::Admission::Full => (Reason::Full, None),
                    }
                }
                Policy::AdaptiveLimit { limit, max_wait } => match limit.enter(now) {
                    bulkhead::Admission::Entered => {
                        call.slots[slot] = now;
                        call.position += 1;
                        continue;
                    }
                    bulkhead::Admission::Queued(ticket) => return call.queue(ticket, *max_wait, now),
                    bulkhead::Admission::Full => (Reason::Full, None),
                },
                Policy::Retry(retry) => {
                    call.slots[slot] = 1;
                    call.slots[slot + 1] = now;
                    if retry.remembers_waits() {
                        call.slots[slot + 2] = 0;
                    }
                    call.position += 1;
                    continue;
                }
                Policy::Fallback => {
                    call.position += 1;
                    continue;
                }
                Policy::Timeout(limit) => {
                    call.set_deadline(slot, now.saturating_add(*limit));
                    call.position += 1;
                    continue;
                }
            };
            return self.refuse(call, call.position, reason, retry_after, now);
        }
        Step::Proceed
    }

    /// The place in the queue was granted: goes on inwards.
    pub fn enter_granted(&self, call: &mut Call, now: Nanos) -> Step {
        if let Some(ticket) = call.ticket.take() {
            if let Some(stage) = self.stages.get(call.position) {
                if let Some(places) = stage.policy.places() {
                    places.went_on(&ticket, now);
                }
                if matches!(stage.policy, Policy::AdaptiveLimit { .. }) {
                    call.slots[stage.slot] = now;
                }
            }
            call.position += 1;
        }
        self.enter(call, now)
    }

    /// The ticket was displaced, or the caller has waited in the queue as long as it was told. A place granted at the
    /// last moment is taken.
    pub fn give_up(&self, call: &mut Call, now: Nanos) -> Step {
        match self.leave_queue(call) {
            None => self.enter(call, now),
            Some((ticket, Fate::Granted)) => {
                call.ticket = Some(ticket);
                self.enter_granted(call, now)
            }
            Some((_, Fate::Displaced)) => self.refuse(call, call.position, Reason::Displaced, None, now),
            Some((_, Fate::Waiting)) if call.deadline().is_some_and(|deadline| deadline <= now) => {
                match self.leave(call, Outcome::TimedOut, now) {
                    Next::RetryAfter(delay) => Step::Again(delay),
                    Next::FallBack(index, why) => Step::FallBack(index, why),
                    Next::DeadlineExceeded(limit) => Step::DeadlineExceeded(limit),
                    Next::Return | Next::Raise => Step::DeadlineExceeded(0),
                }
            }
            Some((_, Fate::Waiting)) => self.refuse(call, call.position, Reason::WaitedTooLong, None, now),
        }
    }

    /// Whether a call in the queue, made from inside of so many calls that hold a place there, waits for itself: none of
    /// those can end before it does.
    #[must_use]
    pub fn waits_for_itself(&self, call: &Call, holders: u32) -> bool {
        call.ticket.is_some()
            && self.places(call.position).is_some_and(|places| holders >= places.statistics().max_concurrent)
    }

    /// Refuses such a call, even where another place came free at this moment.
    pub fn give_up_on_itself(&self, call: &mut Call, now: Nanos) -> Step {
        if let Some((_, Fate::Granted)) = self.leave_queue(call)
            && let Some(places) = self.places(call.position)
        {
            places.leave();
        }
        self.refuse(call, call.position, Reason::WaitsForItself, None, now)
    }

    fn places(&self, index: usize) -> Option<&bulkhead::Bulkhead> {
        self.stages.get(index).and_then(|stage| stage.policy.places())
    }

    fn leave_queue(&self, call: &mut Call) -> Option<(Arc<bulkhead::Ticket>, Fate)> {
        let ticket = call.ticket.take()?;
        let fate = self.places(call.position)?.cancel(&ticket);
        Some((ticket, fate))
    }

    /// Walks outwards with how the call went.
    #[inline]
    pub fn leave(&self, call: &mut Call, outcome: Outcome, now: Nanos) -> Next {
        self.leave_saying(call, outcome, None, now)
    }

    /// The same with the words of its error, which a breaker remembers.
    #[inline]
    pub fn leave_saying(&self, call: &mut Call, outcome: Outcome, words: Option<&str>, now: Nanos) -> Next {
        if outcome == Outcome::Success && call.unwanted == 0 {
            self.succeed(call, now);
            return Next::Return;
        }
        self.leave_for_another_reason(call, outcome, words, now)
    }

    /// What [`Self::leave_saying`] does on the common way: nothing stops a success, so only those are told who heed it.
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

    fn leave_for_another_reason(&self, call: &mut Call, outcome: Outcome, words: Option<&str>, now: Nanos) -> Next {
        let ended = match outcome {
            Outcome::Success => Ended::Success,
            Outcome::Failed(failure) => Ended::Failed(failure),
            Outcome::Cancelled => Ended::Cancelled,
            Outcome::TimedOut => self.expired(call, now).map_or(Ended::Cancelled, Ended::TimedOut),
        };
        match self.unwind(call, ended, words, now) {
            None => {}
            Some(Halt::Again(delay)) => return Next::RetryAfter(delay),
            Some(Halt::FallBack(index)) => {
                return Next::FallBack(index, self.limit_of(ended).map_or(Why::Raised, Why::DeadlineExceeded));
            }
        }
        self.record(call, ended, now);
        match ended {
            Ended::Success => Next::Return,
            _ => self.limit_of(ended).map_or(Next::Raise, Next::DeadlineExceeded),
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

    /// The caller is gone: everything that the call holds is given back.
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

    fn refuse(&self, call: &mut Call, index: usize, reason: Reason, retry_after: Option<Nanos>, now: Nanos) -> Step {
        let policy = self.stages[index].policy.kind();
        let ended = Ended::Refused(policy, retry_after);
        let refusal = Refusal { policy, index, reason, retry_after };
        match self.unwind(call, ended, None, now) {
            None => {}
            Some(Halt::Again(delay)) => return Step::Again(delay),
            Some(Halt::FallBack(index)) => return Step::FallBack(index, Why::Refused(refusal)),
        }
        self.record(call, ended, now);
        Step::Refuse(refusal)
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
    fn unwind(&self, call: &mut Call, ended: Ended, words: Option<&str>, now: Nanos) -> Option<Halt> {
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
                    if !matches!(ended, Ended::Success | Ended::Cancelled) && self.minds(ended, index) {
                        return Some(Halt::FallBack(index));
                    }
                }
                Policy::Retry(retry) => {
                    let retry_after = match ended {
                        Ended::Success if call.unwanted >> index & 1 == 0 => continue,
                        Ended::Cancelled => continue,
                        Ended::Success | Ended::TimedOut(_) => None,
                        Ended::Refused(_, after) => after,
                        Ended::Failed(failure) => failure.retry_after,
                    };
                    if !self.minds(ended, index) {
                        continue;
                    }
                    let failed = retry::Failed {
                        attempt: u32::try_from(call.slots[*slot]).unwrap_or(u32::MAX),
                        waited: if retry.remembers_waits() { call.slots[*slot + 2] } else { 0 },
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
                    if retry.remembers_waits() {
                        call.slots[*slot + 2] = delay;
                    }
                    call.attempt = failed.attempt;
                    call.repeats = call.repeats.saturating_add(1);
                    call.unwanted = 0;
                    call.position = index + 1;
                    self.counts.retried();
                    return Some(Halt::Again(delay));
                }
            }
        }
        None
    }

    /// Whether the policy at `index` is to do something about an ending.
    fn minds(&self, ended: Ended, index: usize) -> bool {
        match ended {
            Ended::Success => true, // as it was asked before
            Ended::Refused(kind, after) => {
                self.own.refusals[kind as usize][usize::from(after.is_some())] >> index & 1 == 1
            }
            _ => self.verdict(ended, index) == Verdict::Failure,
        }
    }

    /// What an ending says to the adaptive limit at `index`.
    fn signal(&self, ended: Ended, index: usize) -> Signal {
        match ended {
            Ended::Success => Signal::Completed,
            ended if self.minds(ended, index) => Signal::Dropped,
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

    /// What an ending says to the policy at `index`.
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

/// How many stages it has entered; there are 32 at most.
#[inline]
fn position_of(call: &Call) -> u32 {
    u32::try_from(call.position).unwrap_or(u32::BITS)
}

#[cfg(test)]
mod tests;
