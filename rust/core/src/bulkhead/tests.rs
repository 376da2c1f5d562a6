use std::sync::atomic::AtomicUsize;
use std::task::Wake;
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn queued(bulkhead: &Bulkhead, priority: i32, now: Nanos) -> Arc<Ticket> {
    match bulkhead.enter(priority, now) {
        Admission::Queued(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// One place, which is taken.
fn taken(max_waiting: u32) -> Bulkhead {
    let bulkhead = Bulkhead::new(1, max_waiting);
    assert!(matches!(bulkhead.enter(0, 1), Admission::Entered));
    bulkhead
}

/// Which of these have been granted, as the places are given back one after the other.
fn order(bulkhead: &Bulkhead, mut tickets: Vec<Arc<Ticket>>) -> Vec<(i32, Nanos)> {
    let mut order = Vec::new();
    while !tickets.is_empty() {
        bulkhead.leave();
        let place = tickets.iter().position(|ticket| ticket.is_granted()).unwrap();
        let ticket = tickets.remove(place);
        order.push((ticket.priority, ticket.since()));
    }
    order
}

#[test]
fn places_are_handed_over_in_the_order_of_the_queue() {
    let bulkhead = taken(2);
    let (first, second) = (queued(&bulkhead, 0, 2), queued(&bulkhead, 0, 3));
    assert!(matches!(bulkhead.enter(0, 4), Admission::Full));
    let count = Arc::new(Count::default());
    assert!(!first.wake_with(Waker::from(Arc::clone(&count))));
    bulkhead.leave();
    assert!(first.is_granted() && !second.is_granted());
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    bulkhead.went_on(&first, 12);
    assert_eq!(bulkhead.cancel(&second), Fate::Waiting);
    assert_eq!(bulkhead.cancel(&first), Fate::Granted);
    bulkhead.leave();
    let seen = Statistics {
        max_concurrent: 1,
        max_waiting: 2,
        most_running: 1,
        most_waiting: 2,
        refused: 1,
        gave_up: 1,
        waited: 1,
        wait_time: 10,
        longest_wait: 10,
        ..Statistics::default()
    };
    assert_eq!(bulkhead.statistics(), seen);
}

#[test]
fn higher_priorities_go_first_and_within_one_who_came_first() {
    let bulkhead = taken(9);
    let tickets = [(0, 2), (5, 3), (-1, 4), (5, 5), (0, 6)].map(|(priority, now)| queued(&bulkhead, priority, now));
    assert_eq!(order(&bulkhead, tickets.into()), [(5, 3), (5, 5), (0, 2), (0, 6), (-1, 4)]);
}

#[test]
fn with_ageing_a_wait_outweighs_a_priority() {
    let bulkhead = taken(9);
    bulkhead.set_ageing(Some(10));
    let tickets = [(0, 100), (1, 105), (1, 115), (2, 119), (0, 101)];
    let tickets = tickets.map(|(priority, now)| queued(&bulkhead, priority, now));
    assert_eq!(order(&bulkhead, tickets.into()), [(1, 105), (2, 119), (0, 100), (0, 101), (1, 115)]);
}

#[test]
fn ageing_that_changes_reorders_who_waits_and_loses_nobody() {
    let bulkhead = taken(9);
    let tickets = [(0, 100), (1, 150)].map(|(priority, now)| queued(&bulkhead, priority, now));
    bulkhead.set_ageing(Some(10));
    assert_eq!(order(&bulkhead, tickets.into()), [(0, 100), (1, 150)]);
    let ticket = queued(&bulkhead, 0, 200);
    bulkhead.set_ageing(None);
    assert_eq!(bulkhead.cancel(&ticket), Fate::Waiting);
}

#[test]
fn in_a_full_queue_the_last_makes_room_for_a_higher_priority_and_for_no_equal_one() {
    let bulkhead = taken(2);
    let (first, second) = (queued(&bulkhead, 0, 2), queued(&bulkhead, 0, 3));
    assert!(matches!(bulkhead.enter(0, 4), Admission::Full));
    let urgent = queued(&bulkhead, 1, 5);
    assert_eq!((first.fate(), second.fate()), (Fate::Waiting, Fate::Displaced));
    assert_eq!(bulkhead.cancel(&second), Fate::Displaced);
    assert!(matches!(bulkhead.enter(-1, 6), Admission::Full));
    let seen = bulkhead.statistics();
    assert_eq!((seen.waiting, seen.displaced, seen.refused, seen.gave_up), (2, 1, 2, 0));
    assert_eq!(order(&bulkhead, vec![first, urgent]), [(1, 5), (0, 2)]);
}

#[test]
fn a_larger_bulkhead_wakes_who_waits_and_a_smaller_one_shrinks_as_calls_leave() {
    let bulkhead = taken(9);
    let tickets = [2, 3, 4].map(|now| queued(&bulkhead, 0, now));
    bulkhead.resize(3, 9);
    assert_eq!(tickets.each_ref().map(|ticket| ticket.is_granted()), [true, true, false]);
    bulkhead.resize(1, 9);
    bulkhead.leave();
    bulkhead.leave();
    assert!(!tickets[2].is_granted());
    bulkhead.leave();
    assert!(tickets[2].is_granted());
    let seen = bulkhead.statistics();
    assert_eq!((seen.running, seen.waiting, seen.max_concurrent, seen.most_running), (1, 0, 1, 3));
}

#[test]
fn leaving_from_the_middle_of_a_long_queue_is_cheap() {
    const WAITERS: usize = 200_000;
    let bulkhead = taken(u32::MAX);
    let mut tickets: Vec<_> = (0..WAITERS).map(|_| queued(&bulkhead, 0, 1)).collect();
    let began = Instant::now();
    while let Some(ticket) = tickets.pop() {
        assert_eq!(bulkhead.cancel(&ticket), Fate::Waiting); // looked for from the front: ten thousand million looks
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(bulkhead.statistics().waiting, 0);
}

#[test]
fn threads_lose_no_place() {
    let bulkhead = Bulkhead::new(3, 2);
    thread::scope(|scope| {
        for thread in 0..4 {
            let bulkhead = &bulkhead;
            scope.spawn(move || {
                for round in 0..20_000 {
                    match bulkhead.enter((round * thread) % 3, 1) {
                        Admission::Entered => bulkhead.leave(),
                        Admission::Queued(ticket) => {
                            if bulkhead.cancel(&ticket) == Fate::Granted {
                                bulkhead.leave();
                            }
                        }
                        Admission::Full => {}
                    }
                    assert!(bulkhead.statistics().running <= 3);
                }
            });
        }
    });
    let seen = bulkhead.statistics();
    assert_eq!((seen.running, seen.waiting), (0, 0));
}

/// Who waits, as a list that is searched.
#[derive(Default)]
struct Model {
    inside: usize,
    queue: Vec<Arc<Ticket>>,
}

impl Model {
    fn first(&self, ageing: Nanos) -> Option<usize> {
        // The first of the greatest: worth is priority, and waiting where that counts.
        let worth = |ticket: &Ticket| match ageing {
            0 => i128::from(ticket.priority),
            _ => i128::from(ticket.priority) * i128::from(ageing) - i128::from(ticket.since),
        };
        (0..self.queue.len()).min_by_key(|index| (-worth(&self.queue[*index]), *index))
    }

    fn last(&self, ageing: Nanos) -> Option<usize> {
        let mut model = Self { inside: 0, queue: self.queue.clone() };
        let mut last = None;
        while let Some(first) = model.first(ageing) {
            let ticket = model.queue.remove(first);
            last = self.queue.iter().position(|other| Arc::ptr_eq(other, &ticket));
        }
        last
    }
}

proptest! {
    #[test]
    fn behaves_like_a_counter_and_a_list(
        ageing in prop_oneof![Just(0_u64), 1_u64..20],
        steps in prop::collection::vec((0_u8..5, 0_usize..8, -2_i32..3, 0_u64..15), 1..200),
    ) {
        let (mut places, room) = (2, 3);
        let bulkhead = Bulkhead::new(2, 3);
        bulkhead.set_ageing(Some(ageing));
        let mut model = Model::default();
        let mut now = 1;
        for (step, which, priority, later) in steps {
            now += later;
            match step {
                0 | 1 => match bulkhead.enter(priority, now) {
                    Admission::Entered => {
                        prop_assert!(model.inside < places && model.queue.is_empty());
                        model.inside += 1;
                    }
                    Admission::Queued(ticket) => {
                        prop_assert!(model.inside >= places);
                        if model.queue.len() >= room {
                            let last = model.queue.remove(model.last(ageing).unwrap());
                            prop_assert_eq!(last.fate(), Fate::Displaced);
                            prop_assert!(last.priority < priority);
                        }
                        model.queue.push(ticket);
                    }
                    Admission::Full => {
                        prop_assert!(model.inside >= places && model.queue.len() >= room);
                        if ageing == 0 {
                            prop_assert!(model.queue.iter().all(|ticket| ticket.priority >= priority));
                        }
                    }
                },
                2 if model.inside > 0 => {
                    bulkhead.leave();
                    match model.first(ageing) {
                        Some(first) if model.inside <= places => {
                            prop_assert!(model.queue.remove(first).is_granted());
                        }
                        _ => model.inside -= 1,
                    }
                }
                3 if !model.queue.is_empty() => {
                    let ticket = model.queue.remove(which % model.queue.len());
                    prop_assert_eq!(bulkhead.cancel(&ticket), Fate::Waiting);
                }
                4 => {
                    places = which.max(1);
                    bulkhead.resize(u32::try_from(places).unwrap(), 3);
                    while model.inside < places
                        && let Some(first) = model.first(ageing)
                    {
                        prop_assert!(model.queue.remove(first).is_granted());
                        model.inside += 1;
                    }
                }
                _ => {}
            }
            let seen = bulkhead.statistics();
            prop_assert_eq!((seen.running as usize, seen.waiting as usize), (model.inside, model.queue.len()));
            prop_assert!(model.queue.iter().all(|ticket| ticket.fate() == Fate::Waiting));
        }
    }
}
