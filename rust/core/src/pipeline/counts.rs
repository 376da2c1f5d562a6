//! What the calls of a pipeline came to: its own statistics, and the registry's series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::outcome::{Ended, Failure};
use super::{Kind, Within};
use crate::clock::{Nanos, seconds_from_nanos};
use crate::metrics::{CounterSeries, HistogramSeries};

/// The series of a registry that a pipeline writes.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Calls that returned.
    pub success: Arc<CounterSeries>,
    /// Calls that raised.
    pub error: Arc<CounterSeries>,
    /// Calls that a policy refused.
    pub refused: Arc<CounterSeries>,
    /// Calls that a time limit ended.
    pub timeout: Arc<CounterSeries>,
    /// Calls that were cancelled from outside.
    pub cancelled: Arc<CounterSeries>,
    /// How long all of these took, in seconds.
    pub duration: Arc<HistogramSeries>,
}

/// What a pipeline has counted, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Calls that returned.
    pub successes: u64,
    /// Calls that raised.
    pub errors: u64,
    /// Calls that a time limit ended.
    pub timeouts: u64,
    /// Calls that were cancelled from outside.
    pub cancelled: u64,
    /// Calls that were refused, in the order of [`Kind::ALL`].
    pub refused: [u64; Kind::ALL.len()],
    /// Attempts beyond the first ones.
    pub retries: u64,
}

/// Counters of one pipeline, kept when its policies change.
#[derive(Debug, Default)]
pub struct Counts {
    successes: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    cancelled: AtomicU64,
    refused: [AtomicU64; Kind::ALL.len()],
    retries: AtomicU64,
    metrics: Option<Metrics>,
}

impl Counts {
    /// All zero, writing to a registry's series as well.
    #[must_use]
    pub fn new(metrics: Option<Metrics>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// These numbers go on in other series: when a pipeline is bound to another registry.
    #[must_use]
    pub fn continued(totals: Totals, metrics: Option<Metrics>) -> Self {
        Self {
            successes: AtomicU64::new(totals.successes),
            errors: AtomicU64::new(totals.errors),
            timeouts: AtomicU64::new(totals.timeouts),
            cancelled: AtomicU64::new(totals.cancelled),
            refused: totals.refused.map(AtomicU64::new),
            retries: AtomicU64::new(totals.retries),
            metrics,
        }
    }

    /// The numbers now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            successes: self.successes.load(Relaxed),
            errors: self.errors.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            refused: self.refused.each_ref().map(|count| count.load(Relaxed)),
            retries: self.retries.load(Relaxed),
        }
    }

    /// A call ended with the error of another one that did its work.
    pub fn shared_error(&self) {
        self.errors.fetch_add(1, Relaxed);
        if let Some(metrics) = &self.metrics {
            metrics.error.add(1);
        }
    }

    #[inline]
    pub(super) fn record(&self, ended: Ended, took: Nanos) {
        let ended = match ended {
            Ended::Failed(Failure { within: Some(Within::Refused(kind)), .. }) => Ended::Refused(kind, None),
            Ended::Failed(Failure { within: Some(Within::TimedOut), .. }) => Ended::TimedOut(0),
            ended => ended,
        };
        let own = match ended {
            Ended::Success => &self.successes,
            Ended::Failed(_) => &self.errors,
            Ended::TimedOut(_) => &self.timeouts,
            Ended::Cancelled => &self.cancelled,
            Ended::Refused(kind, _) => &self.refused[kind as usize],
        };
        own.fetch_add(1, Relaxed);
        if let Some(metrics) = &self.metrics {
            let series = match ended {
                Ended::Success => &metrics.success,
                Ended::Failed(_) => &metrics.error,
                Ended::TimedOut(_) => &metrics.timeout,
                Ended::Cancelled => &metrics.cancelled,
                Ended::Refused(..) => &metrics.refused,
            };
            series.add(1);
            metrics.duration.record(seconds_from_nanos(took));
        }
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }
}
