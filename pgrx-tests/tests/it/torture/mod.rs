//! Users at random, by a seed: whatever they do to a table, converted or not, it has the rows of a plain one to which the
//! same was done.
//!
//! `cargo xtask torture --minutes N --seed S` says for how long, and from which seed on. A failure prints its seed, and
//! the shortest list of steps that was found to fail as well.

mod steps;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::Options;

use crate::chance::Chance;
use steps::Step;
use world::World;

/// Steps of one round, each of which has a database of its own.
const STEPS: usize = 60;
/// How long it takes as one test among others.
const BRIEFLY: Duration = Duration::from_secs(5 * 60);
/// How often a failing round is tried again with fewer steps.
const ATTEMPTS: usize = 40;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// What went wrong, if anything did.
fn round(steps: &[Step]) -> Result<(), String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let server = Options::default().preload("pg_groundskeeper").start().unwrap();
        let mut world = World::new(server);
        for step in steps {
            world.take(step);
        }
        world.settle();
    }));
    outcome.map_err(|cause| match cause.downcast::<String>() {
        Ok(text) => *text,
        Err(cause) => cause.downcast_ref::<&str>().map_or_else(String::new, |text| (*text).to_owned()),
    })
}

/// Fewer steps that fail, found by leaving some out.
fn shrunk(mut steps: Vec<Step>) -> Vec<Step> {
    let mut size = steps.len().div_ceil(2);
    let mut attempts = 0;
    while size > 0 && attempts < ATTEMPTS {
        let mut at = 0;
        while at < steps.len() && attempts < ATTEMPTS {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(steps.len()));
            attempts += 1;
            if round(&fewer).is_err() {
                steps = fewer;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    steps
}

#[test]
fn whatever_users_do_no_row_and_no_key_is_wrong() {
    let minutes = setting("GROUNDSKEEPER_TORTURE_MINUTES");
    let deadline = Instant::now() + minutes.map_or(BRIEFLY, |minutes| Duration::from_secs(minutes * 60));
    let first = setting("GROUNDSKEEPER_TORTURE_SEED").unwrap_or(1);
    for seed in first.. {
        let mut chance = Chance::new(seed);
        let steps: Vec<Step> = (0..STEPS).map(|_| Step::by(&mut chance)).collect();
        if let Err(why) = round(&steps) {
            let fewer = shrunk(steps);
            let listed: Vec<String> = fewer.iter().map(|step| format!("  {step}")).collect();
            let again = round(&fewer).err().unwrap_or_else(|| "not again".to_owned());
            panic!("seed {seed}: {why}\n{} steps fail as well, {again}:\n{}", fewer.len(), listed.join("\n"));
        }
        if Instant::now() >= deadline {
            println!("seeds {first} to {seed}");
            return;
        }
    }
}
