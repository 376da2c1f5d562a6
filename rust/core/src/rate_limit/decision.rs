//! Answers and counts of a limiter.

use crate::clock::Nanos;

/// A limiter's answer to a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The tokens were taken.
    Admitted,
    /// No token was taken; they will be there after this number of nanoseconds (never zero), if no one else takes them.
    Wait(Nanos),
    /// No token was taken: the limiter never holds as many as the request wants.
    TooMany,
}

/// A limiter's answer to a request that may take tokens ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The tokens were taken, and the caller need not wait.
    Granted,
    /// The tokens were taken, and the caller must wait for this number of nanoseconds (never zero). A caller that gives
    /// up [cancels](super::Limiter::cancel) the claim.
    Later(Nanos, Claim),
    /// No token was taken; they will be there after this number of nanoseconds, if no one else takes them.
    Refused(Nanos),
    /// No token was taken: the limiter never holds as many as the request wants.
    TooMany,
}

/// The time at which tokens were taken ahead, in the limiter's own unit; never zero.
pub type Claim = u64;

impl From<Reservation> for Decision {
    #[inline]
    fn from(reservation: Reservation) -> Self {
        match reservation {
            Reservation::Granted | Reservation::Later(..) => Self::Admitted,
            Reservation::Refused(wait) => Self::Wait(wait),
            Reservation::TooMany => Self::TooMany,
        }
    }
}

/// Bytes of slots that statistics walk unless they are to be thorough: some hundred microseconds.
pub(super) const LOOKED_AT: usize = 1 << 20;

/// Counts of a limiter, and its memory for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Requests that got their tokens.
    pub admitted: u64,
    /// Requests that did not get their tokens.
    pub refused: u64,
    /// Admitted requests that had to wait.
    pub waited: u64,
    /// Keys that were forgotten for another key, and start with all tokens when they return.
    pub evictions: u64,
    /// Keys with a state now; all other keys have all tokens. None: not counted, as there are many slots and the caller
    /// did not ask for a thorough count.
    pub live: Option<usize>,
    /// Keys for which there is room; zero: a limiter without keys.
    pub capacity: usize,
    /// Bytes allocated for keys so far.
    pub bytes: usize,
}
