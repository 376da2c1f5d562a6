//! Eviction by S3-FIFO and LRU.

use super::memory_cache::MemoryCache;
use super::slots::Removed;
use crate::clock::Nanos;

/// Hits beyond this number are not counted.
pub(super) const MOST_FREQUENT: u8 = 3;
/// Hits in the small queue that move an entry to the main queue.
const PROMOTED_FROM: u8 = 2;
/// The small queue's share of the cache is one part in this number.
const SMALL_SHARE: usize = 10;

/// The rule that chooses the entry to evict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Eviction {
    /// Three queues, first in, first out: new entries wait in the small queue, entries with two hits there move to the
    /// main queue, and entries that left the small queue lately return straight to the main queue (Yang, Zhang, Qiu,
    /// Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP 2023). A hit is one store, and a scan
    /// passes through the small queue without touching the main one.
    #[default]
    S3Fifo,
    /// Evicts the least recently used entry.
    Lru,
}

impl<K, V> MemoryCache<K, V> {
    /// Evicts one entry.
    pub(super) fn evict_one(&mut self, now: Nanos, removed: &mut Removed<K, V>) {
        match self.eviction {
            Eviction::S3Fifo if self.small_has_its_share() || self.main.len == 0 => self.evict_small(now, removed),
            Eviction::S3Fifo => self.evict_main(now, removed),
            Eviction::Lru => {
                if let Some(oldest) = self.main.oldest() {
                    self.evict(oldest, now, removed);
                }
            }
        }
    }

    fn evict_small(&mut self, now: Nanos, removed: &mut Removed<K, V>) {
        while let Some(oldest) = self.small.oldest() {
            let slot = self.slots.at_mut(oldest);
            let (hash, passed) = (slot.hash, slot.times().gone <= now);
            if passed || slot.frequency < PROMOTED_FROM {
                self.evict(oldest, now, removed);
                if !passed {
                    self.ghost.add(hash);
                }
                return;
            }
            slot.frequency = 0;
            slot.in_small = false;
            self.small.unlink(&mut self.slots, oldest);
            self.main.push(&mut self.slots, oldest);
            if self.main_exceeds_its_share() {
                break;
            }
        }
        self.evict_main(now, removed);
    }

    fn evict_main(&mut self, now: Nanos, removed: &mut Removed<K, V>) {
        while let Some(oldest) = self.main.oldest() {
            let slot = self.slots.at_mut(oldest);
            if slot.frequency == 0 || slot.times().gone <= now {
                self.evict(oldest, now, removed);
                return;
            }
            slot.frequency -= 1;
            self.main.renew(&mut self.slots, oldest);
        }
    }

    fn evict(&mut self, index: u32, now: Nanos, removed: &mut Removed<K, V>) {
        if self.slots.at(index).times().gone <= now {
            self.counts.expirations += 1;
        } else {
            self.counts.evictions += 1;
        }
        if let Some(pair) = self.detach(index) {
            removed.push(pair);
        }
    }

    fn small_has_its_share(&self) -> bool {
        self.small.len * SMALL_SHARE >= self.max_entries
            || self.max_weight.is_some_and(|most| self.small.weight >= most / SMALL_SHARE as u64)
    }

    fn main_exceeds_its_share(&self) -> bool {
        self.main.len > self.max_entries - self.max_entries / SMALL_SHARE
            || self.max_weight.is_some_and(|most| self.main.weight > most - most / SMALL_SHARE as u64)
    }
}
