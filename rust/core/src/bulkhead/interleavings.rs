//! Every order in which threads can meet in a bulkhead, tried by loom.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p corten-core --lib --release loom`

use loom::sync::Arc;
use loom::thread;

use super::{Admission, Bulkhead, Fate, Statistics, Ticket};

fn queued(bulkhead: &Bulkhead) -> std::sync::Arc<Ticket> {
    match bulkhead.enter(0, 1) {
        Admission::Queued(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

fn is_empty(seen: Statistics) -> bool {
    (seen.running, seen.waiting) == (0, 0)
}

#[test]
fn loom_two_threads_never_share_the_one_place() {
    loom::model(|| {
        let bulkhead = Arc::new(Bulkhead::new(1, 0));
        let other = Arc::clone(&bulkhead);
        let work = |bulkhead: &Bulkhead| match bulkhead.enter(0, 1) {
            Admission::Entered => {
                assert_eq!(bulkhead.statistics().running, 1);
                bulkhead.leave();
            }
            Admission::Full => {}
            Admission::Queued(_) => panic!("there is no queue"),
        };
        let thread = thread::spawn(move || work(&other));
        work(&bulkhead);
        thread.join().unwrap();
        assert!(is_empty(bulkhead.statistics()));
    });
}

#[test]
fn loom_who_joins_the_queue_while_the_place_is_given_back_is_not_forgotten() {
    loom::model(|| {
        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        assert!(matches!(bulkhead.enter(0, 1), Admission::Entered));
        let other = Arc::clone(&bulkhead);
        let thread = thread::spawn(move || other.leave());
        let entered = bulkhead.enter(0, 1);
        thread.join().unwrap();
        match entered {
            Admission::Entered => {}
            Admission::Queued(ticket) => assert!(ticket.is_granted()),
            Admission::Full => panic!("there was room in the queue"),
        }
        bulkhead.leave();
        assert!(is_empty(bulkhead.statistics()));
    });
}

#[test]
fn loom_a_waiter_cancelled_while_it_is_granted_loses_no_place() {
    loom::model(|| {
        let bulkhead = Arc::new(Bulkhead::new(1, 2));
        assert!(matches!(bulkhead.enter(0, 1), Admission::Entered));
        let (first, second) = (queued(&bulkhead), queued(&bulkhead));
        let other = Arc::clone(&bulkhead);
        let thread = thread::spawn(move || {
            if other.cancel(&first) == Fate::Granted {
                other.leave();
            }
        });
        bulkhead.leave();
        thread.join().unwrap();
        assert!(second.is_granted());
        bulkhead.leave();
        assert!(is_empty(bulkhead.statistics()));
    });
}

#[test]
fn loom_growing_while_a_place_is_given_back_neither_forgets_nor_doubles() {
    loom::model(|| {
        let bulkhead = Arc::new(Bulkhead::new(1, 2));
        assert!(matches!(bulkhead.enter(0, 1), Admission::Entered));
        let (first, second) = (queued(&bulkhead), queued(&bulkhead));
        let other = Arc::clone(&bulkhead);
        let thread = thread::spawn(move || other.resize(2, 2));
        bulkhead.leave();
        thread.join().unwrap();
        assert!(first.is_granted() && second.is_granted());
        assert_eq!(bulkhead.statistics().running, 2);
        bulkhead.leave();
        bulkhead.leave();
        assert!(is_empty(bulkhead.statistics()));
    });
}

#[test]
fn loom_a_waiter_crowded_out_while_a_place_is_given_back_is_either_granted_or_displaced() {
    loom::model(|| {
        let bulkhead = Arc::new(Bulkhead::new(1, 1));
        assert!(matches!(bulkhead.enter(0, 1), Admission::Entered));
        let first = queued(&bulkhead);
        let other = Arc::clone(&bulkhead);
        let thread = thread::spawn(move || other.leave());
        let urgent = match bulkhead.enter(1, 1) {
            Admission::Queued(ticket) => ticket,
            other => panic!("{other:?}"),
        };
        thread.join().unwrap();
        match first.fate() {
            // The place was handed over first: the urgent one waits for the next.
            Fate::Granted => assert!(!urgent.is_granted()),
            Fate::Displaced => assert!(urgent.is_granted()),
            Fate::Waiting => panic!("nobody has the place"),
        }
        assert_eq!(bulkhead.statistics().running, 1);
        bulkhead.leave();
        if urgent.is_granted() && first.is_granted() {
            bulkhead.leave();
        }
        assert!(is_empty(bulkhead.statistics()));
    });
}
