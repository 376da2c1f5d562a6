//! The pipeline: policies in order, walked inwards before a call and outwards after it.
//!
//! The state of a call is a small [`Call`] on its caller's stack; the policies' shared state is behind `Arc`s. A
//! call is entered until it may proceed, and left with its outcome. In between the answer may be to wait, to queue, or
//! to come again later: the caller does that, and nothing here ever blocks.

mod call;
mod counts;
mod decision;
mod durations;
mod entering;
mod hits;
mod leaving;
mod outcome;
mod stage;

use std::sync::Arc;

use crate::retry::Budget;

pub use call::Call;
pub use counts::{Counts, Metrics, Totals};
pub use decision::{Cause, Decision, Reason, Refusal};
pub use hits::{CacheHits, Hits};
pub use outcome::{Failure, Outcome, OwnEndings, Within};
pub use stage::{Cost, Kind, Policy, Priority, TooManyPolicies};

use stage::Stage;

/// Policies in order, outermost first; never changes. Another configuration is another pipeline that shares state.
#[derive(Debug)]
pub struct Pipeline {
    stages: Box<[Stage]>,
    own: OwnEndings,
    counts: Arc<Counts>,
    /// Whether it is the outermost part, which counts the calls.
    counts_calls: bool,
    /// The budget of all further attempts.
    budget: Option<Arc<Budget>>,
    /// Bit n: the policy at n gives something back, or counts, when a call succeeds.
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

    /// The counts of its calls.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Whether it is the outermost part, which counts the pipeline's calls.
    pub fn counts_calls(&self) -> bool {
        self.counts_calls
    }

    /// The number of policies.
    pub fn len(&self) -> usize {
        self.stages.len()
    }

    /// Whether there are no policies.
    pub fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// Sets the hash of a call's key for the keyed limit at `index`, before it enters.
    pub fn set_key(&self, call: &mut Call, index: usize, hash: u64) {
        if let Some(Stage { policy: Policy::RateLimit { limiter, .. }, slot }) = self.stages.get(index)
            && limiter.is_keyed()
        {
            call.slots[*slot] = hash;
        }
    }

    /// Sets a call's priority for the bulkhead at `index`, before it enters.
    pub fn set_priority(&self, call: &mut Call, index: usize, priority: i32) {
        if let Some(Stage { policy: Policy::Bulkhead { priority: Priority::OfCall, .. }, slot }) =
            self.stages.get(index)
        {
            call.slots[*slot] = u64::from(priority.cast_unsigned());
        }
    }

    /// Sets the tokens that a call takes from the limit at `index`, before it enters.
    pub fn set_cost(&self, call: &mut Call, index: usize, n: u64) {
        if let Some(Stage { policy: Policy::RateLimit { limiter, cost: Cost::Told, .. }, slot }) =
            self.stages.get(index)
        {
            call.slots[*slot + usize::from(limiter.is_keyed())] = n;
        }
    }
}

/// The number of stages it has entered; at most 32.
#[inline]
fn position_of(call: &Call) -> u32 {
    u32::try_from(call.position).unwrap_or(u32::BITS)
}

#[cfg(test)]
mod tests;
