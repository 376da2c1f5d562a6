//! The cache itself: a table from hashes to slots, and queues through the slots.

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

/// The time at which what has no time to live expires.
pub const NEVER: Nanos = Nanos::MAX;

/// Where an entry is; good until the cache is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub(super) u32);

/// What a lookup found.
#[derive(Debug)]
pub enum Lookup<'a, K, V> {
    /// A value that is good.
    Hit(&'a V),
    /// A value that is good, and that who asks is to make anew, so that it is there when this one's time is over.
    Due(&'a V),
    /// An entry whose time had passed; it is no longer in the cache.
    Expired((K, V)),
    /// Nothing.
    Miss,
}

/// On which terms an entry comes in. Small, and nothing but numbers for most: they are on the way of every insert.
#[derive(Debug)]
pub struct Terms {
    pub(super) weight: u64,
    pub(super) good_until: Nanos,
    pub(super) more: Option<Box<More>>,
}

/// What few entries have.
#[derive(Debug)]
pub(super) struct More {
    pub(super) times: Times,
    pub(super) tags: Vec<Box<str>>,
}

impl Terms {
    /// What it weighs, how long it is good, and names under which it can be taken out with others: at most
    /// [`MOST_TAGS`](super::MOST_TAGS) of them are kept.
    #[inline]
    #[must_use]
    pub fn new(weight: u64, times: Times, tags: Vec<Box<str>>) -> Self {
        if times.is_plain() && tags.is_empty() {
            return Self::plain(weight, times.expires);
        }
        Self { weight, good_until: times.good_until, more: Some(Box::new(More { times, tags })) }
    }

    /// Those of what weighs so much, is good until a moment, and has no tags.
    #[inline]
    #[must_use]
    pub const fn plain(weight: u64, expires: Nanos) -> Self {
        Self { weight, good_until: expires, more: None }
    }
}

fn ghosts(max_entries: usize, eviction: Eviction) -> usize {
    if eviction == Eviction::S3Fifo { max_entries - max_entries / 10 } else { 0 }
}

/// A bounded cache; the caller locks it, tells the time, brings hashes and comparisons, and drops what it hands back.
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
    #[must_use]
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

    /// The same with times for its entries.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Other times for entries that come from now on; those that are there keep theirs.
    pub fn set_lifetime(&mut self, lifetime: Lifetime) {
        self.lifetime = lifetime;
    }

    /// Other caps. What has to go for them is handed back.
    pub fn resize(&mut self, max_entries: usize, max_weight: Option<u64>, now: Nanos) -> Removed<K, V> {
        self.max_entries = max_entries.clamp(1, u32::MAX as usize - 1);
        self.max_weight = max_weight;
        self.ghost = Ghost::new(ghosts(self.max_entries, self.eviction));
        let mut removed = Removed::none();
        self.make_room(0, 0, now, &mut removed);
        removed
    }

    /// The times of an entry that comes in now, took `cost` to make and is good for `ttl`; None: as the cache has it.
    pub fn times(&mut self, ttl: Option<Nanos>, now: Nanos, cost: Nanos) -> Times {
        let random = self.next_random();
        self.lifetime.times(ttl, now, cost, random)
    }

    /// Spreads a hash that may be as plain as the number it belongs to, by a random seed: a folded multiplication.
    #[inline]
    #[must_use]
    pub fn spread(&self, hash: u64) -> u64 {
        let product = u128::from(hash ^ self.seed) * u128::from(0x9E37_79B9_7F4A_7C15_u64);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
        let folded = (product >> 64) as u64 ^ product as u64;
        folded
    }

    /// Where the entry is whose key has this (spread) hash and is `same`, whether or not its time has passed.
    #[inline]
    pub fn position(&self, hash: u64, mut same: impl FnMut(&K) -> bool) -> Option<Position> {
        let found = self.table.find(hash, |&index| {
            let slot = self.slots.at(index);
            slot.hash == hash && slot.pair.as_ref().is_some_and(|(key, _)| same(key))
        });
        found.map(|&index| Position(index))
    }

    /// Looks an entry up and counts a hit or a miss. `now` is asked only where the entry has a time to live.
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
                return self.late(index, now);
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

    /// What is past the time before which nobody need think about it.
    #[cold]
    fn late(&mut self, index: u32, now: Nanos) -> Lookup<'_, K, V> {
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
        // It was wanted, and will likely be put in anew at once: what was in the main queue comes back there.
        if self.eviction == Eviction::S3Fifo && !slot.in_small {
            self.ghost.add(slot.hash);
        }
        self.detach(index).map_or(Lookup::Miss, Lookup::Expired)
    }

    /// The value at a position if it is good; counts nothing and saves it from nothing.
    pub fn peek(&self, position: Position, now: impl FnOnce() -> Nanos) -> Option<&V> {
        let slot = self.slots.at(position.0);
        if slot.good_until != NEVER && slot.times().expires <= now() {
            return None;
        }
        slot.pair.as_ref().map(|(_, value)| value)
    }

    /// The value at a position if it is better than nothing, and whether it is good. One that is good no more is counted
    /// as given out stale.
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

    /// Whether what is at a position is better than nothing; counts nothing.
    pub fn has_stale(&self, position: Position, now: Nanos) -> bool {
        let gone = self.slots.at(position.0).times().gone;
        gone == NEVER || now < gone
    }

    /// Puts a value in, in the place of the one at `position` (which is where `key` was found, if it was). What had to
    /// go is in `removed`: a replaced value (with the key that was not needed), evicted entries, or the new pair itself
    /// where it alone weighs more than the cache may.
    #[inline]
    pub fn insert(
        &mut self,
        position: Option<Position>,
        hash: u64,
        pair: (K, V),
        mut terms: Terms,
        now: Nanos,
        removed: &mut Removed<K, V>,
    ) {
        let weight = terms.weight;
        if self.max_weight.is_some_and(|most| weight > most) {
            self.counts.rejections += 1;
            if let Some(old) = position.and_then(|position| self.remove(position)) {
                removed.push(old);
            }
            removed.push(pair);
            return;
        }
        // Where nothing bounds the sum, it must not overflow.
        if self.max_weight.is_none() && weight > u64::from(u32::MAX) {
            terms.weight = weight.min(u64::MAX / self.max_entries as u64);
        }
        self.counts.inserts += 1;
        match position {
            Some(Position(index)) => {
                if self.slots.at(index).times().gone <= now {
                    self.counts.expirations += 1;
                }
                let others = self.weight().saturating_sub(self.slots.at(index).weight);
                if self.max_weight.is_some_and(|most| weight > most - others.min(most)) {
                    self.replace_by_heavier(index, pair, terms, now, removed);
                } else if let Some(old) = self.replace(index, pair, terms) {
                    removed.push(old);
                }
            }
            None => {
                self.make_room(1, terms.weight, now, removed);
                let in_small = self.eviction == Eviction::S3Fifo && !self.ghost.take(hash);
                self.add(hash, pair, terms, in_small);
            }
        }
    }

    /// Takes an entry out, whether or not its time has passed.
    pub fn remove(&mut self, position: Position) -> Option<(K, V)> {
        self.detach(position.0)
    }

    /// Takes out all entries whose time has passed. Walks all slots.
    pub fn expire(&mut self, now: Nanos) -> Vec<(K, V)> {
        let passed: Vec<u32> =
            self.slots.used().filter(|(_, slot)| slot.times().gone <= now).map(|(index, _)| index).collect();
        let removed: Vec<_> = passed.into_iter().filter_map(|index| self.detach(index)).collect();
        self.counts.expirations += removed.len() as u64;
        removed
    }

    /// Takes everything out, and forgets what was there before.
    pub fn clear(&mut self) -> Vec<(K, V)> {
        self.table = HashTable::new();
        (self.small, self.main) = (Queue::new(), Queue::new());
        self.ghost.clear();
        self.tags = Tags::default();
        self.slots.take_all().collect()
    }

    /// The entries that are good, in no particular order.
    pub fn iter(&self, now: Nanos) -> impl Iterator<Item = (&K, &V)> {
        let good = self.slots.used().filter(move |(_, slot)| slot.times().expires > now);
        good.filter_map(|(_, slot)| slot.pair.as_ref()).map(|(key, value)| (key, value))
    }

    /// All entries, for who must see every reference.
    pub fn all(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.used().filter_map(|(_, slot)| slot.pair.as_ref()).map(|(key, value)| (key, value))
    }

    /// Entries now, with those whose time has passed but which nobody has met since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.small.len + self.main.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most entries it holds.
    #[must_use]
    pub fn max_entries(&self) -> usize {
        self.max_entries
    }

    /// The most its entries may weigh together.
    #[must_use]
    pub fn max_weight(&self) -> Option<u64> {
        self.max_weight
    }

    /// What was counted so far, and what it holds now.
    #[must_use]
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

    /// A new value for an entry; counts as a use of it, not as a hit. Gives back the key that was not needed.
    fn replace(&mut self, index: u32, (key, value): (K, V), terms: Terms) -> Option<(K, V)> {
        let (weight, old_weight) = (terms.weight, self.slots.at(index).weight);
        self.slots.renew_terms(index, terms, &mut self.tags);
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

    /// A new value that others must make room for. The entry is away while they do, or it might be the one that goes.
    fn replace_by_heavier(
        &mut self,
        index: u32,
        (key, value): (K, V),
        terms: Terms,
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
        self.make_room(1, terms.weight, now, removed);
        let index = self.add(hash, pair, terms, in_small);
        self.slots.at_mut(index).frequency = frequency;
    }

    /// Puts an entry that there is room for into the table, a slot and the front of a queue.
    fn add(&mut self, hash: u64, pair: (K, V), terms: Terms, in_small: bool) -> u32 {
        let index = self.slots.add(hash, pair, terms, &mut self.tags);
        let slots = &self.slots;
        self.table.insert_unique(hash, index, |&index| slots.at(index).hash);
        self.slots.at_mut(index).in_small = in_small;
        let queue = if in_small { &mut self.small } else { &mut self.main };
        queue.push(&mut self.slots, index);
        index
    }

    /// Takes an entry out of the table, its queue and its slot.
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
