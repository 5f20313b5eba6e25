//! What behaves otherwise afterwards, or would fail late, is said beforehand; what is said helps.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::refusals::{PLAIN, each_is_refused_until};
use super::{carry_out, convert, ended, installed, leftovers, queue, undo, until, with};

/// What fails only when the shadow is made, indexed or exchanged, or afterwards; the check; what takes it away.
const LATE: &[(&str, &str, &str)] = &[
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (t.* IS DISTINCT FROM NULL)", "checks", "ALTER TABLE t DROP CONSTRAINT c"),
    (
        "ALTER TABLE t ADD CONSTRAINT c CHECK (t.* IS DISTINCT FROM NULL) NOT VALID",
        "checks",
        "ALTER TABLE t DROP CONSTRAINT c",
    ),
    ("ALTER TABLE t ADD CONSTRAINT c CHECK (tableoid = 't'::regclass)", "checks", "ALTER TABLE t DROP CONSTRAINT c"),
    ("ALTER TABLE t ADD o oid GENERATED ALWAYS AS (tableoid) STORED", "checks", "ALTER TABLE t DROP o"),
    ("CREATE INDEX i ON t ((t.*))", "indexes", "DROP INDEX i"),
    ("CREATE INDEX i ON t (n) WHERE t.* IS NOT NULL", "indexes", "DROP INDEX i"),
    ("CREATE FUNCTION f() RETURNS SETOF integer BEGIN ATOMIC SELECT n FROM t GROUP BY id; END", "functions", "DROP FUNCTION f()"),
    (
        "CREATE FUNCTION f(i bigint) RETURNS void BEGIN ATOMIC INSERT INTO t VALUES (i) ON CONFLICT ON CONSTRAINT t_pkey DO NOTHING; END",
        "functions",
        "DROP FUNCTION f(bigint)",
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.day := current_date; RETURN NEW; END';
         CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "triggers",
        "DROP TRIGGER g ON t; ALTER TABLE t ALTER day SET DEFAULT current_date",
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN IF TG_OP = ''INSERT'' THEN SELECT current_date INTO NEW.\"day\"; END IF; RETURN NEW; END';
         CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "triggers",
        "DROP TRIGGER g ON t",
    ),
    (
        "CREATE PUBLICATION p FOR TABLE t WITH (publish_via_partition_root = true)",
        "replica_identity",
        "ALTER TABLE t REPLICA IDENTITY FULL",
    ),
    (
        "CREATE PUBLICATION p FOR TABLE t (id, n) WITH (publish_via_partition_root = true)",
        "replica_identity",
        "ALTER PUBLICATION p SET (publish = 'insert, truncate')",
    ),
];

#[test]
fn what_would_fail_late_is_named_and_its_remedy_helps() {
    each_is_refused_until(LATE);
}

fn details(client: &mut Client, check: &str) -> Vec<String> {
    let query = format!(
        "SELECT severity || ' ' || detail FROM groundskeeper.partition_preflight('t', 'day')
          WHERE check_name = '{check}' AND severity <> 'ok' ORDER BY 1"
    );
    texts(client, &query).unwrap()
}

/// The call that a refusal's hint completes, as it stands there.
fn as_hinted(client: &mut Client, accept: &str) -> String {
    let call = format!("partition_table('t', 'day', accept => {accept})");
    let refused = refusal(client, &format!("SELECT groundskeeper.{call}")).unwrap();
    assert_eq!(refused.code, "55000", "{refused:?}");
    let (_, hinted) = refused.hint.split_once("accept => ").unwrap();
    format!("partition_table('t', 'day', accept => {})", hinted.trim_end_matches('.'))
}

#[test]
fn triggers_that_notice_partitions_are_acknowledged() {
    let (_db, mut client) = with(&format!(
        "{PLAIN}
         CREATE TABLE log (line text);
         CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN INSERT INTO log VALUES (TG_OP || '' '' || TG_TABLE_NAME); RETURN NULL; END';
         CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.n := NEW.n + 1; RETURN NEW; END';
         CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER a AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION noted();
         CREATE TRIGGER b BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION seen();
         CREATE TRIGGER c AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION nothing();
         CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
         CREATE TRIGGER d BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION kept();
         CREATE TRIGGER e BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION seen();
         CREATE TRIGGER f AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION nothing();
         CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION noted();
         ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (t.* IS NOT NULL)"
    ));
    let found = details(&mut client, "triggers");
    let begin =
        ["a uses TG_TABLE_NAME", "b runs before a row is inserted", "c sees an UPDATE", "d sees an UPDATE"];
    assert_eq!(found.len(), begin.len(), "{found:?}");
    for (found, begin) in found.iter().zip(begin) {
        assert!(found.starts_with(&format!("warning {begin}")), "{found}");
    }
    let call = as_hinted(&mut client, "'{}'");
    assert_eq!(call, "partition_table('t', 'day', accept => ARRAY['on_conflict', 'triggers'])");
    carry_out(&mut client, &call);
    // what was said is so
    client.batch_execute("INSERT INTO t VALUES (1000, current_date, 1)").unwrap();
    let lines = texts(&mut client, "SELECT line FROM log ORDER BY line").unwrap();
    assert!(lines.len() == 2 && lines.iter().any(|line| line == "INSERT t"), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("INSERT t_20")), "{lines:?}");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn a_default_in_place_of_the_trigger_is_a_remedy() {
    let (_db, mut client) = with(
        "CREATE TABLE public.t (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text, day timestamptz);
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.day := now(); RETURN NEW; END';
         CREATE TRIGGER stamp BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();
         INSERT INTO t (v) VALUES ('before')",
    );
    let found = details(&mut client, "triggers");
    assert!(found.len() == 1 && found[0].starts_with("blocker stamp sets day"), "{found:?}");
    client
        .batch_execute("ALTER TABLE t ALTER COLUMN day SET DEFAULT now(); DROP TRIGGER stamp ON t")
        .unwrap();
    assert_eq!(details(&mut client, "triggers"), [""; 0]);
    convert(&mut client, "t", "day");
    client.batch_execute("INSERT INTO t (v) VALUES ('after')").unwrap();
    assert_eq!(text(&mut client, "SELECT count(day) FROM t").unwrap(), "2");
}

#[test]
fn functions_are_searched_for_what_will_fail() {
    let (_db, mut client) = with(&format!(
        "{PLAIN}
         CREATE SCHEMA other; CREATE TABLE other.t (id bigint PRIMARY KEY);
         CREATE FUNCTION f1() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t WHERE ctid > ''(0,0)''';
         CREATE FUNCTION f2() RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE ''INSERT INTO t VALUES (1) ON CONFLICT (id) DO NOTHING''; END';
         CREATE FUNCTION f3(i bigint) RETURNS void BEGIN ATOMIC INSERT INTO t VALUES (i) ON CONFLICT (id) DO NOTHING; END;
         CREATE FUNCTION f4() RETURNS SETOF xid BEGIN ATOMIC SELECT xmin FROM t; END;
         CREATE PROCEDURE f5() LANGUAGE plpgsql AS 'BEGIN PERFORM id, n FROM public.t GROUP BY id; END';
         CREATE FUNCTION f6() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM ONLY t';
         CREATE FUNCTION f7() RETURNS void LANGUAGE plpgsql AS 'BEGIN COPY t TO ''/dev/null''; END';
         CREATE FUNCTION g1() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM other.t WHERE ctid > ''(0,0)''';
         CREATE FUNCTION g2() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t -- by ctid';
         CREATE FUNCTION g3() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t GROUP BY id; END;
         CREATE VIEW v AS SELECT ctid AS place FROM t"
    ));
    let found = details(&mut client, "functions");
    let begin = [
        "f1() reads ctid",
        "f2() inserts with ON CONFLICT",
        "f3(bigint) inserts with ON CONFLICT",
        "f4() reads xmin",
        "f5() groups by",
        "f6() says ONLY",
        "f7() copies",
    ];
    assert_eq!(found.len(), begin.len(), "{found:?}");
    for (found, begin) in found.iter().zip(begin) {
        assert!(found.starts_with(&format!("warning public.{begin}")), "{found}");
    }
    assert_eq!(
        details(&mut client, "views"),
        ["warning public.v shows ctid, which is one of each partition"]
    );
    let call = as_hinted(&mut client, "'{triggers,views}'");
    let all = "partition_table('t', 'day', accept => ARRAY['triggers', 'views', 'on_conflict', 'functions'])";
    assert_eq!(call, all);
    carry_out(&mut client, all);
    assert_eq!(refusal(&mut client, "SELECT f2()").unwrap().code, "42P10");
    assert_eq!(refusal(&mut client, "SELECT f3(1)").unwrap().code, "42P10");
    assert_eq!(refusal(&mut client, "SELECT f7()").unwrap().code, "42809");
    assert_eq!(text(&mut client, "SELECT f6()").unwrap(), "0");
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn what_a_lost_key_changes_is_spelled_out() {
    let (_db, mut client) = with(
        "CREATE TABLE public.t (id integer, \"a b\" integer, day date, x integer, PRIMARY KEY (\"a b\", id) INCLUDE (x, day));
         CREATE TABLE public.k (id integer, day date, PRIMARY KEY (id, day));",
    );
    let found = details(&mut client, "on_conflict");
    assert!(found.iter().any(|f| f.contains("ON CONFLICT (\"a b\", id) fails")), "{found:?}");
    assert!(found.iter().all(|f| f.starts_with("warning ") && !f.contains(", x")), "{found:?}");
    for told in [
        "GROUP BY",
        "COPY public.t TO",
        "RETURNING xmin",
        "ctid",
        "CONCURRENTLY",
        "foreign key",
        "ORM",
        "40001",
    ] {
        assert!(found.iter().any(|f| f.contains(told)), "{told}: {found:?}");
    }
    let names = "SELECT DISTINCT check_name FROM groundskeeper.partition_preflight('k', 'day') WHERE severity <> 'ok'";
    assert_eq!(texts(&mut client, names).unwrap(), ["statements"]);
    client.batch_execute("INSERT INTO t VALUES (1, 2, '2026-05-05', 3)").unwrap();
    convert(&mut client, "t", "day");
    carry_out(&mut client, "partition_table('k', 'day')");
    client
        .batch_execute(
            "CREATE TABLE child (id integer, b integer, FOREIGN KEY (b, id) REFERENCES t_key (\"a b\", id))",
        )
        .unwrap();
    for (statement, code) in [
        ("INSERT INTO t VALUES (1, 2) ON CONFLICT (\"a b\", id) DO NOTHING", "42P10"),
        ("SELECT id, \"a b\", x FROM t GROUP BY \"a b\", id", "42803"),
        ("COPY t TO STDOUT", "42809"),
        ("INSERT INTO t VALUES (5, 5) RETURNING xmin", "0A000"),
        ("CREATE INDEX CONCURRENTLY ON t (x)", "0A000"),
        ("ALTER TABLE t SET (fillfactor = 70)", "22023 42809"),
        ("CREATE TABLE c2 (id integer, b integer, FOREIGN KEY (b, id) REFERENCES t (\"a b\", id))", "42830"),
        ("INSERT INTO k VALUES (1, '2026-05-05'), (1, '2026-05-05') ON CONFLICT (id) DO NOTHING", "42P10"),
    ] {
        let refused = refusal(&mut client, statement).unwrap();
        assert!(code.contains(&refused.code), "{statement}: {refused:?}");
    }
}

#[test]
fn what_only_a_rehearsal_shows_is_named_and_leaves_nothing_behind() {
    let (_db, mut client) = with(&format!(
        "{PLAIN}
         CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS
             'BEGIN IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = ''public.t_default'')
                    THEN RAISE EXCEPTION ''not here''; END IF; END';
         CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION refuse()"
    ));
    let query = "SELECT check_name || ': ' || detail FROM groundskeeper.partition_preflight('t', 'day') WHERE severity = 'blocker'";
    let expected = ["rehearsal: the partitioned table cannot be made: not here (P0001)"];
    assert_eq!(texts(&mut client, query).unwrap(), expected);
    client.batch_execute("BEGIN READ ONLY").unwrap();
    assert_eq!(texts(&mut client, query).unwrap(), [""; 0]);
    client.batch_execute("COMMIT; DROP EVENT TRIGGER refuse").unwrap();
    assert_eq!(texts(&mut client, query).unwrap(), [""; 0]);
    assert_eq!(leftovers(&mut client), [""; 0]);
}

#[test]
fn an_owner_whom_no_job_can_connect_as_is_a_blocker() {
    let (mut db, mut client) = installed(Template::Empty);
    let owner = quote_ident(&db.role("owner").unwrap());
    client.batch_execute(&format!("{PLAIN} GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE t OWNER TO {owner}; ALTER ROLE {owner} NOLOGIN")).unwrap();
    let query = "SELECT detail || ' ' || remedy FROM groundskeeper.partition_preflight('t', 'day') WHERE severity = 'blocker'";
    let found = text(&mut client, query).unwrap();
    assert!(found.contains("may not log in") && found.ends_with("LOGIN"), "{found}");
    let call = "SELECT groundskeeper.partition_table('t', 'day', accept => '{on_conflict}')";
    assert_eq!(refusal(&mut client, call).unwrap().code, "55000");
    client.batch_execute(&format!("ALTER ROLE {owner} LOGIN")).unwrap();
    convert(&mut client, "t", "day");
    undo(&mut client, "t");
}

#[test]
fn temporary_views_are_other_sessions() {
    let (db, mut client) = with(PLAIN);
    let mut other = db.client().unwrap();
    for made in [
        "CREATE TEMP VIEW passing AS SELECT n FROM t",
        "CREATE FUNCTION pg_temp.passing() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM t; END",
    ] {
        other.batch_execute(made).unwrap();
        let found = details(&mut client, "views");
        assert!(found.len() == 1 && found[0].contains("is temporary"), "{made}: {found:?}");
        assert!(found[0].starts_with("blocker"), "{found:?}");
        other.batch_execute("DISCARD TEMP").unwrap();
    }
    convert(&mut client, "t", "day");
}

#[test]
fn a_replica_identity_goes_to_the_whole_and_to_all_partitions() {
    let (_db, mut client) = with(&format!(
        "{PLAIN} CREATE PUBLICATION p FOR ALL TABLES WITH (publish_via_partition_root = true);
         ALTER TABLE t REPLICA IDENTITY FULL"
    ));
    carry_out(&mut client, "partition_table('t', 'day', accept => '{on_conflict,publications}')");
    client.batch_execute("SELECT FROM create_monthly_partitions(6)").unwrap();
    let identities = "SELECT DISTINCT relreplident FROM pg_partition_tree('t') JOIN pg_class ON oid = relid";
    assert_eq!(texts(&mut client, identities).unwrap(), ["f"]);
    client.batch_execute("UPDATE t SET n = 0; DELETE FROM t WHERE id > 100").unwrap();
    undo(&mut client, "t");
}

#[test]
fn what_comes_into_the_way_meanwhile_is_named() {
    let (db, mut client) = with(PLAIN);
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t LIMIT 1").unwrap();
    let job = queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    until(&mut client, "SELECT stage FROM groundskeeper.conversion", "proven");
    reader.batch_execute("CREATE VIEW v AS SELECT id, n, count(*) FROM t GROUP BY id; COMMIT").unwrap();
    let (state, error) = ended(&mut client, job);
    assert!(
        state == "failed" && error.contains("views: public.v groups by the primary key"),
        "{state} {error}"
    );
    client.batch_execute(&format!("DROP VIEW v; SELECT groundskeeper.retry_job({job})")).unwrap();
    assert_eq!(ended(&mut client, job).0, "succeeded");
}

/// How many partitions the preflight says that there will be.
fn forecast(client: &mut Client, table: &str, arguments: &str) -> String {
    let query = format!(
        "SELECT DISTINCT substring(detail FROM '(\\d+) partitions') FROM groundskeeper.partition_preflight('{table}', 'day'{arguments})
          WHERE check_name = 'rows'"
    );
    text(client, &query).unwrap()
}

#[test]
fn as_many_partitions_as_were_foretold_and_room_for_more() {
    let (db, mut client) = installed(Template::Empty);
    let limit = format!("ALTER DATABASE {} SET groundskeeper.max_partitions = 150", db.name());
    client.batch_execute(&limit).unwrap();
    let mut client = db.client().unwrap();
    for (n, (oldest, arguments, expected)) in [
        ("1970-01-01", ", 'day'", "78"),
        ("0001-01-01 00:00+00", ", 'day', 'Asia/Tokyo', 5", "80"),
        ("0001-06-01", "", "78"),
        ("0044-03-15 BC", ", 'year'", "3"),
        ("infinity", ", 'week', 'UTC'", "9"),
    ]
    .into_iter()
    .enumerate()
    {
        let table = format!("t{n}");
        client
            .batch_execute(&format!(
                "CREATE TABLE {table} (id bigint PRIMARY KEY, day timestamptz NOT NULL);
                 INSERT INTO {table} SELECT g, date_trunc('week', now(), 'UTC') - g * interval '1 hour' FROM generate_series(1, 1000) g;
                 INSERT INTO {table} VALUES (0, '{oldest}')"
            ))
            .unwrap();
        let foretold = forecast(&mut client, &table, arguments);
        assert!(
            foretold == expected || arguments.contains("year") && foretold == "4",
            "{oldest}{arguments}: {foretold}"
        );
        carry_out(
            &mut client,
            &format!("partition_table('{table}', 'day'{arguments}, accept => '{{on_conflict}}')"),
        );
        let made = format!("SELECT count(*) - 1 FROM pg_partition_tree('{table}') WHERE isleaf");
        assert_eq!(text(&mut client, &made).unwrap(), foretold, "{oldest}{arguments}");
    }
    let failed = "SELECT count(*) FROM create_monthly_partitions(2) WHERE action LIKE 'failed%'";
    assert_eq!(text(&mut client, failed).unwrap(), "0");
}

#[test]
fn empty_partitions_are_foretold_with_the_rows_that_cause_them() {
    let (_db, mut client) = with(
        "CREATE TABLE public.t (id bigint PRIMARY KEY, day timestamp NOT NULL);
         INSERT INTO t SELECT g, now() - g * interval '1 hour' FROM generate_series(1, 2000) g;
         INSERT INTO t VALUES (0, '1990-05-05'), (-1, '1990-06-05')",
    );
    let query = "SELECT detail || '|' || remedy FROM groundskeeper.partition_preflight('t', 'day')
                  WHERE check_name = 'rows' AND detail LIKE '%empty%' AND severity = 'warning'";
    let found = text(&mut client, query).unwrap();
    assert!(found.contains("because of rows older than 20") && found.contains(": 2|"), "{found}");
    let (_, remedy) = found.split_once('|').unwrap();
    let (statement, _) = remedy.split_once(" shows them").unwrap();
    assert_eq!(
        text(&mut client, &statement.replace('*', "string_agg(id::text, ' ' ORDER BY id)")).unwrap(),
        "-1 0"
    );
    client.batch_execute("DELETE FROM t WHERE id < 1").unwrap();
    assert_eq!(texts(&mut client, query).unwrap(), [""; 0]);
}
