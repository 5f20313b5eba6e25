//! A table with rows comes to a converted one: with its keys, whoever writes it meanwhile, or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{SetAtEnd, Template, TestDb};
use postgres::Client;

use super::{assert_keys, carry_out, convert, differing, ended, finalize, queue, undo, until, with};

/// A table whose rows begin with the month before the last, and those of a year ago in a table of their own.
const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, note text);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t ON DELETE CASCADE);
    INSERT INTO t SELECT i, current_date - i % 60, 'new' FROM generate_series(1, 600) i;
    INSERT INTO child SELECT i FROM generate_series(1, 50) i;
    CREATE TABLE public.older (note text, id bigint NOT NULL, day date);
    INSERT INTO older SELECT 'old', 10000 + i, date_trunc('month', current_date - 365)::date + i % 28 FROM generate_series(1, 3000) i";

const ATTACH: &str = "attach_partition('t', 'older')";
const KEYS: &str = "SELECT id, day, note FROM";

fn converted() -> (TestDb, Client) {
    let (db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    client
        .batch_execute(
            "CREATE TABLE all_of_it AS SELECT id, day, note FROM t UNION ALL SELECT id, day, note FROM older",
        )
        .unwrap();
    (db, client)
}

fn whole(client: &mut Client, what: &str) {
    assert_eq!(differing(client, &format!("{KEYS} t"), &format!("{KEYS} all_of_it")), "0", "{what}");
    assert_keys(client, "t", "t_key", what);
    assert_eq!(leftovers(client), [""; 0], "{what}");
}

fn leftovers(client: &mut Client) -> Vec<String> {
    let query = "SELECT conname::text FROM pg_constraint WHERE conname LIKE 'groundskeeper%'
                   AND conrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'groundskeeper%')
                 UNION ALL SELECT tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE tgname LIKE 'groundskeeper_watch%'
                 UNION ALL SELECT relname FROM pg_class WHERE relname ~ '_(default|older)_changes$|^older_changes$'
                 UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '(default|older)_capture$'";
    texts(client, query).unwrap()
}

#[test]
fn its_keys_come_with_it() {
    let (_db, mut client) = converted();
    carry_out(&mut client, ATTACH);
    whole(&mut client, "attaching");
    // a row of it can be referred to, and is told apart from others
    client.batch_execute("INSERT INTO child VALUES (10001)").unwrap();
    assert_eq!(refusal(&mut client, "INSERT INTO t VALUES (10002, current_date)").unwrap().code, "23505");
    let primary = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'older'::regclass AND contype = 'p'";
    assert_eq!(text(&mut client, primary).unwrap(), "PRIMARY KEY (id)");
    // and so is a TRUNCATE of it alone
    assert_eq!(refusal(&mut client, "TRUNCATE older").unwrap().code, "23503");
    client
        .batch_execute(
            "DELETE FROM child WHERE t_id = 10001; TRUNCATE older; DELETE FROM all_of_it WHERE note = 'old'",
        )
        .unwrap();
    whole(&mut client, "truncating it");
    // the unpartitioned table has learnt of it
    client.batch_execute("INSERT INTO t SELECT 20000 + g, date_trunc('month', current_date - 365)::date, 'again' FROM generate_series(1, 9) g;
                          INSERT INTO all_of_it SELECT 20000 + g, date_trunc('month', current_date - 365)::date, 'again' FROM generate_series(1, 9) g").unwrap();
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, &format!("{KEYS} t"), &format!("{KEYS} all_of_it")), "0");
}

#[test]
fn the_way_back_has_its_rows_too() {
    let (_db, mut client) = converted();
    carry_out(&mut client, ATTACH);
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, &format!("{KEYS} t"), &format!("{KEYS} all_of_it")), "0");
    assert_eq!(super::leftovers(&mut client), [""; 0]);
}

#[test]
fn of_a_finalized_one_too_and_off_and_on_again() {
    let (_db, mut client) = converted();
    finalize(&mut client, "t");
    carry_out(&mut client, ATTACH);
    whole(&mut client, "attaching");
    for time in ["first", "second"] {
        carry_out(&mut client, "detach_partition('older')");
        assert_keys(&mut client, "t", "t_key", time);
        assert_eq!(text(&mut client, "SELECT count(*) FROM t WHERE note = 'old'").unwrap(), "0");
        carry_out(&mut client, ATTACH);
        whole(&mut client, time);
    }
}

#[test]
fn a_key_that_is_taken_is_named_and_nothing_is_changed() {
    let (db, mut client) = converted();
    client
        .batch_execute("UPDATE older SET id = 7 WHERE id = 10007; UPDATE older SET id = 8 WHERE id = 10008")
        .unwrap();
    let before = db.dump().unwrap();
    let job = queue(&mut client, ATTACH);
    let (state, error) = ended(&mut client, job);
    assert_eq!(state, "failed");
    assert!(error.contains("have keys that rows of public.t have"), "{error}");
    let detail = format!("SELECT error_detail FROM groundskeeper.job WHERE job_id = {job}");
    assert_eq!(text(&mut client, &detail).unwrap(), "The rows with (id) = (7), (8).");
    let same = |dump: &str| {
        dump.lines()
            .filter(|l| !l.contains("attach_partition") && !l.contains("job_") && !l.contains("\tfailed\t"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(
        same(&before) == same(&db.dump().unwrap()),
        "{}",
        groundskeeper_tests::difference(&before, &db.dump().unwrap())
    );
    client
        .batch_execute("DELETE FROM older WHERE id < 100; DELETE FROM all_of_it WHERE id IN (10007, 10008)")
        .unwrap();
    client.batch_execute(&format!("SELECT groundskeeper.retry_job({job})")).unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
    whole(&mut client, "the second attempt");
}

#[test]
fn one_that_is_given_meanwhile_is_noticed() {
    let (db, mut client) = converted();
    // held up where the keys are there and the lock is not
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t").unwrap();
    let job = queue(&mut client, ATTACH);
    until(&mut client, &format!("SELECT phase FROM groundskeeper.jobs WHERE job_id = {job}"), "attaching");
    // a row with another's key, which does not wait for anybody
    client
        .batch_execute("INSERT INTO older VALUES ('twice', 5, date_trunc('month', current_date - 365)::date)")
        .unwrap();
    reader.batch_execute("COMMIT").unwrap();
    let (state, error) = ended(&mut client, job);
    assert_eq!(state, "failed", "{error}");
    assert!(error.contains("keys that rows of public.t have") || error.contains("duplicate key"), "{error}");
    assert_keys(&mut client, "t", "t_key", "a refusal");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn whoever_writes_it_meanwhile_keeps_their_rows_and_keys() {
    let (db, mut client) = converted();
    client
        .batch_execute("INSERT INTO older SELECT 'old', 100000 + i, date_trunc('month', current_date - 365)::date FROM generate_series(1, 60000) i;
                        INSERT INTO all_of_it SELECT 100000 + i, date_trunc('month', current_date - 365)::date, 'old' FROM generate_series(1, 60000) i")
        .unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = SetAtEnd(&stop);
        let writers: Vec<_> = (0..2)
            .map(|of| {
                let (mut writer, stop) = (db.client().unwrap(), &stop);
                scope.spawn(move || {
                    let mut i = 0;
                    while !stop.load(Ordering::Relaxed) {
                        i += 1;
                        let id = 10001 + (i * 2 + of) % 2900;
                        let new = 500_000 + i * 2 + of;
                        for statement in [
                            "UPDATE :t SET note = note || '.' WHERE id = :id",
                            "INSERT INTO :t (id, day, note) VALUES (:new, date_trunc('month', current_date - 365)::date, 'new')",
                            "DELETE FROM :t WHERE id = :id + 1",
                            "UPDATE :t SET id = :new + 100000 WHERE id = :id + 2",
                        ] {
                            let statement = statement.replace(":id", &id.to_string()).replace(":new", &new.to_string());
                            writer
                                .batch_execute(&format!(
                                    "BEGIN; {}; {}; COMMIT",
                                    statement.replace(":t", "older"),
                                    statement.replace(":t", "all_of_it")
                                ))
                                .unwrap();
                        }
                    }
                    i
                })
            })
            .collect();
        carry_out(&mut client, ATTACH);
        thread::sleep(std::time::Duration::from_millis(200));
        stop.store(true, Ordering::Relaxed);
        for writer in writers {
            assert!(writer.join().unwrap() > 10);
        }
    });
    whole(&mut client, "writers");
    undo(&mut client, "t");
    assert_eq!(differing(&mut client, &format!("{KEYS} t"), &format!("{KEYS} all_of_it")), "0");
}

#[test]
fn what_is_kept_beside_it_is_no_partition_of_it() {
    let (_db, mut client) = converted();
    for table in ["t_unpartitioned", "t_key", "t_changes"] {
        let refused =
            refusal(&mut client, &format!("SELECT groundskeeper.attach_partition('t', '{table}')")).unwrap();
        assert!(refused.detail.contains("kept beside a converted one"), "{table}: {refused:?}");
    }
}

/// Where it is held up, and what holds it.
const POINTS: [(&str, &str); 3] = [
    ("bounds are proven", "LOCK TABLE older IN SHARE UPDATE EXCLUSIVE MODE"),
    ("keys are there", "SELECT FROM t"),
    ("a key is waited for", "INSERT INTO t VALUES (10005, current_date, 'other')"),
];

#[test]
fn killed_at_any_step_it_goes_on() {
    let server = Options::default().preload("pg_groundskeeper").start().unwrap();
    let db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(TABLE).unwrap();
    convert(&mut client, "t", "day");
    client
        .batch_execute(
            "CREATE TABLE all_of_it AS SELECT id, day, note FROM t UNION ALL SELECT id, day, note FROM older",
        )
        .unwrap();
    for (what, hold) in POINTS {
        let mut other = db.client().unwrap();
        other.batch_execute(&format!("BEGIN; {hold}")).unwrap();
        let job = queue(&mut client, ATTACH);
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper job' AND datname = current_database()
                        AND wait_event_type IN ('Lock', 'Timeout')";
        until(&mut client, waits, "1");
        thread::sleep(std::time::Duration::from_millis(500));
        server.kill_9().unwrap();
        drop(other);
        server.up().unwrap();
        client = db.client().unwrap();
        let (state, error) = ended(&mut client, job);
        assert_eq!(state, "succeeded", "{what}: {error}");
        whole(&mut client, what);
        carry_out(&mut client, "detach_partition('older')");
        assert_keys(&mut client, "t", "t_key", what);
    }
}

/// Its owner, who may change no rows any more, is asked for nothing that he has not.
#[test]
fn a_table_that_rows_are_only_added_to_gets_its_partition() {
    let (mut db, mut client) = with("");
    let role = db.role("adder").unwrap();
    let owner = groundskeeper_sandbox::server::quote_ident(&role);
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA public TO {owner}")).unwrap();
    let mut as_owner = db.client_as(&role).unwrap();
    as_owner.batch_execute(TABLE).unwrap();
    convert(&mut client, "t", "day");
    as_owner
        .batch_execute(&format!(
            "CREATE TABLE all_of_it AS SELECT id, day, note FROM t UNION ALL SELECT id, day, note FROM older;
             REVOKE UPDATE, DELETE, TRUNCATE ON t, older FROM {owner}"
        ))
        .unwrap();
    carry_out(&mut client, ATTACH);
    whole(&mut client, "attaching");
}
