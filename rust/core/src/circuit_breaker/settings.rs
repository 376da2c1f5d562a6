//! When a breaker opens, for how long, and what closes it again.

use crate::clock::{NANOS_PER_SECOND, Nanos};

/// Which calls rates are taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The last so many.
    Calls(u32),
    /// Those that ended in the last so many nanoseconds, to a twentieth of it.
    Time(Nanos),
}

/// Rates over a window, any of which opens the breaker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rates {
    /// Over which calls.
    pub span: Span,
    /// With fewer calls than this in the window nothing is decided; zero counts as one.
    pub min_calls: u32,
    /// The part of the calls that failed at which it opens.
    pub failure_rate: Option<f64>,
    /// The part of the calls that were slow at which it opens.
    pub slow_rate: Option<f64>,
}

/// When it opens, for how long, and what closes it again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// So many failures in a row open it; zero: they don't.
    pub failures: u32,
    /// What else opens it.
    pub rates: Option<Rates>,
    /// A call that takes longer is slow, and so is a trial: it fails then. None: no call is.
    pub slow_call: Option<Nanos>,
    /// How long it stays open.
    pub open_for: Nanos,
    /// Each time that it opens again without having been well in between, it stays open so many times longer.
    pub growth: f64,
    /// It never stays open longer because of `growth` or because a failure asked for it.
    pub max_open_for: Nanos,
    /// How many calls a half-open breaker lets through at once; zero counts as one.
    pub half_open_calls: u32,
    /// How many of them must succeed to close it; zero counts as one.
    pub successes: u32,
    /// A half-open breaker whose trials are all silent for so long is open again.
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
    /// How long it stays open the n-th time in a row, counted from zero, when the failure asked for `retry_after`.
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
