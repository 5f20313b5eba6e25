//! A database of many tables.

use std::time::{Duration, Instant};

use groundskeeper_tests::plan::plan_states;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

fn installation(db: &TestDb) -> Duration {
    let begun = Instant::now();
    db.install().unwrap();
    let took = begun.elapsed();
    db.settle().unwrap();
    took
}

fn look(client: &mut Client) -> Duration {
    let begun = Instant::now();
    plan_states(client).unwrap();
    begun.elapsed()
}

/// What is measured is compared with a small database at the same time, as others are at work on the machine.
#[test]
fn looking_at_the_plan_and_installing_do_not_grow_with_the_catalogs() {
    let (small, large) = (TestDb::new(Template::ShapeA).unwrap(), TestDb::new(Template::ShapeA).unwrap());
    let (mut few, mut many) = (small.client().unwrap(), large.client().unwrap());
    many.batch_execute("CREATE SCHEMA many").unwrap();
    // a transaction for each hundred, so that they find room among the locks
    let some = "DO $$ BEGIN
                    FOR n IN 1..100 LOOP
                        EXECUTE format('CREATE TABLE many.t_:part_%s (id bigint PRIMARY KEY, n integer)', n);
                    END LOOP;
                END $$";
    for part in 0..50 {
        many.batch_execute(&some.replace(":part", &part.to_string())).unwrap();
    }
    many.batch_execute("ANALYZE").unwrap();
    let (install, install_there) = (installation(&small), installation(&large));
    let looks: Vec<(Duration, Duration)> = (0..6).map(|_| (look(&mut few), look(&mut many))).collect();
    let status = looks.iter().map(|(few, _)| *few).min().unwrap();
    let status_there = looks.iter().map(|(_, many)| *many).min().unwrap();
    println!("plan_status() {status:?}, with 5,000 tables more {status_there:?}");
    println!("CREATE EXTENSION {install:?}, with 5,000 tables more {install_there:?}");
    let slack = Duration::from_millis(100);
    assert!(status_there < status * 2 + slack, "{status_there:?}, and {status:?} in a small database");
    assert!(
        install_there < install * 3 + slack * 5,
        "{install_there:?}, and {install:?} in a small database"
    );
}
