//! The in-process cache: bounded in entries and weight, with times to live and tags, evicting by S3-FIFO or LRU.
//!
//! [`MemoryCache`] has no lock and no clock. It never compares, hashes or drops a key or a value itself: the caller
//! passes the hash and the comparison, and gets back all entries that leave the cache. So a binding can compare and drop
//! after it has released its lock, when foreign code may run.

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
pub use memory_cache::{EntryOptions, Lookup, MemoryCache, NEVER, Position};
pub use slots::Removed;
pub use statistics::Statistics;
pub use tags::MOST_TAGS;
