//! A clock that stands still until it is told to move.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Clock, Nanos};

/// Time for tests: stands still until [`FakeClock::advance`].
#[derive(Debug)]
pub struct FakeClock {
    now: AtomicU64,
}

impl FakeClock {
    /// A clock that shows `start`.
    pub fn new(start: Nanos) -> Self {
        Self { now: AtomicU64::new(start) }
    }

    /// Moves the time forward by `by`, at most to the end of time, and returns the new time.
    pub fn advance(&self, by: Nanos) -> Nanos {
        let moved = self.now.fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| Some(now.saturating_add(by)));
        moved.unwrap_or_else(|now| now).saturating_add(by)
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Nanos {
        self.now.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_still_until_advanced() {
        let clock = FakeClock::new(5);
        assert_eq!((clock.now(), clock.now()), (5, 5));
        assert_eq!(clock.advance(7), 12);
        assert_eq!(clock.now(), 12);
    }

    #[test]
    fn never_goes_back() {
        let clock = FakeClock::new(5);
        assert_eq!((clock.advance(Nanos::MAX), clock.advance(1), clock.now()), (Nanos::MAX, Nanos::MAX, Nanos::MAX));
    }
}
