//! One shape for all limiters: what pipelines and bindings hold.

use std::fmt::Debug;
use std::hash::RandomState;
use std::str::FromStr;
use std::sync::Arc;

use super::bucket::{Bucket, LeakyBucket, TokenBucket};
use super::gcra::Pacing;
use super::keyed_bucket::{KeyedBucket, KeyedLeakyBucket, KeyedTokenBucket};
use super::window::{Counting, Quota};
use super::windows::{FixedWindow, KeyedFixedWindow, KeyedSlidingWindow, KeyedWindow, SlidingWindow, Window};
use super::{Claim, Decision, Limit, LimitError, Rate, Reservation, Statistics};
use crate::clock::Nanos;

/// How a limiter counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// A burst after a quiet time, and the rate over a long one.
    TokenBucket,
    /// One after another at even distances, from a queue.
    LeakyBucket,
    /// So many in any period, as far as two counters can tell.
    SlidingWindow,
    /// So many from one multiple of the period to the next.
    FixedWindow,
}

/// There is no algorithm of this name.
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

/// What every limiter does. One without keys takes no notice of hashes.
pub trait Limiter: Debug + Send + Sync {
    /// By which keys are hashed; None: it has no keys.
    fn hasher(&self) -> Option<&RandomState>;

    /// Takes `n` tokens if they are there within `max_wait`, ahead of time where they are not there yet.
    fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation;

    /// Gives back `n` tokens that were taken ahead and are not wanted any more, as far as no later claim would suffer.
    fn cancel(&self, hash: u64, claim: Claim, n: u64);

    /// What a request that does not wait would be told; takes and counts nothing.
    fn estimate(&self, hash: u64, n: u64, now: Nanos) -> Decision;

    /// The tokens left now.
    fn tokens(&self, hash: u64, now: Nanos) -> f64;

    /// Gives tokens back, or as a present; there are never more than it holds.
    fn add_tokens(&self, hash: u64, n: u64, now: Nanos);

    /// Another limit from now on; tokens stay in buckets, and what was used stays used in windows.
    ///
    /// # Errors
    /// A rate and burst that are no limit for this algorithm; then nothing has changed.
    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError>;

    /// Tokens a second.
    fn per_second(&self) -> f64;

    /// The most tokens that can be asked for.
    fn burst(&self) -> u64;

    /// Keys for which there is room; zero: it has no keys.
    fn capacity(&self) -> usize;

    /// What was counted so far; where it is to be `thorough` with the live keys, however many slots are to be looked at.
    fn statistics(&self, now: Nanos, thorough: bool) -> Statistics;
}

impl<P: Pacing> Limiter for Bucket<P> {
    fn hasher(&self) -> Option<&RandomState> {
        None
    }
    fn reserve(&self, _: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        self.reserve(n, max_wait, now)
    }
    fn cancel(&self, _: u64, claim: Claim, n: u64) {
        self.cancel(claim, n);
    }
    fn estimate(&self, _: u64, n: u64, now: Nanos) -> Decision {
        self.estimate(n, now)
    }
    fn tokens(&self, _: u64, now: Nanos) -> f64 {
        self.tokens(now)
    }
    fn add_tokens(&self, _: u64, n: u64, _: Nanos) {
        self.add_tokens(n);
    }
    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.replace(Limit::checked(rate, burst)?, now);
        Ok(())
    }
    fn per_second(&self) -> f64 {
        self.limit().per_second()
    }
    fn burst(&self) -> u64 {
        self.limit().burst()
    }
    fn capacity(&self) -> usize {
        0
    }
    fn statistics(&self, _: Nanos, _: bool) -> Statistics {
        self.statistics()
    }
}

impl<P: Pacing> Limiter for KeyedBucket<P> {
    fn hasher(&self) -> Option<&RandomState> {
        Some(self.hasher())
    }
    fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        self.reserve(hash, n, max_wait, now)
    }
    fn cancel(&self, hash: u64, claim: Claim, n: u64) {
        self.cancel(hash, claim, n);
    }
    fn estimate(&self, hash: u64, n: u64, now: Nanos) -> Decision {
        self.estimate(hash, n, now)
    }
    fn tokens(&self, hash: u64, now: Nanos) -> f64 {
        self.tokens(hash, now)
    }
    fn add_tokens(&self, hash: u64, n: u64, _: Nanos) {
        self.add_tokens(hash, n);
    }
    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.replace(Limit::checked(rate, burst)?, now);
        Ok(())
    }
    fn per_second(&self) -> f64 {
        self.limit().per_second()
    }
    fn burst(&self) -> u64 {
        self.limit().burst()
    }
    fn capacity(&self) -> usize {
        self.capacity()
    }
    fn statistics(&self, now: Nanos, thorough: bool) -> Statistics {
        self.statistics(now, thorough)
    }
}

impl<C: Counting> Limiter for Window<C> {
    fn hasher(&self) -> Option<&RandomState> {
        None
    }
    fn reserve(&self, _: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        self.reserve(n, max_wait, now)
    }
    fn cancel(&self, _: u64, claim: Claim, n: u64) {
        self.cancel(claim, n);
    }
    fn estimate(&self, _: u64, n: u64, now: Nanos) -> Decision {
        self.estimate(n, now)
    }
    fn tokens(&self, _: u64, now: Nanos) -> f64 {
        self.tokens(now)
    }
    fn add_tokens(&self, _: u64, n: u64, now: Nanos) {
        self.add_tokens(n, now);
    }
    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.replace(Quota::checked(rate, burst)?, now);
        Ok(())
    }
    fn per_second(&self) -> f64 {
        self.quota().per_second()
    }
    fn burst(&self) -> u64 {
        self.quota().count()
    }
    fn capacity(&self) -> usize {
        0
    }
    fn statistics(&self, _: Nanos, _: bool) -> Statistics {
        self.statistics()
    }
}

impl<C: Counting> Limiter for KeyedWindow<C> {
    fn hasher(&self) -> Option<&RandomState> {
        Some(self.hasher())
    }
    fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        self.reserve(hash, n, max_wait, now)
    }
    fn cancel(&self, hash: u64, claim: Claim, n: u64) {
        self.cancel(hash, claim, n);
    }
    fn estimate(&self, hash: u64, n: u64, now: Nanos) -> Decision {
        self.estimate(hash, n, now)
    }
    fn tokens(&self, hash: u64, now: Nanos) -> f64 {
        self.tokens(hash, now)
    }
    fn add_tokens(&self, hash: u64, n: u64, now: Nanos) {
        self.add_tokens(hash, n, now);
    }
    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.replace(Quota::checked(rate, burst)?, now);
        Ok(())
    }
    fn per_second(&self) -> f64 {
        self.quota().per_second()
    }
    fn burst(&self) -> u64 {
        self.quota().count()
    }
    fn capacity(&self) -> usize {
        self.capacity()
    }
    fn statistics(&self, now: Nanos, thorough: bool) -> Statistics {
        self.statistics(now, thorough)
    }
}

/// Any limiter, shared. Token buckets, the common ones, are called directly.
#[derive(Debug, Clone)]
pub enum AnyLimiter {
    /// For all calls.
    TokenBucket(Arc<TokenBucket>),
    /// For each key.
    KeyedTokenBucket(Arc<KeyedTokenBucket>),
    /// All others.
    Other(Arc<dyn Limiter>),
}

impl AnyLimiter {
    /// A limiter; for each of `capacity` keys where that is given.
    ///
    /// # Errors
    /// A rate and burst that are no limit for this algorithm.
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

    /// Whether it counts by keys.
    #[must_use]
    #[inline]
    pub fn is_keyed(&self) -> bool {
        match self {
            Self::TokenBucket(_) => false,
            Self::KeyedTokenBucket(_) => true,
            Self::Other(limiter) => limiter.hasher().is_some(),
        }
    }

    /// Takes `n` tokens if they are there within `max_wait`, ahead of time where they are not there yet.
    #[inline]
    pub fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        match self {
            Self::TokenBucket(bucket) => bucket.reserve(n, max_wait, now),
            Self::KeyedTokenBucket(bucket) => bucket.reserve(hash, n, max_wait, now),
            Self::Other(limiter) => limiter.reserve(hash, n, max_wait, now),
        }
    }

    /// All its other verbs.
    #[must_use]
    pub fn get(&self) -> &dyn Limiter {
        match self {
            Self::TokenBucket(bucket) => &**bucket,
            Self::KeyedTokenBucket(bucket) => &**bucket,
            Self::Other(limiter) => &**limiter,
        }
    }
}
