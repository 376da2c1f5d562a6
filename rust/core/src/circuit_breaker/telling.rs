//! Reporting changes in order, one at a time, outside of the breaker's lock.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Change;

/// Receives each change of state, outside of the lock.
pub type Listener = Arc<dyn Listen>;

/// A listener of changes.
pub trait Listen: Send + Sync + std::fmt::Debug {
    /// Receives a change. It may change the breaker again; that change is reported after this returns.
    fn changed(&self, change: &Change);
}

/// Changes to report. The reporting thread goes on until there are none, also for other threads.
#[derive(Debug, Default)]
pub(super) struct Telling(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    changes: VecDeque<Change>,
    is_telling: bool,
    listener: Option<Listener>,
}

impl Telling {
    pub(super) fn listen(&self, listener: Option<Listener>) {
        let before = std::mem::replace(&mut self.0.lock().listener, listener);
        drop(before); // outside the lock
    }

    /// Adds a change, under the breaker's lock so that they stay in order.
    pub(super) fn queue(&self, changes: &mut Vec<Change>) {
        let mut state = self.0.lock();
        if state.listener.is_some() {
            state.changes.extend(changes.drain(..));
        }
        changes.clear();
    }

    /// Reports all changes, outside of the breaker's lock.
    pub(super) fn tell(&self) {
        if std::mem::replace(&mut self.0.lock().is_telling, true) {
            return;
        }
        while let Some((change, listener)) = self.next() {
            if let Some(listener) = listener {
                listener.changed(&change);
            }
        }
    }

    fn next(&self) -> Option<(Change, Option<Listener>)> {
        let mut state = self.0.lock();
        let change = state.changes.pop_front();
        state.is_telling = change.is_some();
        change.map(|change| (change, state.listener.clone()))
    }
}
