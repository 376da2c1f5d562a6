//! Invalidating entries by position, tag or pattern.

use super::glob::Glob;
use super::memory_cache::{MemoryCache, Position};

impl<K, V> MemoryCache<K, V> {
    /// Removes an entry, and counts an invalidation.
    pub fn invalidate(&mut self, position: Position) -> Option<(K, V)> {
        let pair = self.remove(position);
        self.counts.invalidations += u64::from(pair.is_some());
        pair
    }

    /// Removes the entries that have a tag.
    pub fn invalidate_tag(&mut self, tag: &str) -> Vec<(K, V)> {
        let slots = self.tags.slots_of(tag);
        self.invalidate_all(slots)
    }

    /// Removes the entries that have a tag that matches the pattern.
    pub fn invalidate_tags_like(&mut self, pattern: &Glob) -> Vec<(K, V)> {
        let mut slots = self.tags.slots_where(|name| pattern.matches(name));
        slots.sort_unstable();
        slots.dedup();
        self.invalidate_all(slots)
    }

    /// Returns the tags of an entry.
    pub fn tags_of(&self, position: Position) -> impl Iterator<Item = &str> {
        self.slots.at(position.0).tags().map(|tag| self.tags.name(tag))
    }

    fn invalidate_all(&mut self, slots: Vec<u32>) -> Vec<(K, V)> {
        let removed: Vec<_> = slots.into_iter().filter_map(|slot| self.detach(slot)).collect();
        self.counts.invalidations += removed.len() as u64;
        removed
    }
}
