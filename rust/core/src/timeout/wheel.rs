//! A hashed timing wheel (Varghese and Lauck, *Hashed and Hierarchical Timing Wheels*, 1987).

use crate::clock::Nanos;

/// Slots of a turn; a power of two.
const SLOTS: usize = 512;
/// No entry.
const NONE: u32 = u32::MAX;

/// The slot of an entry and its generation; cheap to copy, harmless once the entry is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
struct Entry<T> {
    /// None: the entry is free, and `next` is the next free one.
    value: Option<T>,
    deadline: Nanos,
    generation: u32,
    previous: u32,
    next: u32,
}

/// Deadlines with values, inserted and removed in constant time.
///
/// A slot holds the deadlines of one tick, and of whole turns later: the later ones are passed over when its tick
/// comes. Nothing fires early: an entry is handed out at or after its deadline.
#[derive(Debug)]
pub struct Wheel<T> {
    tick: Nanos,
    slots: Box<[u32]>,
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
    /// The tick before which all due entries have been handed out.
    done: u64,
}

impl<T> Wheel<T> {
    /// An empty wheel; deadlines of the same tick share a slot.
    pub fn new(tick: Nanos) -> Self {
        Self { tick: tick.max(1), slots: vec![NONE; SLOTS].into(), entries: Vec::new(), free: NONE, len: 0, done: 0 }
    }

    /// The number of deadlines.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no deadlines.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a deadline. None, and the value is dropped, only beyond four thousand million deadlines.
    pub fn insert(&mut self, deadline: Nanos, value: T) -> Option<Key> {
        let tick = deadline / self.tick;
        if self.len == 0 {
            self.done = tick;
        }
        self.done = self.done.min(tick);
        let index = self.allocate(deadline, value)?;
        let slot = self.slot(tick);
        let next = self.slots[slot];
        self.entries[index as usize].next = next;
        if next != NONE {
            self.entries[next as usize].previous = index;
        }
        self.slots[slot] = index;
        self.len += 1;
        Some(Key { index, generation: self.entries[index as usize].generation })
    }

    /// Takes out an entry; None: it is gone already.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation != key.generation || entry.value.is_none() {
            return None;
        }
        self.unlink(key.index)
    }

    /// Takes out the entries due at `now`, and hands them to `fire` in the order of ticks.
    pub fn expire(&mut self, now: Nanos, mut fire: impl FnMut(T)) {
        let last = now / self.tick;
        if self.len == 0 || last < self.done {
            return;
        }
        // After a long pause each slot is read once, not once for each turn that was missed.
        let first = self.done.max(last.saturating_sub(SLOTS as u64 - 1));
        for tick in first..=last {
            let mut index = self.slots[self.slot(tick)];
            while index != NONE {
                let next = self.entries[index as usize].next;
                if self.entries[index as usize].deadline <= now
                    && let Some(value) = self.unlink(index)
                {
                    fire(value);
                }
                index = next;
            }
        }
        self.done = last; // entries later within this tick are still to come
    }

    /// The earliest deadline; reads one turn of slots, and all entries only if all are further away.
    pub fn earliest(&self) -> Option<Nanos> {
        if self.len == 0 {
            return None;
        }
        for tick in self.done..self.done + SLOTS as u64 {
            let turn_end = (tick + 1).saturating_mul(self.tick);
            if let Some(deadline) = self.in_slot(self.slot(tick)).filter(|deadline| *deadline < turn_end).min() {
                return Some(deadline);
            }
        }
        (0..SLOTS).flat_map(|slot| self.in_slot(slot)).min()
    }

    fn in_slot(&self, slot: usize) -> impl Iterator<Item = Nanos> {
        let mut index = self.slots[slot];
        std::iter::from_fn(move || {
            let entry = self.entries.get(index as usize)?;
            index = entry.next;
            Some(entry.deadline)
        })
    }

    #[expect(clippy::cast_possible_truncation, reason = "masked")]
    fn slot(&self, tick: u64) -> usize {
        tick as usize & (SLOTS - 1)
    }

    fn allocate(&mut self, deadline: Nanos, value: T) -> Option<u32> {
        if self.free == NONE {
            let index = u32::try_from(self.entries.len()).ok().filter(|index| *index != NONE)?;
            self.entries.push(Entry { value: Some(value), deadline, generation: 0, previous: NONE, next: NONE });
            return Some(index);
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        self.free = entry.next;
        entry.value = Some(value);
        entry.deadline = deadline;
        entry.previous = NONE;
        entry.next = NONE;
        Some(index)
    }

    fn unlink(&mut self, index: u32) -> Option<T> {
        let entry = &mut self.entries[index as usize];
        let (previous, next, tick) = (entry.previous, entry.next, entry.deadline / self.tick);
        let value = entry.value.take();
        entry.generation = entry.generation.wrapping_add(1);
        entry.next = self.free;
        self.free = index;
        self.len -= 1;
        if previous == NONE {
            let slot = self.slot(tick);
            self.slots[slot] = next;
        } else {
            self.entries[previous as usize].next = next;
        }
        if next != NONE {
            self.entries[next as usize].previous = previous;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn due(wheel: &mut Wheel<u64>, now: Nanos) -> Vec<u64> {
        let mut fired = Vec::new();
        wheel.expire(now, |value| fired.push(value));
        fired
    }

    #[test]
    fn nothing_fires_early_and_everything_fires_at_its_time() {
        let mut wheel = Wheel::new(10);
        wheel.insert(25, 25);
        wheel.insert(29, 29);
        assert_eq!(wheel.earliest(), Some(25));
        assert_eq!(due(&mut wheel, 24), []);
        assert_eq!(due(&mut wheel, 25), [25]);
        assert_eq!(due(&mut wheel, 29), [29]);
        assert_eq!(wheel.earliest(), None);
    }

    #[test]
    fn a_key_of_an_entry_that_is_gone_does_nothing() {
        let mut wheel = Wheel::new(10);
        let key = wheel.insert(5, 1).unwrap();
        assert_eq!(wheel.remove(key), Some(1));
        assert_eq!(wheel.remove(key), None);
        wheel.insert(5, 2);
        assert_eq!(wheel.remove(key), None);
        assert_eq!(wheel.len(), 1);
    }

    #[test]
    fn deadlines_further_than_a_turn_wait_for_their_turn() {
        let mut wheel = Wheel::new(1);
        wheel.insert(3, 3);
        wheel.insert(3 + 2 * SLOTS as u64, 9);
        assert_eq!(due(&mut wheel, 3), [3]);
        assert_eq!(wheel.earliest(), Some(3 + 2 * SLOTS as u64));
        assert_eq!(due(&mut wheel, 4 + SLOTS as u64), []);
        assert_eq!(due(&mut wheel, 3 + 2 * SLOTS as u64), [9]);
    }

    proptest! {
        #[test]
        fn behaves_like_a_list(
            tick in 1_u64..50,
            steps in prop::collection::vec((0_u8..4, 0_u64..40_000, 0_usize..8), 1..150),
        ) {
            let mut wheel = Wheel::new(tick);
            let mut naive: Vec<(Nanos, u64, Key)> = Vec::new();
            let mut now = 1_000;
            for (serial, (step, amount, which)) in (0..).zip(steps) {
                match step {
                    0 | 1 => {
                        let deadline = now + amount;
                        naive.push((deadline, serial, wheel.insert(deadline, serial).unwrap()));
                    }
                    2 if !naive.is_empty() => {
                        let (_, value, key) = naive.swap_remove(which % naive.len());
                        prop_assert_eq!(wheel.remove(key), Some(value));
                    }
                    _ => {
                        now += amount / 4;
                        let mut fired = due(&mut wheel, now);
                        let mut expected: Vec<_> =
                            naive.extract_if(.., |entry| entry.0 <= now).map(|entry| entry.1).collect();
                        fired.sort_unstable();
                        expected.sort_unstable();
                        prop_assert_eq!(fired, expected);
                    }
                }
                prop_assert_eq!(wheel.len(), naive.len());
                prop_assert_eq!(wheel.earliest(), naive.iter().map(|entry| entry.0).min());
            }
        }
    }
}
