//! Retry: how long to wait before another attempt, and whether there is one.

pub mod budget;
mod waits;

use crate::clock::Nanos;

pub use budget::Budget;
pub use waits::Waits;

use waits::Random;

/// How often, and after which waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Calls in all; the first one counts.
    pub max_attempts: u32,
    /// How long between them.
    pub waits: Waits,
    /// No wait is longer, and no `retry_after` beyond it is waited for.
    pub max_wait: Nanos,
    /// Since the first attempt; no attempt begins after it.
    pub max_time: Option<Nanos>,
}

/// What is known when an attempt has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failed {
    /// Its number; the first is 1.
    pub attempt: u32,
    /// How long was waited before it.
    pub waited: Nanos,
    /// How long to wait at least, where the failure says so.
    pub retry_after: Option<Nanos>,
    /// Since the first attempt began.
    pub elapsed: Nanos,
    /// How much time a limit further outside leaves.
    pub time_left: Option<Nanos>,
}

/// The arithmetic of one retry policy, with its source of randomness.
#[derive(Debug)]
pub struct Retry {
    settings: Settings,
    random: Random,
}

impl Retry {
    /// With a seed for the jitter.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, random: Random::new(seed) }
    }

    /// How long to wait after a failed attempt, or None where it was the last one.
    #[must_use]
    pub fn delay(&self, failed: Failed) -> Option<Nanos> {
        let settings = &self.settings;
        let asked = failed.retry_after.unwrap_or(0);
        if failed.attempt >= settings.max_attempts || asked > settings.max_wait {
            return None;
        }
        let wait = settings.waits.next(failed.attempt, failed.waited, settings.max_wait, &self.random);
        let delay = wait.max(asked);
        let in_time = settings.max_time.is_none_or(|max_time| failed.elapsed.saturating_add(delay) <= max_time);
        (in_time && failed.time_left.is_none_or(|left| delay < left)).then_some(delay)
    }

    /// Whether a call has to remember how long was waited last.
    #[inline]
    #[must_use]
    pub fn remembers_waits(&self) -> bool {
        matches!(self.settings.waits, Waits::Decorrelated { .. })
    }
}

#[cfg(test)]
mod tests;
