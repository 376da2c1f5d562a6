//! Circuit breaker: refuses calls to what keeps failing, until trial calls succeed (Nygard, *Release It!*, 2007).

mod state;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::clock::Nanos;
use state::Inner;
pub use state::{Change, State};

/// When it opens, for how long, and how many trials decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// So many failures in a row open it; zero counts as one.
    pub failures: u32,
    /// How long it stays open.
    pub wait: Nanos,
    /// How many calls a half-open breaker lets through at once, and how many must succeed; zero counts as one.
    pub trials: u32,
}

/// What an admitted call hands back with its result: which period of the breaker's life it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit(u64);

impl Permit {
    fn new(generation: u64, trial: bool) -> Self {
        Self(generation << 1 | u64::from(trial))
    }

    fn generation(self) -> u64 {
        self.0 >> 1
    }

    fn is_trial(self) -> bool {
        self.0 & 1 == 1
    }

    /// As a plain number, for a slot of a call.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Back from [`Permit::bits`].
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
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

/// A snapshot for people and dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statistics {
    /// The state now. An open breaker whose wait is over is still `Open` until a call comes.
    pub state: State,
    /// Failures in a row, while closed.
    pub failures: u32,
    /// How often it opened.
    pub opened: u64,
    /// Until when it stays open; zero where it does not end by itself.
    pub open_until: Nanos,
}

/// Counts failures in a row; one for all calls that share it, from any thread.
///
/// While it is closed and nothing fails a call costs two loads: `steady` is then the generation, shifted by one. Every
/// change of state starts a new generation, and results of an older one are not counted: a slow call from before it
/// opened says nothing about now.
#[derive(Debug)]
pub struct CircuitBreaker {
    /// `generation << 1 | failures in a row are not zero` while calls just pass; zero while the lock must be asked.
    steady: AtomicU64,
    inner: Mutex<Inner>,
    listener: Mutex<Option<Listener>>,
}

/// Told of each change of state, outside of the lock.
pub type Listener = Arc<dyn Listen>;

/// Who wants to know of changes.
pub trait Listen: Send + Sync + std::fmt::Debug {
    /// A breaker changed.
    fn changed(&self, change: Change);
}

impl CircuitBreaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let inner = Inner::new(settings);
        Self { steady: AtomicU64::new(inner.steady()), inner: Mutex::new(inner), listener: Mutex::new(None) }
    }

    /// Asks whether a call may be made.
    #[inline]
    pub fn admit(&self, now: Nanos) -> Admission {
        match self.steady.load(Ordering::Acquire) {
            0 => self.change(|inner| inner.admit(now)),
            steady => Admission::Admitted(Permit::new(steady >> 1, false)),
        }
    }

    /// Tells how an admitted call went.
    #[inline]
    pub fn record(&self, permit: Permit, verdict: Verdict, now: Nanos) {
        let unchanged = self.steady.load(Ordering::Acquire) == permit.generation() << 1;
        if permit.is_trial() || !(verdict == Verdict::Nothing || verdict == Verdict::Success && unchanged) {
            self.change(|inner| inner.record(permit, verdict, now));
        }
    }

    /// Puts it into a state by hand. `Open` ends after its wait, `ForcedOpen` does not.
    pub fn set(&self, state: State, now: Nanos) {
        self.change(|inner| inner.set(state, now));
    }

    /// Other settings from now on; the state and the failures in a row stay.
    pub fn replace(&self, settings: Settings) {
        self.change(|inner| inner.settings = settings);
    }

    /// What it counts now.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.inner.lock().statistics()
    }

    /// Has every change of state told to `listener`, and to nobody else any more.
    pub fn listen(&self, listener: Option<Listener>) {
        *self.listener.lock() = listener;
    }

    fn change<R>(&self, act: impl FnOnce(&mut Inner) -> R) -> R {
        let (result, change) = {
            let mut inner = self.inner.lock();
            let result = act(&mut inner);
            self.steady.store(inner.steady(), Ordering::Release);
            (result, inner.change.take())
        };
        if let Some(change) = change {
            let listener = self.listener.lock().clone();
            if let Some(listener) = listener {
                listener.changed(change);
            }
        }
        result
    }
}

#[cfg(test)]
mod tests;
