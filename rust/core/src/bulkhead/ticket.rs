//! A place in the queue.

use std::task::Waker;

use parking_lot::Mutex;

/// A place in the queue of a bulkhead: granted once, and whoever waits for that is woken.
#[derive(Debug, Default)]
pub struct Ticket {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    granted: bool,
    waker: Option<Waker>,
}

impl Ticket {
    /// Whether a place was taken for it.
    #[must_use]
    pub fn is_granted(&self) -> bool {
        self.state.lock().granted
    }

    /// Has `waker` woken when the place is taken. True where it is taken already; then nobody is woken.
    pub fn wake_with(&self, waker: Waker) -> bool {
        let mut state = self.state.lock();
        if !state.granted {
            state.waker = Some(waker);
        }
        state.granted
    }

    /// Takes the place; wakes outside the lock, as waking may run anything.
    pub(super) fn grant(&self) {
        let waker = {
            let mut state = self.state.lock();
            state.granted = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
