//! `monitoring.lock_tree` and `monitoring.connections_by_role`.

use super::*;
use groundskeeper_tests::PATIENCE;
use std::thread::JoinHandle;

/// Runs a statement that will have to wait, in a thread of its own; it returns when that has ended, however it did.
fn waiting(db: &TestDb, sql: &'static str) -> (i32, JoinHandle<bool>) {
    let mut client = db.client().unwrap();
    let pid = client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    (pid, std::thread::spawn(move || client.batch_execute(sql).is_ok()))
}

fn pid(client: &mut Client) -> i32 {
    client.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0)
}

/// A row of the tree.
#[derive(Debug, PartialEq)]
struct Node {
    pid: i32,
    blocked_by: Vec<i32>,
    depth: i32,
    relation: Option<String>,
    mode: String,
}

/// The tree, once so many are in it.
fn tree(client: &mut Client, rows: usize) -> Vec<Node> {
    let query = "SELECT pid, blocked_by, depth, relation, coalesce(lock_mode, '') FROM monitoring.lock_tree ORDER BY depth, pid";
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = client.query(query, &[]).unwrap();
        if found.len() == rows {
            let node = |row: &postgres::Row| Node {
                pid: row.get(0),
                blocked_by: row.get(1),
                depth: row.get(2),
                relation: row.get(3),
                mode: row.get(4),
            };
            return found.iter().map(node).collect();
        }
        assert!(Instant::now() < deadline, "{} rows", found.len());
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_waits_for_whom_is_told_with_the_way_out() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let monitor = monitor(&mut db);
    let mut client = db.client().unwrap();
    run_sql(&mut client, r#"CREATE SCHEMA app; CREATE TABLE app."odd ""name""" (id integer)"#);
    let mut reader = db.client_as(&monitor).unwrap();
    assert!(reader.query("SELECT FROM monitoring.lock_tree", &[]).unwrap().is_empty());
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, r#"BEGIN; INSERT INTO app."odd ""name""" VALUES (1)"#);
    let root = pid(&mut holder);
    let (strong, first) = waiting(&db, r#"BEGIN; LOCK app."odd ""name""" IN ACCESS EXCLUSIVE MODE; COMMIT"#);
    tree(&mut reader, 2);
    let (weak, second) = waiting(&db, r#"SELECT FROM app."odd ""name""""#);
    let found = tree(&mut reader, 3);
    let name = Some(r#"app."odd ""name""""#.to_owned());
    let node = |pid: i32, blocked_by: &[i32], depth: i32, mode: &str| Node {
        pid,
        blocked_by: blocked_by.to_vec(),
        depth,
        relation: name.clone(),
        mode: mode.to_owned(),
    };
    assert_eq!(found[0], node(root, &[], 0, "RowExclusiveLock"));
    assert_eq!(found[1], node(strong, &[root], 1, "AccessExclusiveLock"));
    assert_eq!(found[2], node(weak, &[strong], 2, "AccessShareLock"));
    let seconds = "SELECT bool_and(CASE WHEN depth = 0 THEN wait_seconds IS NULL ELSE wait_seconds >= 0 END
                                   AND transaction_seconds >= 0) FROM monitoring.lock_tree";
    assert_eq!(value(&mut reader, seconds), "true");
    let states = "SELECT string_agg(state, ', ' ORDER BY depth) FROM monitoring.lock_tree";
    assert_eq!(value(&mut reader, states), "idle in transaction, active, active");

    // The one in the middle gives up, and who stood behind it goes on.
    let way_out = |client: &mut Client, depth: i32| {
        value(client, &format!("SELECT way_out FROM monitoring.lock_tree WHERE depth = {depth}"))
    };
    let give_up = way_out(&mut reader, 1);
    assert_eq!(give_up, format!("SELECT pg_catalog.pg_cancel_backend({strong})"));
    run_sql(&mut client, &give_up);
    assert!(!first.join().unwrap());
    assert!(second.join().unwrap());
    let (_, third) = waiting(&db, r#"BEGIN; LOCK app."odd ""name"""; COMMIT"#);
    tree(&mut reader, 2);
    let end = way_out(&mut reader, 0);
    assert_eq!(end, format!("SELECT pg_catalog.pg_terminate_backend({root})"));
    run_sql(&mut client, &end);
    assert!(third.join().unwrap());
    assert!(reader.query("SELECT FROM monitoring.lock_tree", &[]).unwrap().is_empty());
}

#[test]
fn a_row_that_is_waited_for_is_named_by_its_table() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE TABLE bet (id integer PRIMARY KEY, n integer); INSERT INTO bet VALUES (1, 1)",
    );
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN; UPDATE bet SET n = 2");
    let (waiter, first) = waiting(&db, "UPDATE bet SET n = 3");
    let found = tree(&mut client, 2);
    assert_eq!(found[0].pid, pid_of_root(&mut client));
    assert_eq!((found[1].pid, found[1].relation.as_deref()), (waiter, Some("public.bet")));
    run_sql(&mut holder, "COMMIT");
    assert!(first.join().unwrap());
}

fn pid_of_root(client: &mut Client) -> i32 {
    client.query_one("SELECT pid FROM monitoring.lock_tree WHERE blocked_by = '{}'", &[]).unwrap().get(0)
}

#[test]
fn a_prepared_transaction_in_the_way_is_told_by_its_name() {
    let (_server, db) = private(Options::default().set("max_prepared_transactions", "5"));
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE bet (id integer)");
    run_sql(&mut client, "BEGIN; LOCK bet; PREPARE TRANSACTION 'it''s\nmine'");
    let (_, first) = waiting(&db, "INSERT INTO bet VALUES (1)");
    let found = tree(&mut client, 2);
    assert_eq!((found[0].pid, found[0].depth, found[0].mode.as_str()), (0, 0, "AccessExclusiveLock"));
    assert_eq!(found[1].blocked_by, [0]);
    let held = "SELECT horizon_held_by FROM monitoring.vacuum_health WHERE tablename = 'bet'";
    run_sql(&mut client, "CREATE TABLE another (id integer)");
    let held = value(&mut client, held);
    assert!(held.starts_with("prepared transaction 'it''s"), "{held}");
    let row = "SELECT format('%s %s %s', value, status, detail) FROM monitoring.server_health WHERE component = 'prepared_transactions'";
    let row = value(&mut client, row);
    assert!(row.starts_with("1 ok the oldest: 'it''s mine' of postgres in database"), "{row}");
    let way_out = value(&mut client, "SELECT way_out FROM monitoring.lock_tree WHERE pid = 0");
    run_sql(&mut client, &way_out);
    assert!(first.join().unwrap());
}

#[test]
fn a_queue_of_many_is_told_in_no_time() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    run_sql(&mut client, "CREATE TABLE bet (id integer)");
    let mut holder = db.client().unwrap();
    run_sql(&mut holder, "BEGIN; LOCK bet");
    // Each waits for all that came before it: the paths between them are without number.
    let queue: Vec<_> = (0..25).map(|_| waiting(&db, "BEGIN; LOCK bet; COMMIT").1).collect();
    let found = tree(&mut client, 26);
    assert!(found.iter().skip(1).all(|row| row.depth == 1), "{found:?}");
    assert_eq!(found.iter().map(|row| row.blocked_by.len()).sum::<usize>(), 25 * 26 / 2);
    run_sql(&mut holder, "ROLLBACK");
    assert!(queue.into_iter().all(|waiter| waiter.join().unwrap()));
}

#[test]
fn connections_are_told_by_database_and_role() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let reader = monitor(&mut db);
    let role = db.role("app").unwrap();
    run_sql(
        &mut db.client().unwrap(),
        &format!(
            "ALTER ROLE {} CONNECTION LIMIT 7; ALTER DATABASE {} CONNECTION LIMIT 50",
            quote_ident(&role),
            quote_ident(db.name())
        ),
    );
    let _idle = db.client_as(&role).unwrap();
    let mut open = db.client_as(&role).unwrap();
    run_sql(&mut open, "BEGIN");
    let mut client = db.client_as(&reader).unwrap();
    let found = format!(
        "SELECT format('%s %s %s %s %s/%s %s/%s', connections, active, idle, idle_in_transaction, role_connections,
                       role_limit, database_connections, database_limit)
           FROM monitoring.connections_by_role WHERE database_name = current_database() AND role_name = '{role}'"
    );
    assert_eq!(value(&mut client, &found), "2 0 1 1 2/7 3/50");
}
