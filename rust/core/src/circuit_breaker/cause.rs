//! Why a breaker changed, as data and in words.

use std::sync::Arc;

use super::State;
use crate::clock::{Nanos, seconds_from_nanos};

/// The cause of a breaker's change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// A number of failures in a row.
    InARow(u32),
    /// Failures among the calls in the window.
    FailureRate(u32, u32),
    /// Slow calls among the calls in the window, and the limit.
    SlowRate(u32, u32, Nanos),
    /// The open time is over.
    Waited(Nanos),
    /// A number of half-open calls succeeded.
    HalfOpenSucceeded(u32),
    /// A half-open call failed.
    HalfOpenFailed,
    /// A half-open call was slow: its duration.
    HalfOpenSlow(Nanos),
    /// No half-open call ended within a time.
    HalfOpenSilent(Nanos),
    /// A half-open call succeeded after it was given up.
    HalfOpenLate,
    /// A change by hand.
    ByHand,
}

impl Cause {
    /// The cause in words, for events, errors and dashboards.
    pub fn text(self) -> String {
        let seconds = seconds_from_nanos;
        match self {
            Self::InARow(1) => "1 failure".to_owned(),
            Self::InARow(count) => format!("{count} failures in a row"),
            Self::FailureRate(failed, calls) => format!("failure rate {} of {calls} calls", percent(failed, calls)),
            Self::SlowRate(slow, calls, limit) => {
                format!("slow-call rate {} of {calls} calls (over {} s)", percent(slow, calls), seconds(limit))
            }
            Self::Waited(wait) => format!("open for {} s", seconds(wait)),
            Self::HalfOpenSucceeded(1) => "1 half-open call succeeded".to_owned(),
            Self::HalfOpenSucceeded(count) => format!("{count} half-open calls succeeded"),
            Self::HalfOpenFailed => "a half-open call failed".to_owned(),
            Self::HalfOpenSlow(took) => format!("a half-open call was slow: {:.3} s", seconds(took)),
            Self::HalfOpenSilent(time) => format!("no half-open call ended within {} s", seconds(time)),
            Self::HalfOpenLate => "a half-open call succeeded late".to_owned(),
            Self::ByHand => "forced by hand".to_owned(),
        }
    }

    /// Whether the last failure is part of the cause.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::InARow(_) | Self::FailureRate(..) | Self::HalfOpenFailed)
    }
}

/// A percentage such as `62 %`, rounded down so that it never shows a threshold that was not reached.
fn percent(part: u32, whole: u32) -> String {
    format!("{} %", u64::from(part) * 100 / u64::from(whole.max(1)))
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub before: State,
    /// The state after.
    pub after: State,
    /// The time of the change.
    pub at: Nanos,
    /// The cause.
    pub cause: Cause,
    /// The text of the failure that caused it, if a failure did.
    pub failure: Option<Arc<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_it_in_words() {
        assert_eq!(Cause::InARow(5).text(), "5 failures in a row");
        assert_eq!(Cause::FailureRate(75, 120).text(), "failure rate 62 % of 120 calls");
        assert_eq!(Cause::SlowRate(1, 2, 1_500_000_000).text(), "slow-call rate 50 % of 2 calls (over 1.5 s)");
        assert_eq!(Cause::HalfOpenSucceeded(2).text(), "2 half-open calls succeeded");
        assert_eq!(Cause::HalfOpenSilent(60_000_000_000).text(), "no half-open call ended within 60 s");
    }
}
