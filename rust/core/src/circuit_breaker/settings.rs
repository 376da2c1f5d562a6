//! When a breaker opens, for how long, and what closes it again.

use crate::clock::{NANOS_PER_SECOND, Nanos};

/// The calls that rates are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// A number of last calls.
    Calls(u32),
    /// Calls that ended in the last nanoseconds, in steps of a twentieth.
    Time(Nanos),
}

/// Rates over a window, any of which opens the breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// The calls that rates are taken over.
    pub span: Span,
    /// Calls in the window below which no rate opens it; zero counts as one.
    pub min_calls: u32,
    /// The share of failed calls at which it opens.
    pub failure_rate: Option<f64>,
    /// The share of slow calls at which it opens.
    pub slow_rate: Option<f64>,
}

/// When it opens, for how long, and what closes it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Failures in a row that open it; zero: none do.
    pub failures: u32,
    /// Rates that open it.
    pub rates: Option<Rates>,
    /// The time after which a call is slow, and a half-open call fails; None: never.
    pub slow_call: Option<Nanos>,
    /// The open time.
    pub open_for: Nanos,
    /// The factor by which the open time grows when it opens again before it was closed long enough.
    pub growth: f64,
    /// The longest open time, by `growth` or as a failure asks.
    pub max_open_for: Nanos,
    /// Calls at once that a half-open breaker admits; zero counts as one.
    pub half_open_calls: u32,
    /// Half-open calls that must succeed to close it; zero counts as one.
    pub successes: u32,
    /// The time after which a half-open breaker opens again if no half-open call has ended.
    pub max_half_open: Nanos,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failures: 5,
            rates: None,
            slow_call: None,
            open_for: 60 * NANOS_PER_SECOND,
            growth: 1.0,
            max_open_for: 600 * NANOS_PER_SECOND,
            half_open_calls: 1,
            successes: 1,
            max_half_open: 60 * NANOS_PER_SECOND,
        }
    }
}

impl Settings {
    /// The open time of the n-th time in a row, counted from zero, where the failure asks for `retry_after`.
    pub(super) fn open_for(&self, streak: u32, retry_after: Option<Nanos>) -> Nanos {
        let asked = retry_after.map_or(0, |asked| asked.min(self.max_open_for));
        if streak == 0 || self.growth <= 1.0 {
            return self.open_for.max(asked);
        }
        let exponent = i32::try_from(streak).unwrap_or(i32::MAX);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "`as` saturates, and that is meant; a nanosecond in a hundred days is lost"
        )]
        let grown = (self.open_for as f64 * self.growth.powi(exponent)) as Nanos;
        grown.min(self.max_open_for).max(self.open_for).max(asked)
    }
}
