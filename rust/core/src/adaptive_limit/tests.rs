use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::bulkhead::{Fate, Ticket};

const MILLISECOND: Nanos = 1_000_000;

fn settings(algorithm: Algorithm) -> Settings {
    Settings { algorithm, initial: 10, min: 2, max: 100, ..Settings::default() }
}

/// So many calls at once, all of which end after `latency`, again and again.
fn rounds(limit: &AdaptiveLimit, now: &mut Nanos, count: usize, latency: Nanos, signal: Signal) {
    for _ in 0..count {
        let entered = *now;
        let mut running = 0;
        while let Admission::Entered = limit.enter(entered) {
            running += 1;
        }
        *now += latency;
        (0..running).for_each(|_| limit.leave(signal, entered, *now));
    }
}

#[test]
fn it_grows_while_calls_take_no_longer_and_shrinks_when_they_do() {
    let limit = AdaptiveLimit::new(settings(Algorithm::Gradient));
    let mut now = 1;
    rounds(&limit, &mut now, 10, 20 * MILLISECOND, Signal::Completed);
    let grown = limit.statistics();
    assert!(grown.limit > 14.0);
    assert!((grown.idle_latency / 2e7 - 1.0).abs() < 1e-9);
    rounds(&limit, &mut now, 8, 60 * MILLISECOND, Signal::Completed);
    assert!(limit.statistics().limit < grown.limit);
}

#[test]
fn drops_shrink_it_by_a_part_and_a_few_do_not() {
    let limit = AdaptiveLimit::new(settings(Algorithm::Aimd));
    let mut now = 1;
    rounds(&limit, &mut now, 1, 20 * MILLISECOND, Signal::Dropped);
    assert!((limit.statistics().limit - 9.0).abs() < 1e-9, "{:?}", limit.statistics());
    rounds(&limit, &mut now, 12, 20 * MILLISECOND, Signal::Completed);
    assert!(limit.statistics().limit > 12.0);
    assert_eq!(limit.statistics().dropped, 10);
}

#[test]
fn drops_are_counted_while_it_probes_too() {
    let limit = AdaptiveLimit::new(settings(Algorithm::Gradient));
    let mut now = 1;
    while !limit.statistics().probing {
        rounds(&limit, &mut now, 1, 20 * MILLISECOND, Signal::Completed);
    }
    let places = limit.places().statistics().max_concurrent;
    assert!(f64::from(places) <= limit.statistics().limit / 2.0);
    rounds(&limit, &mut now, 1, 20 * MILLISECOND, Signal::Dropped);
    assert_eq!(limit.statistics().dropped, u64::from(places));
    rounds(&limit, &mut now, 15, 20 * MILLISECOND, Signal::Completed);
    assert!(!limit.statistics().probing);
}

#[test]
fn nothing_is_learned_from_calls_that_say_nothing() {
    let limit = AdaptiveLimit::new(settings(Algorithm::Gradient));
    rounds(&limit, &mut 1, 100, 20 * MILLISECOND, Signal::Nothing);
    let seen = limit.statistics();
    assert_eq!((seen.limit, seen.idle_latency, seen.running), (10.0, 0.0, 0));
}

#[test]
fn a_clock_that_stands_still_or_jumps_is_survived() {
    let limit = AdaptiveLimit::new(settings(Algorithm::Gradient));
    let mut now = 1;
    rounds(&limit, &mut now, 50, 0, Signal::Completed);
    assert_eq!(limit.statistics().limit, 10.0); // no window ever ends
    rounds(&limit, &mut now, 5, u64::MAX / 8, Signal::Completed);
    assert!(matches!(limit.enter(now), Admission::Entered));
    limit.leave(Signal::Completed, now, 1); // before it began
    let limit = limit.statistics().limit;
    assert!((2.0..=100.0).contains(&limit));
}

#[test]
fn impossible_bounds_are_bent() {
    for (min, max, initial) in [(0, 0, 0), (5, 2, 9), (0, 0, u32::MAX)] {
        let limit = AdaptiveLimit::new(Settings { min, max, initial, ..Settings::default() });
        rounds(&limit, &mut 1, 30, 20 * MILLISECOND, Signal::Dropped);
        assert!(limit.statistics().limit >= 1.0);
        assert!(matches!(limit.enter(1), Admission::Entered));
    }
}

#[test]
fn other_settings_keep_the_limit_as_far_as_they_allow_and_wake_who_has_room_now() {
    let limit = AdaptiveLimit::new(Settings { max_waiting: 5, ..settings(Algorithm::Gradient) });
    for _ in 0..10 {
        assert!(matches!(limit.enter(1), Admission::Entered));
    }
    let Admission::Queued(ticket) = limit.enter(1) else { panic!() };
    limit.replace(Settings { min: 12, max_waiting: 5, ..settings(Algorithm::Aimd) });
    assert!(ticket.is_granted());
    assert_eq!((limit.statistics().limit, limit.statistics().running), (12.0, 11));
    limit.set_limit(1e9);
    assert_eq!(limit.statistics().limit, 100.0);
    limit.set_limit(f64::NAN);
    assert!(limit.statistics().limit.is_finite());
    limit.reset();
    assert_eq!(limit.statistics().limit, 12.0);
}

#[test]
fn threads_lose_no_place() {
    let limit = AdaptiveLimit::new(Settings { initial: 2, min: 1, max: 4, max_waiting: 2, ..Settings::default() });
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let limit = &limit;
            scope.spawn(move || {
                for round in 0..10_000_u64 {
                    let now = 1 + round * MILLISECOND;
                    let signal = if (round + thread) % 3 == 0 { Signal::Dropped } else { Signal::Completed };
                    match limit.enter(now) {
                        Admission::Entered => limit.leave(signal, now, now + MILLISECOND),
                        Admission::Queued(ticket) => {
                            if limit.places().cancel(&ticket) == Fate::Granted {
                                limit.leave(Signal::Nothing, now, now);
                            }
                        }
                        Admission::Full => {}
                    }
                }
            });
        }
    });
    let seen = limit.statistics();
    assert_eq!((seen.running, seen.waiting), (0, 0));
}

proptest! {
    /// Whatever calls do, at whatever times: the limit stays within its bounds, as many run as the model says, nobody
    /// waits while there is room, and there are as many places as the limit says unless it probes.
    #[test]
    fn places_follow_the_limit_and_none_is_lost(
        aimd in any::<bool>(),
        steps in prop::collection::vec((0_u8..6, 0_usize..16, 0_u64..40), 1..400),
    ) {
        let algorithm = if aimd { Algorithm::Aimd } else { Algorithm::Gradient };
        let limit = AdaptiveLimit::new(Settings {
            initial: 3, min: 2, max: 8, max_waiting: 3, probe_every: 300 * MILLISECOND, ..settings(algorithm)
        });
        let (mut inside, mut queue): (Vec<Nanos>, Vec<Arc<Ticket>>) = (Vec::new(), Vec::new());
        let mut now = 1;
        for (step, which, later) in steps {
            now += later * MILLISECOND;
            match step {
                0..3 => match limit.enter(now) {
                    Admission::Entered => inside.push(now),
                    Admission::Queued(ticket) => queue.push(ticket),
                    Admission::Full => prop_assert_eq!(queue.len(), 3),
                },
                3 if !queue.is_empty() => {
                    let ticket = queue.remove(which % queue.len());
                    prop_assert_eq!(limit.places().cancel(&ticket), Fate::Waiting);
                }
                _ if !inside.is_empty() => {
                    let entered = inside.swap_remove(which % inside.len());
                    let signal = [Signal::Completed, Signal::Completed, Signal::Dropped, Signal::Nothing][which % 4];
                    limit.leave(signal, entered, now);
                }
                _ => {}
            }
            queue.retain(|ticket| {
                let granted = ticket.is_granted();
                if granted {
                    inside.push(now);
                }
                !granted
            });
            let seen = limit.statistics();
            let places = limit.places().statistics().max_concurrent;
            prop_assert!((2.0..=8.0).contains(&seen.limit));
            prop_assert_eq!((seen.running as usize, seen.waiting as usize), (inside.len(), queue.len()));
            prop_assert!(queue.is_empty() || inside.len() >= places as usize);
            if !seen.probing {
                prop_assert_eq!(f64::from(places), seen.limit.floor());
            }
        }
    }
}
