//! How long writers wait while partitions come and go: it does not depend on how many rows these have.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// What a writer's statement takes at most: the setting's 300 ms, the exchange, and a machine that is busy besides.
const MOST: Duration = Duration::from_millis(800);

/// Runs `work` while somebody writes all the time, by a statement that is given a number; the longest of these.
fn longest(db: &TestDb, statement: &str, work: impl FnOnce()) -> Duration {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut client = db.client().unwrap();
            let (mut longest, mut number) = (Duration::ZERO, 0i64);
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                let begun = Instant::now();
                client.batch_execute(&statement.replace(":n", &number.to_string())).unwrap();
                longest = longest.max(begun.elapsed());
                thread::sleep(Duration::from_millis(2));
            }
            longest
        });
        let worked = catch_unwind(AssertUnwindSafe(work));
        stop.store(true, Ordering::Relaxed);
        let longest = writer.join().unwrap();
        worked.unwrap_or_else(|panic| resume_unwind(panic));
        longest
    })
}

fn number(client: &mut Client, query: &str) -> i64 {
    text(client, query).unwrap().parse().unwrap()
}

#[test]
fn draining_many_rows_keeps_nobody_waiting() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    // statistics of a table with one row
    client
        .batch_execute(
            "CREATE TABLE public.bet (id bigint, day date, n int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
             CREATE TABLE public.bet_default PARTITION OF public.bet DEFAULT WITH (autovacuum_enabled = off);
             CREATE TABLE public.child (id bigint, day date, FOREIGN KEY (id, day) REFERENCES public.bet ON DELETE CASCADE);
             SELECT groundskeeper.adopt_partitioned_table('public.bet');
             INSERT INTO public.bet VALUES (-1, 'infinity'), (-2, '2024-05-05');
             ANALYZE public.bet_default;
             INSERT INTO public.bet SELECT g, date '2025-01-01' + (g % 85)::int, 0 FROM generate_series(1, 200000) g;
             INSERT INTO public.child SELECT id, day FROM public.bet WHERE id % 10 = 0",
        )
        .unwrap();
    let longest = longest(&db, "INSERT INTO public.bet VALUES (1000000 + :n, '2025-02-03', 1)", || {
        let job = number(&mut client, "SELECT groundskeeper.drain_default('public.bet')");
        db.settle().unwrap();
        let state =
            format!("SELECT concat_ws(': ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}");
        assert_eq!(text(&mut client, &state).unwrap(), "succeeded");
    });
    println!("draining 200,000 rows: longest wait of a writer {} ms", longest.as_millis());
    assert!(longest < MOST, "a writer waited for {longest:?}");
    assert_eq!(number(&mut client, "SELECT count(*) FROM public.bet WHERE n = 0"), 200_000);
    assert_eq!(number(&mut client, "SELECT count(*) FROM public.bet_default"), 1);
    let tables = "SELECT string_agg(relid::text, ' ' ORDER BY relid::text) FROM pg_partition_tree('public.bet') WHERE isleaf";
    assert_eq!(
        text(&mut client, tables).unwrap(),
        "bet_2024_05 bet_2025_01 bet_2025_02 bet_2025_03 bet_default"
    );
}

/// Whoever writes a table that refers to the partitioned one has it first, and looks for the row at the end: with the
/// locks the other way round each would wait for the other.
#[test]
fn who_writes_what_refers_to_the_table_is_no_obstacle() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE public.bet (id bigint, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
             CREATE TABLE public.bet_default PARTITION OF public.bet DEFAULT;
             CREATE TABLE public.child (id bigint, day date,
                 FOREIGN KEY (id, day) REFERENCES public.bet DEFERRABLE INITIALLY DEFERRED);
             CREATE TABLE public.bet_2024_01 PARTITION OF public.bet FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
             CREATE TABLE public.bet_2024_02 PARTITION OF public.bet FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
             INSERT INTO public.bet VALUES (0, 'infinity'), (1, '2024-01-05'), (2, '2024-02-05'), (3, '2024-07-07');
             SELECT groundskeeper.adopt_partitioned_table('public.bet')",
        )
        .unwrap();
    let write = "BEGIN; INSERT INTO public.child VALUES (0, 'infinity'); SELECT pg_sleep(0.05); COMMIT";
    let longest = longest(&db, write, || {
        thread::sleep(Duration::from_millis(100));
        // what is older than the gaps that are filled is left, and said
        let made = "SELECT count(*) || ' ' || bool_and(action = 'created')
                      FROM create_monthly_partitions(2) WHERE action NOT LIKE 'left%'";
        let made = text(&mut client, made).unwrap();
        assert!(made.ends_with(" true") && !made.starts_with("0 "), "{made}");
        let job = number(&mut client, "SELECT groundskeeper.drain_default('public.bet')");
        client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '1 minute')")).unwrap();
        client.batch_execute("SELECT groundskeeper.set_retention('public.bet', '1 month')").unwrap();
        let retired = "SELECT count(*) FILTER (WHERE partition ~ '_2024_0[127]$') || ' ' || bool_and(action = 'detached')
                         FROM groundskeeper.apply_retention()";
        assert_eq!(text(&mut client, retired).unwrap(), "3 true");
    });
    assert!(longest < MOST + Duration::from_millis(50), "a writer waited for {longest:?}");
}

/// A converted table of so many months with rows and a child that refers to none of the old ones.
fn converted(client: &mut Client, months: u32, rows: u32) {
    client
        .batch_execute(&format!(
            "CREATE TABLE public.t (id bigserial PRIMARY KEY, at date NOT NULL DEFAULT current_date, v int);
             CREATE TABLE public.child (t_id bigint REFERENCES public.t ON DELETE CASCADE);
             CREATE INDEX ON public.child (t_id);
             INSERT INTO t (at) SELECT date_trunc('month', current_date)::date - (m || ' months')::interval
               FROM generate_series(0, {months}) m, generate_series(1, {rows});
             INSERT INTO child SELECT id FROM t WHERE at = date_trunc('month', current_date)"
        ))
        .unwrap();
    let job = number(client, "SELECT groundskeeper.partition_table('t', 'at', accept => '{on_conflict}')");
    client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '3 minutes')")).unwrap();
}

/// The second looks for its row in all partitions, those that retire too.
const WRITES: &str = "INSERT INTO public.t (v) VALUES (:n); UPDATE public.t SET v = :n WHERE id = 1";

#[test]
fn retiring_many_partitions_keeps_nobody_waiting() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    converted(&mut client, 8, 20_000);
    client.batch_execute("SELECT groundskeeper.set_retention('t', '1 month', 'drop')").unwrap();
    let mut said = Vec::new();
    let longest = longest(&db, WRITES, || {
        said = texts(&mut client, "SELECT action FROM groundskeeper.apply_retention()").unwrap();
    });
    println!(
        "retiring {} partitions of 20,000 rows: longest wait of a writer {} ms",
        said.len(),
        longest.as_millis()
    );
    assert_eq!(said, ["dropped"; 7]);
    assert!(longest < MOST, "a writer waited for {longest:?}");
    assert_eq!(
        number(
            &mut client,
            "SELECT count(*) FROM t_key k WHERE NOT EXISTS (SELECT FROM t WHERE t.id = k.id)"
        ),
        0
    );
    assert_eq!(
        number(
            &mut client,
            "SELECT count(*) FROM t WHERE NOT EXISTS (SELECT FROM t_key k WHERE t.id = k.id)"
        ),
        0
    );
}

#[test]
fn no_lock_of_retention_is_the_callers() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    converted(&mut client, 4, 10);
    client.batch_execute("SELECT groundskeeper.set_retention('t', '1 month', 'drop'); BEGIN").unwrap();
    let said = texts(&mut client, "SELECT action FROM groundskeeper.apply_retention()").unwrap();
    assert_eq!(said, ["dropped"; 3]);
    let held = "SELECT relation::regclass::text FROM pg_locks WHERE pid = pg_backend_pid() AND mode = 'AccessExclusiveLock'";
    assert_eq!(texts(&mut client, held).unwrap(), [""; 0]);
    client.batch_execute("ROLLBACK").unwrap();
    assert_eq!(
        number(&mut client, "SELECT count(*) FROM t"),
        20,
        "each partition went in a transaction of its own"
    );
}

#[test]
fn the_first_lock_that_is_refused_is_the_last_that_is_asked_for() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let (mut client, mut reader) = (db.client().unwrap(), db.client().unwrap());
    converted(&mut client, 8, 10);
    client.batch_execute("SELECT groundskeeper.set_retention('t', '1 month', 'drop')").unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM t").unwrap();
    for arguments in ["true", ""] {
        let begun = Instant::now();
        let retire =
            format!("SELECT concat_ws(' ', action, detail) FROM groundskeeper.apply_retention({arguments})");
        let said = texts(&mut client, &retire).unwrap();
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
        assert_eq!(said.len(), 7);
        assert!(said[0].starts_with("kept the table is in use"), "{said:?}");
        assert!(
            said[1..].iter().all(|s| s.starts_with("kept not tried, as a lock was refused for public.t_")),
            "{said:?}"
        );
    }
    // who holds one of them oneself is told so
    client.batch_execute("BEGIN; INSERT INTO t (v) VALUES (1)").unwrap();
    let said = texts(&mut client, "SELECT detail FROM groundskeeper.apply_retention()").unwrap();
    assert!(said[0].starts_with("this transaction holds a lock on public.t"), "{said:?}");
    client.batch_execute("ROLLBACK").unwrap();
    reader.batch_execute("ROLLBACK").unwrap();
    let said = texts(&mut client, "SELECT action FROM groundskeeper.apply_retention()").unwrap();
    assert_eq!(said, ["dropped"; 7]);
}

/// PostgreSQL looks for rows that refer to a partition while it holds the lock.
#[test]
fn a_partition_that_much_may_refer_to_is_kept_rather_than_writers() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "CREATE TABLE public.bet (id bigint, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
             CREATE TABLE public.bet_2024_01 PARTITION OF public.bet FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
             CREATE TABLE public.bet_2024_02 PARTITION OF public.bet FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
             INSERT INTO public.bet SELECT g, date '2024-01-01' + g % 60 FROM generate_series(1, 40000) g;
             CREATE TABLE public.child AS
             SELECT 100000 + g AS id, date '2024-03-01' AS day FROM generate_series(1, 1000000) g;
             ALTER TABLE public.child ADD FOREIGN KEY (id, day) REFERENCES public.bet NOT VALID;
             ANALYZE public.bet, public.child;
             SELECT groundskeeper.adopt_partitioned_table('public.bet');
             SELECT groundskeeper.set_retention('public.bet', '1 month', 'drop');
             SET groundskeeper.lock_timeout = '20ms'",
        )
        .unwrap();
    let retire = "SELECT concat_ws(' ', action, detail) FROM groundskeeper.apply_retention()";
    let said = texts(&mut client, retire).unwrap();
    let kept =
        "kept PostgreSQL was not done with looking for rows that refer to public.bet_2024_01 after 100 ms";
    assert!(said[0].starts_with(kept), "{said:?}");
    assert!(said[1].starts_with("kept not tried"), "{said:?}");
    // as a dry run says, whose session goes on
    let dry = texts(&mut client, &retire.replace("()", "(true)")).unwrap();
    assert_eq!(dry, said);
    client.batch_execute("SET statement_timeout = '1min'; SET groundskeeper.lock_timeout = '1min'").unwrap();
    assert_eq!(texts(&mut client, &retire.replace("()", "(true)")).unwrap(), ["would drop"; 2]);
    // the session's own limit is as it was
    client.batch_execute("SET statement_timeout = '150ms'").unwrap();
    let stopped = client.query(&retire.replace("()", "(true)"), &[]).unwrap_err();
    assert_eq!(stopped.code().unwrap().code(), "57014");
    client.batch_execute("SET statement_timeout = 0").unwrap();
    assert_eq!(texts(&mut client, retire).unwrap(), ["dropped"; 2]);
}
