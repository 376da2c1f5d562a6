//! Prints what an adaptive limit does in simulated time, as lines of `series;seconds;workers;limit;milliseconds`:
//! what `benches/adaptive_limit.py` draws.

#[path = "../tests/simulation/mod.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod simulation;

use corten_core::adaptive_limit::{Algorithm, Settings};
use simulation::{MILLISECOND, SECOND, Simulation, World};

fn main() {
    let below = Settings { initial: 2, ..Settings::default() };
    let above = Settings { initial: 200, ..Settings::default() };
    let aimd = Settings { algorithm: Algorithm::Aimd, ..below };
    let plain = World::default();
    let refusing = World { backlog: 10, ..plain };
    let noisy = World { noise: 1.0, outliers: 0.01, failures: 0.02, ..plain };
    let fixed = Settings { min: 200, max: 200, ..above };
    for (series, settings, world) in [
        ("gradient, begins at 2", below, plain),
        ("gradient, begins at 200", above, plain),
        ("gradient, noise", Settings::default(), noisy),
        ("aimd, begins at 2", aimd, refusing),
        ("aimd, begins at 200", Settings { algorithm: Algorithm::Aimd, ..above }, refusing),
        ("aimd, noise", Settings { algorithm: Algorithm::Aimd, ..Settings::default() }, World { backlog: 10, ..noisy }),
        ("a fixed limit of 200", fixed, plain),
    ] {
        let mut simulation = Simulation::new(settings, world);
        for workers in [50, 20, 80] {
            simulation.change(World { workers, ..world });
            for slice in simulation.run(15 * SECOND) {
                let seconds = (slice.at - SECOND) as f64 / SECOND as f64;
                let latency = slice.latency / MILLISECOND as f64;
                println!("{series};{seconds:.2};{workers};{:.2};{latency:.3}", slice.limit);
            }
        }
    }
}
