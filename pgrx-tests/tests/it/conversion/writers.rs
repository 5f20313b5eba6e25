//! What writers do meanwhile, and how long they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, spawn};
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{
    CONVERT_RAW, RAW, convert, differing, ended, finalize, installed, patiently, queue, undo, until,
};

/// The raw table with rows in it, and a table fed by the same statements.
fn fed(rows: u32) -> (TestDb, Client) {
    let (db, mut client) = installed(Template::ShapeA);
    let script = "
        INSERT INTO raw_data.moneylines_raw (source, game_external_id, home_odds, raw_data, collected_at, game_date)
        SELECT 'source ' || i % 7, 'g' || i / 300, i, jsonb_build_object('a', i), now(),
               CASE WHEN i % 50 = 0 THEN NULL WHEN i % 500 = 1 THEN 'infinity' WHEN i % 500 = 2 THEN '-infinity'
                    WHEN i % 500 = 3 THEN '2099-05-05' ELSE current_date - i % 200 END
          FROM generate_series(1, :rows) i;
        CREATE TABLE public.control (LIKE raw_data.moneylines_raw);
        ALTER TABLE public.control ADD PRIMARY KEY (id);
        INSERT INTO public.control SELECT * FROM raw_data.moneylines_raw;
        CREATE TABLE public.referring (raw_id bigint REFERENCES raw_data.moneylines_raw);
        INSERT INTO public.referring SELECT i FROM generate_series(1, 50) i;
        ANALYZE raw_data.moneylines_raw";
    client.batch_execute(&script.replace(":rows", &rows.to_string())).unwrap();
    (db, client)
}

/// One of the things that an application does, to both tables.
fn statements(turn: i64) -> Vec<String> {
    let id = 100 + turn * 7919 % 15_000;
    let date = ["NULL", "'infinity'", "'-infinity'", "current_date - 40", "current_date", "'2099-01-01'"]
        [usize::try_from(turn % 6).unwrap()];
    let on_both =
        |statement: &str| [RAW, "public.control"].map(|table| statement.replace(":t", table)).to_vec();
    let mut done = match turn % 7 {
        0 => {
            let new = 1_000_000 + turn;
            on_both(&format!(
                "INSERT INTO :t (id, source, home_odds, game_date, collected_at, created_at, updated_at)
                 VALUES ({new}, 'writer', 0, {date}, 'epoch', 'epoch', 'epoch')"
            ))
        }
        1 => on_both(&format!("UPDATE :t SET game_date = {date} WHERE id = {id}")),
        2 => on_both(&format!("UPDATE :t SET home_odds = home_odds + 1 WHERE id BETWEEN {id} AND {id} + 3")),
        3 => on_both(&format!("DELETE FROM :t WHERE id = {id}")),
        4 => on_both(&format!("UPDATE :t SET id = 2000000 + {turn}, game_date = {date} WHERE id = {id}")),
        5 => on_both(&format!("UPDATE :t SET raw_data = '{{\"turn\": {turn}}}' WHERE id = {id}")),
        _ => on_both("UPDATE :t SET home_odds = coalesce(home_odds, 0) + 1 WHERE id <= 3"),
    };
    if turn % 5 == 0 {
        done.push(format!(
            "SAVEPOINT s; DELETE FROM {RAW} WHERE id % 97 = 5 AND id BETWEEN 100 AND 3000; ROLLBACK TO s"
        ));
    }
    done
}

/// A session that writes.
pub struct Writer {
    thread: JoinHandle<(i64, Duration)>,
    stop: Arc<AtomicBool>,
}

impl Writer {
    /// How many transactions it has committed, and the longest that one took.
    pub fn stop(self) -> (i64, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Writes until it is told to stop; each turn's statements in one transaction, some of which are rolled back in part or
/// in whole.
pub fn writer(db: &TestDb, first: i64, statements: fn(i64) -> Vec<String>) -> Writer {
    let mut client = db.client().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let thread = spawn(move || {
        let (mut turn, mut longest) = (first, Duration::ZERO);
        while !stopped.load(Ordering::Relaxed) {
            let mut transaction = client.transaction().unwrap();
            // The order in which rows are locked is the same in both tables, and for all writers.
            transaction.batch_execute("SELECT pg_advisory_xact_lock(1)").unwrap();
            let begun = Instant::now();
            for statement in statements(turn) {
                transaction.batch_execute(&statement).unwrap_or_else(|e| panic!("{statement}: {e:?}"));
            }
            if turn % 11 == 3 {
                transaction.rollback().unwrap()
            } else {
                transaction.commit().unwrap()
            }
            longest = longest.max(begun.elapsed());
            turn += 1;
            std::thread::sleep(Duration::from_millis(2));
        }
        (turn - first, longest)
    });
    Writer { thread, stop }
}

fn assert_equal(client: &mut Client, what: &str) {
    let rows = |table: &str| format!("SELECT {COLUMNS} FROM {table}");
    assert_eq!(differing(client, &rows(RAW), &rows("public.control")), "0", "{what}");
}

const COLUMNS: &str = "id, external_id, source, game_external_id, home_odds, away_odds, raw_data, collected_at, game_date, created_at, updated_at";

#[test]
fn nothing_is_lost_while_writers_go_on() {
    let (db, mut client) = fed(20_000);
    let quiet = writer(&db, 0, statements);
    std::thread::sleep(Duration::from_secs(2));
    let (turns, longest_quiet) = quiet.stop();
    let writers = [writer(&db, 100_000, statements), writer(&db, 200_001, statements)];
    let mut steps = Vec::new();
    for step in ["converted", "undone", "converted again", "finalized"] {
        match step {
            "undone" => undo(&mut client, RAW),
            "finalized" => finalize(&mut client, RAW),
            _ => convert(&mut client, RAW, "game_date"),
        }
        // in one snapshot, while the writers go on
        assert_equal(&mut client, step);
        steps.push(step);
    }
    let ends = writers.map(Writer::stop);
    println!("quiet: {turns} {longest_quiet:?}; meanwhile: {ends:?}");
    assert_equal(&mut client, "at the end");
    let (rows, keys) = (format!("SELECT id FROM {RAW}"), format!("SELECT id FROM {RAW}_key"));
    assert_eq!(differing(&mut client, &rows, &keys), "0");
    assert!(ends.iter().all(|(turns, _)| *turns > 20), "{ends:?}");
}

#[test]
fn rows_without_a_date_and_beyond_all_dates_come_back() {
    let (_db, mut client) = fed(3000);
    let counts = "SELECT format('%s %s %s', count(*) FILTER (WHERE game_date IS NULL), count(*) FILTER (WHERE NOT isfinite(game_date)),
                                count(*) FILTER (WHERE game_date = '2099-05-05')) FROM ";
    let before = text(&mut client, &format!("{counts}{RAW}")).unwrap();
    assert_eq!(before, "60 12 6");
    for _ in 0..2 {
        convert(&mut client, RAW, "game_date");
        assert_eq!(text(&mut client, &format!("{counts}raw_data.moneylines_raw_default")).unwrap(), before);
        assert_equal(&mut client, "converted");
        undo(&mut client, RAW);
        assert_eq!(text(&mut client, &format!("{counts}{RAW}")).unwrap(), before);
        assert_equal(&mut client, "undone");
    }
}

#[test]
fn a_transaction_that_was_there_before_is_waited_for() {
    let (db, mut client) = fed(3000);
    let held = "INSERT INTO :t (id, source, collected_at, created_at, updated_at) VALUES (-5, 'held', 'epoch', 'epoch', 'epoch'); UPDATE :t SET home_odds = 77 WHERE id = 1500; DELETE FROM :t WHERE id = 1501";
    {
        let mut early = db.client().unwrap();
        let both = [RAW, "public.control"].map(|t| held.replace(":t", t)).join(";");
        early.batch_execute(&format!("BEGIN; {both}")).unwrap();
        let job = queue(&mut client, CONVERT_RAW);
        // It cannot get its lock, gives up, and tries again, while others go on writing.
        until(&mut client, "SELECT count(*) > 0 FROM groundskeeper.job_history WHERE lock_waits > 0", "true");
        assert_eq!(text(&mut client, "SELECT stage FROM groundskeeper.conversion").unwrap(), "shadowed");
        early.batch_execute("COMMIT").unwrap();
        assert_eq!(ended(&mut client, job).0, "succeeded");
        assert_equal(&mut client, "after the early transaction");
    }
}

#[test]
fn what_is_truncated_is_truncated() {
    let (db, mut client) = fed(3000);
    client.batch_execute("DROP TABLE public.referring; ALTER TABLE staging.moneylines DROP CONSTRAINT moneylines_raw_id_fkey").unwrap();
    let mut reader = db.client().unwrap();
    let both = "TRUNCATE raw_data.moneylines_raw; TRUNCATE public.control;
                INSERT INTO raw_data.moneylines_raw SELECT * FROM spare; INSERT INTO public.control SELECT * FROM spare";
    client
        .batch_execute("CREATE TABLE spare AS SELECT * FROM raw_data.moneylines_raw WHERE id % 3 = 0")
        .unwrap();
    // Held back before the exchange, while the rows are copied already.
    reader.batch_execute(&format!("BEGIN; SELECT count(*) FROM {RAW}")).unwrap();
    let job = queue(&mut client, CONVERT_RAW);
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    let mut writer = db.client().unwrap();
    let truncating = spawn(move || writer.batch_execute(both).unwrap());
    std::thread::sleep(Duration::from_millis(500));
    reader.batch_execute("COMMIT").unwrap();
    truncating.join().unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    assert_equal(&mut client, "truncated before the exchange");
    client.batch_execute(both).unwrap();
    client
        .batch_execute(
            "DELETE FROM public.control c USING raw_data.moneylines_raw_default d WHERE c.id = d.id;
                          TRUNCATE raw_data.moneylines_raw_default",
        )
        .unwrap();
    assert_equal(&mut client, "a partition truncated");
    undo(&mut client, RAW);
    assert_equal(&mut client, "truncated before the way back");
}

#[test]
fn writers_with_triggers_off_and_prepared_transactions_are_followed() {
    let (db, mut client) = fed(3000);
    let mut reader = db.client().unwrap();
    let mut replica = db.client().unwrap();
    replica.batch_execute("SET session_replication_role = replica").unwrap();
    for (at, way) in ["there", "back"].into_iter().enumerate() {
        reader.batch_execute(&format!("BEGIN; SELECT count(*) FROM {RAW}")).unwrap();
        let job = if way == "there" {
            queue(&mut client, CONVERT_RAW)
        } else {
            queue(&mut client, &format!("undo_partitioning('{RAW}')"))
        };
        until(&mut client, "SELECT stage IN ('proven', 'equal') FROM groundskeeper.conversion", "true");
        for table in [RAW, "public.control"] {
            patiently(|| {
                replica
                    .batch_execute(&format!(
                        "INSERT INTO {table} (id, source, collected_at, created_at, updated_at, game_date)
                         VALUES (-{at} - 10, 'replica', 'epoch', 'epoch', 'epoch', current_date);
                         DELETE FROM {table} WHERE id = {at} + 2001;
                         UPDATE {table} SET game_date = NULL WHERE id = {at} + 2101"
                    ))
                    .is_ok()
            });
        }
        reader.batch_execute("COMMIT").unwrap();
        assert_eq!(ended(&mut client, job).0, "succeeded");
        assert_equal(&mut client, way);
        if way == "there" {
            super::assert_keys(&mut client, RAW, "raw_data.moneylines_raw_key", "writing as a replica");
            // and on the partitioned table
            for table in [RAW, "public.control"] {
                replica
                    .batch_execute(&format!(
                        "DELETE FROM {table} WHERE id = 2222; UPDATE {table} SET id = -2223 WHERE id = 2223"
                    ))
                    .unwrap();
            }
            super::assert_keys(&mut client, RAW, "raw_data.moneylines_raw_key", "writing as a replica");
        }
    }
}
