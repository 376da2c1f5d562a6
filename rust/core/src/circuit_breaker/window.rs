//! The calls that rates are taken over, by number or time, in fixed memory and O(1) a call.
//!
//! A number of calls is a ring of two bits each. A time is a ring of buckets, each with the counts of a twentieth
//! of the time, and their total (as in Hystrix, and in Resilience4j's partial aggregations).

use super::Span;
use crate::clock::Nanos;

/// The number of buckets of a time; the window is exact to one bucket.
pub const BUCKETS: u64 = 20;

/// Counts of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Calls that ended in success or failure.
    pub calls: u32,
    /// Failed calls.
    pub failed: u32,
    /// Slow calls, failed or not.
    pub slow: u32,
}

impl Tally {
    fn add(&mut self, calls: u32, failed: bool, slow: bool) {
        self.calls = self.calls.saturating_add(calls);
        self.failed = self.failed.saturating_add(u32::from(failed));
        self.slow = self.slow.saturating_add(u32::from(slow));
    }

    fn subtract(&mut self, other: Self) {
        self.calls = self.calls.saturating_sub(other.calls);
        self.failed = self.failed.saturating_sub(other.failed);
        self.slow = self.slow.saturating_sub(other.slow);
    }

    /// The share of failed calls; None: there were no calls.
    pub fn failure_rate(self) -> Option<f64> {
        (self.calls > 0).then(|| f64::from(self.failed) / f64::from(self.calls))
    }

    /// The share of slow calls; None: there were no calls.
    pub fn slow_rate(self) -> Option<f64> {
        (self.calls > 0).then(|| f64::from(self.slow) / f64::from(self.calls))
    }
}

/// A window over the results of calls.
#[derive(Debug)]
pub(super) enum Window {
    Calls(Ring),
    Time(Box<Buckets>),
}

impl Window {
    pub(super) fn new(span: Span) -> Self {
        match span {
            Span::Calls(size) => Self::Calls(Ring::new(size)),
            Span::Time(time) => Self::Time(Box::new(Buckets::new(time))),
        }
    }

    /// Its counts, after [`Window::roll`].
    pub(super) fn tally(&self) -> Tally {
        match self {
            Self::Calls(ring) => ring.tally,
            Self::Time(buckets) => buckets.total,
        }
    }

    /// Forgets calls that are too old. A time earlier than a previous one counts as that one.
    pub(super) fn roll(&mut self, now: Nanos) {
        if let Self::Time(buckets) = self {
            buckets.roll(now);
        }
    }

    /// Adds successes that were not slow, in the time up to [`Window::until`].
    pub(super) fn absorb(&mut self, successes: u32) {
        match self {
            Self::Calls(ring) => ring.absorb(successes),
            Self::Time(buckets) => buckets.add(successes, false, false),
        }
    }

    /// Adds the result of one call, after [`Window::roll`].
    pub(super) fn push(&mut self, failed: bool, slow: bool) {
        match self {
            Self::Calls(ring) => ring.push(failed, slow),
            Self::Time(buckets) => buckets.add(1, failed, slow),
        }
    }

    /// The time until which results may be added later, by `absorb`.
    pub(super) fn until(&self) -> Nanos {
        match self {
            Self::Calls(_) => Nanos::MAX,
            Self::Time(buckets) => buckets.newest.saturating_add(1).saturating_mul(buckets.width),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Self::Calls(ring) => ring.clear(),
            Self::Time(buckets) => buckets.clear(),
        }
    }
}

/// A number of last calls.
#[derive(Debug)]
pub(super) struct Ring {
    size: u32,
    next: u32,
    failed: Box<[u64]>,
    slow: Box<[u64]>,
    tally: Tally,
}

impl Ring {
    fn new(size: u32) -> Self {
        let size = size.max(1);
        let words = vec![0; size.div_ceil(64) as usize].into_boxed_slice();
        Self { size, next: 0, failed: words.clone(), slow: words, tally: Tally::default() }
    }

    fn push(&mut self, failed: bool, slow: bool) {
        let (word, bit) = ((self.next / 64) as usize, 1 << (self.next % 64));
        let old = |bits: &[u64]| u32::from(bits[word] & bit != 0);
        let full = self.tally.calls == self.size;
        let leaving = Tally { calls: u32::from(full), failed: old(&self.failed), slow: old(&self.slow) };
        self.tally.subtract(leaving);
        self.tally.add(1, failed, slow);
        for (bits, set) in [(&mut self.failed, failed), (&mut self.slow, slow)] {
            if set {
                bits[word] |= bit;
            } else {
                bits[word] &= !bit;
            }
        }
        self.next = if self.next + 1 == self.size { 0 } else { self.next + 1 };
    }

    fn absorb(&mut self, successes: u32) {
        if self.tally.failed == 0 && self.tally.slow == 0 {
            // All are zeros, so only the position and the number change.
            let next = (u64::from(self.next) + u64::from(successes)) % u64::from(self.size);
            self.next = u32::try_from(next).unwrap_or(0);
            self.tally.calls = self.tally.calls.saturating_add(successes).min(self.size);
        } else if successes >= self.size {
            self.clear();
            self.tally.calls = self.size;
        } else {
            (0..successes).for_each(|_| self.push(false, false));
        }
    }

    fn clear(&mut self) {
        self.failed.fill(0);
        self.slow.fill(0);
        self.next = 0;
        self.tally = Tally::default();
    }
}

/// The calls of a last time.
#[derive(Debug)]
pub(super) struct Buckets {
    width: Nanos,
    /// The number of the newest bucket since the clock's origin.
    newest: u64,
    ring: [Tally; BUCKETS as usize],
    total: Tally,
}

impl Buckets {
    fn new(time: Nanos) -> Self {
        Self {
            width: time.div_ceil(BUCKETS).max(1),
            newest: 0,
            ring: [Tally::default(); BUCKETS as usize],
            total: Tally::default(),
        }
    }

    fn place(number: u64) -> usize {
        usize::try_from(number % BUCKETS).unwrap_or(0)
    }

    fn roll(&mut self, now: Nanos) {
        let number = now / self.width;
        if number >= self.newest.saturating_add(BUCKETS) {
            self.clear();
            self.newest = number;
        }
        while self.newest < number {
            self.newest += 1;
            let gone = std::mem::take(&mut self.ring[Self::place(self.newest)]);
            self.total.subtract(gone);
        }
    }

    fn add(&mut self, calls: u32, failed: bool, slow: bool) {
        self.ring[Self::place(self.newest)].add(calls, failed, slow);
        self.total.add(calls, failed, slow);
    }

    fn clear(&mut self) {
        self.ring = [Tally::default(); BUCKETS as usize];
        self.total = Tally::default();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    fn count(calls: impl Iterator<Item = (bool, bool)>) -> Tally {
        calls.fold(Tally::default(), |mut tally, (failed, slow)| {
            tally.add(1, failed, slow);
            tally
        })
    }

    proptest! {
        #[test]
        fn the_last_so_many_calls_are_those_of_a_list(
            size in 1_u32..150,
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u32..200, 0_u8..4), 1..120),
        ) {
            let mut window = Window::new(Span::Calls(size));
            let mut list: VecDeque<(bool, bool)> = VecDeque::new();
            for (failed, slow, successes, kind) in steps {
                if kind == 0 {
                    window.absorb(successes);
                    list.extend((0..successes).map(|_| (false, false)));
                } else {
                    window.push(failed, slow);
                    list.push_back((failed, slow));
                }
                list.drain(..list.len().saturating_sub(size as usize));
                prop_assert_eq!(window.tally(), count(list.iter().copied()));
            }
        }

        #[test]
        fn the_calls_of_a_while_are_those_of_a_list_with_times(
            time in 1_u64..2_000,
            steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0_u64..300, any::<bool>()), 1..200),
        ) {
            let mut window = Window::new(Span::Time(time));
            let width = time.div_ceil(BUCKETS);
            let (mut list, mut now) = (Vec::<(u64, bool, bool)>::new(), 0);
            for (failed, slow, pause, jumps) in steps {
                now += if jumps { pause * 40 } else { pause };
                window.roll(now);
                window.push(failed, slow);
                list.push((now / width, failed, slow));
                let newest = now / width;
                let inside = list.iter().filter(|(number, ..)| number + BUCKETS > newest);
                prop_assert_eq!(window.tally(), count(inside.map(|(_, failed, slow)| (*failed, *slow))));
                prop_assert!(window.until() > now && window.until() <= now + width);
            }
        }
    }

    #[test]
    fn a_time_before_the_newest_is_taken_for_the_newest() {
        let mut window = Window::new(Span::Time(200));
        window.roll(1_000);
        window.push(true, false);
        window.roll(10);
        window.push(true, false);
        assert_eq!((window.tally().failed, window.until()), (2, 1_010));
        window.roll(Nanos::MAX);
        assert_eq!(window.tally(), Tally::default());
    }

    #[test]
    fn a_window_of_no_time_and_of_no_calls_is_one_of_the_least() {
        let (mut calls, mut time) = (Window::new(Span::Calls(0)), Window::new(Span::Time(0)));
        for window in [&mut calls, &mut time] {
            window.roll(7);
            window.push(true, true);
        }
        assert_eq!((calls.tally().calls, time.tally().calls), (1, 1));
    }
}
