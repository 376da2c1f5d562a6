//! One policy at its place, with its shared state and its room in a call.

use std::sync::Arc;

use super::call::SLOTS;
use crate::adaptive_limit::AdaptiveLimit;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::Nanos;
use crate::rate_limit::AnyLimiter;
use crate::retry::Retry;

/// The policies' words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `rate_limit`
    RateLimit,
    /// `circuit_breaker`
    CircuitBreaker,
    /// `bulkhead`
    Bulkhead,
    /// `adaptive_limit`
    AdaptiveLimit,
    /// `retry`
    Retry,
    /// `timeout`
    Timeout,
    /// `fallback`
    Fallback,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::RateLimit,
        Self::CircuitBreaker,
        Self::Bulkhead,
        Self::AdaptiveLimit,
        Self::Retry,
        Self::Timeout,
        Self::Fallback,
    ];

    /// The word that users type.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RateLimit => "rate_limit",
            Self::CircuitBreaker => "circuit_breaker",
            Self::Bulkhead => "bulkhead",
            Self::AdaptiveLimit => "adaptive_limit",
            Self::Retry => "retry",
            Self::Timeout => "timeout",
            Self::Fallback => "fallback",
        }
    }
}

/// What a call takes from a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// Always so many tokens.
    Fixed(u64),
    /// What the call was [told](super::Pipeline::set_cost) before it entered.
    Told,
}

/// How urgent calls are to a bulkhead: higher goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// All are the same.
    Same(i32),
    /// Each call says; the call's slot holds it.
    OfCall,
}

/// A policy with its shared state.
#[derive(Debug, Clone)]
pub enum Policy {
    /// So many calls in a time; the rest wait for tokens up to a time.
    RateLimit {
        /// Where the tokens come from; of a keyed one the call's slot holds the key's hash.
        limiter: AnyLimiter,
        /// How many tokens a call takes.
        cost: Cost,
        /// How long a call may wait for its token.
        max_wait: Nanos,
    },
    /// Refuses calls to what keeps failing.
    CircuitBreaker {
        /// What it knows.
        breaker: Arc<CircuitBreaker>,
        /// It wants to know how long calls take.
        timed: bool,
    },
    /// So many calls at once.
    Bulkhead {
        /// The places.
        bulkhead: Arc<Bulkhead>,
        /// How long a call may wait for one.
        max_wait: Option<Nanos>,
        /// Who goes first.
        priority: Priority,
    },
    /// As many calls at once as the other side does well with.
    AdaptiveLimit {
        /// The places, and what is learned from calls.
        limit: Arc<AdaptiveLimit>,
        /// How long a call may wait for one.
        max_wait: Option<Nanos>,
    },
    /// Further attempts.
    Retry(Arc<Retry>),
    /// A time limit for everything inside.
    Timeout(Nanos),
    /// Something else in place of what failed inside; what that is only callers know.
    Fallback,
}

impl Policy {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::RateLimit { .. } => Kind::RateLimit,
            Self::CircuitBreaker { .. } => Kind::CircuitBreaker,
            Self::Bulkhead { .. } => Kind::Bulkhead,
            Self::AdaptiveLimit { .. } => Kind::AdaptiveLimit,
            Self::Retry(_) => Kind::Retry,
            Self::Timeout(_) => Kind::Timeout,
            Self::Fallback => Kind::Fallback,
        }
    }

    /// The places that a call may wait for here.
    pub(super) fn places(&self) -> Option<&Bulkhead> {
        match self {
            Self::Bulkhead { bulkhead, .. } => Some(bulkhead),
            Self::AdaptiveLimit { limit, .. } => Some(limit.places()),
            _ => None,
        }
    }

    /// Whether it gives something back, or counts, when a call succeeds.
    pub(super) fn heeds_success(&self) -> bool {
        matches!(self, Self::CircuitBreaker { .. } | Self::Bulkhead { .. } | Self::AdaptiveLimit { .. })
    }

    /// How many numbers a call has to remember for it.
    fn slots(&self) -> usize {
        match self {
            Self::RateLimit { limiter, cost, .. } => usize::from(limiter.is_keyed()) + usize::from(*cost == Cost::Told),
            Self::Bulkhead { priority: Priority::Same(_), .. } => 0,
            Self::Bulkhead { priority: Priority::OfCall, .. }
            | Self::AdaptiveLimit { .. }
            | Self::CircuitBreaker { timed: false, .. } => 1,
            Self::Retry(retry) => 2 + usize::from(retry.remembers_backoff()),
            Self::CircuitBreaker { timed: true, .. } | Self::Timeout(_) => 2,
            Self::Fallback => 0,
        }
    }
}

/// A policy and where its numbers are in a call.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) policy: Policy,
    pub(super) slot: usize,
}

/// A call has room for so many policies and no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pipeline of {policies} policies is too long: at most {most} time limits and retries together, or twice as many others"
)]
pub struct TooManyPolicies {
    /// How many there were.
    pub policies: usize,
    /// What fits.
    pub most: usize,
}

/// Gives each policy its slots.
pub(super) fn lay_out(policies: Vec<Policy>) -> Result<Box<[Stage]>, TooManyPolicies> {
    let (mut next, count) = (0, policies.len());
    let stages: Box<[Stage]> = policies
        .into_iter()
        .map(|policy| {
            let slot = next;
            next += policy.slots();
            Stage { policy, slot: slot.min(SLOTS - 1) }
        })
        .collect();
    // 32 is what the bits of a failure reach.
    if next > SLOTS || count > 32 {
        return Err(TooManyPolicies { policies: count, most: SLOTS / 2 });
    }
    Ok(stages)
}
