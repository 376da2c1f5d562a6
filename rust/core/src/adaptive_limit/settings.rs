//! What an adaptive limit goes by.

use crate::clock::Nanos;

/// How the limit follows what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By latency: as long as calls take what they take on an idle server there is room; where they take longer they
    /// queue there, and the limit shrinks by as much.
    Gradient,
    /// By drops alone: one more as long as there are none, a part less where there are.
    Aimd,
}

/// The numbers of an adaptive limit. Those that make no sense are bent to the nearest that do.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How the limit follows.
    pub algorithm: Algorithm,
    /// The limit at first.
    pub initial: u32,
    /// Never fewer calls at once; at least one.
    pub min: u32,
    /// Never more.
    pub max: u32,
    /// Calls that may wait for a place.
    pub max_waiting: u32,
    /// So many times the latency of an idle server is no sign of a queue (gradient).
    pub tolerance: f64,
    /// Which part of a change is made at once (gradient).
    pub smoothing: f64,
    /// What is left of the limit after drops.
    pub backoff: f64,
    /// Which part of the calls may be dropped before that counts.
    pub tolerated_drops: f64,
    /// A call that takes longer counts as dropped.
    pub slow_call: Option<Nanos>,
    /// How often the latency of an idle server is measured anew (gradient).
    pub probe_every: Nanos,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Gradient,
            initial: 20,
            min: 1,
            max: 1_000,
            max_waiting: 0,
            tolerance: 1.25,
            smoothing: 0.3,
            backoff: 0.9,
            tolerated_drops: 0.05,
            slow_call: None,
            probe_every: 30_000_000_000,
        }
    }
}

impl Settings {
    /// The nearest limit that these allow.
    pub(super) fn clamp(&self, limit: f64) -> f64 {
        let min = f64::from(self.min.max(1));
        if limit.is_nan() { min } else { limit.clamp(min, f64::from(self.max).max(min)) }
    }
}
