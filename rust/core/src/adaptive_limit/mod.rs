//! Adaptive limit: bounds running calls by what the server can serve, learned from latencies and drops.
//!
//! A [`Bulkhead`] has the places; their number follows latencies and drops, window by window.
//!
//! The gradient rests on Little's law: beyond its capacity a server serves no more in a second, so further calls only
//! wait there, and latency grows. TCP Vegas (Brakmo, O'Malley and Peterson, SIGCOMM 1994) compares latency
//! with an idle path's in this way; Netflix's concurrency-limits and Envoy's adaptive concurrency filter do so
//! for calls. As in Envoy's, the limit is lowered now and then to measure the idle latency, as BBR (Cardwell et
//! al., ACM Queue 2016) does for connections. The arithmetic is Corten's: geometric means, and differences
//! that count only beyond their standard error. AIMD is TCP's answer to losses (Chiu and Jain, 1989; RFC 5681), with
//! a tolerated share of drops, for calls fail for other reasons too.

mod estimate;
mod settings;
mod window;

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::bulkhead::{Admission, Bulkhead};
use crate::clock::Nanos;
use estimate::Estimate;

pub use estimate::Signal;
pub use settings::{Algorithm, Settings};

/// A snapshot for statistics.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// Calls that may run at once; it moves by fractions of a call.
    pub limit: f64,
    /// Calls that hold a place.
    pub running: u32,
    /// Calls in the queue.
    pub waiting: u32,
    /// The recent latency, in nanoseconds; zero: unknown yet.
    pub latency: f64,
    /// The latency of the idle server, in nanoseconds; zero: unknown yet.
    pub idle_latency: f64,
    /// Whether the idle latency is being measured, with fewer calls than the limit.
    pub probing: bool,
    /// Calls that timed out, were refused inside, were slow, or failed as overload does.
    pub dropped: u64,
    /// Calls that found no place and no room in the queue.
    pub refused: u64,
    /// Calls that left the queue without a place.
    pub gave_up: u64,
    /// The most calls that held a place at once.
    pub most_running: u32,
    /// Changes of the number of places.
    pub changes: u64,
}

/// Places whose number adapts.
#[derive(Debug)]
pub struct AdaptiveLimit {
    places: Bulkhead,
    estimate: Mutex<Estimate>,
    changes: AtomicU64,
}

impl AdaptiveLimit {
    /// A limit that has learned nothing yet.
    pub fn new(settings: Settings) -> Self {
        let estimate = Estimate::new(settings);
        Self {
            places: Bulkhead::new(estimate.size(), settings.max_waiting),
            estimate: Mutex::new(estimate),
            changes: AtomicU64::new(0),
        }
    }

    /// Takes a place, or joins the queue.
    #[inline]
    pub fn enter(&self, now: Nanos) -> Admission {
        self.places.enter(0, now)
    }

    /// The places, for waiters in the queue.
    pub fn places(&self) -> &Bulkhead {
        &self.places
    }

    /// Gives back a place taken at `entered`, and learns from the call's result.
    pub fn leave(&self, signal: Signal, entered: Nanos, now: Nanos) {
        let running = self.places.running();
        let changed = {
            let mut estimate = self.estimate.lock();
            let before = estimate.size();
            estimate.observe(signal, entered, running, now);
            estimate.size() != before
        };
        if changed {
            self.fit();
        }
        self.places.leave();
    }

    /// Applies other settings; the limit and learned values stay as far as they allow.
    pub fn replace(&self, settings: Settings) {
        self.estimate.lock().replace(settings);
        self.fit();
    }

    /// Sets the limit.
    pub fn set_limit(&self, limit: f64) {
        self.estimate.lock().set_limit(limit);
        self.fit();
    }

    /// Begins anew: forgets limit and latencies, but not counts.
    pub fn reset(&self) {
        {
            let mut estimate = self.estimate.lock();
            let dropped = estimate.dropped;
            *estimate = Estimate::new(estimate.settings);
            estimate.dropped = dropped;
        }
        self.fit();
    }

    /// Resizes the bulkhead to the estimate. Not under its lock, for woken code may do anything; so another
    /// thread may have changed the estimate meanwhile, and it is read again.
    fn fit(&self) {
        loop {
            let (size, max_waiting) = {
                let estimate = self.estimate.lock();
                (estimate.size(), estimate.settings.max_waiting)
            };
            let seen = self.places.statistics();
            if (seen.max_concurrent, seen.max_waiting) == (size, max_waiting) {
                return;
            }
            self.changes.fetch_add(1, Ordering::Relaxed);
            self.places.resize(size, max_waiting);
        }
    }

    /// Its statistics now.
    pub fn statistics(&self) -> Statistics {
        let places = self.places.statistics();
        let estimate = self.estimate.lock();
        Statistics {
            limit: estimate.limit,
            running: places.running,
            waiting: places.waiting,
            latency: estimate.latency,
            idle_latency: estimate.baseline,
            probing: estimate.is_probing(),
            dropped: estimate.dropped,
            refused: places.refused,
            gave_up: places.gave_up,
            most_running: places.most_running,
            changes: self.changes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests;
