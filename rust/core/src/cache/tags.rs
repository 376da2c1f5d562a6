//! Tags of entries and entries of tags, so that an entry that leaves takes its tags along.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

/// The most tags of one entry.
pub const MOST_TAGS: usize = 64;

/// One tag of an entry: the tag's number, and the entry's index among the tag's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Membership {
    pub(super) tag: u32,
    pub(super) index: u32,
}

/// An entry's slot, and the tag's index among the entry's tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) slot: u32,
    nth: u32,
}

impl Member {
    pub(super) fn nth(self) -> usize {
        self.nth as usize
    }
}

#[derive(Debug)]
struct Tag {
    name: Box<str>,
    hash: u64,
    members: Vec<Member>,
}

/// The tags in use. Its size is bounded by the tags of all entries: a tag without members is forgotten.
#[derive(Debug, Default)]
pub(super) struct Tags {
    by_name: HashTable<u32>,
    tags: Vec<Tag>,
    free: Vec<u32>,
    hasher: RandomState,
}

impl Tags {
    /// Returns the number of tags.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Gives an entry its tags, each once, at most [`MOST_TAGS`].
    pub(super) fn join(&mut self, slot: u32, names: Vec<Box<str>>) -> Box<[Membership]> {
        let mut memberships: Vec<Membership> = Vec::with_capacity(names.len().min(MOST_TAGS));
        for name in names {
            let tag = self.number(name);
            if memberships.len() == MOST_TAGS || memberships.iter().any(|membership| membership.tag == tag) {
                self.forget_unused(tag);
                continue;
            }
            let members = &mut self.tags[tag as usize].members;
            #[expect(clippy::cast_possible_truncation, reason = "as many as entries at most, and as an entry's tags")]
            let (index, nth) = (members.len() as u32, memberships.len() as u32);
            members.push(Member { slot, nth });
            memberships.push(Membership { tag, index });
        }
        memberships.into_boxed_slice()
    }

    /// Takes one tag from an entry. Returns the member that moved to the freed index, which the caller must update.
    pub(super) fn leave(&mut self, membership: Membership) -> Option<Member> {
        let members = &mut self.tags[membership.tag as usize].members;
        members.swap_remove(membership.index as usize);
        let moved = members.get(membership.index as usize).copied();
        if members.len() < members.capacity() / 4 {
            members.shrink_to(members.len() * 2);
        }
        self.forget_unused(membership.tag);
        moved
    }

    /// Returns the slots of the entries that have a tag.
    pub(super) fn slots_of(&self, name: &str) -> Vec<u32> {
        let hash = self.hasher.hash_one(name);
        let found = self.by_name.find(hash, |&tag| &*self.tags[tag as usize].name == name);
        found.map_or_else(Vec::new, |&tag| self.members(tag).collect())
    }

    /// Returns the slots of the entries that have a wanted tag; an entry with several such tags comes several times.
    pub(super) fn slots_where(&self, mut wanted: impl FnMut(&str) -> bool) -> Vec<u32> {
        let tags = self.by_name.iter().filter(|&&tag| wanted(&self.tags[tag as usize].name));
        tags.flat_map(|&tag| self.members(tag)).collect()
    }

    /// Returns the name of a tag.
    pub(super) fn name(&self, tag: u32) -> &str {
        &self.tags[tag as usize].name
    }

    fn members(&self, tag: u32) -> impl Iterator<Item = u32> {
        self.tags[tag as usize].members.iter().map(|member| member.slot)
    }

    fn number(&mut self, name: Box<str>) -> u32 {
        let hash = self.hasher.hash_one(&*name);
        if let Some(&tag) = self.by_name.find(hash, |&tag| self.tags[tag as usize].name == name) {
            return tag;
        }
        let new = Tag { name, hash, members: Vec::new() };
        let tag = match self.free.pop() {
            Some(tag) => {
                self.tags[tag as usize] = new;
                tag
            }
            None => {
                self.tags.push(new);
                #[expect(clippy::cast_possible_truncation, reason = "64 tags each for entries that fit into memory")]
                let tag = (self.tags.len() - 1) as u32;
                tag
            }
        };
        let tags = &self.tags;
        self.by_name.insert_unique(hash, tag, |&tag| tags[tag as usize].hash);
        tag
    }

    fn forget_unused(&mut self, tag: u32) {
        let Tag { hash, members, .. } = &self.tags[tag as usize];
        if !members.is_empty() {
            return;
        }
        if let Ok(entry) = self.by_name.find_entry(*hash, |&other| other == tag) {
            entry.remove();
        }
        if self.by_name.is_empty() {
            (self.tags, self.free) = (Vec::new(), Vec::new());
        } else {
            self.tags[tag as usize] = Tag { name: Box::default(), hash: 0, members: Vec::new() };
            self.free.push(tag);
        }
    }
}
