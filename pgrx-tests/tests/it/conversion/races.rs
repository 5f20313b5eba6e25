//! Two sessions at once, on a table with a key table.

use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::text;
use postgres::Client;

use super::assert_keys;
use super::keys::twins;

/// What a statement comes to: `ok`, or the SQLSTATE.
fn result(client: &mut Client, statement: &str) -> String {
    match client.batch_execute(statement) {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.as_db_error().unwrap().code().code().to_owned(),
    }
}

/// A statement that another session carries out, which may have to wait.
fn meanwhile(db: &TestDb, statement: &str) -> JoinHandle<String> {
    let mut client = db.client().unwrap();
    let statement = statement.to_owned();
    let thread = spawn(move || result(&mut client, &statement));
    sleep(Duration::from_millis(300));
    thread
}

/// Statements of one session, of another one that begins before the first has ended, and how the first ends and the
/// second then goes on a plain table.
const RACES: &[(&str, &str, &str)] = &[
    ("INSERT INTO :t VALUES (1001, NULL)", "INSERT INTO :t VALUES (1001, current_date)", "COMMIT"),
    ("INSERT INTO :t VALUES (1002, NULL)", "INSERT INTO :t VALUES (1002, current_date)", "ROLLBACK"),
    ("DELETE FROM :t WHERE id = 200", "INSERT INTO :t VALUES (200, current_date - 70)", "COMMIT"),
    ("DELETE FROM :t WHERE id = 201", "INSERT INTO :t VALUES (201, current_date - 70)", "ROLLBACK"),
    ("UPDATE :t SET day = NULL WHERE id = 202", "INSERT INTO :t VALUES (202, current_date)", "COMMIT"),
    ("UPDATE :t SET id = 1203 WHERE id = 203", "INSERT INTO :t VALUES (203, NULL)", "COMMIT"),
    ("UPDATE :t SET id = 1204 WHERE id = 204", "INSERT INTO :t VALUES (1204, NULL)", "COMMIT"),
    ("UPDATE :t SET id = 1205 WHERE id = 205", "INSERT INTO :t VALUES (1205, NULL)", "ROLLBACK"),
    ("DELETE FROM :t WHERE id = 206", "INSERT INTO :s.cascading VALUES (206)", "COMMIT"),
    ("DELETE FROM :t WHERE id = 207", "INSERT INTO :s.cascading VALUES (207)", "ROLLBACK"),
    ("INSERT INTO :s.cascading VALUES (208)", "DELETE FROM :t WHERE id = 208", "COMMIT"),
    ("INSERT INTO :s.restricting VALUES (209)", "DELETE FROM :t WHERE id = 209", "COMMIT"),
    ("INSERT INTO :s.restricting VALUES (211)", "UPDATE :t SET day = NULL WHERE id = 211", "COMMIT"),
    ("INSERT INTO :t VALUES (1212, NULL)", "INSERT INTO :s.cascading VALUES (1212)", "COMMIT"),
    ("UPDATE :t SET n = 0 WHERE id = 213", "DELETE FROM :t WHERE id = 213", "COMMIT"),
    ("DELETE FROM :t WHERE id = 214", "UPDATE :t SET id = 1214 WHERE id = 214", "COMMIT"),
    ("SELECT FROM :t WHERE id = 215 FOR UPDATE", "UPDATE :t SET id = 1215 WHERE id = 215", "COMMIT"),
];

#[test]
fn two_sessions_come_to_what_they_would_on_a_plain_table() {
    let (db, mut client) = twins();
    for (one, other, end) in RACES {
        let run = |schema: &str| {
            let of = |s: &str| s.replace(":t", &format!("{schema}.t")).replace(":s", schema);
            let mut first = db.client().unwrap();
            first.batch_execute(&format!("BEGIN; {}", of(one))).unwrap();
            let second = meanwhile(&db, &of(other));
            first.batch_execute(end).unwrap();
            second.join().unwrap()
        };
        let (plain, parted) = (run("plain"), run("parted"));
        assert_eq!(parted, plain, "{one} | {other} | {end}");
        assert_keys(&mut client, "parted.t", "parted.t_key", other);
    }
    super::keys::assert_alike(&mut client, "all races");
}

#[test]
fn a_storm_of_the_same_ids_leaves_one_of_each() {
    let (db, mut client) = twins();
    let threads: Vec<JoinHandle<()>> = (0..6)
        .map(|who: i64| {
            let mut client = db.client().unwrap();
            spawn(move || {
                for turn in 0..150_i64 {
                    let id = 400 + (turn * 31 + who * 17) % 12;
                    let day = (turn + who) % 4 * 30;
                    let statement = match (turn + who) % 5 {
                        0 | 1 => format!("INSERT INTO parted.t VALUES ({id}, current_date - {day})"),
                        2 => format!("UPDATE parted.t SET day = current_date - {day} WHERE id = {id}"),
                        3 => format!("UPDATE parted.t SET id = {id} + 1, day = NULL WHERE id = {id}"),
                        _ => format!("DELETE FROM parted.t WHERE id = {id}"),
                    };
                    let came = result(&mut client, &statement);
                    let expected = ["ok", "23505", "40P01", "40001"].contains(&came.as_str());
                    assert!(expected, "{statement}: {came}");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let duplicates = "SELECT count(*) FROM (SELECT id FROM parted.t GROUP BY id HAVING count(*) > 1) d";
    assert_eq!(text(&mut client, duplicates).unwrap(), "0");
    assert_keys(&mut client, "parted.t", "parted.t_key", "the storm");
}
