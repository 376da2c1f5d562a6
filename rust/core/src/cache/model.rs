//! The cache against a naive model: queues as vectors that are searched from end to end. The ghost queue has tests of
//! its own.

use std::collections::HashSet;

use proptest::prelude::*;

use super::ghost::Ghost;
use super::*;
use crate::clock::Nanos;

#[derive(Debug, Clone)]
struct Entry {
    key: u64,
    hash: u64,
    value: u32,
    weight: u64,
    expires: Nanos,
    gone: Nanos,
    tags: Vec<u8>,
    hits: u8,
}

#[derive(Debug)]
struct Model {
    eviction: Eviction,
    max_entries: usize,
    max_weight: Option<u64>,
    small: Vec<Entry>,
    main: Vec<Entry>,
    ghost: Ghost,
    counts: Statistics,
}

impl Model {
    fn weight(queue: &[Entry]) -> u64 {
        queue.iter().map(|entry| entry.weight).sum()
    }

    fn get(&mut self, key: u64, now: Nanos) -> Option<u32> {
        let lru = self.eviction == Eviction::Lru;
        for queue in [&mut self.small, &mut self.main] {
            let Some(place) = queue.iter().position(|entry| entry.key == key) else { continue };
            if queue[place].expires <= now {
                return None;
            }
            let mut entry = queue.remove(place);
            let value = entry.value;
            entry.hits = (entry.hits + 1).min(3);
            queue.insert(if lru { queue.len() } else { place }, entry);
            return Some(value);
        }
        None
    }

    fn lookup(&mut self, key: u64, now: Nanos) -> Option<u32> {
        let found = self.get(key, now);
        match found {
            Some(_) => self.counts.hits += 1,
            None if self.all().any(|entry| entry.key == key && entry.gone > now) => self.counts.misses += 1,
            None => {
                self.counts.misses += 1;
                let in_main = self.main.iter().find(|entry| entry.key == key);
                if let Some(hash) = in_main.filter(|_| self.eviction == Eviction::S3Fifo).map(|entry| entry.hash) {
                    self.ghost.add(hash);
                }
                self.counts.expirations += u64::from(self.remove(key));
            }
        }
        found
    }

    fn all(&self) -> impl Iterator<Item = &Entry> {
        self.small.iter().chain(&self.main)
    }

    /// Returns a value that is good or stale, and whether it is good.
    fn stale(&mut self, key: u64, now: Nanos) -> Option<(u32, bool)> {
        let entry = self.all().find(|entry| entry.key == key && entry.gone > now)?;
        let found = (entry.value, entry.expires > now);
        self.counts.stale += u64::from(!found.1);
        Some(found)
    }

    fn remove(&mut self, key: u64) -> bool {
        self.remove_where(|entry| entry.key == key) > 0
    }

    fn remove_where(&mut self, gone: impl Fn(&Entry) -> bool) -> usize {
        let before = self.small.len() + self.main.len();
        self.small.retain(|entry| !gone(entry));
        self.main.retain(|entry| !gone(entry));
        before - self.small.len() - self.main.len()
    }

    fn insert(&mut self, new: Entry, now: Nanos) {
        let key = new.key;
        if self.max_weight.is_some_and(|most| new.weight > most) {
            self.counts.rejections += 1;
            self.remove(key);
            return;
        }
        self.counts.inserts += 1;
        let old = self.small.iter_mut().chain(&mut self.main).find(|entry| entry.key == key);
        if let Some(old) = old {
            self.counts.expirations += u64::from(old.gone <= now);
            old.expires = Nanos::MAX; // for `get` to count a use
            self.get(key, 0);
            let old = self.small.iter_mut().chain(&mut self.main).find(|entry| entry.key == key).unwrap();
            let hits = old.hits;
            *old = Entry { hits, ..new.clone() };
            let weight = Self::weight(&self.small) + Self::weight(&self.main);
            if self.max_weight.is_some_and(|most| weight > most) {
                let in_small = self.small.iter().any(|entry| entry.key == key);
                self.remove(key);
                self.make_room(1, new.weight, now);
                if in_small { &mut self.small } else { &mut self.main }.push(Entry { hits, ..new });
            }
            return;
        }
        self.make_room(1, new.weight, now);
        let returns = self.eviction == Eviction::S3Fifo && self.ghost.take(new.hash);
        if self.eviction == Eviction::Lru || returns { self.main.push(new) } else { self.small.push(new) }
    }

    fn make_room(&mut self, entries: usize, weight: u64, now: Nanos) {
        while self.small.len() + self.main.len() > 0
            && (self.small.len() + self.main.len() + entries > self.max_entries
                || self
                    .max_weight
                    .is_some_and(|most| Self::weight(&self.small) + Self::weight(&self.main) + weight > most))
        {
            let share = self.small.len() * 10 >= self.max_entries
                || self.max_weight.is_some_and(|most| Self::weight(&self.small) >= most / 10);
            if self.eviction == Eviction::Lru {
                let entry = self.main.remove(0);
                self.count(&entry, now);
            } else if share || self.main.is_empty() {
                self.evict_small(now);
            } else {
                self.evict_main(now);
            }
        }
    }

    fn evict_small(&mut self, now: Nanos) {
        while !self.small.is_empty() {
            let mut entry = self.small.remove(0);
            if entry.gone <= now || entry.hits < 2 {
                self.count(&entry, now);
                if entry.gone > now {
                    self.ghost.add(entry.hash);
                }
                return;
            }
            entry.hits = 0;
            self.main.push(entry);
            if self.main.len() > self.max_entries - self.max_entries / 10
                || self.max_weight.is_some_and(|most| Self::weight(&self.main) > most - most / 10)
            {
                break;
            }
        }
        self.evict_main(now);
    }

    fn evict_main(&mut self, now: Nanos) {
        while !self.main.is_empty() {
            let mut entry = self.main.remove(0);
            if entry.hits == 0 || entry.gone <= now {
                self.count(&entry, now);
                return;
            }
            entry.hits -= 1;
            self.main.push(entry);
        }
    }

    fn count(&mut self, entry: &Entry, now: Nanos) {
        if entry.gone <= now {
            self.counts.expirations += 1;
        } else {
            self.counts.evictions += 1;
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Get(u64),
    Insert { key: u64, weight: u64, ttl: Option<u64>, cost: u64, tags: Vec<u8> },
    Remove(u64),
    Stale(u64),
    Invalidate(u64),
    InvalidateTag(u8),
    InvalidateTagsFrom(u8),
    Advance(u64),
    Expire,
    Clear,
    Resize { max_entries: usize, max_weight: Option<u64> },
}

fn insert<V>(
    cache: &mut MemoryCache<u64, V>,
    position: Option<Position>,
    hash: u64,
    pair: (u64, V),
    options: EntryOptions,
    now: Nanos,
) -> Removed<u64, V> {
    let mut removed = Removed::none();
    cache.insert(position, hash, pair, options, now, &mut removed);
    removed
}

fn name(tag: u8) -> Box<str> {
    format!("tag:{tag:02}").into()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..40_u64).prop_map(Step::Get),
        12 => (0..40_u64, 0..30_u64, prop::option::weighted(0.3, 1..50_u64), 0..3_u64, prop::collection::vec(0..12_u8, 0..4))
            .prop_map(|(key, weight, ttl, cost, tags)| Step::Insert { key, weight, ttl, cost, tags }),
        2 => (0..40_u64).prop_map(Step::Remove),
        2 => (0..40_u64).prop_map(Step::Stale),
        1 => (0..40_u64).prop_map(Step::Invalidate),
        1 => (0..12_u8).prop_map(Step::InvalidateTag),
        1 => (0..2_u8).prop_map(Step::InvalidateTagsFrom),
        2 => (0..20_u64).prop_map(Step::Advance),
        1 => Just(Step::Expire),
        1 => Just(Step::Clear),
        1 => (1..30_usize, prop::option::of(1..200_u64))
            .prop_map(|(max_entries, max_weight)| Step::Resize { max_entries, max_weight }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Same hits, same contents, same counts, and every pair is either inside or handed back exactly once.
    #[test]
    fn agrees_with_naive_queues(
        eviction in prop_oneof![Just(Eviction::S3Fifo), Just(Eviction::Lru)],
        max_entries in 1..30_usize,
        max_weight in prop::option::of(1..200_u64),
        stale in 0..20_u64,
        steps in prop::collection::vec(step(), 1..400),
    ) {
        let mut cache: MemoryCache<u64, u32> = MemoryCache::new(max_entries, max_weight, eviction)
            .with_lifetime(Lifetime { stale, eagerness: 1.0, ..Lifetime::default() });
        let counts = Statistics::default();
        let ghost = Ghost::new(max_entries - max_entries / 10);
        let mut model = Model { eviction, max_entries, max_weight, small: vec![], main: vec![], ghost, counts };
        let mut now = 1;
        let (mut put, mut handed_back) = (0_usize, 0_usize);
        for (number, step) in (0_u32..).zip(steps) {
            match step {
                Step::Advance(by) => now += by,
                Step::Get(key) => {
                    let position = cache.position(cache.spread(key), |other| *other == key);
                    let found = match cache.hit(position, || now) {
                        Lookup::Hit(value) => Some(*value),
                        Lookup::Due(value) => { model.counts.refreshes += 1; Some(*value) }
                        Lookup::Expired(_) => { handed_back += 1; None }
                        Lookup::Miss => None,
                    };
                    prop_assert_eq!(found, model.lookup(key, now));
                }
                Step::Insert { key, weight, ttl, cost, mut tags } => {
                    let times = cache.times(ttl, now, cost);
                    let hash = cache.spread(key);
                    let position = cache.position(hash, |other| *other == key);
                    let names = tags.iter().map(|tag| name(*tag)).collect();
                    put += 1;
                    let removed = insert(&mut cache, position, hash, (key, number), EntryOptions::new(weight, times, names), now);
                    handed_back += removed.into_iter().count();
                    tags.sort_unstable();
                    tags.dedup();
                    let Times { expires, gone, .. } = times;
                    prop_assert_eq!(expires, ttl.map_or(NEVER, |ttl| now + ttl));
                    prop_assert_eq!(gone, ttl.map_or(NEVER, |ttl| now + ttl + stale));
                    model.insert(Entry { key, hash, value: number, weight, expires, gone, tags, hits: 0 }, now);
                }
                Step::Remove(key) => {
                    let position = cache.position(cache.spread(key), |other| *other == key);
                    let removed = position.and_then(|position| cache.remove(position));
                    handed_back += usize::from(removed.is_some());
                    prop_assert_eq!(removed.is_some(), model.remove(key));
                }
                Step::Stale(key) => {
                    let position = cache.position(cache.spread(key), |other| *other == key);
                    let found = position.and_then(|position| cache.stale(position, now).map(|(value, good)| (*value, good)));
                    prop_assert_eq!(found, model.stale(key, now));
                }
                Step::Invalidate(key) => {
                    let position = cache.position(cache.spread(key), |other| *other == key);
                    let removed = position.and_then(|position| cache.invalidate(position));
                    handed_back += usize::from(removed.is_some());
                    prop_assert_eq!(removed.is_some(), model.remove(key));
                    model.counts.invalidations += u64::from(removed.is_some());
                }
                Step::InvalidateTag(tag) => {
                    let removed = cache.invalidate_tag(&name(tag)).len();
                    handed_back += removed;
                    prop_assert_eq!(removed, model.remove_where(|entry| entry.tags.contains(&tag)));
                    model.counts.invalidations += removed as u64;
                }
                Step::InvalidateTagsFrom(tens) => {
                    let removed = cache.invalidate_tags_like(&Glob::new(&format!("tag:{tens}?")).unwrap()).len();
                    handed_back += removed;
                    prop_assert_eq!(removed, model.remove_where(|entry| entry.tags.iter().any(|tag| tag / 10 == tens)));
                    model.counts.invalidations += removed as u64;
                }
                Step::Expire => {
                    let removed = cache.expire(now).len();
                    handed_back += removed;
                    model.counts.expirations += removed as u64;
                    model.remove_where(|entry| entry.gone <= now);
                }
                Step::Resize { max_entries, max_weight } => {
                    handed_back += cache.resize(max_entries, max_weight, now).len();
                    (model.max_entries, model.max_weight) = (max_entries, max_weight);
                    model.ghost = Ghost::new(max_entries - max_entries / 10);
                    model.make_room(0, 0, now);
                }
                Step::Clear => {
                    handed_back += cache.clear().len();
                    (model.small, model.main) = (vec![], vec![]);
                    model.ghost.clear();
                }
            }
            for entry in model.all() {
                let position = cache.position(cache.spread(entry.key), |other| *other == entry.key).unwrap();
                let mut tags: Vec<_> = cache.tags_of(position).map(str::to_owned).collect();
                tags.sort_unstable();
                prop_assert_eq!(tags, entry.tags.iter().map(|tag| String::from(name(*tag))).collect::<Vec<_>>());
            }
            let mut contents: Vec<_> = cache.all().map(|(key, value)| (*key, *value)).collect();
            let mut expected: Vec<_> =
                model.small.iter().chain(&model.main).map(|entry| (entry.key, entry.value)).collect();
            contents.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(contents, expected);
            let statistics = cache.statistics();
            prop_assert_eq!(statistics, Statistics {
                entries: model.small.len() + model.main.len(),
                weight: Model::weight(&model.small) + Model::weight(&model.main),
                tags: model.all().flat_map(|entry| &entry.tags).collect::<HashSet<_>>().len(),
                ..model.counts
            });
            prop_assert!(statistics.entries <= model.max_entries);
            prop_assert!(model.max_weight.is_none_or(|most| statistics.weight <= most));
            prop_assert_eq!(put, handed_back + statistics.entries);
        }
    }
}

fn get(cache: &mut MemoryCache<u64, u64>, key: u64) -> bool {
    let position = cache.position(cache.spread(key), |other| *other == key);
    matches!(cache.hit(position, || 0), Lookup::Hit(_))
}

fn put(cache: &mut MemoryCache<u64, u64>, key: u64) {
    let hash = cache.spread(key);
    let position = cache.position(hash, |other| *other == key);
    drop(insert(cache, position, hash, (key, key), EntryOptions::until(1, NEVER), 0));
}

#[test]
fn a_scan_does_not_wash_out_what_is_used() {
    for (eviction, survives) in [(Eviction::S3Fifo, true), (Eviction::Lru, false)] {
        let mut cache = MemoryCache::new(100, None, eviction);
        for _ in 0..4 {
            (0..50).for_each(|key| {
                if !get(&mut cache, key) {
                    put(&mut cache, key);
                }
            });
        }
        (1_000..2_000).for_each(|key| put(&mut cache, key));
        let kept = (0..50).filter(|&key| get(&mut cache, key)).count();
        assert_eq!(kept == 50, survives, "{eviction:?} kept {kept}");
    }
}

#[test]
fn what_was_just_put_in_anew_stays_however_much_heavier_it_is() {
    for eviction in [Eviction::S3Fifo, Eviction::Lru] {
        let mut cache = MemoryCache::new(2, Some(1), eviction);
        for (key, weight) in [(0, 0), (1, 1), (0, 1)] {
            let hash = cache.spread(key);
            let position = cache.position(hash, |other| *other == key);
            drop(insert(&mut cache, position, hash, (key, key), EntryOptions::until(weight, NEVER), 0));
        }
        assert_eq!(cache.all().collect::<Vec<_>>(), [(&0, &0)], "{eviction:?}");
        assert_eq!((cache.statistics().weight, cache.statistics().evictions), (1, 1));
    }
}

#[test]
fn weights_however_large_never_overflow_their_sum() {
    for max_weight in [None, Some(u64::MAX)] {
        let mut cache = MemoryCache::new(3, max_weight, Eviction::S3Fifo);
        for key in [1, 2, 3, 1, 2, 4] {
            let hash = cache.spread(key);
            let position = cache.position(hash, |other| *other == key);
            drop(insert(&mut cache, position, hash, (key, key), EntryOptions::until(u64::MAX, NEVER), 0));
            assert!(get(&mut cache, key));
        }
        assert_eq!(cache.statistics().weight, u64::MAX);
    }
}

#[test]
fn a_million_keys_leave_ten_thousand_entries() {
    for eviction in [Eviction::S3Fifo, Eviction::Lru] {
        let mut cache = MemoryCache::new(10_000, None, eviction);
        (0..1_000_000).for_each(|key| put(&mut cache, key));
        let statistics = cache.statistics();
        assert_eq!((statistics.entries, statistics.evictions), (10_000, 990_000));
    }
}

#[test]
fn tags_go_with_their_entries_however_many_there_were() {
    let mut cache: MemoryCache<u64, u64> = MemoryCache::new(100, None, Eviction::S3Fifo);
    for key in 0..100_000 {
        let hash = cache.spread(key);
        let options = EntryOptions::new(1, Times::FOREVER, vec![format!("user:{key}").into(), "all".into()]);
        drop(insert(&mut cache, None, hash, (key, key), options, 0));
        assert!(cache.statistics().tags <= 101);
    }
    assert_eq!(cache.invalidate_tag("user:99999").len(), 1);
    assert_eq!(cache.invalidate_tag("all").len(), 99);
    assert_eq!(cache.statistics().tags, 0);
}

#[test]
fn an_entry_keeps_no_more_tags_than_it_may() {
    let mut cache: MemoryCache<u64, u64> = MemoryCache::new(100, None, Eviction::Lru);
    let tags = (0..1_000).map(|tag| format!("{tag}").into()).collect();
    drop(insert(&mut cache, None, 1, (1, 1), EntryOptions::new(1, Times::FOREVER, tags), 0));
    assert_eq!(cache.statistics().tags, MOST_TAGS);
}

#[test]
fn a_slot_is_one_line_of_the_processors_cache() {
    assert!(size_of::<super::slots::Slot<Box<u8>, Box<u8>>>() <= 64);
}
