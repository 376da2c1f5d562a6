//! Windows with storage: one for all calls, or one for each of a bounded number of keys.

use std::hash::RandomState;
use std::marker::PhantomData;

use parking_lot::Mutex;

use super::decision::LOOKED_AT;
use super::window::{Counting, Fixed, Quota, Sliding, Used};
use super::{Claim, Decision, LimitError, Limiter, Rate, Reservation, Statistics};
use crate::clock::Nanos;

/// A window for all calls.
pub type FixedWindow = Window<Fixed>;
/// A sliding window for all calls.
pub type SlidingWindow = Window<Sliding>;
/// A window for each key.
pub type KeyedFixedWindow = KeyedWindow<Fixed>;
/// A sliding window for each key.
pub type KeyedSlidingWindow = KeyedWindow<Sliding>;

/// Two counters and a time, under a lock that is held for some nanoseconds.
#[derive(Debug)]
pub struct Window<C> {
    state: Mutex<State>,
    counting: PhantomData<C>,
}

#[derive(Debug)]
struct State {
    quota: Quota,
    used: Used,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    admitted: u64,
    refused: u64,
    waited: u64,
    evictions: u64,
}

impl Counts {
    fn count(&mut self, reservation: Reservation) {
        match reservation {
            Reservation::Granted => self.admitted += 1,
            Reservation::Later(..) => {
                self.admitted += 1;
                self.waited += 1;
            }
            Reservation::Refused(_) | Reservation::TooMany => self.refused += 1,
        }
    }
}

/// Takes tokens, or returns why not.
fn reserve<C: Counting>(quota: &Quota, used: &mut Used, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
    let Some(n) = u32::try_from(n).ok().filter(|n| *n <= quota.count) else { return Reservation::TooMany };
    let (next, wait) = C::take(quota, *used, n, now);
    if wait > max_wait {
        return Reservation::Refused(wait);
    }
    *used = next;
    if wait == 0 { Reservation::Granted } else { Reservation::Later(wait, next.last) }
}

impl<C: Counting> Window<C> {
    /// Nothing used yet.
    pub fn new(quota: Quota) -> Self {
        let state = State { quota, used: Used::default(), counts: Counts::default() };
        Self { state: Mutex::new(state), counting: PhantomData }
    }

    /// The quota now.
    pub fn quota(&self) -> Quota {
        self.state.lock().quota
    }

    /// Another quota from now on; what was used stays used.
    pub fn set_quota(&self, quota: Quota, now: Nanos) {
        let mut state = self.state.lock();
        state.used = state.quota.handed_on(state.used, now);
        state.quota = quota;
    }
}

impl<C: Counting> Limiter for Window<C> {
    fn hasher(&self) -> Option<&RandomState> {
        None
    }

    fn reserve(&self, _: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        let state = &mut *self.state.lock();
        let reservation = reserve::<C>(&state.quota, &mut state.used, n, max_wait, now);
        state.counts.count(reservation);
        reservation
    }

    fn cancel(&self, _: u64, claim: Claim, n: u64) {
        let mut state = self.state.lock();
        state.used = state.quota.cancelled(state.used, claim, n);
    }

    fn estimate(&self, _: u64, n: u64, now: Nanos) -> Decision {
        let state = self.state.lock();
        reserve::<C>(&state.quota, &mut { state.used }, n, 0, now).into()
    }

    fn tokens(&self, _: u64, now: Nanos) -> f64 {
        let state = self.state.lock();
        C::left(&state.quota, state.used, now)
    }

    fn add_tokens(&self, _: u64, n: u64, now: Nanos) {
        let mut state = self.state.lock();
        state.used = state.quota.with_less(state.used, n, now);
    }

    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.set_quota(Quota::checked(rate, burst)?, now);
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.quota().per_second()
    }

    fn burst(&self) -> u64 {
        self.quota().count()
    }

    fn capacity(&self) -> usize {
        0
    }

    fn statistics(&self, _: Nanos, _: bool) -> Statistics {
        let Counts { admitted, refused, waited, .. } = self.state.lock().counts;
        Statistics { admitted, refused, waited, ..Statistics::default() }
    }
}

/// Parts of the table that have a lock each.
const SHARDS: usize = 64;
/// Slots in a set. With eight, and two for each key of the capacity, sets overflow for less than one key in a hundred
/// when as many keys as the capacity are live at once; a slot is 24 bytes, so a key costs 48.
const WAYS: usize = 8;
/// Slots for each key of the capacity.
const SLOTS_PER_KEY: usize = 2;
/// Sets allocated together.
const SEGMENT: usize = 16;

/// The window of one key. A hash of zero is an empty slot.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    hash: u64,
    used: Used,
}

type Set = [Slot; WAYS];

#[derive(Debug)]
struct Shard {
    quota: Quota,
    segments: Vec<Option<Box<[Set; SEGMENT]>>>,
    counts: Counts,
}

/// A window a key, for a bounded number of keys, all with the same quota.
///
/// Keys are known by 64 bits of a randomly keyed hash, which picks a set of eight slots. A slot whose windows have passed
/// says as much as an absent one and is reused without loss; when all eight are live, the one with most tokens left
/// goes: that key begins anew when it comes again (counted as an eviction). Memory comes in pieces as sets are used.
#[derive(Debug)]
pub struct KeyedWindow<C> {
    shards: Box<[Mutex<Shard>]>,
    sets: usize,
    capacity: usize,
    hasher: RandomState,
    counting: PhantomData<C>,
}

impl<C: Counting> KeyedWindow<C> {
    /// Room for `capacity` keys (at least one), nothing used yet.
    pub fn new(quota: Quota, capacity: usize) -> Self {
        let capacity = capacity.max(1);
        let sets = capacity.saturating_mul(SLOTS_PER_KEY).div_ceil(WAYS);
        let segments = sets.div_ceil(SHARDS).div_ceil(SEGMENT);
        let shard = || Shard { quota, segments: vec![None; segments], counts: Counts::default() };
        Self {
            shards: (0..SHARDS.min(sets)).map(|_| Mutex::new(shard())).collect(),
            sets,
            capacity,
            hasher: RandomState::new(),
            counting: PhantomData,
        }
    }

    /// The quota now.
    pub fn quota(&self) -> Quota {
        self.shards[0].lock().quota
    }

    /// Another quota from now on; what each key used stays used. Walks all slots that were ever used, locking a part of
    /// them at a time.
    pub fn set_quota(&self, quota: Quota, now: Nanos) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let old = std::mem::replace(&mut shard.quota, quota);
            for set in shard.segments.iter_mut().flatten().flat_map(|segment| segment.iter_mut()) {
                for slot in set.iter_mut().filter(|slot| slot.hash != 0) {
                    slot.used = old.handed_on(slot.used, now);
                }
            }
        }
    }

    fn live(&self, now: Nanos) -> usize {
        let of_shard = |shard: &Mutex<Shard>| {
            let shard = shard.lock();
            let live = |slot: &&Slot| slot.hash != 0 && !C::passed(&shard.quota, slot.used, now);
            shard.segments.iter().flatten().flat_map(|segment| segment.iter()).flatten().filter(live).count()
        };
        self.shards.iter().map(of_shard).sum()
    }

    /// Calls `act` with a key's window, or with an unused window where the key has none.
    fn with<R>(&self, hash: u64, act: impl FnOnce(&Quota, &mut Used) -> R) -> R {
        let (shard, (segment, index)) = self.place(hash);
        let Shard { quota, segments, .. } = &mut *shard.lock();
        let set = segments.get_mut(segment).and_then(Option::as_mut).map(|segment| &mut segment[index]);
        match set.and_then(|set| set.iter_mut().find(|slot| slot.hash == hash)) {
            Some(slot) => act(quota, &mut slot.used),
            None => act(quota, &mut Used::default()),
        }
    }

    /// The part, and in it the segment and set, of a hash.
    fn place(&self, hash: u64) -> (&Mutex<Shard>, (usize, usize)) {
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of sets")]
        let index = ((u128::from(hash) * self.sets as u128) >> 64) as usize;
        let within = index / self.shards.len();
        (&self.shards[index % self.shards.len()], (within / SEGMENT, within % SEGMENT))
    }
}

impl<C: Counting> Limiter for KeyedWindow<C> {
    fn hasher(&self) -> Option<&RandomState> {
        Some(&self.hasher)
    }

    fn reserve(&self, hash: u64, n: u64, max_wait: Nanos, now: Nanos) -> Reservation {
        let (shard, place) = self.place(hash);
        let mut shard = shard.lock();
        let Shard { quota, segments, counts } = &mut *shard;
        let set = set_of(segments, place);
        let reservation = match set.iter_mut().find(|slot| slot.hash == hash) {
            Some(slot) => reserve::<C>(quota, &mut slot.used, n, max_wait, now),
            None => {
                let mut used = Used::default();
                let reservation = reserve::<C>(quota, &mut used, n, max_wait, now);
                if matches!(reservation, Reservation::Granted | Reservation::Later(..)) {
                    claim::<C>(quota, set, Slot { hash, used }, counts, now);
                }
                reservation
            }
        };
        counts.count(reservation);
        reservation
    }

    fn cancel(&self, hash: u64, claim: Claim, n: u64) {
        self.with(hash, |quota, used| *used = quota.cancelled(*used, claim, n));
    }

    fn estimate(&self, hash: u64, n: u64, now: Nanos) -> Decision {
        self.with(hash, |quota, used| reserve::<C>(quota, &mut used.clone(), n, 0, now)).into()
    }

    fn tokens(&self, hash: u64, now: Nanos) -> f64 {
        self.with(hash, |quota, used| C::left(quota, *used, now))
    }

    fn add_tokens(&self, hash: u64, n: u64, now: Nanos) {
        self.with(hash, |quota, used| *used = quota.with_less(*used, n, now));
    }

    fn replace(&self, rate: Rate, burst: Option<u64>, now: Nanos) -> Result<(), LimitError> {
        self.set_quota(Quota::checked(rate, burst)?, now);
        Ok(())
    }

    fn per_second(&self) -> f64 {
        self.quota().per_second()
    }

    fn burst(&self) -> u64 {
        self.quota().count()
    }

    fn capacity(&self) -> usize {
        self.capacity
    }

    fn statistics(&self, now: Nanos, thorough: bool) -> Statistics {
        let mut sum = Statistics { capacity: self.capacity, ..Statistics::default() };
        sum.bytes = size_of_val(&*self.shards);
        let mut slots = 0;
        for shard in &self.shards {
            let shard = shard.lock();
            sum.admitted += shard.counts.admitted;
            sum.refused += shard.counts.refused;
            sum.waited += shard.counts.waited;
            sum.evictions += shard.counts.evictions;
            sum.bytes += size_of_val(&*shard.segments);
            slots += shard.segments.iter().flatten().count() * size_of::<[Set; SEGMENT]>();
        }
        sum.bytes += slots;
        sum.live = (thorough || slots <= LOOKED_AT).then(|| self.live(now));
        sum
    }
}

fn set_of(segments: &mut [Option<Box<[Set; SEGMENT]>>], (segment, index): (usize, usize)) -> &mut Set {
    &mut segments[segment].get_or_insert_with(|| Box::new([[Slot::default(); WAYS]; SEGMENT]))[index]
}

/// Puts a new key into a set: over an empty or passed slot, else over the one with most tokens left.
fn claim<C: Counting>(quota: &Quota, set: &mut Set, new: Slot, counts: &mut Counts, now: Nanos) {
    let free = set.iter().position(|slot| slot.hash == 0 || C::passed(quota, slot.used, now));
    let index = free.unwrap_or_else(|| {
        counts.evictions += 1;
        let left = set.each_ref().map(|slot| C::left(quota, slot.used, now));
        (1..WAYS).fold(0, |most, index| if left[index] > left[most] { index } else { most })
    });
    set[index] = new;
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::collections::HashMap;
    use std::hash::BuildHasher as _;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::clock::NANOS_PER_SECOND;

    const SECOND: Nanos = NANOS_PER_SECOND;

    fn quota(text: &str) -> Quota {
        Quota::checked(text.parse().unwrap(), None).unwrap()
    }

    #[test]
    fn a_slot_is_twenty_four_bytes() {
        assert_eq!(size_of::<Slot>(), 24);
    }

    #[test]
    fn who_waits_gets_the_next_windows_and_others_come_behind() {
        let window = FixedWindow::new(quota("2/s"));
        let now = 5 * SECOND + SECOND / 2;
        assert_eq!((0..2).map(|_| window.reserve(0, 1, 0, now)).collect::<Vec<_>>(), [Reservation::Granted; 2]);
        let waits: Vec<_> = (0..5).map(|_| window.reserve(0, 1, 2 * SECOND, now)).collect();
        let half = SECOND / 2;
        assert!(matches!(waits[0], Reservation::Later(wait, _) if wait == half));
        assert!(matches!(waits[1], Reservation::Later(wait, _) if wait == half));
        let Reservation::Later(wait, claim) = waits[3] else { panic!("{waits:?}") };
        assert_eq!((wait, waits[4]), (3 * half, Reservation::Refused(5 * half)));
        window.cancel(0, claim, 1);
        assert!(matches!(window.reserve(0, 1, 2 * SECOND, now), Reservation::Later(wait, _) if wait == 3 * half));
        assert_eq!(
            window.statistics(0, true),
            Statistics { admitted: 7, refused: 1, waited: 5, ..Statistics::default() }
        );
        assert_eq!(window.tokens(0, now), 0.0);
        assert_eq!(window.reserve(0, 3, Nanos::MAX, now), Reservation::TooMany);
    }

    #[test]
    fn another_quota_keeps_what_was_used_and_tokens_can_be_given() {
        let (plain, keyed) = (SlidingWindow::new(quota("5/min")), KeyedSlidingWindow::new(quota("5/min"), 100));
        let now = 60 * SECOND;
        for _ in 0..5 {
            assert_eq!(plain.reserve(0, 1, 0, now), Reservation::Granted);
            assert_eq!(keyed.reserve(7, 1, 0, now), Reservation::Granted);
        }
        plain.set_quota(quota("8/min"), now);
        keyed.set_quota(quota("8/min"), now);
        assert_eq!((plain.tokens(0, now), keyed.tokens(7, now), keyed.tokens(8, now)), (3.0, 3.0, 8.0));
        plain.add_tokens(0, 2, now);
        keyed.add_tokens(7, 100, now);
        assert_eq!((plain.tokens(0, now), keyed.tokens(7, now)), (5.0, 8.0));
        assert_eq!((plain.estimate(0, 5, now), plain.estimate(0, 9, now)), (Decision::Admitted, Decision::TooMany));
    }

    #[test]
    fn a_million_live_keys_stay_within_64_bytes_each_and_lose_less_than_one_in_a_hundred() {
        let keys = 1 << 20;
        let window = KeyedFixedWindow::new(quota("1/h"), keys);
        assert!(window.statistics(SECOND, true).bytes < 256 * 1024);
        let hash = |key: &usize| window.hasher.hash_one(key).max(1);
        for key in 0..keys {
            assert_eq!(window.reserve(hash(&key), 1, 0, SECOND), Reservation::Granted);
        }
        let statistics = window.statistics(SECOND, true);
        assert!(statistics.bytes <= 64 * keys, "{statistics:?}");
        assert!(statistics.evictions < keys as u64 / 100, "{statistics:?}");
        assert_eq!(statistics.live.unwrap() as u64, keys as u64 - statistics.evictions);
        assert_eq!(window.statistics(SECOND, false), Statistics { live: None, ..statistics });
        for key in keys..3 * keys {
            let _ = window.reserve(hash(&key), 1, 0, SECOND);
        }
        assert_eq!(window.statistics(SECOND, true).bytes, statistics.bytes);
    }

    #[test]
    fn threads_never_get_more_of_a_key_than_its_window_holds() {
        let window = Arc::new(KeyedSlidingWindow::new(quota("100/h"), 1_000));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let window = Arc::clone(&window);
                std::thread::spawn(move || {
                    let hash = |key| window.hasher.hash_one(key).max(1);
                    (0..8_000_u64)
                        .filter(|i| window.reserve(hash(i % 40), 1, 0, SECOND) == Reservation::Granted)
                        .count()
                })
            })
            .collect();
        let admitted: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(admitted, 4_000);
    }

    proptest! {
        /// With room for all keys it is a window for each of them.
        #[test]
        fn agrees_with_a_window_for_each_key(
            steps in prop::collection::vec((1..7_u64, 0..4_u64, 0..SECOND, 0..2_u64), 1..200),
        ) {
            let keyed = KeyedSlidingWindow::new(quota("3/s"), 10_000);
            let mut each: HashMap<u64, SlidingWindow> = HashMap::new();
            let mut now = SECOND;
            for (key, n, by, patience) in steps {
                now += by;
                let own = each.entry(key).or_insert_with(|| SlidingWindow::new(quota("3/s")));
                let hash = keyed.hasher.hash_one(key).max(1);
                prop_assert_eq!(keyed.estimate(hash, n, now), own.estimate(0, n, now));
                prop_assert_eq!(keyed.reserve(hash, n, patience * SECOND, now), own.reserve(0, n, patience * SECOND, now));
                prop_assert_eq!(keyed.tokens(hash, now), own.tokens(0, now));
            }
        }

        /// With no room at all, keys that are crowded out are only ever treated better.
        #[test]
        fn crowded_out_keys_are_only_ever_treated_better(
            steps in prop::collection::vec((1..40_u64, 0..SECOND / 8), 1..300),
        ) {
            let keyed = KeyedFixedWindow::new(quota("2/s"), 1);
            let mut each: HashMap<u64, FixedWindow> = HashMap::new();
            let mut now = SECOND;
            for (hash, by) in steps {
                now += by;
                let own = each.entry(hash).or_insert_with(|| FixedWindow::new(quota("2/s")));
                let alone = own.reserve(0, 1, 0, now);
                if alone == Reservation::Granted {
                    prop_assert_eq!(keyed.reserve(hash, 1, 0, now), Reservation::Granted);
                } else if keyed.reserve(hash, 1, 0, now) != Reservation::Granted {
                    prop_assert!(matches!(alone, Reservation::Refused(_)));
                }
            }
        }
    }
}
