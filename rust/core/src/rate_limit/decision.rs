//! What a limiter says.

use crate::clock::Nanos;

/// What a limiter says to a request for tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The tokens were taken.
    Admitted,
    /// Nothing was taken; as things stand, the tokens will be there after so many nanoseconds (never zero).
    Wait(Nanos),
    /// Nothing was taken, and never will be: more tokens than there can ever be were asked for.
    TooMany,
}

/// What a limiter says to a request for tokens that may be taken ahead of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reservation {
    /// The tokens were taken and are good now.
    Granted,
    /// The tokens were taken and are good after so many nanoseconds (never zero). Who gives up waiting
    /// [cancels](super::Limiter::cancel) the claim.
    Later(Nanos, Claim),
    /// Nothing was taken; as things stand, the tokens will be there after so many nanoseconds.
    Refused(Nanos),
    /// Nothing was taken, and never will be: more tokens than there can ever be were asked for.
    TooMany,
}

/// Where in time tokens were taken ahead, in the limiter's own terms; never zero.
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

/// So many bytes of slots are looked at without being asked: some hundred microseconds.
pub(super) const LOOKED_AT: usize = 1 << 20;

/// What a limiter has counted, and the memory it has for keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Requests that got their tokens.
    pub admitted: u64,
    /// Requests that did not.
    pub refused: u64,
    /// Requests among the admitted that had to wait for it.
    pub waited: u64,
    /// Keys that lost what they had used to another key, and so began anew when they came again.
    pub evictions: u64,
    /// Keys of which something is known now: all others begin anew. None: there are so many slots that counting them
    /// would take long, and nobody asked for it.
    pub live: Option<usize>,
    /// Keys for which there is room; zero: it has no keys.
    pub capacity: usize,
    /// Bytes allocated for keys so far.
    pub bytes: usize,
}
