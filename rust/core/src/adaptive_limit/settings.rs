//! Settings of an adaptive limit.

use crate::clock::Nanos;

/// The algorithm that adapts the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// By latency: at the latency of an idle server there is room; longer calls wait in the server's
    /// queue, and the limit shrinks in proportion.
    Gradient,
    /// By drops alone: one call more without drops, a share less with them.
    Aimd,
}

/// The numbers of an adaptive limit; impossible ones become the nearest possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The algorithm.
    pub algorithm: Algorithm,
    /// The limit at first.
    pub initial: u32,
    /// The least limit; at least 1.
    pub min: u32,
    /// The greatest limit.
    pub max: u32,
    /// Calls that may wait for a place.
    pub max_waiting: u32,
    /// The multiple of the idle latency that is no sign of a queue (gradient).
    pub tolerance: f64,
    /// The share of a change that is made at once (gradient).
    pub smoothing: f64,
    /// The factor that shrinks the limit after drops.
    pub backoff: f64,
    /// The share of drops that is tolerated.
    pub tolerated_drops: f64,
    /// The time after which a call counts as dropped.
    pub slow_call: Option<Nanos>,
    /// The time between measurements of the idle latency (gradient).
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
    /// The nearest limit that the settings allow.
    pub(super) fn clamp(&self, limit: f64) -> f64 {
        let min = f64::from(self.min.max(1));
        if limit.is_nan() { min } else { limit.clamp(min, f64::from(self.max).max(min)) }
    }
}
