//! Bulkhead: bounds the running calls; a queue by priority, first in, first out among equals.

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

/// One waiting call, in the upper half of the word.
const WAITING: u64 = 1 << 32;

/// The bulkhead's answer.
#[derive(Debug)]
pub enum Admission {
    /// The call has a place; give it back by [`Bulkhead::leave`].
    Entered,
    /// The call is in the queue; its ticket is woken when it is granted a place or displaced.
    Queued(Arc<Ticket>),
    /// All places are taken and the queue is full.
    Full,
}

/// A snapshot for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Calls that hold a place.
    pub running: u32,
    /// Calls in the queue.
    pub waiting: u32,
    /// Places.
    pub max_concurrent: u32,
    /// Places in the queue.
    pub max_waiting: u32,
    /// The most calls that held a place at once.
    pub most_running: u32,
    /// The most calls that were in the queue at once.
    pub most_waiting: u32,
    /// Calls that found no place and no room in the queue.
    pub refused: u64,
    /// Calls that a call of higher priority displaced.
    pub displaced: u64,
    /// Calls that left the queue without a place: too late, or cancelled.
    pub gave_up: u64,
    /// Calls that got their place from the queue.
    pub waited: u64,
    /// The time that they waited, in all.
    pub wait_time: Nanos,
    /// The longest wait of one of them.
    pub longest_wait: Nanos,
}

/// Places for calls, taken by one compare-and-swap while the queue is empty. A free place goes to
/// the first waiter, never to a call that comes by.
#[derive(Debug)]
pub struct Bulkhead {
    /// Running calls in the lower half, waiting ones in the upper, which changes only under the lock of the queue.
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
    /// All places are free. Zero places count as one.
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

    /// Takes a place, or joins the queue before all waiters of lower priority. In a full queue the last waiter of
    /// lower priority is displaced.
    #[inline]
    pub fn enter(&self, priority: i32, now: Nanos) -> Admission {
        if self.try_enter() { Admission::Entered } else { self.queue_up(priority, now) }
    }

    fn has_room(&self, word: u64) -> bool {
        waiting(word) == 0 && running(word) < u64::from(self.max_concurrent.load(Ordering::Relaxed))
    }

    /// Takes a place if one is free and the queue is empty.
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

    /// Remembers the most calls that ran at once.
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
            // There is no queue, so refusing takes no lock.
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
                // One leaves and one joins, so the word stays as it is.
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

    /// Gives a place back, and wakes the first waiter if it gets it.
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
        // There are fewer places than before, so this one is gone.
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

    /// Leaves the queue, and returns the state of the ticket: `Waiting` if it waited until now; `Granted` if a
    /// place was granted already, which must be given back.
    pub fn cancel(&self, ticket: &Ticket) -> Fate {
        let mut queue = self.queue.lock();
        if queue.remove(ticket) {
            self.word.fetch_sub(WAITING, Ordering::AcqRel);
            self.gave_up.fetch_add(1, Ordering::Relaxed);
        }
        ticket.fate()
    }

    /// Counts the wait of a granted ticket.
    pub fn went_on(&self, ticket: &Ticket, now: Nanos) {
        let wait = now.saturating_sub(ticket.since);
        self.waited.fetch_add(1, Ordering::Relaxed);
        self.wait_time.fetch_add(wait, Ordering::Relaxed);
        self.longest_wait.fetch_max(wait, Ordering::Relaxed);
    }

    /// Applies another size. Calls that run or wait stay; waiters with a place now are woken.
    pub fn resize(&self, max_concurrent: u32, max_waiting: u32) {
        let mut wakers = Vec::new();
        {
            let mut queue = self.queue.lock();
            self.max_concurrent.store(max_concurrent.max(1), Ordering::Relaxed);
            self.max_waiting.store(max_waiting, Ordering::Relaxed);
            while running(self.word.load(Ordering::Relaxed)) < u64::from(max_concurrent.max(1)) {
                let Some(ticket) = queue.pop() else { break };
                // One call less waits, and one more runs.
                self.word.fetch_sub(WAITING - 1, Ordering::AcqRel);
                self.runs(self.word.load(Ordering::Relaxed));
                wakers.push(ticket.settle(Fate::Granted));
            }
        }
        wakers.into_iter().for_each(wake);
    }

    /// The wait that raises the priority by one, also for present waiters; None: no wait does.
    pub fn set_ageing(&self, ageing: Option<Nanos>) {
        self.queue.lock().set_ageing(ageing.unwrap_or(0));
    }

    /// The number of calls that hold a place.
    #[inline]
    pub fn running(&self) -> u32 {
        #[expect(clippy::cast_possible_truncation, reason = "half of a word")]
        let running = running(self.word.load(Ordering::Relaxed)) as u32;
        running
    }

    /// Its statistics now.
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
