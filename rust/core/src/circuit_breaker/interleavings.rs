//! Every order in which threads can meet at the gate, tried by loom.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p corten-core --lib --release loom`

use loom::sync::{Arc, Mutex};

use super::Permit;
use super::gate::{Gate, Ticket};

fn period(generation: u32) -> Permit {
    Permit::new(generation, true, false)
}

fn gate() -> Arc<Gate> {
    Arc::new(Gate::new(Ticket::new(period(1), false), u64::MAX))
}

#[test]
fn loom_no_success_is_lost_or_counted_twice_while_others_take_them() {
    loom::model(|| {
        let (gate, told) = (gate(), Arc::new(Mutex::new(0)));
        let call = |gate: &Gate, told: &Mutex<u32>| {
            if !gate.succeeded(period(1), 5) {
                let mut told = told.lock().unwrap();
                *told += gate.take() + 1;
            }
        };
        let thread = {
            let (gate, told) = (Arc::clone(&gate), Arc::clone(&told));
            loom::thread::spawn(move || {
                call(&gate, &told);
                call(&gate, &told);
            })
        };
        {
            // A failure, which makes successes be told at once.
            let mut told = told.lock().unwrap();
            *told += gate.take();
            gate.publish(Ticket::new(period(1), true), u64::MAX);
        }
        call(&gate, &told);
        thread.join().unwrap();
        assert_eq!(*told.lock().unwrap() + gate.take(), 3);
    });
}

#[test]
fn loom_no_success_of_one_period_is_counted_in_another() {
    loom::model(|| {
        let gate = gate();
        let other = Arc::clone(&gate);
        let thread = loom::thread::spawn(move || other.succeeded(period(1), 5));
        gate.take();
        gate.publish(Ticket::ASK, u64::MAX);
        gate.publish(Ticket::new(period(3), false), u64::MAX);
        thread.join().unwrap();
        assert_eq!(gate.take(), 0);
    });
}
