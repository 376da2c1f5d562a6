//! A bucket for each key, in bounded memory.

use std::hash::{BuildHasher, Hash, RandomState};
use std::marker::PhantomData;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::decision::LOOKED_AT;
use super::gcra::{Pacing, Queue, Tokens};
use super::sync::{AtomicU64, Mutex, RwLock};
use super::{Claim, Decision, Limit, LimitError, Limiter, Rate, Reservation, Statistics};
use crate::clock::Nanos;

/// The default capacity.
pub const DEFAULT_CAPACITY: usize = 1 << 20;

/// Slots in a set: one cache line.
const WAYS: usize = 4;
/// Slots for each key of the capacity. With three, sets of four overflow for about one key in a hundred when as many
/// keys as the capacity are live at once; a slot is 16 bytes, so a key costs 48.
const SLOTS_PER_KEY: usize = 3;
/// Sets allocated together: a page of memory.
const SEGMENT: usize = if cfg!(loom) { 1 } else { 64 };
/// Locks for taking a slot; taking goes by set, so that only neighbours in hash meet.
const STRIPES: usize = if cfg!(loom) { 1 } else { 64 };

/// One key's bucket. A hash of zero is an empty slot.
#[derive(Debug, Default)]
struct Slot {
    hash: AtomicU64,
    arrival: AtomicU64,
}

/// Four slots in one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Set([Slot; WAYS]);

/// A token bucket for each key.
pub type KeyedTokenBucket = KeyedBucket<Tokens>;

/// A leaky bucket for each key.
pub type KeyedLeakyBucket = KeyedBucket<Queue>;

/// A bucket a key, for a bounded number of keys, all with the same limit.
///
/// A key is known by 64 bits of a randomly keyed hash (SipHash, Aumasson and Bernstein, 2012, as in the standard
/// library), so that clients cannot choose keys that collide. The hash picks a set of four slots of hash and arrival
/// time. A slot whose arrival time has passed stands for a full bucket, which is what an absent key has as well: it is
/// reused and nothing is lost. When all four are live, the one with the earliest arrival time goes, which is the
/// fullest bucket; that key has a full one when it comes again (counted as an eviction). So memory is bounded, nothing
/// needs sweeping, and a call looks at one cache line however many keys there are.
///
/// Memory comes in pages as sets are first used: a bucket for a hundred clients stays small.
#[derive(Debug)]
pub struct KeyedBucket<P> {
    segments: Box<[OnceLock<Box<[Set; SEGMENT]>>]>,
    sets: usize,
    capacity: usize,
    hasher: RandomState,
    /// Written only by `replace`; a read costs one uncontended atomic.
    limit: RwLock<Limit>,
    stripes: Box<[Mutex<()>]>,
    admitted: AtomicU64,
    refused: AtomicU64,
    waited: AtomicU64,
    evictions: AtomicU64,
    pacing: PhantomData<P>,
}

impl<P: Pacing> KeyedBucket<P> {
    /// Room for `capacity` keys (at least one), all full.
    pub fn new(limit: Limit, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let sets = capacity.saturating_mul(SLOTS_PER_KEY).div_ceil(WAYS);
        Self {
            segments: (0..sets.div_ceil(SEGMENT)).map(|_| OnceLock::new()).collect(),
            sets,
            capacity,
            hasher: RandomState::new(),
            limit: RwLock::new(limit),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            admitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            evictions: AtomicU64::new(0),
            pacing: PhantomData,
        }
    }

    /// The hash by which this bucket knows a key: keyed by this bucket's own random seed.
    #[inline]
    pub fn hash<K: Hash + ?Sized>(&self, key: &K) -> u64 {
        self.hasher.hash_one(key).max(1)
    }

    /// The limit now.
    pub fn limit(&self) -> Limit {
        *self.limit.read()
    }

    /// Takes `n` tokens of the key with this [`hash`](Self::hash) if they are there.
    #[inline]
    pub fn try_acquire(&self, hash: u64, n: u64, now: Nanos) -> Decision {
        self.reserve(hash, n, 0, now).into()
    }

    fn decide(&self, limit: &Limit, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        if n > limit.burst {
            return Reservation::TooMany;
        }
        let (index, set) = self.set(hash);
        // Most calls find their key. The arrival time is read before the hash and swapped after it: a slot that was
        // taken by another key in between has another arrival time, so the swap fails and the search starts again.
        'search: loop {
            for slot in &set.0 {
                let arrival = slot.arrival.load(Ordering::Acquire);
                if slot.hash.load(Ordering::Acquire) != hash {
                    continue;
                }
                let (next, wait) = match P::take(limit, arrival, n, now) {
                    Ok((next, wait)) if wait <= max_wait => (next, wait),
                    Ok((_, wait)) | Err(wait) => return Reservation::Refused(wait),
                };
                match slot.arrival.compare_exchange(arrival, next, Ordering::AcqRel, Ordering::Relaxed) {
                    Ok(_) if wait == 0 => return Reservation::Granted,
                    Ok(_) => return Reservation::Later(wait, next),
                    Err(_) => continue 'search,
                }
            }
            let _taking = self.stripes[index % STRIPES].lock();
            if set.0.iter().any(|slot| slot.hash.load(Ordering::Acquire) == hash) {
                continue; // another thread was faster
            }
            // A new key has a full bucket, which holds as many tokens as may be asked for.
            if let Ok((next, _)) = P::take(limit, 0, n, now) {
                self.claim(set, hash, next, now);
            }
            return Reservation::Granted;
        }
    }

    /// Puts a new key into a set: over an empty or passed slot, else over the fullest bucket. Under the set's lock.
    fn claim(&self, set: &Set, hash: u64, arrival: Nanos, now: Nanos) {
        let Some(slot) = set.0.iter().min_by_key(|slot| slot.arrival.load(Ordering::Acquire)) else { return };
        if slot.arrival.load(Ordering::Acquire) > now {
            self.evictions.fetch_add(1, Ordering::Relaxed);
        }
        // Empty meanwhile, so that no thread reads one key's hash with another's arrival time.
        slot.hash.store(0, Ordering::Release);
        // A swap, not a store: a thread that takes tokens at this moment comes before it or fails.
        slot.arrival.swap(arrival, Ordering::AcqRel);
        slot.hash.store(hash, Ordering::Release);
    }

    /// Another limit from now on; every key keeps its tokens, as far as the new burst holds them. Walks all slots
    /// that were ever used (a million keys: tens of milliseconds), while calls wait.
    pub fn set_limit(&self, limit: Limit, now: Nanos) {
        let mut current = self.limit.write();
        for set in self.segments.iter().filter_map(OnceLock::get).flat_map(|segment| segment.iter()) {
            for slot in &set.0 {
                let arrival = slot.arrival.load(Ordering::Acquire);
                if arrival > now {
                    slot.arrival.store(P::handed_on(&current, &limit, arrival, now), Ordering::Release);
                }
            }
        }
        *current = limit;
    }

    /// The keys that have less than a full bucket now. Walks all slots that were ever used.
    fn live(&self, now: Nanos) -> usize {
        let slots =
            self.segments.iter().filter_map(OnceLock::get).flat_map(|segment| segment.iter()).flat_map(|set| &set.0);
        slots.filter(|slot| slot.arrival.load(Ordering::Relaxed) > now).count()
    }

    fn arrival(&self, hash: u64) -> Nanos {
        for slot in &self.set(hash).1.0 {
            let arrival = slot.arrival.load(Ordering::Acquire);
            if slot.hash.load(Ordering::Acquire) == hash {
                return arrival;
            }
        }
        0
    }

    /// The set of a hash: the high bits scaled to the number of sets (Lemire, "Fast random integer generation in an
    /// interval", 2019), so that any number of sets will do.
    #[inline]
    fn set(&self, hash: u64) -> (usize, &Set) {
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of sets")]
        let index = ((u128::from(hash) * self.sets as u128) >> 64) as usize;
        let segment = self.segments[index / SEGMENT].get_or_init(|| Box::new(std::array::from_fn(|_| Set::default())));
        (index, &segment[index % SEGMENT])
    }
}

impl<P: Pacing> Limiter for KeyedBucket<P> {
    fn hasher(&self) -> Option<&RandomState> {
        Some(&self.hasher)
    }

    #[inline(never)] // it would crowd a pipeline's common path
    fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        // Held over the swap, so that `replace` sees all arrival times in the units of one limit.
        let limit = self.limit.read();
        let reservation = self.decide(&limit, hash, n, max_wait, now);
        let counter = match reservation {
            Reservation::Granted => &self.admitted,
            Reservation::Later(..) => {
                self.waited.fetch_add(1, Ordering::Relaxed);
                &self.admitted
            }
            Reservation::Refused(_) | Reservation::TooMany => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        reservation
    }

    fn cancel(&self, hash: u64, claim: Claim, n: u64) {
        let limit = self.limit.read();
        let back = claim.saturating_sub(limit.interval.saturating_mul(n));
        for slot in &self.set(hash).1.0 {
            if slot.arrival.load(Ordering::Acquire) == claim && slot.hash.load(Ordering::Acquire) == hash {
                let _ = slot.arrival.compare_exchange(claim, back, Ordering::AcqRel, Ordering::Relaxed);
                return;
            }
        }
    }

    fn estimate(&self, hash: u64, n: u64, now: Nanos) -> Decision {
        let limit = self.limit();
        if n > limit.burst {
            return Decision::TooMany;
        }
        match P::take(&limit, self.arrival(hash), n, now) {
            Ok((_, 0)) => Decision::Admitted,
            Ok((_, wait)) | Err(wait) => Decision::Wait(wait),
        }
    }

    fn tokens(&self, hash: u64, now: Nanos) -> f64 {
        self.limit().tokens(self.arrival(hash), now)
    }

    fn add_tokens(&self, hash: u64, n: u64, _: Nanos) {
        let limit = self.limit.read();
        let back = limit.interval.saturating_mul(n);
        for slot in &self.set(hash).1.0 {
            loop {
                let arrival = slot.arrival.load(Ordering::Acquire);
                if slot.hash.load(Ordering::Acquire) != hash {
                    break;
                }
                let next = arrival.saturating_sub(back);
                if slot.arrival.compare_exchange(arrival, next, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    return;
                }
            }
        }
    }

    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.set_limit(Limit::checked(rate, burst)?, now);
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.limit().per_second()
    }

    fn burst(&self) -> u64 {
        self.limit().burst()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn statistics(&self, now: Nanos, thorough: bool) -> Statistics {
        let allocated = self.segments.iter().filter(|segment| segment.get().is_some()).count();
        let slots = allocated * size_of::<[Set; SEGMENT]>();
        Statistics {
            admitted: self.admitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            live: (thorough || slots <= LOOKED_AT).then(|| self.live(now)),
            capacity: self.capacity,
            bytes: slots + size_of_val(&*self.segments),
        }
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::super::{Rate, TokenBucket};
    use super::*;
    use crate::clock::NANOS_PER_SECOND;

    const SECOND: Nanos = NANOS_PER_SECOND;

    fn limit(rate: f64, burst: u64) -> Limit {
        Limit::new(Rate::per_second(rate).unwrap(), burst)
    }

    #[test]
    fn a_slot_is_sixteen_bytes_and_a_set_one_cache_line() {
        assert_eq!((size_of::<Slot>(), size_of::<Set>(), align_of::<Set>()), (16, 64, 64));
    }

    #[test]
    fn keys_do_not_share_tokens() {
        let bucket = KeyedTokenBucket::new(limit(1.0, 1), 100);
        let (ann, bob) = (bucket.hash("ann"), bucket.hash("bob"));
        assert_eq!(bucket.try_acquire(ann, 1, SECOND), Decision::Admitted);
        assert_eq!(bucket.try_acquire(ann, 1, SECOND), Decision::Wait(SECOND));
        assert_eq!(bucket.try_acquire(bob, 1, SECOND), Decision::Admitted);
        bucket.add_tokens(ann, 1, 0);
        assert_eq!(bucket.estimate(ann, 1, SECOND), Decision::Admitted);
        assert_eq!(bucket.try_acquire(ann, 2, SECOND), Decision::TooMany);
    }

    #[test]
    fn two_buckets_hash_differently() {
        let (one, other) = (KeyedTokenBucket::new(limit(1.0, 1), 1), KeyedTokenBucket::new(limit(1.0, 1), 1));
        assert_ne!(one.hash(&42_u64), other.hash(&42_u64));
    }

    #[test]
    fn a_full_set_gives_up_the_fullest_bucket() {
        let bucket = KeyedTokenBucket::new(limit(1.0, 10), 1); // one set
        for (hash, taken) in [(1, 5), (2, 3), (3, 7), (4, 9)] {
            assert_eq!(bucket.try_acquire(hash, taken, SECOND), Decision::Admitted);
        }
        assert_eq!(bucket.try_acquire(5, 1, SECOND), Decision::Admitted);
        let tokens: Vec<_> = (1..=5).map(|hash| bucket.tokens(hash, SECOND)).collect();
        assert_eq!(tokens, [5.0, 10.0, 3.0, 1.0, 9.0]);
        assert_eq!(bucket.statistics(SECOND, true).evictions, 1);
    }

    #[test]
    fn a_slot_whose_time_has_passed_is_reused_without_loss() {
        let bucket = KeyedTokenBucket::new(limit(1.0, 1), 1);
        for round in 1..=100 {
            for hash in 1..=4 {
                assert_eq!(bucket.try_acquire(round * 10 + hash, 1, round * 2 * SECOND), Decision::Admitted);
            }
        }
        assert_eq!(bucket.statistics(SECOND, true).evictions, 0);
    }

    #[test]
    fn replacing_the_limit_keeps_every_keys_tokens() {
        let bucket = KeyedTokenBucket::new(limit(1.0, 10), 100);
        assert_eq!(bucket.try_acquire(7, 6, SECOND), Decision::Admitted);
        bucket.set_limit(limit(50.0, 5), SECOND);
        assert!((bucket.tokens(7, SECOND) - 4.0).abs() < 1e-6);
        assert!((bucket.tokens(8, SECOND) - 5.0).abs() < 1e-6);
    }

    #[test]
    fn a_million_live_keys_stay_within_64_bytes_each_and_lose_about_one_in_a_hundred() {
        let keys = DEFAULT_CAPACITY;
        let bucket = KeyedTokenBucket::new(limit(1.0, 1), keys);
        assert!(bucket.statistics(SECOND, true).bytes < 256 * 1024);
        for key in 0..keys {
            assert_eq!(bucket.try_acquire(bucket.hash(&key), 1, SECOND), Decision::Admitted);
        }
        let statistics = bucket.statistics(SECOND, true);
        assert!(statistics.bytes <= 64 * keys, "{statistics:?}");
        assert!(statistics.evictions < keys as u64 / 50, "{statistics:?}");
        assert_eq!(statistics.live.unwrap() as u64, keys as u64 - statistics.evictions);
        assert_eq!(bucket.statistics(SECOND, false), Statistics { live: None, ..statistics });
        for key in 0..10 * keys {
            let _ = bucket.try_acquire(bucket.hash(&(key as u128)), 1, SECOND);
        }
        assert_eq!(bucket.statistics(SECOND, true).bytes, statistics.bytes);
    }

    #[test]
    fn threads_never_get_more_of_a_key_than_its_bucket_holds() {
        let bucket = Arc::new(KeyedTokenBucket::new(limit(1.0, 100), 1_000));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let bucket = Arc::clone(&bucket);
                std::thread::spawn(move || {
                    (0..8_000_u64)
                        .filter(|i| bucket.try_acquire(bucket.hash(&(i % 40)), 1, SECOND) == Decision::Admitted)
                        .count()
                })
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!((admitted, bucket.statistics(SECOND, true).evictions), (4_000, 0));
    }

    proptest! {
        /// With room for all keys it is a bucket for each of them.
        #[test]
        fn agrees_with_a_bucket_for_each_key(
            steps in prop::collection::vec((0..6_u64, 0..4_u64, 0..SECOND), 1..200),
        ) {
            let keyed = KeyedTokenBucket::new(limit(3.0, 3), 10_000);
            let mut each: HashMap<u64, TokenBucket> = HashMap::new();
            let mut now = SECOND;
            for (key, n, by) in steps {
                now += by;
                let bucket = each.entry(key).or_insert_with(|| TokenBucket::new(limit(3.0, 3)));
                prop_assert_eq!(keyed.try_acquire(keyed.hash(&key), n, now), bucket.try_acquire(n, now));
            }
        }

        /// With no room at all, a key may get too much, but what it is refused it would be refused by its own bucket.
        #[test]
        fn crowded_out_keys_are_only_ever_treated_better(
            steps in prop::collection::vec((1..12_u64, 1..4_u64, 0..SECOND), 1..200),
        ) {
            let keyed = KeyedTokenBucket::new(limit(3.0, 3), 1);
            let mut each: HashMap<u64, TokenBucket> = HashMap::new();
            let mut now = SECOND;
            for (hash, n, by) in steps {
                now += by;
                let own = each.entry(hash).or_insert_with(|| TokenBucket::new(limit(3.0, 3)));
                // Its own bucket goes into debt where the shared one admits: it never has more than the shared one.
                if keyed.try_acquire(hash, n, now) == Decision::Admitted {
                    prop_assert!(matches!(own.reserve(0, n, Nanos::MAX, now), Reservation::Granted | Reservation::Later(..)));
                } else {
                    prop_assert!(matches!(own.estimate(0, n, now), Decision::Wait(_)));
                }
            }
        }
    }
}
