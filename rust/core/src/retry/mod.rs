//! Retry: whether another attempt follows, and after which backoff.

mod backoffs;
pub mod budget;

use crate::clock::Nanos;

pub use backoffs::Backoffs;
pub use budget::Budget;

use backoffs::Random;

/// The numbers of one retry policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Calls in all; the first one counts.
    pub max_attempts: u32,
    /// The time between attempts.
    pub backoffs: Backoffs,
    /// The longest backoff; an error that asks for more ends the attempts.
    pub max_backoff: Nanos,
    /// The time since the first attempt after which no attempt begins.
    pub max_time: Option<Nanos>,
}

/// A failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failed {
    /// The number of the attempt; the first is 1.
    pub attempt: u32,
    /// The backoff before the attempt.
    pub waited: Nanos,
    /// The least time to wait, where the failure states it.
    pub retry_after: Option<Nanos>,
    /// The time since the first attempt began.
    pub elapsed: Nanos,
    /// The time that a limit further outside leaves.
    pub time_left: Option<Nanos>,
}

/// The arithmetic of one retry policy, with its source of randomness.
#[derive(Debug)]
pub struct Retry {
    settings: Settings,
    random: Random,
}

impl Retry {
    /// A retry whose jitter begins with this seed.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, random: Random::new(seed) }
    }

    /// The time to wait after a failed attempt, or None after the last one.
    pub fn delay(&self, failed: Failed) -> Option<Nanos> {
        let settings = &self.settings;
        let asked = failed.retry_after.unwrap_or(0);
        if failed.attempt >= settings.max_attempts || asked > settings.max_backoff {
            return None;
        }
        let wait = settings.backoffs.next(failed.attempt, failed.waited, settings.max_backoff, &self.random);
        let delay = wait.max(asked);
        let in_time = settings.max_time.is_none_or(|max_time| failed.elapsed.saturating_add(delay) <= max_time);
        (in_time && failed.time_left.is_none_or(|left| delay < left)).then_some(delay)
    }

    /// Whether a call has to remember its last backoff.
    #[inline]
    pub fn remembers_backoff(&self) -> bool {
        matches!(self.settings.backoffs, Backoffs::Decorrelated { .. })
    }
}

#[cfg(test)]
mod tests;
