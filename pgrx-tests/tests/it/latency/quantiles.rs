//! Quantiles against an exact sort of what the client measured.

use super::*;
use std::thread;
use std::time::Instant;

/// Most are quick, few are slow, some miss the objective: in milliseconds. None is so quick that the client's own
/// part would matter on a busy machine.
fn mixed_load() -> Vec<f64> {
    let quick = (0..195).map(|n| 40.0 * 1.012f64.powi(n));
    let slow = [470.0, 471.0, 515.0, 520.0, 700.0];
    quick.chain(slow).collect()
}

#[test]
fn quantiles_are_within_a_sixteenth_of_the_clients_and_the_objective_is_counted_exactly() {
    let (_server, db) = preloaded(&["pg_groundskeeper"]);
    let load = mixed_load();
    let mut observer = db.client().unwrap();
    let before = latency(&mut observer, "select").calls;
    let mut times: Vec<f64> = thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|start| {
                let mut client = db.client().unwrap();
                let own: Vec<f64> = load.iter().copied().skip(start).step_by(6).collect();
                scope.spawn(move || {
                    let measure = |time: f64| {
                        let began = Instant::now();
                        client.simple_query(&format!("SELECT pg_sleep({})", time / 1000.0)).unwrap();
                        began.elapsed().as_secs_f64() * 1000.0
                    };
                    own.into_iter().map(measure).collect::<Vec<f64>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    times.sort_by(f64::total_cmp);
    // The observer's own look is quicker than all of them.
    let seen = latency(&mut observer, "select");
    let looks =
        usize::try_from(seen.calls - before).unwrap() - times.len() + usize::try_from(before).unwrap();
    let exact = |q: f64| {
        let rank = (q * (times.len() + looks) as f64).ceil() as usize;
        times[rank - 1 - looks]
    };
    for (q, estimate) in [(0.5, seen.p50), (0.95, seen.p95), (0.99, seen.p99), (1.0, seen.max)] {
        let exact = exact(q);
        println!("p{}: {estimate:.3} ms, by the client {exact:.3} ms", q * 100.0);
        assert!((estimate - exact).abs() <= exact * 0.0625, "p{}: {estimate} for {exact}", q * 100.0);
    }
    let over = times.iter().filter(|time| **time >= 500.0).count();
    assert_eq!(usize::try_from(seen.over_slo).unwrap(), over);
    assert_eq!(over, 3, "{times:?}");
}
