//! What a cache has counted.

/// Counts since the cache was made, and what it holds now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Lookups that found a value.
    pub hits: u64,
    /// Lookups that found none, or one whose time had passed.
    pub misses: u64,
    /// Values put in, new and replaced ones.
    pub inserts: u64,
    /// Entries that left to make room.
    pub evictions: u64,
    /// Entries that left because their time had passed.
    pub expirations: u64,
    /// Values not taken because they alone weigh more than the whole cache may.
    pub rejections: u64,
    /// Entries given out though their time had passed, for want of better.
    pub stale: u64,
    /// Hits whose caller was chosen to make the entry anew ahead of time.
    pub refreshes: u64,
    /// Entries taken out because what they say is no longer so: by key, tag or pattern.
    pub invalidations: u64,
    /// Entries now, with those whose time has passed but which nobody has met since.
    pub entries: usize,
    /// Their weight.
    pub weight: u64,
    /// The different tags they have.
    pub tags: usize,
}
