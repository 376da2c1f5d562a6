//! Adaptive limit: as many calls at once as the other side does well with, found out by watching.
//!
//! Places are a [`Bulkhead`]'s; how many there are follows what calls took and how many were dropped, window by window.
//!
//! The gradient rests on Little's law: beyond its capacity a server does no more in a second, so what is added only
//! waits there, and latency grows by as much. TCP Vegas (Brakmo, O'Malley and Peterson, SIGCOMM 1994) compares latency
//! with that of an idle path in this way; Netflix's concurrency-limits and Envoy's adaptive concurrency filter do so
//! for calls. As in the latter the limit is lowered now and then to see the idle latency again, which BBR (Cardwell et
//! al., ACM Queue 2016) does for connections. Ours is arithmetic of its own: geometric means, and differences
//! that count only beyond their standard error. AIMD is what TCP does about losses (Chiu and Jain, 1989; RFC 5681), with
//! a part of drops that does not count, as calls fail for other reasons too.

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

/// A snapshot for people and dashboards.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Statistics {
    /// How many calls may run at once: not a whole number, as it moves by parts of one.
    pub limit: f64,
    /// Calls that hold a place.
    pub running: u32,
    /// Calls in the queue.
    pub waiting: u32,
    /// What calls took of late, in nanoseconds; zero: not known yet.
    pub latency: f64,
    /// What they take when the other side is idle, in nanoseconds; zero: not known yet.
    pub idle_latency: f64,
    /// Whether the idle latency is being measured, with fewer calls than the limit.
    pub probing: bool,
    /// Calls that timed out, were refused inside, took too long, or failed as overload does.
    pub dropped: u64,
    /// Calls that found no place and no room in the queue.
    pub refused: u64,
    /// Calls that left the queue without a place.
    pub gave_up: u64,
    /// The most calls that ever held a place at once.
    pub most_running: u32,
    /// How often the number of places changed.
    pub changes: u64,
}

/// As many places as calls do well with.
#[derive(Debug)]
pub struct AdaptiveLimit {
    places: Bulkhead,
    estimate: Mutex<Estimate>,
    changes: AtomicU64,
}

impl AdaptiveLimit {
    /// Begins with the initial limit, and knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let estimate = Estimate::new(settings);
        Self {
            places: Bulkhead::new(estimate.size(), settings.max_waiting),
            estimate: Mutex::new(estimate),
            changes: AtomicU64::new(0),
        }
    }

    /// Takes a place, or one in the queue.
    #[inline]
    pub fn enter(&self, now: Nanos) -> Admission {
        self.places.enter(0, now)
    }

    /// The places, for those in its queue.
    #[must_use]
    pub fn places(&self) -> &Bulkhead {
        &self.places
    }

    /// Gives a place back that was taken at `entered`, and learns from how the call went.
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

    /// Other settings from now on; the limit and what was learned stay, as far as they allow.
    pub fn replace(&self, settings: Settings) {
        self.estimate.lock().replace(settings);
        self.fit();
    }

    /// Goes on from another limit.
    pub fn set_limit(&self, limit: f64) {
        self.estimate.lock().set_limit(limit);
        self.fit();
    }

    /// Begins anew: forgets limit and latencies, not what was counted.
    pub fn reset(&self) {
        {
            let mut estimate = self.estimate.lock();
            let dropped = estimate.dropped;
            *estimate = Estimate::new(estimate.settings);
            estimate.dropped = dropped;
        }
        self.fit();
    }

    /// Has as many places as the estimate says. Not under its lock, since whoever is woken may do anything; so another
    /// thread may have changed it meanwhile, and it is looked at again.
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

    /// How it stands, and what it has seen.
    #[must_use]
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
