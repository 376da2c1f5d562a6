//! Circuit breaker: refuses calls that keep failing, until half-open calls succeed (Nygard, *Release It!*, 2007).
//!
//! Rates over a window with a minimum of calls, and the six states, are as in Resilience4j.

mod cause;
mod gate;
#[cfg(all(test, loom))]
mod interleavings;
mod settings;
mod state;
mod telling;
mod window;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;

use crate::clock::Nanos;
pub use cause::{Cause, Change};
use gate::Gate;
pub use settings::{Rates, Settings, Span};
use state::Inner;
pub use state::State;
use telling::Telling;
pub use telling::{Listen, Listener};
pub use window::{BUCKETS, Tally};

/// An admitted call's permit, handed back with its result: the generation of the breaker, whether its
/// success is counted, and whether it is a half-open call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(u32);

impl Permit {
    const LAST_GENERATION: u32 = (1 << 30) - 1;

    fn new(generation: u32, counted: bool, half_open: bool) -> Self {
        Self(generation << 2 | u32::from(counted) << 1 | u32::from(half_open))
    }

    fn generation(self) -> u32 {
        self.0 >> 2
    }

    fn is_counted(self) -> bool {
        self.0 & 2 == 2
    }

    fn is_half_open(self) -> bool {
        self.0 & 1 == 1
    }

    fn number(self) -> u32 {
        self.0
    }

    fn of_number(number: u32) -> Self {
        Self(number)
    }

    /// The permit as a number, for a slot of a call.
    pub fn bits(self) -> u64 {
        u64::from(self.0)
    }

    /// Back from [`Permit::bits`].
    pub fn from_bits(bits: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "it was a u32")]
        let number = bits as u32;
        Self(number)
    }
}

/// The breaker's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Make the call, and record its result.
    Admitted(Permit),
    /// Refused; the time until it is half open, if known.
    Refused(Option<Nanos>),
}

/// The result of an admitted call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It succeeded.
    Success,
    /// It failed, and the failure counts.
    Failure,
    /// It counts as nothing: cancelled, refused further inside, or an error that does not count. A half-open call is given back.
    Nothing,
}

/// Details of an admitted call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report<'a> {
    /// Its duration inside of the breaker; zero: not measured.
    pub took: Nanos,
    /// The time that its failure asked to wait.
    pub retry_after: Option<Nanos>,
    /// The text of its failure.
    pub words: Option<&'a str>,
}

/// A snapshot for statistics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// The state now. An open breaker stays `Open` after its open time until a call comes.
    pub state: State,
    /// Failures in a row; while open, when it opened.
    pub failures: u32,
    /// The counts of the window, if there is one; while open, when it opened.
    pub window: Option<Tally>,
    /// Times that it opened.
    pub opened: u64,
    /// Calls that it refused.
    pub refused: u64,
    /// The end of its open time; zero: it does not end by itself.
    pub open_until: Nanos,
    /// Why it last opened.
    pub opened_by: Option<Cause>,
    /// The text of the last counted failure.
    pub last_failure: Option<Arc<str>>,
}

/// Counts failures in a row, failures and slow calls in a window, or both; one for all calls that share it, from any
/// thread.
///
/// While it is closed and nothing fails a call costs two loads where no window is kept, and one addition more where
/// one is (`gate.rs`). Every change of state starts a new generation, and results of an older one are not counted: a
/// slow call from before it opened says nothing about now.
#[derive(Debug)]
pub struct CircuitBreaker {
    gate: Gate,
    /// A success that took longer is recorded under the lock.
    slow: AtomicU64,
    inner: Mutex<Inner>,
    telling: Telling,
}

impl CircuitBreaker {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Self {
        let inner = Inner::new(settings);
        Self {
            gate: Gate::new(inner.ticket(), inner.until()),
            slow: AtomicU64::new(settings.slow_call.unwrap_or(Nanos::MAX)),
            inner: Mutex::new(inner),
            telling: Telling::default(),
        }
    }

    /// Admits or refuses a call.
    #[inline]
    pub fn admit(&self, now: Nanos) -> Admission {
        match self.gate.admit() {
            Some(permit) => Admission::Admitted(permit),
            None => self.change(|inner| inner.admit(now)),
        }
    }

    /// Records the result of an admitted call.
    #[inline]
    pub fn record(&self, permit: Permit, verdict: Verdict, report: Report<'_>, now: Nanos) {
        let done = match verdict {
            Verdict::Success => report.took <= self.slow.load(Relaxed) && self.gate.succeeded(permit, now),
            Verdict::Nothing => !permit.is_half_open(),
            Verdict::Failure => false,
        };
        if !done {
            self.change(|inner| inner.record(permit, verdict, report, now));
        }
    }

    /// Sets the state by hand. `Open` ends after the open time, `ForcedOpen` does not.
    pub fn set(&self, state: State, now: Nanos) {
        self.change(|inner| inner.set(state, now));
    }

    /// Closes it and forgets all but the times that it opened and refused.
    pub fn reset(&self, now: Nanos) {
        self.change(|inner| inner.reset(now));
    }

    /// Applies other settings. State and failures in a row stay, and the window if it has the same
    /// kind and size.
    pub fn replace(&self, settings: Settings) {
        self.slow.store(settings.slow_call.unwrap_or(Nanos::MAX), Relaxed);
        self.change(|inner| inner.replace(settings));
    }

    /// Its statistics now.
    pub fn statistics(&self, now: Nanos) -> Statistics {
        self.change(|inner| inner.statistics(now))
    }

    /// Why it refuses now: an identical text as long as that does not change.
    pub fn explain(&self) -> Arc<str> {
        self.inner.lock().explain()
    }

    /// Calls `listener`, and no other one, with every change of state.
    pub fn listen(&self, listener: Option<Listener>) {
        self.telling.listen(listener);
    }

    fn change<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        let (result, changed) = {
            let mut inner = self.inner.lock();
            inner.absorb(self.gate.take());
            let result = act(&mut inner);
            self.gate.publish(inner.ticket(), inner.until());
            let changed = !inner.changes.is_empty();
            if changed {
                self.telling.queue(&mut inner.changes);
            }
            (result, changed)
        };
        if changed {
            self.telling.tell();
        }
        result
    }
}

#[cfg(test)]
mod tests;
