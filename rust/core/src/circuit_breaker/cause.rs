//! Why a breaker changed, as data and in words.

use std::sync::Arc;

use super::State;
use crate::clock::{Nanos, seconds_from_nanos};

/// What made a breaker change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// So many failures in a row.
    InARow(u32),
    /// So many of so many calls failed.
    FailureRate(u32, u32),
    /// So many of so many calls took longer than that.
    SlowRate(u32, u32, Nanos),
    /// It has been open for as long as it had to.
    Waited(Nanos),
    /// So many trials succeeded.
    TrialsSucceeded(u32),
    /// A trial failed.
    TrialFailed,
    /// A trial took so long, which is slow.
    TrialSlow(Nanos),
    /// No trial ended in so long a time.
    TrialsSilent(Nanos),
    /// A trial succeeded that had been given up.
    LateTrial,
    /// Somebody said so.
    ByHand,
}

impl Cause {
    /// In words, for events, errors and dashboards.
    #[must_use]
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
            Self::TrialsSucceeded(1) => "1 trial succeeded".to_owned(),
            Self::TrialsSucceeded(count) => format!("{count} trials succeeded"),
            Self::TrialFailed => "a trial failed".to_owned(),
            Self::TrialSlow(took) => format!("a trial was slow: {:.3} s", seconds(took)),
            Self::TrialsSilent(time) => format!("no trial ended within {} s", seconds(time)),
            Self::LateTrial => "a trial succeeded late".to_owned(),
            Self::ByHand => "forced by hand".to_owned(),
        }
    }

    /// Whether the last failure has to do with it.
    pub(super) fn is_failure(self) -> bool {
        matches!(self, Self::InARow(_) | Self::FailureRate(..) | Self::TrialFailed)
    }
}

/// `62 %`; rounded down, so that it is never a threshold that was not reached.
fn percent(part: u32, whole: u32) -> String {
    format!("{} %", u64::from(part) * 100 / u64::from(whole.max(1)))
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it was.
    pub before: State,
    /// What it is.
    pub after: State,
    /// When.
    pub at: Nanos,
    /// Why.
    pub cause: Cause,
    /// The words of the failure that was the last straw, where one was.
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
        assert_eq!(Cause::TrialsSucceeded(2).text(), "2 trials succeeded");
        assert_eq!(Cause::TrialsSilent(60_000_000_000).text(), "no trial ended within 60 s");
    }
}
