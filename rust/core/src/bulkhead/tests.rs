use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::task::{Wake, Waker};
use std::thread;

use proptest::prelude::*;

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn queued(bulkhead: &Bulkhead) -> Arc<Ticket> {
    match bulkhead.enter() {
        Admission::Queued(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

#[test]
fn places_are_handed_over_in_the_order_of_the_queue() {
    let bulkhead = Bulkhead::new(1, 2);
    assert!(matches!(bulkhead.enter(), Admission::Entered));
    let (first, second) = (queued(&bulkhead), queued(&bulkhead));
    assert!(matches!(bulkhead.enter(), Admission::Full));
    let count = Arc::new(Count::default());
    assert!(!first.wake_with(Waker::from(Arc::clone(&count))));
    bulkhead.leave();
    assert!(first.is_granted() && !second.is_granted());
    assert_eq!(count.0.load(Ordering::SeqCst), 1);
    assert_eq!(bulkhead.statistics(), Statistics { running: 1, waiting: 1, max_concurrent: 1 });
    assert!(bulkhead.cancel(&second));
    assert!(!bulkhead.cancel(&first));
    bulkhead.leave();
    assert_eq!(bulkhead.statistics(), Statistics { running: 0, waiting: 0, max_concurrent: 1 });
}

#[test]
fn a_larger_bulkhead_wakes_who_waits_and_a_smaller_one_shrinks_as_calls_leave() {
    let bulkhead = Bulkhead::new(1, 9);
    assert!(matches!(bulkhead.enter(), Admission::Entered));
    let tickets = [queued(&bulkhead), queued(&bulkhead), queued(&bulkhead)];
    bulkhead.resize(3, 9);
    assert_eq!(tickets.each_ref().map(|ticket| ticket.is_granted()), [true, true, false]);
    bulkhead.resize(1, 9);
    bulkhead.leave();
    bulkhead.leave();
    assert!(!tickets[2].is_granted());
    bulkhead.leave();
    assert!(tickets[2].is_granted());
    assert_eq!(bulkhead.statistics(), Statistics { running: 1, waiting: 0, max_concurrent: 1 });
}

#[test]
fn threads_lose_no_place() {
    let bulkhead = Bulkhead::new(3, 2);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    match bulkhead.enter() {
                        Admission::Entered => bulkhead.leave(),
                        Admission::Queued(ticket) => {
                            if !bulkhead.cancel(&ticket) {
                                assert!(ticket.is_granted() || bulkhead.statistics().running > 0);
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
    assert_eq!(bulkhead.statistics(), Statistics { running: 0, waiting: 0, max_concurrent: 3 });
}

proptest! {
    #[test]
    fn behaves_like_a_counter_and_a_list(steps in prop::collection::vec((0_u8..3, 0_usize..8), 1..200)) {
        let bulkhead = Bulkhead::new(2, 3);
        let (mut inside, mut queue): (usize, VecDeque<Arc<Ticket>>) = (0, VecDeque::new());
        for (step, which) in steps {
            match step {
                0 => match bulkhead.enter() {
                    Admission::Entered => {
                        prop_assert!(inside < 2 && queue.is_empty());
                        inside += 1;
                    }
                    Admission::Queued(ticket) => {
                        prop_assert!(inside == 2 && queue.len() < 3);
                        queue.push_back(ticket);
                    }
                    Admission::Full => prop_assert!(inside == 2 && queue.len() == 3),
                },
                1 if inside > 0 => {
                    bulkhead.leave();
                    match queue.pop_front() {
                        Some(ticket) => prop_assert!(ticket.is_granted()),
                        None => inside -= 1,
                    }
                }
                _ if !queue.is_empty() => {
                    let ticket = queue.remove(which % queue.len());
                    prop_assert!(ticket.is_some_and(|ticket| bulkhead.cancel(&ticket)));
                }
                _ => {}
            }
            let seen = bulkhead.statistics();
            prop_assert_eq!((seen.running as usize, seen.waiting as usize), (inside, queue.len()));
        }
    }
}
