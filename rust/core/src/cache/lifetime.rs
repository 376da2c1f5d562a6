//! Times of an entry: when it expires, how long it may be used stale, and when to refresh it early.

use super::memory_cache::NEVER;
use crate::clock::Nanos;

/// `-ln` of a random number is more than this once in nine million times: early refreshes are not considered more than
/// this many costs before an entry expires.
const FURTHEST: f64 = 16.0;

/// Settings from which a cache computes the times of its entries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lifetime {
    /// The default time to live; none: until the entry is evicted.
    pub ttl: Option<Nanos>,
    /// The largest part of a time to live, from 0 to 1, by which it is shortened at random, so that entries inserted
    /// together do not expire together.
    pub jitter: f64,
    /// How long an expired entry may be used as a stale one.
    pub stale: Nanos,
    /// How eagerly to refresh an entry before it expires: 0 never, 1 as in the paper of [`Times::due`].
    pub eagerness: f64,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self { ttl: None, jitter: 0.0, stale: 0, eagerness: 0.0 }
    }
}

impl Lifetime {
    /// Returns the times of an entry inserted now that took `cost` to compute. `random` is from 0 to 1.
    pub fn times(&self, ttl: Option<Nanos>, now: Nanos, cost: Nanos, random: f64) -> Times {
        let Some(mut ttl) = ttl.or(self.ttl).filter(|&ttl| ttl != NEVER) else {
            return Times::FOREVER;
        };
        if self.jitter > 0.0 {
            ttl -= scaled(ttl, self.jitter * random).min(ttl.saturating_sub(1));
        }
        let expires = now.saturating_add(ttl);
        if expires == NEVER {
            return Times::FOREVER;
        }
        let lead = scaled(cost, self.eagerness);
        Times {
            good_until: expires.saturating_sub(scaled(lead, FURTHEST)),
            expires,
            gone: expires.saturating_add(self.stale),
            lead,
        }
    }
}

/// The moments in the life of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Until this time the entry is good and not due for a refresh: the one time that a hit compares.
    pub good_until: Nanos,
    /// From this time the entry is stale.
    pub expires: Nanos,
    /// From this time the entry may not be used at all.
    pub gone: Nanos,
    /// The time it took to compute the value, times the eagerness.
    pub lead: Nanos,
}

/// The state of an entry at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Good.
    Good,
    /// Good, and the caller is to refresh it before it expires.
    Due,
    /// Expired; may be used where no good value can be had.
    Stale,
    /// Expired, and too old to be used as stale.
    Gone,
}

impl Times {
    /// The times of an entry that never expires.
    pub const FOREVER: Self = Self { good_until: NEVER, expires: NEVER, gone: NEVER, lead: 0 };

    /// The times of an entry that is good until `expires` and never stale.
    pub const fn until(expires: Nanos) -> Self {
        Self { good_until: expires, expires, gone: expires, lead: 0 }
    }

    /// Returns whether the entry is good until one moment and gone from then on.
    pub const fn is_one_moment(&self) -> bool {
        self.good_until == self.gone
    }

    /// Returns the state of the entry now. Calls `random` (from 0 to 1) only where it decides.
    pub fn freshness(&self, now: Nanos, random: impl FnOnce() -> f64) -> Freshness {
        if now < self.good_until {
            Freshness::Good
        } else if now >= self.gone {
            Freshness::Gone
        } else if now >= self.expires {
            Freshness::Stale
        } else if self.due(now, random()) {
            Freshness::Due
        } else {
            Freshness::Good
        }
    }

    /// Returns whether this caller is to refresh the entry: "XFetch" (Vattani, Chierichetti and Lowenstein, "Optimal
    /// Probabilistic Cache Stampede Prevention", VLDB 2015). More likely the nearer the expiry and the more costly the
    /// value; with many callers, one of them refreshes about one cost before the expiry.
    fn due(&self, now: Nanos, random: f64) -> bool {
        let ahead = scaled(self.lead, -random.max(f64::MIN_POSITIVE).ln());
        now.saturating_add(ahead) >= self.expires
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times to live need no nanosecond, and `as` saturates"
)]
fn scaled(nanos: Nanos, factor: f64) -> Nanos {
    (nanos as f64 * factor) as Nanos
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn random() -> impl Strategy<Value = f64> {
        0.0..=1.0
    }

    proptest! {
        /// Whatever the settings: the moments are in order, and jitter only ever shortens, never to nothing.
        #[test]
        fn moments_are_in_order(
            ttl in prop_oneof![1..1_000_u64, Just(NEVER - 1), any::<u64>().prop_map(|ttl| ttl.max(1))],
            jitter in random(),
            stale in prop_oneof![0..1_000_u64, any::<u64>()],
            eagerness in 0.0..100.0,
            now: u64,
            cost: u64,
            random in random(),
        ) {
            let times = Lifetime { ttl: Some(ttl), jitter, stale, eagerness }.times(None, now, cost, random);
            prop_assert!(times.good_until <= times.expires && times.expires <= times.gone);
            prop_assert!(times.expires > now || now == NEVER);
            prop_assert!(times.expires <= now.saturating_add(ttl));
        }

        /// The states follow one another as time goes on, and early refreshes end where the time does.
        #[test]
        fn it_only_gets_worse(cost in 0..50_u64, eagerness in 0.0..4.0, stale in 0..50_u64, random in random()) {
            let times = Lifetime { ttl: Some(100), jitter: 0.0, stale, eagerness }.times(None, 0, cost, 0.0);
            let mut worst = 0;
            for now in 0..300 {
                let freshness = times.freshness(now, || random);
                let rank = match freshness {
                    Freshness::Good => 0,
                    Freshness::Due => 1,
                    Freshness::Stale => 2,
                    Freshness::Gone => 3,
                };
                prop_assert!(rank >= worst, "{freshness:?} at {now}");
                worst = rank;
                prop_assert_eq!(rank < 2, now < 100);
                prop_assert_eq!(rank == 3, now >= 100 + stale);
            }
        }
    }

    #[test]
    fn who_comes_early_is_seldom_chosen_and_who_comes_late_often() {
        let times = Lifetime { ttl: Some(1_000), eagerness: 1.0, ..Lifetime::default() }.times(None, 0, 100, 0.0);
        let chosen =
            |now| (1..=1_000).filter(|&n| times.freshness(now, || f64::from(n) / 1_000.0) == Freshness::Due).count();
        // One in e^(time left / cost).
        assert_eq!(chosen(0), 0);
        assert!((5..=9).contains(&chosen(500)), "{}", chosen(500));
        assert!((360..=375).contains(&chosen(900)), "{}", chosen(900));
        assert!(chosen(999) > 980);
    }
}
