//! The in-process cache: bounded in entries and weight, with times to live and tags, evicting by S3-FIFO or LRU.
//!
//! [`MemoryCache`] is a plain structure without a lock and without a clock. It never compares, hashes or drops a key or
//! a value of its own accord: the caller brings the hash and the comparison, and gets whatever leaves the cache handed
//! back. So a binding can compare and drop after its lock is gone, where foreign code may run.

mod eviction;
mod ghost;
mod glob;
mod invalidation;
mod lifetime;
mod memory_cache;
#[cfg(test)]
mod model;
mod slots;
mod statistics;
mod tags;

pub use eviction::Eviction;
pub use glob::{Glob, UnfinishedEscape};
pub use lifetime::{Freshness, Lifetime, Times};
pub use memory_cache::{Lookup, MemoryCache, NEVER, Position, Terms};
pub use slots::Removed;
pub use statistics::Statistics;
pub use tags::MOST_TAGS;
