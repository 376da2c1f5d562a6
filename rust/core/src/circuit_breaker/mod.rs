//! Circuit breaker: refuses calls to what keeps failing, until trial calls succeed (Nygard, *Release It!*, 2007).
//!
//! Rates over a window with a minimum of calls, and all six states, are those of Resilience4j.

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

/// What an admitted call hands back with its result: which period of the breaker's life it belongs to, whether its
/// success is counted, and whether it is a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(u32);

impl Permit {
    const LAST_GENERATION: u32 = (1 << 30) - 1;

    fn new(generation: u32, counted: bool, trial: bool) -> Self {
        Self(generation << 2 | u32::from(counted) << 1 | u32::from(trial))
    }

    fn generation(self) -> u32 {
        self.0 >> 2
    }

    fn is_counted(self) -> bool {
        self.0 & 2 == 2
    }

    fn is_trial(self) -> bool {
        self.0 & 1 == 1
    }

    fn number(self) -> u32 {
        self.0
    }

    fn of_number(number: u32) -> Self {
        Self(number)
    }

    /// As a plain number, for a slot of a call.
    #[must_use]
    pub fn bits(self) -> u64 {
        u64::from(self.0)
    }

    /// Back from [`Permit::bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "it was a u32")]
        let number = bits as u32;
        Self(number)
    }
}

/// The breaker's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Go on, and record the result.
    Admitted(Permit),
    /// Not now; how long until it is half open, where that is known.
    Refused(Option<Nanos>),
}

/// How an admitted call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It worked.
    Success,
    /// It failed in a way that counts.
    Failure,
    /// It says nothing: cancelled, refused further inside, or an error that does not count. A trial is given back.
    Nothing,
}

/// What else is known of an admitted call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Report<'a> {
    /// How long it took inside of the breaker; zero where nobody has measured it.
    pub took: Nanos,
    /// How long its failure asked to be left alone.
    pub retry_after: Option<Nanos>,
    /// What its failure says.
    pub words: Option<&'a str>,
}

/// A snapshot for people and dashboards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statistics {
    /// The state now. An open breaker whose wait is over is still `Open` until a call comes.
    pub state: State,
    /// Failures in a row; while open those that it opened with.
    pub failures: u32,
    /// What is in the window, where there is one; while open what it opened with.
    pub window: Option<Tally>,
    /// How often it opened.
    pub opened: u64,
    /// How many calls it refused.
    pub refused: u64,
    /// Until when it stays open; zero where it does not end by itself.
    pub open_until: Nanos,
    /// Why it opened the last time.
    pub opened_by: Option<Cause>,
    /// The words of the last failure that was counted.
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
    /// A success that took longer is told under the lock.
    slow: AtomicU64,
    inner: Mutex<Inner>,
    telling: Telling,
}

impl CircuitBreaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let inner = Inner::new(settings);
        Self {
            gate: Gate::new(inner.ticket(), inner.until()),
            slow: AtomicU64::new(settings.slow_call.unwrap_or(Nanos::MAX)),
            inner: Mutex::new(inner),
            telling: Telling::default(),
        }
    }

    /// Asks whether a call may be made.
    #[inline]
    pub fn admit(&self, now: Nanos) -> Admission {
        match self.gate.admit() {
            Some(permit) => Admission::Admitted(permit),
            None => self.change(|inner| inner.admit(now)),
        }
    }

    /// Tells how an admitted call went.
    #[inline]
    pub fn record(&self, permit: Permit, verdict: Verdict, report: Report<'_>, now: Nanos) {
        let done = match verdict {
            Verdict::Success => report.took <= self.slow.load(Relaxed) && self.gate.succeeded(permit, now),
            Verdict::Nothing => !permit.is_trial(),
            Verdict::Failure => false,
        };
        if !done {
            self.change(|inner| inner.record(permit, verdict, report, now));
        }
    }

    /// Puts it into a state by hand. `Open` ends after its wait, `ForcedOpen` does not.
    pub fn set(&self, state: State, now: Nanos) {
        self.change(|inner| inner.set(state, now));
    }

    /// Closes it and forgets what it has seen, but for how often it opened and refused.
    pub fn reset(&self, now: Nanos) {
        self.change(|inner| inner.reset(now));
    }

    /// Other settings from now on. State and failures in a row stay, and what is in the window where it is of the same
    /// kind and size.
    pub fn replace(&self, settings: Settings) {
        self.slow.store(settings.slow_call.unwrap_or(Nanos::MAX), Relaxed);
        self.change(|inner| inner.replace(settings));
    }

    /// What it counts now.
    #[must_use]
    pub fn statistics(&self, now: Nanos) -> Statistics {
        self.change(|inner| inner.statistics(now))
    }

    /// Why it refuses now, in words: the same text as long as that does not change.
    #[must_use]
    pub fn explain(&self) -> Arc<str> {
        self.inner.lock().explain()
    }

    /// Has every change of state told to `listener`, and to nobody else any more.
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
