//! The way inwards: from policy to policy, until a call may proceed or must wait.

use std::sync::Arc;

use super::{Call, Decision, Outcome, Pipeline, Policy, Priority, Reason};
use crate::bulkhead::{self, Fate};
use crate::circuit_breaker::{self};
use crate::clock::Nanos;
use crate::rate_limit::Reservation;

impl Pipeline {
    /// Walks inwards from the call's position, until it may proceed or must wait.
    #[inline]
    pub fn enter(&self, call: &mut Call, now: Nanos) -> Decision {
        call.claim = 0; // whoever comes here again has waited for its tokens
        while let Some(stage) = self.stages.get(call.position) {
            let slot = stage.slot;
            let (reason, retry_after) = match &stage.policy {
                Policy::RateLimit { limiter, cost, max_wait } => {
                    // A call that does not wait needs no time left.
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
                            return Decision::Wait(wait);
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
                    if retry.remembers_backoff() {
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
        Decision::Proceed
    }

    /// Continues inwards after the queue granted a place.
    pub fn enter_from_queue(&self, call: &mut Call, now: Nanos) -> Decision {
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

    /// The ticket was displaced, or the caller has waited in the queue as long as it may. A place granted at the
    /// last moment is taken.
    pub fn stop_waiting(&self, call: &mut Call, now: Nanos) -> Decision {
        match self.leave_queue(call) {
            None => self.enter(call, now),
            Some((ticket, Fate::Granted)) => {
                call.ticket = Some(ticket);
                self.enter_from_queue(call, now)
            }
            Some((_, Fate::Displaced)) => self.refuse(call, call.position, Reason::Displaced, None, now),
            Some((_, Fate::Waiting)) if call.deadline().is_some_and(|deadline| deadline <= now) => {
                self.leave(call, Outcome::TimedOut, now)
            }
            Some((_, Fate::Waiting)) => self.refuse(call, call.position, Reason::WaitedTooLong, None, now),
        }
    }

    /// Whether a queued call waits for itself: it is made inside of calls that hold all places, none of which
    /// can end before it.
    pub fn waits_for_itself(&self, call: &Call, holders: u32) -> bool {
        call.ticket.is_some()
            && self.places(call.position).is_some_and(|places| holders >= places.statistics().max_concurrent)
    }

    /// Refuses a call that waits for itself, even if a place came free at this moment.
    pub fn refuse_reentry(&self, call: &mut Call, now: Nanos) -> Decision {
        if let Some((_, Fate::Granted)) = self.leave_queue(call)
            && let Some(places) = self.places(call.position)
        {
            places.leave();
        }
        self.refuse(call, call.position, Reason::WaitsForItself, None, now)
    }

    pub(super) fn places(&self, index: usize) -> Option<&bulkhead::Bulkhead> {
        self.stages.get(index).and_then(|stage| stage.policy.places())
    }

    pub(super) fn leave_queue(&self, call: &mut Call) -> Option<(Arc<bulkhead::Ticket>, Fate)> {
        let ticket = call.ticket.take()?;
        let fate = self.places(call.position)?.cancel(&ticket);
        Some((ticket, fate))
    }
}
