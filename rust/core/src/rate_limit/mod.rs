//! Rate limits by four algorithms, for all calls together and for each of a bounded number of keys.
//!
//! Buckets are the generic cell rate algorithm (GCRA; ITU-T I.371, 2004, annex A; the "virtual scheduling" form): a
//! bucket is one number, the theoretical arrival time (TAT) at which it would be full again. A full bucket's TAT lies in
//! the past; taking a token moves it one emission interval into the future; the bucket is empty when it lies `burst ×
//! interval` ahead of now. So a bucket needs no refill, no lock and no timer: it is one `AtomicU64`. A leaky bucket as a
//! queue (J. Turner, "New directions in communications", IEEE Communications Magazine, 1986) is the same number,
//! read as the time at which the last request in the queue goes.
//!
//! Windows are two counters and a time. The sliding one weighs the previous window by what still overlaps, so that it
//! needs no list of calls: sixteen bytes, whatever the limit.

mod bucket;
mod decision;
mod gcra;
#[cfg(test)]
#[cfg(loom)]
mod interleavings;
mod keyed_bucket;
mod limiter;
mod rate;
mod sync;
mod window;
mod windows;

pub use bucket::{LeakyBucket, TokenBucket};
pub use decision::{Claim, Decision, Reservation, Statistics};
pub use gcra::Limit;
pub use keyed_bucket::{DEFAULT_CAPACITY, KeyedLeakyBucket, KeyedTokenBucket};
pub use limiter::{Algorithm, AnyLimiter, Limiter, UnknownAlgorithm};
pub use rate::{LimitError, Rate, RateError};
pub use window::Quota;
pub use windows::{FixedWindow, KeyedFixedWindow, KeyedSlidingWindow, SlidingWindow};
