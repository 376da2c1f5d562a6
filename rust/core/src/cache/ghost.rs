//! The ghost queue of S3-FIFO: hashes of entries that left the small queue lately.

/// Fingerprints in a set. With half as many sets as fingerprints to remember, one in twenty is forgotten early.
const WAYS: usize = 4;

/// One fingerprint, and when it was added.
#[derive(Debug, Clone, Copy, Default)]
struct Memory {
    print: u32,
    stamp: u32,
}

/// Most of the last `capacity` hashes that were added and not taken since, and no older ones.
///
/// A table of small sets, which the paper proposes in place of a queue: a new hash overwrites the oldest one in its set,
/// so that no hash is ever moved or removed. Sixteen bytes for each hash to remember, allocated with the first one.
#[derive(Debug, Default)]
pub(super) struct Ghost {
    sets: Vec<[Memory; WAYS]>,
    /// The number of hashes ever added, plus `capacity`, so that a stamp of zero is old; wraps.
    now: u32,
    capacity: u32,
}

impl Ghost {
    pub(super) fn new(capacity: usize) -> Self {
        // Ages can be compared within half the range of a stamp.
        let capacity = u32::try_from(capacity).unwrap_or(u32::MAX).min(u32::MAX / 2);
        Self { sets: Vec::new(), now: capacity, capacity }
    }

    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        if self.capacity == 0 {
            return;
        }
        if self.sets.is_empty() {
            self.sets = vec![Default::default(); self.capacity.div_ceil(2) as usize];
        }
        let (now, (set, print)) = (self.now, self.set_and_print(hash));
        let mut oldest = 0;
        let mut age = 0;
        for (way, memory) in self.sets[set].iter().enumerate() {
            if memory.print == print {
                oldest = way;
                break;
            }
            let its = now.wrapping_sub(memory.stamp);
            if its > age {
                (oldest, age) = (way, its);
            }
        }
        self.sets[set][oldest] = Memory { print, stamp: now };
        self.now = now.wrapping_add(1);
    }

    /// Removes a hash, and returns whether it was there.
    #[inline]
    pub(super) fn take(&mut self, hash: u64) -> bool {
        if self.sets.is_empty() {
            return false;
        }
        let (now, capacity, (set, print)) = (self.now, self.capacity, self.set_and_print(hash));
        for memory in &mut self.sets[set] {
            if memory.print == print {
                let is_young = now.wrapping_sub(memory.stamp) <= capacity;
                memory.stamp = now.wrapping_sub(capacity + 1);
                return is_young;
            }
        }
        false
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity as usize);
    }

    /// Returns the set of a hash and its fingerprint: the high half scaled to the number of sets (Lemire, "Fast random
    /// integer generation in an interval", 2019), and the low half.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    fn set_and_print(&self, hash: u64) -> (usize, u32) {
        let scaled = (u128::from(hash >> 32) * self.sets.len() as u128) >> 32;
        (scaled as usize, hash as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(number: u64) -> u64 {
        (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17).wrapping_mul(0xbf58_476d_1ce4_e5b9)
    }

    proptest! {
        /// Remembers no hash that was not added, was taken, or was followed by `capacity` others.
        #[test]
        fn remembers_none_but_the_last_ones(
            capacity in 1..50_usize,
            steps in prop::collection::vec((any::<bool>(), 0..60_u64), 1..500),
        ) {
            let mut ghost = Ghost::new(capacity);
            let mut queue: Vec<u64> = Vec::new();
            for (adds, number) in steps {
                if adds {
                    ghost.add(hash(number));
                    queue.push(number);
                } else {
                    let recent = queue.iter().rev().take(capacity).any(|&other| other == number);
                    prop_assert!(!ghost.take(hash(number)) || recent);
                    for other in &mut queue {
                        if *other == number {
                            *other = u64::MAX;
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn remembers_most_of_the_last_ones() {
        for capacity in [1, 2, 10, 1_000, 90_000] {
            let mut ghost = Ghost::new(capacity);
            let count = capacity as u64 * 3;
            (0..count).for_each(|number| ghost.add(hash(number)));
            let known = (0..count).rev().take(capacity).filter(|&number| ghost.take(hash(number))).count();
            assert!(known * 10 >= capacity * 9, "{known} of {capacity}");
            assert!(!(0..count).any(|number| ghost.take(hash(number))));
        }
    }

    #[test]
    fn its_counter_may_wrap() {
        let mut ghost = Ghost::new(10);
        ghost.now = u32::MAX - 3;
        (0..8).for_each(|number| ghost.add(hash(number)));
        assert!((0..8).filter(|&number| ghost.take(hash(number))).count() >= 6);
        assert!(!ghost.take(hash(100)));
    }
}
