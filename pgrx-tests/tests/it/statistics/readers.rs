//! Readers of the views beside a refresh.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn readers_neither_wait_nor_see_an_empty_view() {
    let (db, mut client) = looked_after();
    let over = Arc::new(AtomicBool::new(false));
    let readers = ["daily_game_stats", "sportsbook_quality_metrics"].map(|view| {
        let (mut reader, over) = (db.client().unwrap(), Arc::clone(&over));
        thread::spawn(move || {
            // Longer for a lock, and the read fails; what else makes one slow are the cores that a test shares.
            reader.batch_execute("SET lock_timeout = '50ms'").unwrap();
            let query = reader.prepare(&format!("SELECT count(*) FROM staging.{view}")).unwrap();
            let (mut longest, mut reads) = (Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let rows: i64 = reader.query_one(&query, &[]).unwrap().get(0);
                longest = longest.max(begun.elapsed());
                assert!(rows > 0, "{view} is empty");
                reads += 1;
            }
            (view, reads, longest)
        })
    });
    for _ in 0..20 {
        change(&mut client, "UPDATE staging.moneylines SET data_quality_score = 100 - data_quality_score");
        assert_eq!(touched(&update(&mut client)).len(), 3);
    }
    over.store(true, Ordering::Relaxed);
    for reader in readers {
        let (view, reads, longest) = reader.join().unwrap();
        println!("{view}: {reads} reads beside 20 refreshes, the longest {longest:?}");
        assert!(longest < Duration::from_secs(1), "{view}: a reader waited {longest:?}");
    }
}
