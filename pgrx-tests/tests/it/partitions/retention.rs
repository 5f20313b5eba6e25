//! `set_retention`, `apply_retention`, `drop_partition`: what goes, and what stays whatever the policy says.

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// Four months of 2025 with a row each, and the current month.
const OLD: &str = "
    CREATE TABLE public.old (id bigint, day date NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE public.old_2025_01 PARTITION OF public.old FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE public.old_2025_02 PARTITION OF public.old FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
    CREATE TABLE public.old_2025_03 PARTITION OF public.old FOR VALUES FROM ('2025-03-01') TO ('2025-04-01');
    INSERT INTO public.old VALUES (1, '2025-01-31'), (2, '2025-02-01'), (3, '2025-03-15');
    SELECT groundskeeper.adopt_partitioned_table('public.old');";

fn old() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(OLD).unwrap();
    client.batch_execute("SELECT create_monthly_partitions(1)").unwrap();
    (db, client)
}

fn apply(client: &mut Client, arguments: &str) -> Vec<String> {
    let query = format!(
        "SELECT concat_ws(' ', partition, action, detail) FROM groundskeeper.apply_retention({arguments})
          WHERE partition ~ '2025_0[123]'"
    );
    texts(client, &query).unwrap()
}

fn rows(client: &mut Client, table: &str) -> String {
    text(client, &format!("SELECT count(*) FROM {table}")).unwrap()
}

#[test]
fn what_is_over_is_detached_and_nothing_else() {
    let (_db, mut client) = old();
    assert_eq!(apply(&mut client, ""), [""; 0], "without a policy everything stays");
    client.batch_execute("SELECT groundskeeper.set_retention('public.old', '1 month')").unwrap();
    let names = ["public.old_2025_01", "public.old_2025_02", "public.old_2025_03"];
    let before = super::bounds(&mut client, "public.old");
    assert_eq!(apply(&mut client, "true"), names.map(|n| format!("{n} would detach")));
    assert_eq!(super::bounds(&mut client, "public.old"), before, "a dry run changes nothing");
    assert_eq!(apply(&mut client, ""), names.map(|n| format!("{n} detached")));
    assert_eq!(rows(&mut client, "public.old"), "0");
    for name in names {
        assert_eq!(rows(&mut client, name), "1", "{name} is a table of its own");
    }
    // The current month and the one before are no older than a month.
    let current = super::month(&mut client, "old", 0);
    assert!(super::bounds(&mut client, "public.old").iter().any(|b| b.starts_with(&current)));
    client.batch_execute("SELECT groundskeeper.set_retention('public.old', NULL)").unwrap();
    assert_eq!(apply(&mut client, ""), [""; 0]);
}

#[test]
fn dropping_and_archiving_do_as_they_say() {
    let (_db, mut client) = old();
    client.batch_execute("SELECT groundskeeper.set_retention('public.old', '1 year', 'archive')").unwrap();
    assert!(
        apply(&mut client, "").iter().all(|s| s.contains("kept groundskeeper.archive_schema is not set"))
    );
    client.batch_execute("SET groundskeeper.archive_schema = 'Attic; --'").unwrap();
    assert!(apply(&mut client, "").iter().all(|s| s.contains("kept schema \"Attic; --\" does not exist")));
    assert_eq!(rows(&mut client, "public.old"), "3");
    client.batch_execute("CREATE SCHEMA \"Attic; --\"; CREATE TABLE \"Attic; --\".old_2025_02 ()").unwrap();
    let said = apply(&mut client, "");
    assert_eq!(said[0], "public.old_2025_01 archived \"Attic; --\".old_2025_01");
    assert!(said[1].contains("public.old_2025_02 kept") && said[1].contains("already exists"), "{said:?}");
    assert_eq!(rows(&mut client, "\"Attic; --\".old_2025_01"), "1");
    assert_eq!(rows(&mut client, "public.old"), "1", "what could not be archived was not detached either");
    client.batch_execute("SELECT groundskeeper.set_retention('public.old', '1 year', 'drop')").unwrap();
    assert_eq!(apply(&mut client, ""), ["public.old_2025_02 dropped"]);
    assert_eq!(rows(&mut client, "public.old"), "0");
}

#[test]
fn what_is_still_needed_stays() {
    let (_db, mut client) = old();
    client
        .batch_execute(
            "CREATE TABLE public.child (id bigint, day date, FOREIGN KEY (id, day) REFERENCES public.old ON DELETE CASCADE);
             INSERT INTO public.child VALUES (1, '2025-01-31');
             CREATE VIEW public.march AS SELECT * FROM public.old_2025_03;
             SELECT groundskeeper.set_retention('public.old', '1 month', 'drop')",
        )
        .unwrap();
    for arguments in ["true", ""] {
        let said = apply(&mut client, arguments);
        assert!(said[0].contains("2025_01 kept removing partition") && said[0].contains("child"), "{said:?}");
        assert!(said[1].contains("2025_02 dropped") || said[1].contains("2025_02 would drop"), "{said:?}");
        assert!(said[2].contains("2025_03 kept cannot drop table"), "{said:?}");
    }
    assert_eq!(rows(&mut client, "public.child"), "1");
    assert_eq!(rows(&mut client, "public.old"), "2");
    // The same for one partition by name: the job fails, the rows stay.
    let job = "SELECT groundskeeper.drop_partition('public.old_2025_01')";
    let id = text(&mut client, job).unwrap();
    _db.settle().unwrap();
    let state = format!("SELECT state || ' ' || error FROM groundskeeper.jobs WHERE job_id = {id}");
    assert!(text(&mut client, &state).unwrap().starts_with("failed removing partition"));
    client.batch_execute("DELETE FROM public.child").unwrap();
    let id = text(&mut client, job).unwrap();
    _db.settle().unwrap();
    assert_eq!(
        text(&mut client, &format!("SELECT state FROM groundskeeper.jobs WHERE job_id = {id}")).unwrap(),
        "succeeded"
    );
    assert_eq!(text(&mut client, "SELECT to_regclass('public.old_2025_01')").unwrap(), "");
}

#[test]
fn rows_that_the_bounds_exclude_keep_their_partition() {
    let (_db, mut client) = old();
    // A constraint that says it was validated, and was not: PostgreSQL attaches on its word.
    client
        .batch_execute(
            "ALTER TABLE public.old DETACH PARTITION public.old_2025_02;
             INSERT INTO public.old_2025_02 VALUES (77, now()::date);
             ALTER TABLE public.old_2025_02 ADD CONSTRAINT told
                 CHECK (day IS NOT NULL AND day >= '2025-02-01' AND day < '2025-03-01') NOT VALID;
             UPDATE pg_constraint SET convalidated = true WHERE conname = 'told';
             ALTER TABLE public.old ATTACH PARTITION public.old_2025_02 FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
             SELECT groundskeeper.set_retention('public.old', '1 month', 'drop');
             SET constraint_exclusion = on",
        )
        .unwrap();
    let said = apply(&mut client, "");
    assert_eq!(said[1], "public.old_2025_02 kept public.old_2025_02 has rows outside of its bounds");
    assert_eq!(rows(&mut client, "public.old_2025_02"), "2");
    assert!(said[0].ends_with("dropped") && said[2].ends_with("dropped"), "{said:?}");
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    let (_db, mut client) = old();
    client
        .batch_execute(
            "CREATE TABLE public.plain (); CREATE TABLE public.other (d date) PARTITION BY RANGE (d)",
        )
        .unwrap();
    for (call, code) in [
        ("set_retention(NULL, '1 month')", "22004"),
        ("set_retention('public.old', '1 month', NULL)", "22004"),
        ("set_retention('public.old', '-1 month')", "22023"),
        ("set_retention('public.old', '0')", "22023"),
        ("set_retention('public.old', '1 month', 'burn')", "22023"),
        ("set_retention('public.plain', '1 month')", "55000"),
        ("set_retention('public.other', '1 month')", "55000"),
        ("apply_retention(NULL)", "22004"),
        ("drop_partition(NULL)", "22004"),
        ("drop_partition('public.old')", "42809"),
        ("drain_default('public.old', 0)", "22023"),
        ("drain_default('public.plain')", "55000"),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.{call}")).unwrap();
        assert_eq!(refused.code, code, "{call}: {refused:?}");
    }
    let policy = "SELECT count(retention) FROM groundskeeper.managed_tables";
    assert_eq!(text(&mut client, policy).unwrap(), "0");
}

#[test]
fn rows_of_a_month_that_has_retired_stay_in_the_default_partition() {
    let (db, mut client) = old();
    client
        .batch_execute(
            "CREATE TABLE public.old_default PARTITION OF public.old DEFAULT; ANALYZE public.old;
             SELECT groundskeeper.set_retention('public.old', '2 months', 'drop')",
        )
        .unwrap();
    let current = super::month(&mut client, "old", 0);
    let said = texts(&mut client, "SELECT DISTINCT action FROM groundskeeper.apply_retention()").unwrap();
    assert_eq!(said, ["dropped"]);
    client.batch_execute("SELECT create_monthly_partitions(3)").unwrap();
    // one is late for a month that is gone, the other for one that is kept
    client
        .batch_execute(
            "INSERT INTO public.old VALUES (5000, '2025-02-03'), (5001, now()::date);
             DO $$ BEGIN EXECUTE (SELECT format('ALTER TABLE public.old DETACH PARTITION %s', relid::regclass)
                                    FROM pg_partition_tree('public.old') WHERE relid::regclass::text ~ to_char(now(), 'YYYY_MM$')); END $$",
        )
        .unwrap();
    client
        .batch_execute(&format!("INSERT INTO public.old TABLE public.{current}; DROP TABLE public.{current}"))
        .unwrap();
    let id = text(&mut client, "SELECT groundskeeper.drain_default('public.old')").unwrap();
    db.settle().unwrap();
    let state = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {id}");
    assert_eq!(text(&mut client, &state).unwrap(), "succeeded");
    assert_eq!(
        text(&mut client, "SELECT string_agg(id::text, ' ') FROM public.old_default").unwrap(),
        "5000"
    );
    assert_eq!(rows(&mut client, &format!("public.{current}")), "1");
    client.batch_execute("ANALYZE public.old").unwrap();
    // nothing is made, nothing is missed, and what stays is said
    let before = super::bounds(&mut client, "public.old");
    let said = super::make(&mut client, "3");
    assert!(said.iter().all(|s| s.ends_with(" exists")), "{said:?}");
    assert_eq!(super::bounds(&mut client, "public.old"), before);
    let health =
        "SELECT concat_ws(' ', gap_count, default_rows, status, detail) FROM monitoring.partition_health";
    assert_eq!(
        text(&mut client, health).unwrap(),
        "0 1 ok 1 rows in the default partition are older than what retention keeps, and stay until they are deleted"
    );
    assert_eq!(texts(&mut client, "SELECT action FROM groundskeeper.apply_retention()").unwrap(), [""; 0]);
}

#[test]
fn tables_that_have_come_to_the_names_meanwhile_are_left_alone() {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    let tables = "
        CREATE SCHEMA app;
        CREATE TABLE app.old (id bigint, day date NOT NULL) PARTITION BY RANGE (day);
        CREATE TABLE app.old_2025_01 PARTITION OF app.old FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
        INSERT INTO app.old VALUES (1, '2025-01-31');";
    client
        .batch_execute(&format!(
            "{tables} SELECT groundskeeper.adopt_partitioned_table('app.old');
             SELECT groundskeeper.set_retention('app.old', '1 month', 'drop')"
        ))
        .unwrap();
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM app.old").unwrap();
    let mut caller = db.client().unwrap();
    let retired = std::thread::spawn(move || {
        caller.batch_execute("SET groundskeeper.lock_timeout = '20s'").unwrap();
        apply(&mut caller, "")
    });
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
                  WHERE backend_type = 'pg_groundskeeper retention' AND wait_event_type = 'Lock'";
    while text(&mut client, waits).unwrap() != "true" {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    // As a deployment does that puts new tables in place of the old ones.
    client.batch_execute(&format!("ALTER SCHEMA app RENAME TO gone; {tables}")).unwrap();
    reader.batch_execute("COMMIT").unwrap();
    let said = retired.join().unwrap();
    assert!(said[0].contains("kept") && said[0].contains("was renamed or replaced meanwhile"), "{said:?}");
    assert_eq!(rows(&mut client, "app.old_2025_01"), "1");
    assert_eq!(rows(&mut client, "gone.old_2025_01"), "1");
}
