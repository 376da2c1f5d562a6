//! Counts of the calls of a pipeline: its statistics, and the registry's series.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::durations::Durations;
use super::outcome::{Ended, Failure};
use super::{Kind, Refusal, Within};
use crate::clock::Nanos;
use crate::metrics::{CountSource, CounterSeries, DistributionSource, HistogramSeries};

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
    /// The durations of all calls, in seconds, with the bounds of [`DEFAULT_SECONDS`](crate::metrics::DEFAULT_SECONDS).
    pub duration: Arc<HistogramSeries>,
}

/// The totals of a pipeline.
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
///
/// A success costs one addition to the durations, which the registry's series read too; other outcomes also
/// have a count and a series.
#[derive(Debug, Default)]
pub struct Counts {
    /// Successes counted when the pipeline was bound to another registry.
    before: u64,
    durations: Arc<Durations>,
    errors: AtomicU64,
    timeouts: AtomicU64,
    cancelled: AtomicU64,
    refused: [AtomicU64; Kind::ALL.len()],
    retries: AtomicU64,
    metrics: Option<Metrics>,
}

impl Counts {
    /// Counts of zero, which a registry's series show too.
    pub fn new(metrics: Option<Metrics>) -> Self {
        Self::continued(Totals::default(), metrics)
    }

    /// Continues these counts in other series, when a pipeline is bound to another registry.
    pub fn continued(totals: Totals, metrics: Option<Metrics>) -> Self {
        let durations = Arc::new(Durations::default());
        if let Some(metrics) = &metrics {
            metrics.success.add_source(Arc::clone(&durations) as Arc<dyn CountSource>);
            metrics.duration.add_source(Arc::clone(&durations) as Arc<dyn DistributionSource>);
        }
        Self {
            before: totals.successes,
            durations,
            errors: AtomicU64::new(totals.errors),
            timeouts: AtomicU64::new(totals.timeouts),
            cancelled: AtomicU64::new(totals.cancelled),
            refused: totals.refused.map(AtomicU64::new),
            retries: AtomicU64::new(totals.retries),
            metrics,
        }
    }

    /// The totals now.
    pub fn totals(&self) -> Totals {
        Totals {
            successes: self.before + self.durations.count(),
            errors: self.errors.load(Relaxed),
            timeouts: self.timeouts.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            refused: self.refused.each_ref().map(|count| count.load(Relaxed)),
            retries: self.retries.load(Relaxed),
        }
    }

    /// The number of ended calls without refused and cancelled ones.
    pub fn worked(&self) -> u64 {
        self.before + self.durations.count() + self.errors.load(Relaxed) + self.timeouts.load(Relaxed)
    }

    /// Counts a call that ended with the error of another call, which it shared.
    pub fn shared_error(&self) {
        self.errors.fetch_add(1, Relaxed);
        if let Some(metrics) = &self.metrics {
            metrics.error.add(1);
        }
    }

    /// Counts a call that was cancelled while it waited for another call's result.
    pub fn shared_cancelled(&self) {
        self.cancelled.fetch_add(1, Relaxed);
        if let Some(metrics) = &self.metrics {
            metrics.cancelled.add(1);
        }
    }

    #[inline]
    pub(super) fn record(&self, ended: Ended, took: Nanos) {
        let success = matches!(ended, Ended::Success);
        self.durations.record(success, took);
        if !success {
            self.count(ended);
        }
    }

    /// Counts an outcome that is no success.
    #[cold]
    fn count(&self, ended: Ended) {
        let metrics = self.metrics.as_ref();
        let (own, series) = match ended {
            Ended::Success => return,
            Ended::Failed(Failure { within: Some(Within::Refused(kind)), .. })
            | Ended::Refused(Refusal { policy: kind, .. }) => {
                (&self.refused[kind as usize], metrics.map(|metrics| &metrics.refused))
            }
            Ended::TimedOut(_) | Ended::Failed(Failure { within: Some(Within::TimedOut), .. }) => {
                (&self.timeouts, metrics.map(|metrics| &metrics.timeout))
            }
            Ended::Failed(_) => (&self.errors, metrics.map(|metrics| &metrics.error)),
            Ended::Cancelled => (&self.cancelled, metrics.map(|metrics| &metrics.cancelled)),
        };
        own.fetch_add(1, Relaxed);
        if let Some(series) = series {
            series.add(1);
        }
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }
}

impl Drop for Counts {
    fn drop(&mut self) {
        if let Some(metrics) = &self.metrics {
            metrics.success.absorb_source(&(Arc::clone(&self.durations) as Arc<dyn CountSource>));
            metrics.duration.absorb_source(&(Arc::clone(&self.durations) as Arc<dyn DistributionSource>));
        }
    }
}
