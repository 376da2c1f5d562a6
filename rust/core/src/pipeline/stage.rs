//! One policy of a pipeline, with its shared state and its slots in a call.

use std::sync::Arc;

use super::call::SLOTS;
use crate::adaptive_limit::AdaptiveLimit;
use crate::bulkhead::Bulkhead;
use crate::circuit_breaker::CircuitBreaker;
use crate::clock::Nanos;
use crate::rate_limit::AnyLimiter;
use crate::retry::Retry;

/// The kinds of policies.
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
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::RateLimit,
        Self::CircuitBreaker,
        Self::Bulkhead,
        Self::AdaptiveLimit,
        Self::Retry,
        Self::Timeout,
        Self::Fallback,
    ];

    /// The name that users type.
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

/// The tokens that a call takes from a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// A fixed number of tokens.
    Fixed(u64),
    /// The number [set](super::Pipeline::set_cost) before the call entered.
    Told,
}

/// The priority of calls in a bulkhead: higher goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// One priority for all calls.
    Same(i32),
    /// A priority for each call, in its slot.
    OfCall,
}

/// A policy with its shared state.
#[derive(Debug, Clone)]
pub enum Policy {
    /// A rate of calls; further calls wait for tokens up to a time.
    RateLimit {
        /// The limiter; the call's slot holds the key's hash for a keyed one.
        limiter: AnyLimiter,
        /// The tokens that a call takes.
        cost: Cost,
        /// The longest wait of a call for its tokens.
        max_wait: Nanos,
    },
    /// Refuses calls that keep failing.
    CircuitBreaker {
        /// The breaker.
        breaker: Arc<CircuitBreaker>,
        /// Whether it measures the duration of calls.
        timed: bool,
    },
    /// Bounds the calls that run at once.
    Bulkhead {
        /// The places.
        bulkhead: Arc<Bulkhead>,
        /// The longest wait of a call for a place.
        max_wait: Option<Nanos>,
        /// The priority of calls.
        priority: Priority,
    },
    /// Bounds running calls by what the server can serve.
    AdaptiveLimit {
        /// The places, and the estimate of their number.
        limit: Arc<AdaptiveLimit>,
        /// The longest wait of a call for a place.
        max_wait: Option<Nanos>,
    },
    /// Further attempts.
    Retry(Arc<Retry>),
    /// A time limit for everything inside.
    Timeout(Nanos),
    /// Another result in place of an error, which callers know.
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

    /// The bulkhead in which a call may wait.
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

    /// The number of slots that it needs in a call.
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

/// A policy, and its slots in a call.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) policy: Policy,
    pub(super) slot: usize,
}

/// More policies than a call has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pipeline of {policies} policies is too long: at most {most} time limits and retries together, or twice as many others"
)]
pub struct TooManyPolicies {
    /// The number of policies.
    pub policies: usize,
    /// The number that fits.
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
