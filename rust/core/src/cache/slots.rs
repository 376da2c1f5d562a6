//! Storage of entries: numbered slots, linked into queues by number.

use super::lifetime::Times;
use super::memory_cache::{EntryOptions, More};
use super::tags::{Member, Membership, Tags};
use crate::clock::Nanos;

/// No slot.
const NONE: u32 = u32::MAX;

/// One entry with its links in a queue.
#[derive(Debug)]
pub(super) struct Slot<K, V> {
    pub(super) hash: u64,
    /// None for a slot that is free.
    pub(super) pair: Option<(K, V)>,
    /// Until this time a hit checks no other time.
    pub(super) good_until: Nanos,
    pub(super) weight: u64,
    /// Boxed, because few entries have it and a slot is one cache line.
    extra: Option<Box<Extra>>,
    older: u32,
    newer: u32,
    /// Hits since it came into its queue, up to three.
    pub(super) frequency: u8,
    pub(super) in_small: bool,
}

/// Tags of an entry, and its times where they are more than one moment.
#[derive(Debug)]
struct Extra {
    times: Times,
    tags: Box<[Membership]>,
}

impl<K, V> Slot<K, V> {
    /// Returns all times of the entry.
    pub(super) fn times(&self) -> Times {
        self.extra.as_ref().map_or(Times::until(self.good_until), |extra| extra.times)
    }

    /// Returns the numbers of the entry's tags.
    pub(super) fn tags(&self) -> impl Iterator<Item = u32> {
        self.extra.iter().flat_map(|extra| &extra.tags).map(|membership| membership.tag)
    }
}

/// All slots, free ones included.
#[derive(Debug)]
pub(super) struct Slots<K, V> {
    slots: Vec<Slot<K, V>>,
    free: Vec<u32>,
}

/// A queue of slots: newest in front, oldest at the end.
#[derive(Debug)]
pub(super) struct Queue {
    newest: u32,
    oldest: u32,
    pub(super) len: usize,
    pub(super) weight: u64,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self { newest: NONE, oldest: NONE, len: 0, weight: 0 }
    }

    /// Returns the oldest slot.
    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    pub(super) fn push<K, V>(&mut self, slots: &mut Slots<K, V>, index: u32) {
        let slot = slots.at_mut(index);
        slot.older = self.newest;
        slot.newer = NONE;
        self.len += 1;
        // Saturates only in a cache that has lost its cap on weight.
        self.weight = self.weight.saturating_add(slot.weight);
        match self.newest {
            NONE => self.oldest = index,
            newest => slots.at_mut(newest).newer = index,
        }
        self.newest = index;
    }

    pub(super) fn unlink<K, V>(&mut self, slots: &mut Slots<K, V>, index: u32) {
        let Slot { older, newer, weight, .. } = *slots.at_mut(index);
        match newer {
            NONE => self.newest = older,
            newer => slots.at_mut(newer).older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => slots.at_mut(older).newer = newer,
        }
        self.len -= 1;
        self.weight = self.weight.saturating_sub(weight);
    }

    /// Makes a slot the newest; does nothing for the slot that is the newest.
    #[inline]
    pub(super) fn renew<K, V>(&mut self, slots: &mut Slots<K, V>, index: u32) {
        if self.newest != index {
            self.unlink(slots, index);
            self.push(slots, index);
        }
    }
}

impl<K, V> Slots<K, V> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Returns the slot of a number that `add` returned.
    #[inline]
    pub(super) fn at(&self, index: u32) -> &Slot<K, V> {
        &self.slots[index as usize]
    }

    #[inline]
    pub(super) fn at_mut(&mut self, index: u32) -> &mut Slot<K, V> {
        &mut self.slots[index as usize]
    }

    #[inline]
    pub(super) fn add(&mut self, hash: u64, pair: (K, V), options: EntryOptions, tags: &mut Tags) -> u32 {
        let index = self.vacant();
        // Field by field: copying a finished slot costs more than all other steps together.
        let slot = self.at_mut(index);
        slot.hash = hash;
        slot.pair = Some(pair);
        slot.good_until = options.good_until;
        slot.weight = options.weight;
        slot.frequency = 0;
        if let Some(more) = options.more {
            self.add_extra(index, *more, tags);
        }
        index
    }

    #[inline]
    fn vacant(&mut self) -> u32 {
        if let Some(index) = self.free.pop() {
            return index;
        }
        self.slots.push(Slot {
            hash: 0,
            pair: None,
            good_until: 0,
            weight: 0,
            extra: None,
            older: NONE,
            newer: NONE,
            frequency: 0,
            in_small: false,
        });
        #[expect(clippy::cast_possible_truncation, reason = "the entry cap is less than u32::MAX")]
        let index = (self.slots.len() - 1) as u32;
        index
    }

    /// Sets the options of an entry; the caller updates the weight of the queue.
    pub(super) fn set_options(&mut self, index: u32, options: EntryOptions, tags: &mut Tags) {
        self.drop_extra(index, tags);
        let slot = self.at_mut(index);
        (slot.weight, slot.good_until) = (options.weight, options.good_until);
        if let Some(more) = options.more {
            self.add_extra(index, *more, tags);
        }
    }

    pub(super) fn release(&mut self, index: u32, tags: &mut Tags) -> Option<(K, V)> {
        self.drop_extra(index, tags);
        self.free.push(index);
        self.at_mut(index).pair.take()
    }

    #[cold]
    fn add_extra(&mut self, index: u32, more: More, tags: &mut Tags) {
        let tags = if more.tags.is_empty() { Box::default() } else { tags.join(index, more.tags) };
        self.at_mut(index).extra = Some(Box::new(Extra { times: more.times, tags }));
    }

    #[inline]
    fn drop_extra(&mut self, index: u32, tags: &mut Tags) {
        if self.at(index).extra.is_some() {
            self.drop_extra_slowly(index, tags);
        }
    }

    #[cold]
    fn drop_extra_slowly(&mut self, index: u32, tags: &mut Tags) {
        if let Some(extra) = self.at_mut(index).extra.take() {
            for &membership in &extra.tags {
                if let Some(moved) = tags.leave(membership) {
                    self.set_member_index(moved, membership.index);
                }
            }
        }
    }

    /// Stores the new index of an entry among the members of a tag, after another entry left.
    fn set_member_index(&mut self, member: Member, index: u32) {
        if let Some(extra) = &mut self.at_mut(member.slot).extra
            && let Some(membership) = extra.tags.get_mut(member.nth())
        {
            membership.index = index;
        }
    }

    /// Returns the slots in use, with their numbers.
    pub(super) fn used(&self) -> impl Iterator<Item = (u32, &Slot<K, V>)> {
        (0..).zip(&self.slots).filter(|(_, slot)| slot.pair.is_some())
    }

    pub(super) fn take_all(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        self.free = Vec::new();
        std::mem::take(&mut self.slots).into_iter().filter_map(|slot| slot.pair)
    }
}

/// Entries that left the cache, for the caller to drop. The first one, often the only one, needs no allocation.
#[derive(Debug)]
#[must_use = "drop it where foreign code may run"]
pub struct Removed<K, V> {
    first: Option<(K, V)>,
    more: Vec<(K, V)>,
}

impl<K, V> Removed<K, V> {
    /// Returns an empty collection.
    pub const fn none() -> Self {
        Self { first: None, more: Vec::new() }
    }

    pub(super) fn push(&mut self, pair: (K, V)) {
        if self.first.is_none() {
            self.first = Some(pair);
        } else {
            self.more.push(pair);
        }
    }

    /// Returns the number of pairs.
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    /// Returns whether there are no pairs.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }
}

impl<K, V> IntoIterator for Removed<K, V> {
    type Item = (K, V);
    type IntoIter = std::iter::Chain<std::option::IntoIter<(K, V)>, std::vec::IntoIter<(K, V)>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.more)
    }
}
