//! Bulkhead: so many calls at once, some more in a queue: by priority, and first in, first out within one.

#[cfg(test)]
#[cfg(loom)]
mod interleavings;
mod queue;
mod sync;
mod ticket;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;

use crate::clock::Nanos;
use queue::Queue;
use sync::{AtomicU32, AtomicU64, Mutex};

pub use ticket::{Fate, Ticket};

/// One call that waits, in the upper half of the word.
const WAITING: u64 = 1 << 32;

/// The bulkhead's answer.
#[derive(Debug)]
pub enum Admission {
    /// A place was taken; it must be given back by [`Bulkhead::leave`].
    Entered,
    /// In the queue; the ticket is woken when a place was taken for it, or its place in the queue was lost.
    Queued(Arc<Ticket>),
    /// All places are taken and the queue is full.
    Full,
}

/// A snapshot for people and dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Calls that hold a place.
    pub running: u32,
    /// Calls in the queue.
    pub waiting: u32,
    /// Places there are.
    pub max_concurrent: u32,
    /// Places in the queue.
    pub max_waiting: u32,
    /// The most calls that ever held a place at once.
    pub most_running: u32,
    /// The most calls that were ever in the queue at once.
    pub most_waiting: u32,
    /// Calls that found no place and no room in the queue.
    pub refused: u64,
    /// Calls in the queue that made room for one of higher priority.
    pub displaced: u64,
    /// Calls that left the queue without a place because they, or who made them, would not wait any longer.
    pub gave_up: u64,
    /// Calls that got their place from the queue and went on.
    pub waited: u64,
    /// How long those waited, together.
    pub wait_time: Nanos,
    /// How long the one of them waited that waited longest.
    pub longest_wait: Nanos,
}

/// Places for calls, taken by one compare-and-swap while nobody waits. A place that comes free while somebody waits is
/// handed over, never offered to whoever comes by.
#[derive(Debug)]
pub struct Bulkhead {
    /// Running in the lower half, waiting in the upper. The upper half changes only under the lock of the queue.
    word: AtomicU64,
    max_concurrent: AtomicU32,
    max_waiting: AtomicU32,
    most_running: AtomicU32,
    most_waiting: AtomicU32,
    queue: Mutex<Queue>,
    refused: AtomicU64,
    displaced: AtomicU64,
    gave_up: AtomicU64,
    waited: AtomicU64,
    wait_time: AtomicU64,
    longest_wait: AtomicU64,
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
            most_running: AtomicU32::new(0),
            most_waiting: AtomicU32::new(0),
            queue: Mutex::new(Queue::default()),
            refused: AtomicU64::new(0),
            displaced: AtomicU64::new(0),
            gave_up: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            wait_time: AtomicU64::new(0),
            longest_wait: AtomicU64::new(0),
        }
    }

    /// Takes a place, or one in the queue: before all of lower priority. In a full queue the last of lower priority
    /// makes room.
    #[inline]
    pub fn enter(&self, priority: i32, now: Nanos) -> Admission {
        if self.try_enter() { Admission::Entered } else { self.queue_up(priority, now) }
    }

    fn has_room(&self, word: u64) -> bool {
        waiting(word) == 0 && running(word) < u64::from(self.max_concurrent.load(Ordering::Relaxed))
    }

    /// Takes a place if one is free and nobody waits for it.
    #[inline]
    fn try_enter(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while self.has_room(word) {
            match self.word.compare_exchange_weak(word, word + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => {
                    self.runs(word + 1);
                    return true;
                }
                Err(changed) => word = changed,
            }
        }
        false
    }

    /// Remembers the most that ran at once: nothing but a comparison once that has been seen.
    #[inline]
    fn runs(&self, word: u64) {
        #[expect(clippy::cast_possible_truncation, reason = "half of a word")]
        let running = running(word) as u32;
        if running > self.most_running.load(Ordering::Relaxed) {
            self.most_running.fetch_max(running, Ordering::Relaxed);
        }
    }

    #[cold]
    fn queue_up(&self, priority: i32, now: Nanos) -> Admission {
        if self.max_waiting.load(Ordering::Relaxed) == 0 && !self.has_room(self.word.load(Ordering::Relaxed)) {
            // Nobody waits here: to refuse takes no lock.
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Admission::Full;
        }
        let mut queue = self.queue.lock();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let free = self.has_room(word);
            if !free && waiting(word) >= u64::from(self.max_waiting.load(Ordering::Relaxed)) {
                let Some(last) = queue.displace(priority, now) else {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    return Admission::Full;
                };
                // One goes and one comes: the word stays as it is.
                let ticket = queue.join(priority, now);
                let waker = last.settle(Fate::Displaced);
                self.displaced.fetch_add(1, Ordering::Relaxed);
                drop(queue);
                wake(waker);
                return Admission::Queued(ticket);
            }
            let next = if free { word + 1 } else { word + WAITING };
            match self.word.compare_exchange_weak(word, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if free => {
                    self.runs(next);
                    return Admission::Entered;
                }
                Ok(_) => {
                    #[expect(clippy::cast_possible_truncation, reason = "half of a word")]
                    self.most_waiting.fetch_max(waiting(next) as u32, Ordering::Relaxed);
                    return Admission::Queued(queue.join(priority, now));
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
        let next = if surplus { None } else { queue.pop() };
        match next {
            Some(ticket) => {
                self.word.fetch_sub(WAITING, Ordering::AcqRel);
                let waker = ticket.settle(Fate::Granted);
                drop(queue);
                wake(waker);
            }
            None => {
                self.word.fetch_sub(1, Ordering::Release);
            }
        }
    }

    /// Leaves the queue, and says what the ticket came to: `Waiting` where it had to wait until now; `Granted` where a
    /// place was taken for it already, which must be given back.
    #[must_use]
    pub fn cancel(&self, ticket: &Ticket) -> Fate {
        let mut queue = self.queue.lock();
        if queue.remove(ticket) {
            self.word.fetch_sub(WAITING, Ordering::AcqRel);
            self.gave_up.fetch_add(1, Ordering::Relaxed);
        }
        ticket.fate()
    }

    /// Counts how long a granted ticket waited, when its call goes on.
    pub fn went_on(&self, ticket: &Ticket, now: Nanos) {
        let wait = now.saturating_sub(ticket.since);
        self.waited.fetch_add(1, Ordering::Relaxed);
        self.wait_time.fetch_add(wait, Ordering::Relaxed);
        self.longest_wait.fetch_max(wait, Ordering::Relaxed);
    }

    /// Another size from now on. Calls that run or wait go on; who waits and has room now is woken.
    pub fn resize(&self, max_concurrent: u32, max_waiting: u32) {
        let mut wakers = Vec::new();
        {
            let mut queue = self.queue.lock();
            self.max_concurrent.store(max_concurrent.max(1), Ordering::Relaxed);
            self.max_waiting.store(max_waiting, Ordering::Relaxed);
            while running(self.word.load(Ordering::Relaxed)) < u64::from(max_concurrent.max(1)) {
                let Some(ticket) = queue.pop() else { break };
                // One less waiting, one more running.
                self.word.fetch_sub(WAITING - 1, Ordering::AcqRel);
                self.runs(self.word.load(Ordering::Relaxed));
                wakers.push(ticket.settle(Fate::Granted));
            }
        }
        wakers.into_iter().for_each(wake);
    }

    /// So long a wait is worth one step of priority, also to those who wait already; None: no wait is.
    pub fn set_ageing(&self, ageing: Option<Nanos>) {
        self.queue.lock().set_ageing(ageing.unwrap_or(0));
    }

    /// How many calls hold a place.
    #[inline]
    #[must_use]
    pub fn running(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "half of a word")]
        let running = running(self.word.load(Ordering::Relaxed)) as u32;
        running
    }

    /// How it stands, and what it has seen.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let word = self.word.load(Ordering::Acquire);
        #[expect(clippy::cast_possible_truncation, reason = "halves of a word")]
        let (running, waiting) = (running(word) as u32, waiting(word) as u32);
        Statistics {
            running,
            waiting,
            max_concurrent: self.max_concurrent.load(Ordering::Relaxed),
            max_waiting: self.max_waiting.load(Ordering::Relaxed),
            most_running: self.most_running.load(Ordering::Relaxed),
            most_waiting: self.most_waiting.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            displaced: self.displaced.load(Ordering::Relaxed),
            gave_up: self.gave_up.load(Ordering::Relaxed),
            waited: self.waited.load(Ordering::Relaxed),
            wait_time: self.wait_time.load(Ordering::Relaxed),
            longest_wait: self.longest_wait.load(Ordering::Relaxed),
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests;
