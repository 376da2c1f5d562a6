//! Monotonic time in nanoseconds: the system's, and one that only a test moves.

mod fake;
mod system;

pub use fake::FakeClock;
pub use system::SystemClock;

/// Nanoseconds since the clock's own origin. Never zero, so that zero can mean "never".
pub type Nanos = u64;

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A source of monotonic time.
pub trait Clock: Send + Sync {
    /// The time now. Never goes back.
    fn now(&self) -> Nanos;
}

impl<C: Clock + ?Sized> Clock for &C {
    fn now(&self) -> Nanos {
        (**self).now()
    }
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Nanos {
        (**self).now()
    }
}

/// Either clock behind one type, for callers that learn only at run time which one they get.
#[derive(Debug, Clone)]
pub enum AnyClock {
    /// The machine's monotonic clock.
    System(SystemClock),
    /// A clock that only `advance` moves.
    Fake(std::sync::Arc<FakeClock>),
}

impl Clock for AnyClock {
    #[inline]
    fn now(&self) -> Nanos {
        match self {
            Self::System(clock) => clock.now(),
            Self::Fake(clock) => clock.now(),
        }
    }
}

/// Seconds as nanoseconds: not-a-number and negatives are zero, what does not fit is the largest value.
pub fn nanos_from_seconds(seconds: f64) -> Nanos {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "`as` saturates, and that is meant")]
    let nanos = (seconds * 1e9).round() as u64;
    nanos
}

/// Nanoseconds as seconds.
pub fn seconds_from_nanos(nanos: Nanos) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a quarter of a microsecond after a hundred days")]
    let seconds = nanos as f64 / 1e9;
    seconds
}
