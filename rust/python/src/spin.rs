//! A lock for a few nanoseconds' work: one atomic exchange to take it, one plain store to give it back.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::lock_api::{GuardSend, RawMutex};

/// Under the GIL it is never contended, since nobody gives the GIL up while holding it; without one it spins for a
/// little and then lets others run. A general lock has to ask, when it is given back, whether somebody sleeps on it: a
/// second atomic exchange, which is a fifth of a cache hit.
pub(crate) struct Spin(AtomicBool);

/// A value behind such a lock.
pub(crate) type Mutex<T> = parking_lot::lock_api::Mutex<Spin, T>;
/// The lock, taken.
pub(crate) type MutexGuard<'a, T> = parking_lot::lock_api::MutexGuard<'a, Spin, T>;

impl Spin {
    #[cold]
    fn wait(&self) {
        loop {
            for _ in 0..100 {
                std::hint::spin_loop();
                if self.try_lock() {
                    return;
                }
            }
            std::thread::yield_now();
        }
    }
}

// SAFETY: between the exchange that found `false` and the store of `false` no other exchange finds `false`, so there is
// one holder at a time; acquire and release order its accesses after those of the holder before.
unsafe impl RawMutex for Spin {
    const INIT: Self = Self(AtomicBool::new(false));
    type GuardMarker = GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.try_lock() {
            self.wait();
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.0.store(false, Ordering::Release);
    }
}
