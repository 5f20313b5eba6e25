//! Whatever happens between two calls, in whatever order: at random, by a seed, against what the raw tables say.
//!
//! `GROUNDSKEEPER_MODEL_SEED` replays one seed and `GROUNDSKEEPER_MODEL_STEPS` makes the runs longer or shorter.

mod invariants;
mod records;
mod steps;

use std::fmt::Debug;
use std::str::FromStr;

use groundskeeper_sandbox::server::SUPERUSER;
use groundskeeper_tests::Template;

use super::installed;
use steps::World;

/// Steps of one run, and how many of them lie between two looks at everything.
const STEPS: u32 = 250;
const LOOK_EVERY: u32 = 25;

fn setting<T: FromStr<Err: Debug>>(name: &str) -> Option<T> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

fn run(template: Template, seeds: &[u64]) {
    let only = setting("GROUNDSKEEPER_MODEL_SEED");
    let steps = setting("GROUNDSKEEPER_MODEL_STEPS").unwrap_or(STEPS);
    for seed in only.as_ref().map_or(seeds, std::slice::from_ref) {
        let (db, mut client) = installed(template);
        client.batch_execute(invariants::VIEWS).unwrap();
        client.batch_execute(&records::clubs()).unwrap();
        let shape_b = template == Template::ShapeB;
        if shape_b {
            // Staging takes them in, so they are to be staged.
            for market in ["moneylines", "spreads", "totals"] {
                let nullable = format!("ALTER TABLE raw_data.{market}_raw ALTER updated_at DROP NOT NULL");
                client.batch_execute(&nullable).unwrap();
            }
        }
        let config = db.server().config(db.name(), SUPERUSER);
        let mut world = World::new(config, shape_b, *seed);
        for step in 1..=steps {
            world.step();
            if step % LOOK_EVERY == 0 || step == steps {
                world.settle();
            }
        }
    }
}

#[test]
fn shape_a_comes_out_right_whatever_happens() {
    run(Template::ShapeA, &[1, 2, 3]);
}

#[test]
fn shape_a_comes_out_right_with_other_seeds() {
    run(Template::ShapeA, &[20_250_613, 4711, 99]);
}

#[test]
fn shape_b_comes_out_right_whatever_happens() {
    run(Template::ShapeB, &[4, 5, 6]);
}
