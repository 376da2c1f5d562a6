//! A lock for a few nanoseconds' work: one atomic exchange to take it, one store to release it.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::lock_api::{GuardSend, RawMutex};

/// Never contended under the GIL, which no holder of this lock releases; without a GIL a waiter spins briefly and then
/// yields to other threads. A general lock needs a second atomic exchange on release, to find sleeping waiters: a fifth
/// of a cache hit.
pub(crate) struct Spin(AtomicBool);

/// A value behind a spin lock.
pub(crate) type Mutex<T> = parking_lot::lock_api::Mutex<Spin, T>;
/// The guard of a taken lock.
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
