//! A ticket: a waiter in the queue.

use std::task::Waker;

use super::sync::Mutex;
use crate::clock::Nanos;

/// The state of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// It waits.
    #[default]
    Waiting,
    /// It has a place, which must be given back.
    Granted,
    /// A call of higher priority displaced it from a full queue.
    Displaced,
}

/// A waiter in the queue of a bulkhead: granted a place or displaced, once, and then woken.
#[derive(Debug)]
pub struct Ticket {
    pub(super) priority: i32,
    pub(super) since: Nanos,
    pub(super) number: u64,
    state: Mutex<State>,
}

/// A ticket equals only itself.
impl PartialEq for Ticket {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

#[derive(Debug, Default)]
struct State {
    fate: Fate,
    waker: Option<Waker>,
}

impl Ticket {
    pub(super) fn new(priority: i32, since: Nanos, number: u64) -> Self {
        Self { priority, since, number, state: Mutex::new(State::default()) }
    }

    /// Its state now.
    pub fn fate(&self) -> Fate {
        self.state.lock().fate
    }

    /// Whether it was granted a place.
    pub fn is_granted(&self) -> bool {
        self.fate() == Fate::Granted
    }

    /// The time when it joined the queue.
    pub fn since(&self) -> Nanos {
        self.since
    }

    /// Wakes `waker` when it is granted or displaced. True if it already was; then nothing is woken.
    pub fn wake_with(&self, waker: Waker) -> bool {
        let mut state = self.state.lock();
        if state.fate != Fate::Waiting {
            return true;
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before); // outside the lock, for it may run anything
        false
    }

    /// Sets its final state, under the lock of the queue; the waker is woken after that, for waking may run
    /// anything.
    pub(super) fn settle(&self, fate: Fate) -> Option<Waker> {
        let mut state = self.state.lock();
        state.fate = fate;
        state.waker.take()
    }
}
