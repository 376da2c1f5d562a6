//! Whether the limit finds what a server can do, in simulated time.

mod simulation;

use corten_core::adaptive_limit::{Algorithm, Settings};
use simulation::{MILLISECOND, SECOND, Simulation, Slice, World, settled, throughput};

const GRADIENT: Settings = Settings {
    algorithm: Algorithm::Gradient,
    initial: 20,
    min: 1,
    max: 1_000,
    max_waiting: 0,
    tolerance: 1.25,
    smoothing: 0.3,
    backoff: 0.9,
    tolerated_drops: 0.05,
    slow_call: None,
    probe_every: 30 * SECOND,
};
const AIMD: Settings = Settings { algorithm: Algorithm::Aimd, ..GRADIENT };

/// The last third: the limit is within `least` and `most` times the workers, and they have work.
#[track_caller]
fn fits(slices: &[Slice], world: World, least: f64, most: f64) {
    let (workers, limit) = (world.workers as f64, settled(slices, 0.33));
    assert!((least * workers..=most * workers).contains(&limit), "{limit} for {workers} workers");
    let per_call = world.service as f64 * (1.0 + 19.0 * world.outliers) / SECOND as f64;
    let (done, possible) = (throughput(slices, 0.33), workers / per_call);
    assert!(done >= 0.9 * possible, "{done} of {possible} a second");
}

fn run(settings: Settings, world: World, seconds: u64) -> Vec<Slice> {
    Simulation::new(settings, world).run(seconds * SECOND)
}

#[test]
fn it_finds_the_capacity_from_below_and_from_above() {
    for (initial, algorithm) in [(2, GRADIENT), (400, GRADIENT), (2, AIMD), (400, AIMD)] {
        let world = match algorithm.algorithm {
            Algorithm::Gradient => World::default(),
            Algorithm::Aimd => World { backlog: 10, ..World::default() },
        };
        fits(&run(Settings { initial, ..algorithm }, world, 12), world, 1.0, 1.4);
    }
}

#[test]
fn it_does_so_for_small_and_for_large_servers() {
    let small = World { workers: 3, callers: 100, ..World::default() };
    fits(&run(GRADIENT, small, 30), small, 1.0, 2.0);
    let large = World { workers: 500, callers: 5_000, ..World::default() };
    fits(&run(GRADIENT, large, 8), large, 1.0, 1.4);
}

#[test]
fn latency_stays_near_the_idle_one_where_a_fixed_limit_would_queue() {
    let slices = run(Settings { initial: 400, ..GRADIENT }, World::default(), 12);
    assert!(slices[0].latency > 50.0 * MILLISECOND as f64); // eight times the idle one: 400 calls for 50 workers
    let last = &slices[slices.len() - 30..];
    assert!(last.iter().all(|slice| slice.latency < 16.0 * MILLISECOND as f64));
}

#[test]
fn it_follows_a_capacity_that_changes() {
    for (settings, backlog) in [(GRADIENT, usize::MAX), (AIMD, 10)] {
        let mut world = World { backlog, ..World::default() };
        let mut simulation = Simulation::new(settings, world);
        for workers in [50, 20, 80] {
            world.workers = workers;
            simulation.change(world);
            fits(&simulation.run(12 * SECOND), world, 0.95, 1.7);
        }
    }
}

#[test]
fn a_server_that_became_slower_by_itself_is_not_taken_for_a_full_one() {
    let mut world = World::default();
    let mut simulation = Simulation::new(GRADIENT, world);
    simulation.run(12 * SECOND);
    world.service = 30 * MILLISECOND;
    simulation.change(world);
    fits(&simulation.run(30 * SECOND), world, 0.95, 1.4);
    world.service = 5 * MILLISECOND;
    simulation.change(world);
    fits(&simulation.run(30 * SECOND), world, 0.95, 1.6);
}

#[test]
fn noise_does_not_make_it_collapse() {
    for seed in 1..=8 {
        let noisy = World { noise: 1.0, outliers: 0.01, failures: 0.02, seed, ..World::default() };
        for (settings, world) in [(GRADIENT, noisy), (AIMD, World { backlog: 10, ..noisy })] {
            let slices = run(settings, world, 20);
            fits(&slices, world, 0.9, 1.5);
            let least = slices[50..].iter().map(|slice| slice.limit).fold(f64::MAX, f64::min);
            assert!(least > 30.0, "{least} at times, for 50 workers");
        }
    }
}

#[test]
fn calls_that_take_too_long_are_drops_to_aimd() {
    let slices = run(Settings { slow_call: Some(20 * MILLISECOND), ..AIMD }, World::default(), 20);
    fits(&slices, World::default(), 0.95, 2.2);
}

#[test]
fn a_limit_that_nobody_uses_does_not_grow() {
    for settings in [GRADIENT, AIMD] {
        let slices = run(settings, World { callers: 15, ..World::default() }, 12);
        assert!(settled(&slices, 0.33) <= 33.0, "{}", settled(&slices, 0.33));
        assert!(throughput(&slices, 0.33) > 0.9 * 1_500.0);
    }
}

#[test]
fn it_never_leaves_its_bounds() {
    for settings in [GRADIENT, AIMD] {
        let slices = run(Settings { min: 10, max: 30, ..settings }, World::default(), 5);
        assert!((29.0..=30.0).contains(&settled(&slices, 0.33)));
        let nothing_works = World { failures: 1.0, ..World::default() };
        let slices = run(Settings { min: 10, max: 30, ..settings }, nothing_works, 5);
        assert!((settled(&slices, 0.33) - 10.0).abs() < 1e-9);
    }
}
