//! The interface of all limiters, and any limiter as pipelines and bindings hold it.

use std::fmt::Debug;
use std::hash::RandomState;
use std::str::FromStr;
use std::sync::Arc;

use super::bucket::{LeakyBucket, TokenBucket};
use super::keyed_bucket::{KeyedLeakyBucket, KeyedTokenBucket};
use super::window::Quota;
use super::windows::{FixedWindow, KeyedFixedWindow, KeyedSlidingWindow, SlidingWindow};
use super::{Claim, Decision, Limit, LimitError, Rate, Reservation, Statistics};
use crate::clock::Nanos;

/// The algorithm of a limiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// Allows a burst after a quiet time, and the rate over a long time.
    TokenBucket,
    /// Lets requests out of a queue at even distances.
    LeakyBucket,
    /// Allows a number of requests in any period, as far as two counters can tell.
    SlidingWindow,
    /// Allows a number of requests between two multiples of the period.
    FixedWindow,
}

/// The error of an unknown algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("algorithm is {0:?}; it must be token_bucket, leaky_bucket, sliding_window or fixed_window")]
pub struct UnknownAlgorithm(String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    fn from_str(word: &str) -> Result<Self, UnknownAlgorithm> {
        match word {
            "token_bucket" => Ok(Self::TokenBucket),
            "leaky_bucket" => Ok(Self::LeakyBucket),
            "sliding_window" => Ok(Self::SlidingWindow),
            "fixed_window" => Ok(Self::FixedWindow),
            other => Err(UnknownAlgorithm(other.to_owned())),
        }
    }
}

/// A limiter. One without keys ignores hashes.
pub trait Limiter: Debug + Send + Sync {
    /// The hasher of the keys; None without keys. The hash 0 belongs to no key.
    fn hasher(&self) -> Option<&RandomState>;

    /// Takes `n` tokens, ahead of time if they come within `max_wait`; earlier callers wait shorter.
    ///
    /// A caller that stops waiting passes its claim to `cancel`.
    fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation;

    /// Gives back `n` tokens that were taken ahead, unless that would move a later claim.
    ///
    /// Later callers keep the times they were told, so a gap in the middle stays, and no two calls get one time.
    fn cancel(&self, hash: u64, claim: Claim, n: u64);

    /// The decision about a request that does not wait; takes and counts nothing.
    fn estimate(&self, hash: u64, n: u64, now: Nanos) -> Decision;

    /// The tokens left now; negative where tokens were reserved ahead.
    fn tokens(&self, hash: u64, now: Nanos) -> f64;

    /// Adds tokens, up to the most that the limiter holds.
    fn add_tokens(&self, hash: u64, n: u64, now: Nanos);

    /// Replaces the limit; tokens stay in buckets, and used tokens stay used in windows.
    ///
    /// With keys this walks all slots in use, for a million keys some tens of milliseconds, while calls wait.
    ///
    /// # Errors
    /// The rate and burst are no limit for this algorithm; then nothing has changed.
    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError>;

    /// Tokens a second.
    fn per_second(&self) -> f64;

    /// Returns the most tokens of one request.
    fn burst(&self) -> u64;

    /// The number of keys for which there is room; zero without keys.
    fn capacity(&self) -> usize;

    /// The counts so far. Only a `thorough` call counts the live keys of a large table, by walking all slots.
    fn statistics(&self, now: Nanos, thorough: bool) -> Statistics;
}

/// Any limiter, shared. Token buckets, which are the most common, are called without a virtual table.
#[derive(Debug, Clone)]
pub enum AnyLimiter {
    /// A bucket for all calls.
    TokenBucket(Arc<TokenBucket>),
    /// A bucket for each key.
    KeyedTokenBucket(Arc<KeyedTokenBucket>),
    /// Any other limiter.
    Other(Arc<dyn Limiter>),
}

impl AnyLimiter {
    /// A limiter for all calls, or for each of `capacity` keys.
    ///
    /// # Errors
    /// The rate and burst are no limit for this algorithm.
    pub fn new(
        algorithm: Algorithm,
        rate: Rate,
        burst: Option<u64>,
        capacity: Option<usize>,
    ) -> Result<Self, LimitError> {
        let limit = || Limit::checked(rate, burst);
        let quota = || Quota::checked(rate, burst);
        Ok(match (algorithm, capacity) {
            (Algorithm::TokenBucket, None) => Self::TokenBucket(Arc::new(TokenBucket::new(limit()?))),
            (Algorithm::TokenBucket, Some(keys)) => {
                Self::KeyedTokenBucket(Arc::new(KeyedTokenBucket::new(limit()?, keys)))
            }
            (Algorithm::LeakyBucket, None) => Self::Other(Arc::new(LeakyBucket::new(limit()?))),
            (Algorithm::LeakyBucket, Some(keys)) => Self::Other(Arc::new(KeyedLeakyBucket::new(limit()?, keys))),
            (Algorithm::SlidingWindow, None) => Self::Other(Arc::new(SlidingWindow::new(quota()?))),
            (Algorithm::SlidingWindow, Some(keys)) => Self::Other(Arc::new(KeyedSlidingWindow::new(quota()?, keys))),
            (Algorithm::FixedWindow, None) => Self::Other(Arc::new(FixedWindow::new(quota()?))),
            (Algorithm::FixedWindow, Some(keys)) => Self::Other(Arc::new(KeyedFixedWindow::new(quota()?, keys))),
        })
    }

    /// Returns whether the limiter has keys.
    #[inline]
    pub fn is_keyed(&self) -> bool {
        match self {
            Self::TokenBucket(_) => false,
            Self::KeyedTokenBucket(_) => true,
            Self::Other(limiter) => limiter.hasher().is_some(),
        }
    }

    /// Takes `n` tokens, ahead of time if they come within `max_wait`.
    #[inline]
    pub fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        match self {
            Self::TokenBucket(bucket) => bucket.reserve(hash, n, max_wait, now),
            Self::KeyedTokenBucket(bucket) => bucket.reserve(hash, n, max_wait, now),
            Self::Other(limiter) => limiter.reserve(hash, n, max_wait, now),
        }
    }

    /// The limiter behind its interface.
    pub fn get(&self) -> &dyn Limiter {
        match self {
            Self::TokenBucket(bucket) => &**bucket,
            Self::KeyedTokenBucket(bucket) => &**bucket,
            Self::Other(limiter) => &**limiter,
        }
    }
}
