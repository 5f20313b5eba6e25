//! All at once: collectors, an application that writes to the games, calls that meet, and one who kills them.
//!
//! `GROUNDSKEEPER_STRESS_SECONDS` says for how long; ten seconds unless it does.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::SUPERUSER;
use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{text, texts};
use postgres::{Client, Config, NoTls};

use super::{NOTHING, assert_complete, astray, count, installed, last_call, migrate};

const GAMES: usize = 3_000;

/// Thirty thousand records of three thousand games, of three collectors.
const COLLECTED: &str = "
    INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, home_team_name,
                                         away_team_name, raw_data, game_date)
    SELECT 'collector ' || i % 3, 'g' || i % 3000, 'book ' || i % 7, -110, 100, 'Mets', 'Cubs', '{}', '2025-06-13'
      FROM generate_series(1, 24000) i;
    INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds, raw_data, game_date)
    SELECT source, game_external_id, sportsbook_name, -1.5, -110, '{}', game_date FROM raw_data.moneylines_raw WHERE id <= 3000;
    INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, raw_data,
                                     game_date)
    SELECT source, game_external_id, sportsbook_name, 8.5, -110, -110, '{}', game_date FROM raw_data.moneylines_raw
     WHERE id <= 3000";

/// What the threads share.
struct Shared {
    config: Config,
    over: AtomicBool,
    /// Backends that are calling the migration; 0 where one is gone.
    callers: [AtomicI32; 2],
    errors: Mutex<Vec<String>>,
}

impl Shared {
    fn connect(&self) -> Client {
        self.config.connect(NoTls).unwrap()
    }

    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    /// Nothing that an application does may fail.
    fn run(&self, who: &str, client: &mut Client, sql: &str) {
        if let Err(error) = client.batch_execute(sql) {
            self.errors.lock().unwrap().push(format!("{who}: {error:?} in {sql}"));
            // One that was refused within a transaction has not left it.
            client.batch_execute("ROLLBACK").unwrap_or_default();
        }
    }
}

/// A collector inserts and updates its own rows only: collectors that lock each other's are their own business.
fn collect(shared: &Shared, number: usize) {
    let mut client = shared.connect();
    let source = format!("collector {number}");
    let mut n = number;
    while shared.goes_on() {
        n += 7;
        let (first, rows) = (n * 131 % GAMES, 20 + n * 17 % 200);
        let game = format!("'g' || (({first} + i * 37) % {GAMES})");
        let insert = match n % 3 {
            0 => format!(
                "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds,
                                                      home_team_name, away_team_name, raw_data, game_date, collected_at)
                 SELECT '{source}', {game}, 'book ' || i % 7, -110, 100, 'Mets', 'Cubs', '{{}}',
                        '2025-06-13'::date + i % 20, clock_timestamp() FROM generate_series(1, {rows}) i"
            ),
            1 => format!(
                "INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds)
                 SELECT '{source}', {game}, 'book ' || i % 7, 1.5, -110 FROM generate_series(1, {rows}) i"
            ),
            _ => format!(
                "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds)
                 SELECT '{source}', {game}, 'book ' || i % 7, 9.5, -110, -110 FROM generate_series(1, {rows}) i"
            ),
        };
        shared.run(&source, &mut client, &insert);
        let odds = 100 + n % 150;
        let touched = ["", ", updated_at = now()", ", updated_at = '2020-01-01'"][n % 3];
        let own = |market: &str| {
            format!(
                "SELECT id FROM raw_data.{market}_raw WHERE source = '{source}' AND id % 97 = {} LIMIT 60",
                n % 97
            )
        };
        let moved = format!(
            "BEGIN;
             UPDATE raw_data.moneylines_raw SET home_odds = -{odds} {touched} WHERE id IN ({});
             UPDATE raw_data.totals_raw SET over_odds = -{odds} {touched} WHERE id IN ({});
             UPDATE raw_data.spreads_raw SET game_external_id = 'g{first}' {touched} WHERE id IN ({});
             COMMIT",
            own("moneylines"),
            own("totals"),
            own("spreads")
        );
        shared.run(&source, &mut client, &moved);
        sleep(Duration::from_millis(20));
    }
}

/// The application enriches all games in one statement, then some of them one by one, in no order that anyone knows.
fn enrich(shared: &Shared) {
    let mut client = shared.connect();
    let mut n = 1;
    while shared.goes_on() {
        n += 1;
        let all = format!("UPDATE staging.games SET venue = 'park {n}', updated_at = now()");
        shared.run("enrichment", &mut client, &all);
        sleep(Duration::from_millis(30));
        let one_by_one: String = (1..60)
            .map(|i| {
                let game = (n * 1_009 + i * 1_931) % GAMES;
                format!("UPDATE staging.games SET venue = 'yard {n}', updated_at = now() WHERE external_id = 'g{game}'; ")
            })
            .collect();
        shared.run("enrichment", &mut client, &format!("BEGIN; {one_by_one} COMMIT"));
        sleep(Duration::from_millis(20));
    }
}

/// Calls the migration again and again; what it may see is that it was terminated.
fn call(shared: &Shared, number: usize) -> i32 {
    let mut calls = 0;
    while shared.goes_on() {
        let mut client = shared.connect();
        let pid: i32 = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        shared.callers[number].store(pid, Ordering::Relaxed);
        while shared.goes_on() {
            let batch = [300, 1000, 5000][calls as usize % 3];
            let call = format!("CALL groundskeeper.migrate_to_staging(batch_size => {batch})");
            match client.batch_execute(&call) {
                Ok(()) => calls += 1,
                Err(error) => {
                    let code = error.code().map(|code| code.code().to_owned());
                    if !error.is_closed() && code.as_deref() != Some("57P01") {
                        shared.errors.lock().unwrap().push(format!("call: {error:?}"));
                    }
                    break;
                }
            }
            // Two that call without a pause would leave nothing to do for either.
            sleep(Duration::from_millis(50));
        }
        shared.callers[number].store(0, Ordering::Relaxed);
    }
    calls
}

fn kill(shared: &Shared) {
    let mut client = shared.connect();
    let mut killed = 0;
    let mut last = Instant::now();
    while shared.goes_on() {
        sleep(Duration::from_millis(100));
        if last.elapsed() < Duration::from_secs(2) {
            continue;
        }
        last = Instant::now();
        let pid = shared.callers[killed % 2].load(Ordering::Relaxed);
        if pid != 0 {
            client.execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
        }
        killed += 1;
    }
}

/// Staged rows that are not as their raw rows are.
const STALE: [&str; 3] = [
    "staging.moneylines s JOIN raw_data.moneylines_raw r ON r.id = s.raw_id
      WHERE (s.home_odds, s.away_odds, s.sportsbook_name, s.updated_at)
            IS DISTINCT FROM (r.home_odds, r.away_odds, r.sportsbook_name, r.updated_at)",
    "staging.spreads s JOIN raw_data.spreads_raw r ON r.id = s.raw_id
      WHERE (s.spread_value, s.spread_odds, s.updated_at) IS DISTINCT FROM (r.spread_value, r.spread_odds, r.updated_at)",
    "staging.totals s JOIN raw_data.totals_raw r ON r.id = s.raw_id
      WHERE (s.total_points, s.over_odds, s.under_odds, s.updated_at)
            IS DISTINCT FROM (r.total_points, r.over_odds, r.under_odds, r.updated_at)",
];

/// Games that are not scored by the records that there are.
const MISJUDGED: &str = "
    (SELECT external_id, data_quality_score,
            99.99 - CASE WHEN books < 2 THEN 20 ELSE 0 END - CASE WHEN records < 5 THEN 10 ELSE 0 END AS score
       FROM staging.games g LEFT JOIN (
            SELECT game, count(*) AS records, count(DISTINCT book) AS books
              FROM (SELECT game_external_id, sportsbook_name FROM raw_data.moneylines_raw
                    UNION ALL SELECT game_external_id, sportsbook_name FROM raw_data.spreads_raw
                    UNION ALL SELECT game_external_id, sportsbook_name FROM raw_data.totals_raw) r (game, book)
             GROUP BY game) r ON game = external_id) g
     WHERE data_quality_score IS DISTINCT FROM score";

#[test]
fn all_at_once_nothing_is_lost_doubled_or_stale_and_nobody_fails() {
    let (db, mut client) = installed(Template::ShapeA);
    client.batch_execute(COLLECTED).unwrap();
    client.batch_execute("ANALYZE").unwrap();
    client.batch_execute("CALL groundskeeper.migrate_to_staging()").unwrap();
    let seconds =
        std::env::var("GROUNDSKEEPER_STRESS_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    let shared = Arc::new(Shared {
        config: db.server().config(db.name(), SUPERUSER),
        over: AtomicBool::new(false),
        callers: [AtomicI32::new(0), AtomicI32::new(0)],
        errors: Mutex::new(Vec::new()),
    });
    let start = |what: Box<dyn FnOnce(&Shared) + Send>| {
        let shared = Arc::clone(&shared);
        spawn(move || what(&shared))
    };
    let mut others: Vec<JoinHandle<()>> = (0..3).map(|n| start(Box::new(move |s| collect(s, n)))).collect();
    others.push(start(Box::new(enrich)));
    others.push(start(Box::new(kill)));
    let callers: Vec<JoinHandle<i32>> = (0..2)
        .map(|number| {
            let shared = Arc::clone(&shared);
            spawn(move || call(&shared, number))
        })
        .collect();
    sleep(Duration::from_secs(seconds));
    shared.over.store(true, Ordering::Relaxed);
    for thread in others {
        thread.join().unwrap();
    }
    let calls: i32 = callers.into_iter().map(|thread| thread.join().unwrap()).sum();
    let errors = shared.errors.lock().unwrap().clone();
    assert!(
        errors.is_empty(),
        "{} errors, among them:\n{}",
        errors.len(),
        errors[..errors.len().min(5)].join("\n")
    );
    assert!(calls > 0, "no call came to its end");

    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(astray(&mut client), [""; 0]);
    for stale in STALE {
        assert_eq!(count(&mut client, stale), 0, "{stale}");
    }
    assert_eq!(count(&mut client, MISJUDGED), 0);
    assert_eq!(count(&mut client, "staging.games"), i64::try_from(GAMES).unwrap());
    assert_eq!(count(&mut client, "staging.games WHERE venue IS NULL"), 0, "the application's work is lost");
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    let states = "SELECT DISTINCT format('%s %s', state, error) FROM groundskeeper.migration_runs WHERE state <> 'completed'";
    let states = texts(&mut client, states).unwrap();
    assert!(states.iter().all(|state| state.starts_with("failed interrupted")), "{states:?}");
    let logged = "SELECT format('%s %s', sum(records_successful), count(*) FILTER (WHERE status = 'running'))
                    FROM public.pipeline_execution_log";
    let ours = "SELECT format('%s 0', sum(successful)) FROM groundskeeper.migration_runs";
    assert_eq!(text(&mut client, logged).unwrap(), text(&mut client, ours).unwrap());
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
}

#[test]
fn the_application_is_never_the_one_that_a_deadlock_is_solved_by() {
    let (db, mut client) = installed(Template::ShapeA);
    client.batch_execute(COLLECTED).unwrap();
    client.batch_execute("CALL groundskeeper.migrate_to_staging()").unwrap();
    // It takes games in the order opposite to theirs, two at a time and slowly, so that any order meets it somewhere.
    let mut application = db.client().unwrap();
    let enriching = spawn(move || {
        for n in 0..12 {
            let (late, early) = (2_990 - n * 200, 5 + n * 7);
            let two = format!(
                "BEGIN;
                 UPDATE staging.games SET venue = 'park' WHERE external_id IN ('g{late}', 'g{}');
                 SELECT pg_sleep(0.15);
                 UPDATE staging.games SET venue = 'park' WHERE external_id = 'g{early}';
                 COMMIT",
                late - 1
            );
            application.batch_execute(&two)?;
        }
        Ok::<_, postgres::Error>(())
    });
    let mut calls = 0;
    while !enriching.is_finished() || calls == 0 {
        // Every game gets another date, so every game is written.
        client
            .batch_execute(
                "UPDATE raw_data.totals_raw SET game_date = game_date + 1, collected_at = clock_timestamp()",
            )
            .unwrap();
        client.batch_execute("CALL groundskeeper.migrate_to_staging(batch_size => 700)").unwrap();
        calls += 1;
    }
    enriching.join().unwrap().unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_runs WHERE state <> 'completed'"), 0);
    let dates =
        "staging.games g WHERE game_date IS DISTINCT FROM (SELECT max(game_date) FROM raw_data.totals_raw)";
    assert_eq!(count(&mut client, dates), 0);
}
