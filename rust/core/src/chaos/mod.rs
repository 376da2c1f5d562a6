//! Chaos: which calls wait, fail, or return another result.
//!
//! A seed makes a sequence: the n-th call gets the n-th injection, from any thread, because each is
//! computed from the seed and the call's number alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Nanos;

/// The rates of chaos, as shares of the calls from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Calls that fail.
    pub error_rate: f64,
    /// The number of errors, each as likely.
    pub errors: u32,
    /// Calls that return another result; none of them fail.
    pub result_rate: f64,
    /// Calls that wait first; they may fail as well.
    pub latency_rate: f64,
    /// The shortest wait.
    pub latency: Nanos,
    /// The longest wait; waits between are as likely.
    pub max_latency: Nanos,
}

/// The replacement of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// None: the call is made.
    Nothing,
    /// The error of this number.
    Error(u32),
    /// Another result.
    Result,
}

/// How one call is disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// The wait; zero: none.
    pub latency: Nanos,
    /// The replacement after the wait.
    pub instead: Instead,
}

/// Counts of chaos.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Calls that came by it.
    pub calls: u64,
    /// Calls that it delayed.
    pub delayed: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls with another result.
    pub results: u64,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    delayed: AtomicU64,
    errors: AtomicU64,
    results: AtomicU64,
}

/// Disturbs calls of one chaos policy, and counts.
#[derive(Debug)]
pub struct Chaos {
    settings: Settings,
    seed: u64,
    number: AtomicU64,
    counts: Arc<Counts>,
}

impl Chaos {
    /// Begins the sequence of a seed.
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, seed, number: AtomicU64::new(0), counts: Arc::default() }
    }

    /// This chaos with other settings and another sequence; counts stay.
    pub fn continued(settings: Settings, seed: u64, previous: &Self) -> Self {
        Self { counts: Arc::clone(&previous.counts), ..Self::new(settings, seed) }
    }

    /// Returns how the next call is disturbed.
    pub fn decide(&self) -> Injection {
        let injection = self.decision(self.number.fetch_add(1, Relaxed));
        let counts = &*self.counts;
        counts.calls.fetch_add(1, Relaxed);
        if injection.latency > 0 {
            counts.delayed.fetch_add(1, Relaxed);
        }
        match injection.instead {
            Instead::Nothing => {}
            Instead::Error(_) => drop(counts.errors.fetch_add(1, Relaxed)),
            Instead::Result => drop(counts.results.fetch_add(1, Relaxed)),
        }
        injection
    }

    /// The counts, under these settings and earlier ones.
    pub fn statistics(&self) -> Statistics {
        let counts = &*self.counts;
        Statistics {
            calls: counts.calls.load(Relaxed),
            delayed: counts.delayed.load(Relaxed),
            errors: counts.errors.load(Relaxed),
            results: counts.results.load(Relaxed),
        }
    }

    /// The injection for a call's number. Each takes as many draws, so that rates don't shift each other.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "waits need no nanosecond, and `as` saturates"
    )]
    fn decision(&self, number: u64) -> Injection {
        let settings = &self.settings;
        let mut draws = Draws::new(self.seed, number);
        let (late, how_late, instead, which) = (draws.next(), draws.next(), draws.next(), draws.next());
        let spread = settings.max_latency.saturating_sub(settings.latency);
        let latency = settings.latency.saturating_add((spread as f64 * how_late) as Nanos);
        let instead = if instead < settings.error_rate {
            Instead::Error((f64::from(settings.errors) * which) as u32)
        } else if instead < settings.error_rate + settings.result_rate {
            Instead::Result
        } else {
            Instead::Nothing
        };
        Injection { latency: if late < settings.latency_rate { latency } else { 0 }, instead }
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Numbers from 0 to 1, 1 left out: SplitMix64 (Steele, Lea and Flood, 2014), begun anew for each call.
struct Draws(u64);

impl Draws {
    fn new(seed: u64, number: u64) -> Self {
        Self(mixed(seed ^ mixed(number.wrapping_mul(GOLDEN))))
    }

    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        (mixed(self.0) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests;
