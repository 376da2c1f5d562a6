//! A server with so many workers and a queue, and callers who all come through one adaptive limit; no time passes but
//! that of the events, and chance is drawn from a seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use corten_core::adaptive_limit::{AdaptiveLimit, Settings, Signal};
use corten_core::bulkhead::Admission;
use corten_core::clock::Nanos;

pub(crate) const MILLISECOND: Nanos = 1_000_000;
pub(crate) const SECOND: Nanos = 1_000 * MILLISECOND;

/// What the server and its callers are like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct World {
    /// Calls that the server works on at once.
    pub(crate) workers: usize,
    /// What one takes, if it need not wait.
    pub(crate) service: Nanos,
    /// Which part of that is chance, exponentially distributed: 0 none, 1 all of it.
    pub(crate) noise: f64,
    /// Which part of the calls takes twenty times as long.
    pub(crate) outliers: f64,
    /// Which part of the calls fails at once, for reasons of its own.
    pub(crate) failures: f64,
    /// More calls in its queue are refused by the server.
    pub(crate) backlog: usize,
    /// Callers who want something all the time.
    pub(crate) callers: u32,
    /// What chance is drawn from; not zero.
    pub(crate) seed: u64,
}

impl Default for World {
    fn default() -> Self {
        Self {
            workers: 50,
            service: 10 * MILLISECOND,
            noise: 0.2,
            outliers: 0.0,
            failures: 0.0,
            backlog: usize::MAX,
            callers: 1_000,
            seed: 0x9E37_79B9_7F4A_7C15,
        }
    }
}

/// What happened in one slice of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slice {
    /// When it ended.
    pub(crate) at: Nanos,
    /// The limit then.
    pub(crate) limit: f64,
    /// Calls that the server did in it.
    pub(crate) done: u32,
    /// What they took, on average.
    pub(crate) latency: f64,
}

/// The events of a world, one after the other.
pub(crate) struct Simulation {
    pub(crate) limit: AdaptiveLimit,
    pub(crate) world: World,
    pub(crate) now: Nanos,
    seed: u64,
    /// When each worker will have done all that it was given.
    workers: Vec<Nanos>,
    /// When calls end, when they began, and how.
    ends: BinaryHeap<Reverse<(Nanos, Nanos, bool)>>,
}

impl Simulation {
    pub(crate) fn new(settings: Settings, world: World) -> Self {
        Self {
            limit: AdaptiveLimit::new(settings),
            world,
            now: SECOND,
            seed: world.seed,
            workers: vec![0; world.workers],
            ends: BinaryHeap::new(),
        }
    }

    /// From 0 to 1; xorshift64*.
    fn chance(&mut self) -> f64 {
        self.seed ^= self.seed >> 12;
        self.seed ^= self.seed << 25;
        self.seed ^= self.seed >> 27;
        (self.seed.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Another world from now on; who is being served stays so.
    pub(crate) fn change(&mut self, world: World) {
        self.world = world;
        self.workers.sort_unstable();
        let (now, surplus) = (self.now, self.workers.len().saturating_sub(world.workers));
        self.workers.drain(..surplus);
        self.workers.resize(world.workers, now);
    }

    /// A call reaches the server.
    fn serve(&mut self) -> (Nanos, bool) {
        if self.chance() < self.world.failures {
            return (self.now + MILLISECOND, false);
        }
        let queued = self.ends.len().saturating_sub(self.workers.len());
        if queued >= self.world.backlog {
            return (self.now + MILLISECOND, false);
        }
        let random = -(1.0 - self.chance()).ln() * self.world.noise + 1.0 - self.world.noise;
        let slow = if self.chance() < self.world.outliers { 20.0 } else { 1.0 };
        let takes = (self.world.service as f64 * random * slow) as Nanos;
        let now = self.now;
        let Some(worker) = self.workers.iter_mut().min() else { return (now + MILLISECOND, false) };
        *worker = (*worker).max(now) + takes;
        (*worker, true)
    }

    /// Goes on for so long; what happened in each tenth of a second.
    pub(crate) fn run(&mut self, time: Nanos) -> Vec<Slice> {
        let (mut slices, end) = (Vec::new(), self.now + time);
        while self.now < end {
            let slice_ends = self.now + SECOND / 10;
            let (mut done, mut latencies) = (0, 0);
            while self.now < slice_ends {
                while self.ends.len() < self.world.callers as usize
                    && matches!(self.limit.enter(self.now), Admission::Entered)
                {
                    let (ends, served) = self.serve();
                    self.ends.push(Reverse((ends, self.now, served)));
                }
                let Some(Reverse((at, began, served))) = self.ends.pop() else { break };
                self.now = at.max(self.now);
                if served {
                    done += 1;
                    latencies += at - began;
                }
                self.limit.leave(if served { Signal::Completed } else { Signal::Dropped }, began, self.now);
            }
            let latency = latencies as f64 / f64::from(done.max(1));
            slices.push(Slice { at: self.now, limit: self.limit.statistics().limit, done, latency });
        }
        slices
    }
}

/// The average limit of the last `part` of the slices.
pub(crate) fn settled(slices: &[Slice], part: f64) -> f64 {
    let last = &slices[(slices.len() as f64 * (1.0 - part)) as usize..];
    last.iter().map(|slice| slice.limit).sum::<f64>() / last.len() as f64
}

/// Calls a second in the last `part` of the slices.
pub(crate) fn throughput(slices: &[Slice], part: f64) -> f64 {
    let last = &slices[(slices.len() as f64 * (1.0 - part)) as usize..];
    let time = (last[last.len() - 1].at - last[0].at) as f64 / SECOND as f64;
    f64::from(last[1..].iter().map(|slice| slice.done).sum::<u32>()) / time
}
