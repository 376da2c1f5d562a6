//! Token buckets: one for all calls, and one a key for a bounded number of keys.
//!
//! Both are the generic cell rate algorithm (GCRA; ITU-T I.371, 2004, annex A; the "virtual scheduling" form): a bucket
//! is one number, the theoretical arrival time (TAT) at which it would be full again. A full bucket's TAT lies in the
//! past; taking a token moves it one emission interval into the future; the bucket is empty when it lies
//! `burst × interval` ahead of now. So a bucket needs no refill, no lock and no timer: it is one `AtomicU64`.

mod gcra;
#[cfg(test)]
#[cfg(loom)]
mod interleavings;
mod keyed;
mod rate;
mod token_bucket;

pub use gcra::{Decision, Limit, Reservation};
pub use keyed::{DEFAULT_CAPACITY, KeyedStatistics, KeyedTokenBucket};
pub use rate::{Rate, RateError};
pub use token_bucket::{Statistics, TokenBucket};
