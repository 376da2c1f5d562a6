//! The ghost queue of S3-FIFO: hashes of entries that left young, without their keys and values.

use std::collections::VecDeque;

use hashbrown::HashTable;

/// The last so many hashes that were added and not taken out since.
#[derive(Debug, Default)]
pub(super) struct Ghost {
    queue: VecDeque<u64>,
    /// A hash and when it was added: the queue may hold it a second time, left over from before it was taken out.
    members: HashTable<(u64, u64)>,
    /// How many were ever added; the head of the queue was added as number `added - queue.len()`.
    added: u64,
    capacity: usize,
}

impl Ghost {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, ..Self::default() }
    }

    pub(super) fn add(&mut self, hash: u64) {
        if self.capacity == 0 {
            return;
        }
        while self.queue.len() >= self.capacity {
            self.drop_oldest();
        }
        let stamp = self.added;
        self.added += 1;
        self.queue.push_back(hash);
        match self.members.find_mut(hash, |member| member.0 == hash) {
            Some(member) => member.1 = stamp,
            None => {
                self.members.insert_unique(hash, (hash, stamp), |member| member.0);
            }
        }
    }

    /// Whether the hash was in; it is not afterwards.
    pub(super) fn take(&mut self, hash: u64) -> bool {
        match self.members.find_entry(hash, |member| member.0 == hash) {
            Ok(member) => {
                member.remove();
                true
            }
            Err(_) => false,
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    fn drop_oldest(&mut self) {
        let stamp = self.added - self.queue.len() as u64;
        if let Some(hash) = self.queue.pop_front()
            && let Ok(member) = self.members.find_entry(hash, |member| *member == (hash, stamp))
        {
            member.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_the_last_ones_only() {
        let mut ghost = Ghost::new(2);
        (1..=3).for_each(|hash| ghost.add(hash));
        assert_eq!((ghost.take(1), ghost.take(2), ghost.take(3)), (false, true, true));
        assert!(!ghost.take(3));
    }

    #[test]
    fn one_that_came_back_counts_from_then() {
        let mut ghost = Ghost::new(2);
        ghost.add(1);
        assert!(ghost.take(1));
        ghost.add(1);
        ghost.add(2); // pushes the first 1 out of the queue, not the second
        assert!(ghost.take(1));
    }
}
