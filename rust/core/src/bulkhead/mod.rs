//! Bulkhead: so many calls at once, some more in a queue, first in, first out.

mod ticket;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use parking_lot::Mutex;

pub use ticket::Ticket;

/// One call that waits, in the upper half of the word.
const WAITING: u64 = 1 << 32;

/// The bulkhead's answer.
#[derive(Debug)]
pub enum Admission {
    /// A place was taken; it must be given back by [`Bulkhead::leave`].
    Entered,
    /// In the queue; the ticket is woken when a place was taken for it.
    Queued(Arc<Ticket>),
    /// All places are taken and the queue is full.
    Full,
}

/// A snapshot for people and dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// Calls that hold a place.
    pub running: u32,
    /// Calls in the queue.
    pub waiting: u32,
    /// Places there are.
    pub max_concurrent: u32,
}

/// Places for calls, taken by compare-and-swap while nobody waits. A place that comes free while somebody waits is
/// handed over, never offered to whoever comes by.
#[derive(Debug)]
pub struct Bulkhead {
    /// Running in the lower half, waiting in the upper. The upper half changes only under the lock of the queue.
    word: AtomicU64,
    max_concurrent: AtomicU32,
    max_waiting: AtomicU32,
    queue: Mutex<VecDeque<Arc<Ticket>>>,
}

fn running(word: u64) -> u64 {
    word & (WAITING - 1)
}

fn waiting(word: u64) -> u64 {
    word >> 32
}

impl Bulkhead {
    /// All places free. No places count as one.
    #[must_use]
    pub fn new(max_concurrent: u32, max_waiting: u32) -> Self {
        Self {
            word: AtomicU64::new(0),
            max_concurrent: AtomicU32::new(max_concurrent.max(1)),
            max_waiting: AtomicU32::new(max_waiting),
            queue: Mutex::new(VecDeque::new()),
        }
    }

    /// Takes a place, or one in the queue.
    #[inline]
    pub fn enter(&self) -> Admission {
        if self.try_enter() { Admission::Entered } else { self.queue_up() }
    }

    /// Takes a place if one is free and nobody waits for it.
    #[inline]
    fn try_enter(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while waiting(word) == 0 && running(word) < u64::from(self.max_concurrent.load(Ordering::Relaxed)) {
            match self.word.compare_exchange_weak(word, word + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(changed) => word = changed,
            }
        }
        false
    }

    #[cold]
    fn queue_up(&self) -> Admission {
        let mut queue = self.queue.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = waiting(word) == 0 && running(word) < u64::from(self.max_concurrent.load(Ordering::Relaxed));
            if !free && waiting(word) >= u64::from(self.max_waiting.load(Ordering::Relaxed)) {
                return Admission::Full;
            }
            let next = if free { word + 1 } else { word + WAITING };
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if free => return Admission::Entered,
                Ok(_) => {
                    let ticket = Arc::new(Ticket::default());
                    queue.push_back(Arc::clone(&ticket));
                    return Admission::Queued(ticket);
                }
                Err(changed) => word = changed,
            }
        }
    }

    /// Gives a place back: to the first in the queue, who is woken, or to nobody.
    #[inline]
    pub fn leave(&self) {
        let mut word = self.word.load(Ordering::Relaxed);
        while waiting(word) == 0 {
            match self.word.compare_exchange_weak(word, word - 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => word = changed,
            }
        }
        self.hand_over();
    }

    #[cold]
    fn hand_over(&self) {
        let mut queue = self.queue.lock();
        // Fewer places than before: the one that came free is not there any more.
        let surplus =
            running(self.word.load(Ordering::Relaxed)) > u64::from(self.max_concurrent.load(Ordering::Relaxed));
        let next = if surplus { None } else { queue.pop_front() };
        match next {
            Some(ticket) => {
                self.word.fetch_sub(WAITING, Ordering::AcqRel);
                drop(queue); // waking may run anything
                ticket.grant();
            }
            None => {
                self.word.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Leaves the queue. False where a place was taken for the ticket already: then it must be given back.
    #[must_use]
    pub fn cancel(&self, ticket: &Arc<Ticket>) -> bool {
        let mut queue = self.queue.lock();
        let place = queue.iter().position(|other| Arc::ptr_eq(other, ticket));
        if let Some(place) = place {
            queue.remove(place);
            self.word.fetch_sub(WAITING, Ordering::AcqRel);
        }
        place.is_some()
    }

    /// Another size from now on. Calls that run go on; who waits and has room now is woken.
    pub fn resize(&self, max_concurrent: u32, max_waiting: u32) {
        let mut woken = Vec::new();
        {
            let mut queue = self.queue.lock();
            self.max_concurrent.store(max_concurrent.max(1), Ordering::Relaxed);
            self.max_waiting.store(max_waiting, Ordering::Relaxed);
            while running(self.word.load(Ordering::Relaxed)) < u64::from(max_concurrent.max(1)) {
                let Some(ticket) = queue.pop_front() else { break };
                // One less waiting, one more running.
                self.word.fetch_sub(WAITING - 1, Ordering::AcqRel);
                woken.push(ticket);
            }
        }
        woken.iter().for_each(|ticket| ticket.grant());
    }

    /// What it holds now.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let word = self.word.load(Ordering::Acquire);
        #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
        let (running, waiting) = (running(word) as u32, waiting(word) as u32);
        Statistics { running, waiting, max_concurrent: self.max_concurrent.load(Ordering::Relaxed) }
    }
}

#[cfg(test)]
mod tests;
