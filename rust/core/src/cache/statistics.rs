//! Counts of a cache.

/// Counts since the cache was made, and its present size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Lookups that found a value.
    pub hits: u64,
    /// Lookups that found no value, or an expired one.
    pub misses: u64,
    /// Values inserted, new and replaced ones.
    pub inserts: u64,
    /// Entries removed to make room.
    pub evictions: u64,
    /// Entries removed because they had expired.
    pub expirations: u64,
    /// Values refused because each alone weighs more than the whole cache may.
    pub rejections: u64,
    /// Expired entries returned because no good value could be had.
    pub stale: u64,
    /// Hits whose caller was chosen to refresh the entry early.
    pub refreshes: u64,
    /// Entries invalidated by key, tag or pattern.
    pub invalidations: u64,
    /// Entries now, including expired ones that no lookup has met since.
    pub entries: usize,
    /// The weight of all entries.
    pub weight: u64,
    /// Distinct tags of all entries.
    pub tags: usize,
}
