//! `attach_partition()`: which tables it takes, what it says of the others, and what they are afterwards.

use std::thread;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{PATIENCE, SetAtEnd, Template, TestDb};
use postgres::Client;

use super::bounds;

/// A partitioned table with everything that a partition must have, one month of it, and what came before it.
const BETS: &str = "
    CREATE TABLE public.clubs (id int PRIMARY KEY); INSERT INTO clubs VALUES (1), (2);
    CREATE TABLE public.bets (id bigint NOT NULL, at timestamptz NOT NULL, stake integer CONSTRAINT positive CHECK (stake > 0),
                              club int CONSTRAINT of_club REFERENCES clubs, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
    CREATE INDEX by_stake ON public.bets (stake DESC) INCLUDE (club) WHERE stake > 5;
    CREATE UNIQUE INDEX once ON public.bets (at, (stake % 7), id);
    CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER note BEFORE INSERT ON public.bets FOR EACH ROW EXECUTE FUNCTION noted();
    CREATE TABLE public.bets_2025_03 PARTITION OF public.bets
        FOR VALUES FROM ('2025-03-01 00:00 America/New_York') TO ('2025-04-01 00:00 America/New_York');
    CREATE TABLE public.bets_default PARTITION OF public.bets DEFAULT;
    INSERT INTO public.bets SELECT g, '-infinity', 1 FROM generate_series(1, 50) g;
    SELECT groundskeeper.adopt_partitioned_table('public.bets');
    CREATE TABLE public.\"old Bets\" (club int, stake integer CONSTRAINT positive CHECK (stake > 0), gone text,
                                     id bigint NOT NULL, at timestamptz NOT NULL);
    ALTER TABLE \"old Bets\" DROP COLUMN gone;
    INSERT INTO \"old Bets\" SELECT g % 2 + 1, g + 1, g, '2025-02-01 00:00 America/New_York'::timestamptz + g * interval '2 hours'
      FROM generate_series(0, 335) g;
    CREATE TABLE was AS TABLE \"old Bets\";";

fn with(script: &str) -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(script).unwrap();
    (db, client)
}

fn attach(db: &TestDb, client: &mut Client, table: &str) -> String {
    let call = format!("SELECT groundskeeper.attach_partition('public.bets', '{table}')");
    let job = text(client, &call).unwrap();
    db.settle().unwrap();
    text(client, &format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}"))
        .unwrap()
}

/// What is ours and was to be gone.
fn leftovers(client: &mut Client) -> Vec<String> {
    let query = "SELECT conname::text FROM pg_constraint WHERE conname LIKE 'groundskeeper%'
                 UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'groundskeeper_watch%'
                 UNION ALL SELECT relname FROM pg_class WHERE relname ~ '_changes$' AND relnamespace = 'public'::regnamespace
                 UNION ALL SELECT proname FROM pg_proc WHERE proname ~ '_capture$' AND pronamespace = 'public'::regnamespace
                 UNION ALL SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid";
    texts(client, query).unwrap()
}

#[test]
fn a_table_becomes_the_partition_of_its_month() {
    let (db, mut client) = with(BETS);
    assert_eq!(attach(&db, &mut client, "\"old Bets\""), "succeeded");
    let of = bounds(&mut client, "public.bets");
    assert!(
        of.iter()
            .any(|b| b.starts_with("old Bets FOR VALUES FROM ('2025-02-01 0")
                && b.contains("TO ('2025-03-01 0")),
        "{of:?}"
    );
    let rows = "SELECT count(*) FROM ((SELECT id, at, stake, club FROM bets WHERE isfinite(at) EXCEPT ALL SELECT id, at, stake, club FROM was)
                UNION ALL (SELECT id, at, stake, club FROM was EXCEPT ALL SELECT id, at, stake, club FROM bets)) d";
    assert_eq!(text(&mut client, rows).unwrap(), "0");
    let indexes = "SELECT count(*) FILTER (WHERE i.inhrelid IS NOT NULL) || ' ' || count(*) FROM pg_index x
                     LEFT JOIN pg_inherits i ON i.inhrelid = x.indexrelid WHERE x.indrelid = '\"old Bets\"'::regclass";
    assert_eq!(text(&mut client, indexes).unwrap(), "3 3", "its indexes are the table's");
    let rest = "SELECT (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid AND tgname = 'note') || ' ' ||
                       (SELECT count(*) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'f' AND convalidated AND conparentid <> 0)
                  FROM pg_class c WHERE relname = 'old Bets'";
    assert_eq!(text(&mut client, rest).unwrap(), "1 1");
    assert_eq!(leftovers(&mut client), [""; 0]);
    // asked again, there is nothing to do
    let again =
        refusal(&mut client, "SELECT groundskeeper.attach_partition('bets', '\"old Bets\"')").unwrap();
    assert!(
        again.detail.contains("it is a partition of bets") || again.detail.contains("public.bets"),
        "{again:?}"
    );
    assert_eq!(attach_none(&mut client), "0");
}

fn attach_none(client: &mut Client) -> String {
    text(client, "SELECT count(*) FROM groundskeeper.jobs WHERE state NOT IN ('succeeded')").unwrap()
}

/// A table like a partition.
fn like(client: &mut Client, name: &str, rows: &str) {
    client
        .batch_execute(&format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (LIKE bets INCLUDING ALL);
             INSERT INTO {name} (id, at) SELECT row_number() OVER (), at FROM (VALUES {rows}) v (at)"
        ))
        .unwrap();
}

#[test]
fn rows_say_which_period_and_none_is_guessed() {
    let (_db, mut client) = with(BETS);
    for (rows, said) in [
        (
            "('2025-01-31 23:59:59 America/New_York'::timestamptz), ('2025-02-01 00:00 America/New_York')",
            "more than one month",
        ),
        ("('2024-02-01'::timestamptz), ('2026-02-01')", "more than one month"),
        ("('2025-03-05'::timestamptz)", "has a partition already: public.bets_2025_03"),
        ("('2025-02-05'::timestamptz), ('infinity')", "1 rows of public.one have no at"),
        ("('-infinity'::timestamptz)", "1 rows of public.one have no at"),
    ] {
        like(&mut client, "one", rows);
        let refused = refusal(&mut client, "SELECT groundskeeper.attach_partition('bets', 'one')").unwrap();
        assert!(refused.message.contains(said), "{rows}: {refused:?}");
        assert!(!refused.hint.is_empty() || !refused.detail.is_empty(), "{refused:?}");
    }
    client.batch_execute("TRUNCATE one").unwrap();
    let refused = refusal(&mut client, "SELECT groundskeeper.attach_partition('bets', 'one')").unwrap();
    assert!(refused.message.contains("has no rows"), "{refused:?}");
    // both ends of a month, by the clock of the table's zone
    for rows in [
        "('2025-02-01 00:00 America/New_York'::timestamptz), ('2025-02-28 23:59:59.999999 America/New_York')",
        "('2024-11-01 00:00 America/New_York'::timestamptz), ('2024-11-30 23:59:59 America/New_York')",
    ] {
        like(&mut client, "one", rows);
        client
            .batch_execute("BEGIN; SELECT groundskeeper.attach_partition('bets', 'one'); ROLLBACK")
            .unwrap();
    }
    assert_eq!(bounds(&mut client, "bets").len(), 2);
}

#[test]
fn what_differs_is_named_and_the_hint_mends_it() {
    let (db, mut client) = with(BETS);
    client
        .batch_execute(
            "CREATE TABLE one (id bigint, at timestamptz NOT NULL, stake bigint CHECK (stake > 0), extra text);
             CREATE TRIGGER note BEFORE INSERT ON one FOR EACH ROW EXECUTE FUNCTION noted();
             INSERT INTO one VALUES (1, '2025-02-05', 3)",
        )
        .unwrap();
    let refused = refusal(&mut client, "SELECT groundskeeper.attach_partition('bets', 'one')").unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    for said in [
        "it has no column club",
        "it has a column extra",
        "column stake is of another type",
        "column id may be null",
        "it lacks the constraint positive",
        "it has a trigger note",
    ] {
        assert!(refused.detail.contains(said), "{said}: {refused:?}");
    }
    client.batch_execute(&refused.hint).unwrap_or_else(|error| panic!("{error:?}: {}", refused.hint));
    assert_eq!(attach(&db, &mut client, "one"), "succeeded");
    for (table, said) in [
        ("bets", "no ordinary table"),
        ("bets_2025_03", "it is a partition of"),
        ("pg_class", "it is a system catalog"),
        ("groundskeeper.managed_tables", "an extension's"),
        ("monitoring.table_bloat", "no ordinary table"),
    ] {
        let refused =
            refusal(&mut client, &format!("SELECT groundskeeper.attach_partition('bets', '{table}')"))
                .unwrap();
        assert!(refused.detail.contains(said) && !refused.hint.contains("DROP"), "{table}: {refused:?}");
    }
    client.batch_execute("CREATE TABLE plain (id int)").unwrap();
    assert_eq!(
        refusal(&mut client, "SELECT groundskeeper.attach_partition('plain', 'one')").unwrap().code,
        "55000"
    );
}

#[test]
fn another_owners_table_is_refused() {
    let (mut db, mut client) = with(BETS);
    let [owner, other] = ["owner", "other"].map(|stem| db.role(stem).unwrap());
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON FUNCTION groundskeeper.attach_partition TO {0}, {1}; GRANT CREATE ON SCHEMA public TO {0}, {1};
             GRANT REFERENCES ON clubs TO {0};
             ALTER TABLE \"old Bets\" OWNER TO {1};
             DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER TABLE %s OWNER TO {0}', relid::regclass), ';') FROM pg_partition_tree('public.bets')); END $$",
            quote_ident(&owner),
            quote_ident(&other)
        ))
        .unwrap();
    let call = "SELECT groundskeeper.attach_partition('bets', '\"old Bets\"')";
    let refused = refusal(&mut client, call).unwrap();
    assert!(refused.detail.contains("it belongs to") && refused.hint.contains("OWNER TO"), "{refused:?}");
    for role in [&owner, &other] {
        let refused = refusal(&mut db.client_as(role).unwrap(), call).unwrap();
        assert!(["42501", "55000"].contains(&refused.code.as_str()), "{role}: {refused:?}");
    }
    client.batch_execute(&refused.hint).unwrap();
    let job = text(&mut db.client_as(&owner).unwrap(), call).unwrap();
    db.settle().unwrap();
    let state = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}");
    assert_eq!(text(&mut client, &state).unwrap(), "succeeded");
    let owners = "SELECT DISTINCT pg_get_userbyid(relowner)::text FROM pg_class WHERE oid IN (SELECT relid FROM pg_partition_tree('bets'))";
    assert_eq!(texts(&mut client, owners).unwrap(), [owner]);
}

#[test]
fn rows_of_the_period_in_the_default_partition_are_refused_and_nothing_stays() {
    let (db, mut client) = with(BETS);
    client.batch_execute("INSERT INTO \"old Bets\" SELECT * FROM \"old Bets\" WHERE id = 5").unwrap();
    let how = attach(&db, &mut client, "\"old Bets\"");
    assert!(how.starts_with("failed could not create unique index"), "{how}");
    assert_eq!(leftovers(&mut client), [""; 0]);
    let change = "DELETE FROM \"old Bets\" WHERE id = 5; INSERT INTO bets VALUES (7000, '2025-02-07', 1)";
    client.batch_execute(change).unwrap();
    let how = attach(&db, &mut client, "\"old Bets\"");
    assert!(how.starts_with("failed rows of ") && how.contains("in the default partition"), "{how}");
    assert_eq!(leftovers(&mut client), [""; 0]);
    assert_eq!(bounds(&mut client, "bets").len(), 2);
    let change = "DELETE FROM bets WHERE id = 7000; ALTER TABLE \"old Bets\" DROP CONSTRAINT of_club; UPDATE \"old Bets\" SET club = 3 WHERE id = 6";
    client.batch_execute(change).unwrap();
    let how = attach(&db, &mut client, "\"old Bets\"");
    assert!(how.starts_with("failed insert or update on table"), "{how}");
    client.batch_execute("UPDATE \"old Bets\" SET club = 1 WHERE id = 6").unwrap();
    assert_eq!(attach(&db, &mut client, "\"old Bets\""), "succeeded");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

/// Rows for the default partition that no index finds.
const MANY: &str =
    "INSERT INTO bets SELECT g, 'infinity', 1 FROM generate_series(1000, 400000) g; ANALYZE bets_default";

/// Writes the default partition and the table until told to stop; the longest that one statement took.
fn written_during(db: &TestDb, work: impl FnOnce()) -> Duration {
    let mut writer = db.client().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = SetAtEnd(&stop);
        let longest = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            let mut id = 10_000_000;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let begun = Instant::now();
                writer
                    .batch_execute(&format!(
                        "INSERT INTO bets VALUES ({id}, 'infinity', 1), ({id}, '2025-03-03', 1)"
                    ))
                    .unwrap();
                longest = longest.max(begun.elapsed());
                id += 1;
            }
            longest
        });
        work();
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        longest.join().unwrap()
    })
}

#[test]
fn writers_wait_for_a_moment_however_many_rows_there_are() {
    let (db, mut client) = with(BETS);
    client.batch_execute("DROP INDEX once").unwrap();
    client.batch_execute(MANY).unwrap();
    let stall = written_during(&db, || assert_eq!(attach(&db, &mut client, "\"old Bets\""), "succeeded"));
    assert!(stall < Duration::from_millis(400), "{stall:?}");
    assert_eq!(leftovers(&mut client), [""; 0]);
    let misplaced = "SELECT count(*) FROM bets_default WHERE isfinite(at)";
    assert_eq!(text(&mut client, misplaced).unwrap(), "0");
}

#[test]
fn a_row_that_comes_to_the_default_partition_meanwhile_is_noticed() {
    let (db, mut client) = with(BETS);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM bets").unwrap();
    let call = "SELECT groundskeeper.attach_partition('bets', '\"old Bets\"')";
    let job = text(&mut client, call).unwrap();
    let state = format!("SELECT phase FROM groundskeeper.jobs WHERE job_id = {job}");
    let deadline = Instant::now() + PATIENCE;
    while text(&mut client, &state).unwrap() != "attaching" {
        assert!(Instant::now() < deadline, "{}", text(&mut client, &state).unwrap());
        thread::sleep(Duration::from_millis(5));
    }
    client.batch_execute("INSERT INTO bets VALUES (7000, '2025-02-07', 1)").unwrap();
    reader.batch_execute("COMMIT").unwrap();
    db.settle().unwrap();
    let state = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}");
    let how = text(&mut client, &state).unwrap();
    assert!(how.starts_with("failed rows of"), "{how}");
    assert_eq!(text(&mut client, "SELECT count(*) FROM bets WHERE at = '2025-02-07'").unwrap(), "1");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn a_table_in_the_place_of_another_is_left_alone() {
    let (db, mut client) = with(BETS);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM \"old Bets\"").unwrap();
    let job = text(&mut client, "SELECT groundskeeper.attach_partition('bets', '\"old Bets\"')").unwrap();
    client.batch_execute("SET lock_timeout = '20s'").unwrap();
    thread::sleep(Duration::from_millis(300));
    reader.batch_execute("ROLLBACK; ALTER TABLE \"old Bets\" RENAME TO older; CREATE TABLE \"old Bets\" (LIKE older INCLUDING ALL)").unwrap();
    db.settle().unwrap();
    let state = format!("SELECT concat_ws(' ', state, error) FROM groundskeeper.jobs WHERE job_id = {job}");
    let how = text(&mut client, &state).unwrap();
    assert!(how.starts_with("failed") || how == "succeeded", "{how}");
    let attached = "SELECT string_agg(relid::regclass::text, ' ' ORDER BY 1) FROM pg_partition_tree('bets') WHERE relid::regclass::text ~ 'ld'";
    let attached = text(&mut client, attached).unwrap();
    assert!(!attached.contains("old Bets"), "{how}: {attached}");
}

#[test]
fn making_months_does_not_read_a_default_partition_with_an_index_by_the_key() {
    let (db, mut client) = with(BETS);
    client.batch_execute("CREATE INDEX ON bets (at)").unwrap();
    client.batch_execute(MANY).unwrap();
    let mut psql = db.server().client_program("psql", db.name());
    psql.args(["--no-psqlrc", "--command=SET client_min_messages = debug1"])
        .arg("--command=SELECT * FROM create_monthly_partitions(4)");
    let output = psql.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.matches("is implied by existing constraints").count() >= 8, "{said}");
    assert!(!said.contains("verifying"), "{said}");
    assert_eq!(leftovers(&mut client), [""; 0]);
    // it is looked at all the same
    client.batch_execute("INSERT INTO bets VALUES (1, '2023-01-05', 1)").unwrap();
}

#[test]
fn a_large_default_partition_without_one_is_read_by_a_job() {
    let (db, mut client) = with(BETS);
    client.batch_execute("DROP INDEX once").unwrap();
    client.batch_execute(MANY).unwrap();
    let query =
        "SELECT split_part(action, ':', 1) FROM create_monthly_partitions(2) WHERE partition !~ '2025_03'";
    let mut said = Vec::new();
    let stall = written_during(&db, || {
        said = texts(&mut client, query).unwrap();
        db.settle().unwrap();
    });
    assert!(said.iter().all(|said| said == "queued") && said.len() > 2, "{said:?}");
    assert!(stall < Duration::from_millis(400), "{stall:?}");
    let states = "SELECT DISTINCT concat_ws(' ', kind, state, error) FROM groundskeeper.jobs";
    assert_eq!(texts(&mut client, states).unwrap(), ["create_partitions succeeded"]);
    let missing = "SELECT count(*) FROM create_monthly_partitions(2, true) WHERE action <> 'exists'";
    assert_eq!(text(&mut client, missing).unwrap(), "0");
    assert_eq!(leftovers(&mut client), [""; 0]);
    // a month whose rows are there is left, and the others are made
    client
        .batch_execute("INSERT INTO bets SELECT 1, date_trunc('month', now()) + interval '100 days', 1")
        .unwrap();
    client.batch_execute("SELECT create_monthly_partitions(5)").unwrap();
    db.settle().unwrap();
    let failed = "SELECT error FROM groundskeeper.jobs WHERE state = 'failed'";
    assert!(text(&mut client, failed).unwrap().contains("are in the default partition"));
    let left = "SELECT count(*) FILTER (WHERE action = 'exists') || ' ' || count(*) FROM create_monthly_partitions(5, true)";
    assert_eq!(text(&mut client, left).unwrap(), "4 5");
    assert_eq!(leftovers(&mut client), [""; 0]);
}
