//! The cache: a table from hashes to slots, and queues through the slots.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use super::eviction::{Eviction, MOST_FREQUENT};
use super::ghost::Ghost;
use super::lifetime::{Freshness, Lifetime, Times};
use super::slots::{Queue, Removed, Slots};
use super::statistics::Statistics;
use super::tags::Tags;
use crate::clock::Nanos;
use crate::random;

/// The expiry of an entry without a time to live.
pub const NEVER: Nanos = Nanos::MAX;

/// The position of an entry, valid until the cache is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub(super) u32);

/// The result of a lookup.
#[derive(Debug)]
pub enum Lookup<'a, K, V> {
    /// A good value.
    Hit(&'a V),
    /// A good value that the caller is to refresh before it expires.
    Due(&'a V),
    /// An expired entry, removed from the cache.
    Expired((K, V)),
    /// No entry, or a stale one.
    Miss,
}

/// Weight, times and tags of an entry to insert. Small, because every insert passes it on.
#[derive(Debug)]
pub struct EntryOptions {
    pub(super) weight: u64,
    pub(super) good_until: Nanos,
    pub(super) more: Option<Box<More>>,
}

/// Tags, and times that are more than one moment.
#[derive(Debug)]
pub(super) struct More {
    pub(super) times: Times,
    pub(super) tags: Vec<Box<str>>,
}

impl EntryOptions {
    /// Options with tags, of which at most [`MOST_TAGS`](super::MOST_TAGS) are kept.
    #[inline]
    pub fn new(weight: u64, times: Times, tags: Vec<Box<str>>) -> Self {
        if times.is_one_moment() && tags.is_empty() {
            return Self::until(weight, times.expires);
        }
        Self { weight, good_until: times.good_until, more: Some(Box::new(More { times, tags })) }
    }

    /// Options of an entry that is good until a moment and has no tags.
    #[inline]
    pub const fn until(weight: u64, expires: Nanos) -> Self {
        Self { weight, good_until: expires, more: None }
    }
}

fn ghosts(max_entries: usize, eviction: Eviction) -> usize {
    if eviction == Eviction::S3Fifo { max_entries - max_entries / 10 } else { 0 }
}

/// A bounded cache; the caller locks it, passes time, hashes and comparisons, and drops the entries it returns.
///
/// A change is made in two steps, so that keys can be compared elsewhere in between: [`position`](Self::position) finds
/// an entry, then [`hit`](Self::hit), [`insert`](Self::insert) or [`remove`](Self::remove) act on it.
#[derive(Debug)]
pub struct MemoryCache<K, V> {
    table: HashTable<u32>,
    pub(super) slots: Slots<K, V>,
    /// Only S3-FIFO uses it.
    pub(super) small: Queue,
    pub(super) main: Queue,
    pub(super) ghost: Ghost,
    pub(super) eviction: Eviction,
    pub(super) max_entries: usize,
    pub(super) max_weight: Option<u64>,
    pub(super) counts: Statistics,
    pub(super) tags: Tags,
    lifetime: Lifetime,
    seed: u64,
    random: u64,
}

impl<K, V> MemoryCache<K, V> {
    /// An empty cache for at most `max_entries` entries (from 1 to 2³²−2) that together weigh at most `max_weight`.
    pub fn new(max_entries: usize, max_weight: Option<u64>, eviction: Eviction) -> Self {
        let max_entries = max_entries.clamp(1, u32::MAX as usize - 1);
        Self {
            table: HashTable::new(),
            slots: Slots::new(),
            small: Queue::new(),
            main: Queue::new(),
            ghost: Ghost::new(ghosts(max_entries, eviction)),
            eviction,
            max_entries,
            max_weight,
            counts: Statistics::default(),
            tags: Tags::default(),
            lifetime: Lifetime::default(),
            seed: RandomState::new().hash_one(0),
            random: RandomState::new().hash_one(1),
        }
    }

    /// Sets the lifetime of entries.
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the lifetime of entries inserted from now on.
    pub fn set_lifetime(&mut self, lifetime: Lifetime) {
        self.lifetime = lifetime;
    }

    /// Sets the caps, and returns the entries evicted for them.
    pub fn resize(&mut self, max_entries: usize, max_weight: Option<u64>, now: Nanos) -> Removed<K, V> {
        self.max_entries = max_entries.clamp(1, u32::MAX as usize - 1);
        self.max_weight = max_weight;
        self.ghost = Ghost::new(ghosts(self.max_entries, self.eviction));
        let mut removed = Removed::none();
        self.make_room(0, 0, now, &mut removed);
        removed
    }

    /// Returns the times of an entry inserted now that took `cost` to compute; a `ttl` of none is the cache's own.
    pub fn times(&mut self, ttl: Option<Nanos>, now: Nanos, cost: Nanos) -> Times {
        let random = self.next_random();
        self.lifetime.times(ttl, now, cost, random)
    }

    /// Spreads a hash by a random seed and a folded multiplication: Python's hash of a number is the number.
    #[inline]
    pub fn spread(&self, hash: u64) -> u64 {
        let product = u128::from(hash ^ self.seed) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let folded = (product >> 64) as u64 ^ product as u64;
        folded
    }

    /// Returns the position of the entry with this spread hash whose key is `same`, expired or not.
    #[inline]
    pub fn position(&self, hash: u64, mut same: impl FnMut(&K) -> bool) -> Option<Position> {
        let found = self.table.find(hash, |&index| {
            let slot = self.slots.at(index);
            slot.hash == hash && slot.pair.as_ref().is_some_and(|(key, _)| same(key))
        });
        found.map(|&index| Position(index))
    }

    /// Looks an entry up and counts a hit or a miss. Calls `now` only where the entry has a time to live.
    #[inline]
    pub fn hit(&mut self, position: Option<Position>, now: impl FnOnce() -> Nanos) -> Lookup<'_, K, V> {
        let Some(Position(index)) = position else {
            self.counts.misses += 1;
            return Lookup::Miss;
        };
        let good_until = self.slots.at(index).good_until;
        if good_until != NEVER {
            let now = now();
            if good_until <= now {
                return self.hit_after_good_until(index, now);
            }
        }
        self.count_hit(index);
        match &self.slots.at(index).pair {
            Some((_, value)) => Lookup::Hit(value),
            None => Lookup::Miss,
        }
    }

    #[inline(always)] // a call of its own is an eighth of a hit
    fn count_hit(&mut self, index: u32) {
        self.counts.hits += 1;
        match self.eviction {
            Eviction::S3Fifo => {
                let slot = self.slots.at_mut(index);
                slot.frequency = MOST_FREQUENT.min(slot.frequency + 1);
            }
            Eviction::Lru => self.main.renew(&mut self.slots, index),
        }
    }

    /// Looks up an entry after its `good_until`.
    #[cold]
    fn hit_after_good_until(&mut self, index: u32, now: Nanos) -> Lookup<'_, K, V> {
        let random = self.next_random();
        let freshness = self.slots.at(index).times().freshness(now, || random);
        match freshness {
            Freshness::Gone => return self.miss_expired(index),
            Freshness::Stale => {
                self.counts.misses += 1;
                return Lookup::Miss;
            }
            Freshness::Good | Freshness::Due => self.count_hit(index),
        }
        match &self.slots.at(index).pair {
            Some((_, value)) if freshness == Freshness::Due => {
                self.counts.refreshes += 1;
                Lookup::Due(value)
            }
            Some((_, value)) => Lookup::Hit(value),
            None => Lookup::Miss,
        }
    }

    fn next_random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(random::STEP);
        random::uniform(self.random)
    }

    fn miss_expired(&mut self, index: u32) -> Lookup<'_, K, V> {
        self.counts.misses += 1;
        self.counts.expirations += 1;
        let slot = self.slots.at(index);
        // The caller will likely insert a new value at once: an entry of the main queue returns to the main queue.
        if self.eviction == Eviction::S3Fifo && !slot.in_small {
            self.ghost.add(slot.hash);
        }
        self.detach(index).map_or(Lookup::Miss, Lookup::Expired)
    }

    /// Returns the value at a position if it is good; counts nothing and does not delay its eviction.
    pub fn peek(&self, position: Position, now: impl FnOnce() -> Nanos) -> Option<&V> {
        let slot = self.slots.at(position.0);
        if slot.good_until != NEVER && slot.times().expires <= now() {
            return None;
        }
        slot.pair.as_ref().map(|(_, value)| value)
    }

    /// Returns the value at a position if it is good or stale, and whether it is good. Counts a stale value.
    pub fn stale(&mut self, position: Position, now: Nanos) -> Option<(&V, bool)> {
        let slot = self.slots.at(position.0);
        let times = slot.times();
        let good = times.expires == NEVER || now < times.expires;
        if !self.has_stale(position, now) {
            return None;
        }
        self.counts.stale += u64::from(!good);
        slot.pair.as_ref().map(|(_, value)| (value, good))
    }

    /// Returns whether the value at a position is good or stale; counts nothing.
    pub fn has_stale(&self, position: Position, now: Nanos) -> bool {
        let gone = self.slots.at(position.0).times().gone;
        gone == NEVER || now < gone
    }

    /// Inserts a value, or replaces the value at `position`, where the key was found. Adds to `removed` the replaced value
    /// (with the key that was not needed), evicted entries, or the new pair itself if it weighs more than the cache may.
    #[inline]
    pub fn insert(
        &mut self,
        position: Option<Position>,
        hash: u64,
        pair: (K, V),
        mut options: EntryOptions,
        now: Nanos,
        removed: &mut Removed<K, V>,
    ) {
        let weight = options.weight;
        if self.max_weight.is_some_and(|most| weight > most) {
            self.counts.rejections += 1;
            if let Some(old) = position.and_then(|position| self.remove(position)) {
                removed.push(old);
            }
            removed.push(pair);
            return;
        }
        // Without a cap the sum of weights must not overflow.
        if self.max_weight.is_none() && weight > u64::from(u32::MAX) {
            options.weight = weight.min(u64::MAX / self.max_entries as u64);
        }
        self.counts.inserts += 1;
        match position {
            Some(Position(index)) => {
                if self.slots.at(index).times().gone <= now {
                    self.counts.expirations += 1;
                }
                let others = self.weight().saturating_sub(self.slots.at(index).weight);
                if self.max_weight.is_some_and(|most| weight > most - others.min(most)) {
                    self.replace_by_heavier(index, pair, options, now, removed);
                } else if let Some(old) = self.replace(index, pair, options) {
                    removed.push(old);
                }
            }
            None => {
                self.make_room(1, options.weight, now, removed);
                let in_small = self.eviction == Eviction::S3Fifo && !self.ghost.take(hash);
                self.add(hash, pair, options, in_small);
            }
        }
    }

    /// Removes an entry, expired or not.
    pub fn remove(&mut self, position: Position) -> Option<(K, V)> {
        self.detach(position.0)
    }

    /// Removes all expired entries. Walks all slots.
    pub fn expire(&mut self, now: Nanos) -> Vec<(K, V)> {
        let passed: Vec<u32> =
            self.slots.used().filter(|(_, slot)| slot.times().gone <= now).map(|(index, _)| index).collect();
        let removed: Vec<_> = passed.into_iter().filter_map(|index| self.detach(index)).collect();
        self.counts.expirations += removed.len() as u64;
        removed
    }

    /// Removes all entries, and forgets the ghost queue.
    pub fn clear(&mut self) -> Vec<(K, V)> {
        self.table = HashTable::new();
        (self.small, self.main) = (Queue::new(), Queue::new());
        self.ghost.clear();
        self.tags = Tags::default();
        self.slots.take_all().collect()
    }

    /// Returns the good entries, in no particular order.
    pub fn iter(&self, now: Nanos) -> impl Iterator<Item = (&K, &V)> {
        let good = self.slots.used().filter(move |(_, slot)| slot.times().expires > now);
        good.filter_map(|(_, slot)| slot.pair.as_ref()).map(|(key, value)| (key, value))
    }

    /// Returns all entries, for the garbage collector.
    pub fn all(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.used().filter_map(|(_, slot)| slot.pair.as_ref()).map(|(key, value)| (key, value))
    }

    /// Returns the number of entries, including expired ones that no lookup has met since.
    pub fn len(&self) -> usize {
        self.small.len + self.main.len
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the cap on entries.
    pub fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// Returns the cap on the weight of all entries.
    pub fn max_weight(&self) -> Option<u64> {
        self.max_weight
    }

    /// Returns the counts and the present size.
    pub fn statistics(&self) -> Statistics {
        Statistics { entries: self.len(), weight: self.weight(), tags: self.tags.len(), ..self.counts }
    }

    fn weight(&self) -> u64 {
        self.small.weight.saturating_add(self.main.weight)
    }

    fn make_room(&mut self, entries: usize, weight: u64, now: Nanos, removed: &mut Removed<K, V>) {
        while !self.is_empty()
            && (self.len() + entries > self.max_entries
                || self.max_weight.is_some_and(|most| most.checked_sub(self.weight()).is_none_or(|left| weight > left)))
        {
            self.evict_one(now, removed);
        }
    }

    /// Replaces the value of an entry, which counts as a use, not as a hit. Returns the key that was not needed.
    fn replace(&mut self, index: u32, (key, value): (K, V), options: EntryOptions) -> Option<(K, V)> {
        let (weight, old_weight) = (options.weight, self.slots.at(index).weight);
        self.slots.set_options(index, options, &mut self.tags);
        let slot = self.slots.at_mut(index);
        let in_small = slot.in_small;
        let old = slot.pair.as_mut().map(|pair| (key, std::mem::replace(&mut pair.1, value)));
        let queue = if in_small { &mut self.small } else { &mut self.main };
        queue.weight = queue.weight.saturating_sub(old_weight).saturating_add(weight);
        match self.eviction {
            Eviction::S3Fifo => slot.frequency = MOST_FREQUENT.min(slot.frequency + 1),
            Eviction::Lru => self.main.renew(&mut self.slots, index),
        }
        old
    }

    /// Replaces a value by a heavier one, for which other entries are evicted. Removes the entry first, so that it is not
    /// evicted itself.
    fn replace_by_heavier(
        &mut self,
        index: u32,
        (key, value): (K, V),
        options: EntryOptions,
        now: Nanos,
        removed: &mut Removed<K, V>,
    ) {
        let slot = self.slots.at(index);
        let (hash, in_small) = (slot.hash, slot.in_small);
        let frequency = MOST_FREQUENT.min(slot.frequency + 1);
        let pair = match self.detach(index) {
            Some((old_key, old_value)) => {
                removed.push((key, old_value));
                (old_key, value)
            }
            None => (key, value),
        };
        self.make_room(1, options.weight, now, removed);
        let index = self.add(hash, pair, options, in_small);
        self.slots.at_mut(index).frequency = frequency;
    }

    /// Adds an entry to the table, a slot and the front of a queue; the caller has made room.
    fn add(&mut self, hash: u64, pair: (K, V), options: EntryOptions, in_small: bool) -> u32 {
        let index = self.slots.add(hash, pair, options, &mut self.tags);
        let slots = &self.slots;
        self.table.insert_unique(hash, index, |&index| slots.at(index).hash);
        self.slots.at_mut(index).in_small = in_small;
        let queue = if in_small { &mut self.small } else { &mut self.main };
        queue.push(&mut self.slots, index);
        index
    }

    /// Removes an entry from the table, its queue and its slot.
    pub(super) fn detach(&mut self, index: u32) -> Option<(K, V)> {
        let slot = self.slots.at(index);
        let (hash, in_small) = (slot.hash, slot.in_small);
        if let Ok(entry) = self.table.find_entry(hash, |&other| other == index) {
            entry.remove();
        }
        let queue = if in_small { &mut self.small } else { &mut self.main };
        queue.unlink(&mut self.slots, index);
        self.slots.release(index, &mut self.tags)
    }
}
