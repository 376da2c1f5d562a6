//! Chaos: which calls are made to wait, to fail, or to return something else.
//!
//! The decisions of a seed are a sequence: the n-th call gets the n-th one, whichever thread makes it, because each is
//! computed from the seed and the call's number alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::clock::Nanos;

/// How often what happens. Rates are shares of the calls, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Calls that fail.
    pub error_rate: f64,
    /// So many kinds of errors there are; each is as likely as the others.
    pub errors: u32,
    /// Calls that return something else; beside those that fail.
    pub result_rate: f64,
    /// Calls that wait first, whatever becomes of them then.
    pub latency_rate: f64,
    /// The shortest wait.
    pub latency: Nanos,
    /// The longest wait; every one between is as likely.
    pub max_latency: Nanos,
}

/// What becomes of a call in place of being made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// Nothing: it is made.
    Nothing,
    /// The error of that number.
    Error(u32),
    /// Something else is returned.
    Result,
}

/// What is done to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// It waits so long first; zero: not at all.
    pub latency: Nanos,
    /// And then.
    pub instead: Instead,
}

/// What was decided so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Calls that were decided about.
    pub calls: u64,
    /// Calls that had to wait.
    pub delayed: u64,
    /// Calls that failed.
    pub errors: u64,
    /// Calls that returned something else.
    pub results: u64,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    delayed: AtomicU64,
    errors: AtomicU64,
    results: AtomicU64,
}

/// Decides for each call of one chaos policy, and counts.
#[derive(Debug)]
pub struct Chaos {
    settings: Settings,
    seed: u64,
    number: AtomicU64,
    counts: Arc<Counts>,
}

impl Chaos {
    /// Begins the sequence of a seed.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        Self { settings, seed, number: AtomicU64::new(0), counts: Arc::default() }
    }

    /// Other settings and another sequence, counting on.
    #[must_use]
    pub fn continued(settings: Settings, seed: u64, previous: &Self) -> Self {
        Self { counts: Arc::clone(&previous.counts), ..Self::new(settings, seed) }
    }

    /// What is done to the next call.
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

    /// What was decided so far, under these settings and those before.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let counts = &*self.counts;
        Statistics {
            calls: counts.calls.load(Relaxed),
            delayed: counts.delayed.load(Relaxed),
            errors: counts.errors.load(Relaxed),
            results: counts.results.load(Relaxed),
        }
    }

    /// The decision for a call's number. As many draws for each, so that one rate does not shift what another does.
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
