//! The breaker's states and what moves it between them; under the lock.

use super::{Admission, Permit, Settings, Statistics, Verdict};
use crate::clock::Nanos;

/// The states of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Calls pass; failures in a row are counted.
    Closed,
    /// Calls are refused for a while.
    Open,
    /// Some trial calls pass; they decide.
    HalfOpen,
    /// Calls are refused until somebody says otherwise.
    ForcedOpen,
    /// Calls pass and nothing is counted.
    Disabled,
    /// Calls pass; failures are counted and open nothing.
    MetricsOnly,
}

impl State {
    /// The state's name as settings, metrics and events spell it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
            Self::ForcedOpen => "forced_open",
            Self::Disabled => "disabled",
            Self::MetricsOnly => "metrics_only",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Closed, Self::Open, Self::HalfOpen, Self::ForcedOpen, Self::Disabled, Self::MetricsOnly]
            .into_iter()
            .find(|state| state.word() == word)
    }
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub before: State,
    /// What it is.
    pub after: State,
    /// When.
    pub at: Nanos,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) settings: Settings,
    /// What has just happened, for whoever held the lock to tell.
    pub(super) change: Option<Change>,
    state: State,
    generation: u64,
    failures: u32,
    opened: u64,
    open_until: Nanos,
    trials: u32,
    successes: u32,
}

impl Inner {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            change: None,
            state: State::Closed,
            generation: 1,
            failures: 0,
            opened: 0,
            open_until: 0,
            trials: 0,
            successes: 0,
        }
    }

    /// What calls can go by without the lock; see [`super::CircuitBreaker`].
    pub(super) fn steady(&self) -> u64 {
        match self.state {
            State::Closed | State::MetricsOnly => self.generation << 1 | u64::from(self.failures > 0),
            State::Disabled => self.generation << 1,
            State::Open | State::HalfOpen | State::ForcedOpen => 0,
        }
    }

    pub(super) fn admit(&mut self, now: Nanos) -> Admission {
        if self.state == State::Open && now >= self.open_until {
            self.enter(State::HalfOpen, now);
        }
        // Fewer trials are asked for than when it began: enough have succeeded, and nobody is on the way to say so.
        if self.state == State::HalfOpen && self.successes >= self.settings.trials.max(1) {
            self.enter(State::Closed, now);
        }
        match self.state {
            State::Closed | State::Disabled | State::MetricsOnly => {
                Admission::Admitted(Permit::new(self.generation, false))
            }
            State::Open => Admission::Refused(Some(self.open_until - now)),
            State::ForcedOpen => Admission::Refused(None),
            State::HalfOpen if self.trials + self.successes < self.settings.trials.max(1) => {
                self.trials += 1;
                Admission::Admitted(Permit::new(self.generation, true))
            }
            State::HalfOpen => Admission::Refused(None),
        }
    }

    pub(super) fn record(&mut self, permit: Permit, verdict: Verdict, now: Nanos) {
        if permit.generation() != self.generation {
            return;
        }
        match (self.state, verdict) {
            (State::Closed | State::MetricsOnly, Verdict::Success) => self.failures = 0,
            (State::Closed | State::MetricsOnly, Verdict::Failure) => {
                self.failures = self.failures.saturating_add(1);
                if self.state == State::Closed && self.failures >= self.settings.failures.max(1) {
                    self.enter(State::Open, now);
                }
            }
            (State::HalfOpen, verdict) => {
                self.trials = self.trials.saturating_sub(1);
                match verdict {
                    Verdict::Success => {
                        self.successes += 1;
                        if self.successes >= self.settings.trials.max(1) {
                            self.enter(State::Closed, now);
                        }
                    }
                    Verdict::Failure => self.enter(State::Open, now),
                    Verdict::Nothing => {}
                }
            }
            _ => {}
        }
    }

    pub(super) fn set(&mut self, state: State, now: Nanos) {
        self.enter(state, now);
    }

    pub(super) fn statistics(&self) -> Statistics {
        Statistics {
            state: self.state,
            failures: self.failures,
            opened: self.opened,
            open_until: if self.state == State::Open { self.open_until } else { 0 },
        }
    }

    fn enter(&mut self, state: State, now: Nanos) {
        if state != self.state {
            self.change = Some(Change { before: self.state, after: state, at: now });
        }
        self.state = state;
        self.generation += 1;
        self.failures = 0;
        self.trials = 0;
        self.successes = 0;
        if state == State::Open {
            self.opened += 1;
            self.open_until = now.saturating_add(self.settings.wait);
        }
    }
}
