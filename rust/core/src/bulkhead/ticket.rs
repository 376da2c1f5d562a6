//! A place in the queue.

use std::task::Waker;

use super::sync::Mutex;
use crate::clock::Nanos;

/// What became of a place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fate {
    /// Nothing yet.
    #[default]
    Waiting,
    /// A place was taken for it; it must be given back.
    Granted,
    /// The queue was full and a call of higher priority came.
    Displaced,
}

/// A place in the queue of a bulkhead: granted or lost once, and whoever waits for that is woken.
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

    /// What became of it so far.
    #[must_use]
    pub fn fate(&self) -> Fate {
        self.state.lock().fate
    }

    /// Whether a place was taken for it.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.fate() == Fate::Granted
    }

    /// When it joined the queue.
    #[must_use]
    pub fn since(&self) -> Nanos {
        self.since
    }

    /// Has `waker` woken when it is granted or displaced. True where it is already; then nobody is woken.
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

    /// Settles its fate, under the lock of the queue; who is to be woken is woken after that, as waking may run
    /// anything.
    pub(super) fn settle(&self, fate: Fate) -> Option<Waker> {
        let mut state = self.state.lock();
        state.fate = fate;
        state.waker.take()
    }
}
