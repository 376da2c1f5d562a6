//! The machine's monotonic clock, read from the time stamp counter where that is trustworthy.

use std::sync::OnceLock;

use super::{Clock, NANOS_PER_SECOND, Nanos};

/// One calibrated clock for the whole process, so that every `SystemClock` agrees. Made at first use: calibration
/// takes a fraction of a millisecond, which an import should not pay.
static ORIGIN: OnceLock<(quanta::Clock, u64)> = OnceLock::new();

/// Monotonic time since the first use in this process, plus one second.
///
/// Reads the time stamp counter through `quanta`, which calibrates it against the operating system's monotonic clock
/// and falls back to that clock where the counter is not invariant.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Nanos {
        let (clock, origin) = ORIGIN.get_or_init(|| {
            let clock = quanta::Clock::new();
            let origin = clock.raw();
            (clock, origin)
        });
        NANOS_PER_SECOND + clock.delta_as_nanos(*origin, clock.raw())
    }
}
