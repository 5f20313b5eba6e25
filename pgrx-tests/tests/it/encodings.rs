//! Names beyond ASCII, in databases of every kind of encoding.

use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

/// Everything that has a name, called NNN; statements go through `run()`, as no client can send what is no text.
const TABLES: &str = r#"
    CREATE SCHEMA "NNN";
    CREATE TABLE "NNN"."NNN" ("NNN id" bigint PRIMARY KEY, "NNN" date, n integer);
    CREATE INDEX "NNN index" ON "NNN"."NNN" (n);
    CREATE TABLE "NNN".child (r bigint CONSTRAINT "NNN ref" REFERENCES "NNN"."NNN");
    INSERT INTO "NNN"."NNN" SELECT i, current_date - i, i FROM generate_series(1, 90) i;
    INSERT INTO "NNN".child VALUES (1);
    CREATE MATERIALIZED VIEW "NNN"."NNN view" AS SELECT n FROM "NNN"."NNN";
    ALTER TABLE "NNN"."NNN" OWNER TO "RRR"; ALTER SCHEMA "NNN" OWNER TO "RRR"; ALTER TABLE "NNN".child OWNER TO "RRR";
    ALTER MATERIALIZED VIEW "NNN"."NNN view" OWNER TO "RRR"#;

struct Named {
    _db: TestDb,
    client: Client,
    /// Whether the name is text to a client.
    is_text: bool,
}

impl Named {
    /// A database in which everything is called by what the expression says.
    fn new(encoding: &str, name: &str) -> Self {
        let mut db = TestDb::encoded(encoding).unwrap();
        let role = db.role("owner").unwrap();
        let mut client = db.client().unwrap();
        client
            .batch_execute(&format!(
                "CREATE FUNCTION public.run(statements text) RETURNS text LANGUAGE plpgsql AS $$
                 DECLARE said text;
                 BEGIN
                     IF statements LIKE 'SELECT %' THEN
                         EXECUTE replace(statements, 'NNN', {name}) INTO said;
                     ELSE
                         EXECUTE replace(replace(statements, 'NNN', {name}), 'RRR', '{role}');
                     END IF;
                     RETURN said;
                 END $$;
                 CREATE FUNCTION public.refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
                 BEGIN
                     EXECUTE replace(statement, 'NNN', {name});
                     RETURN 'not refused';
                 EXCEPTION WHEN OTHERS THEN
                     RETURN SQLSTATE;
                 END $$"
            ))
            .unwrap();
        let mut named = Self { _db: db, client, is_text: !name.contains("chr(") };
        named.run(&format!("{TABLES}\""));
        named
    }

    /// What is run, and how it went.
    fn call(statement: &str) -> String {
        format!("SELECT run('{}')", statement.replace('\'', "''"))
    }

    fn run(&mut self, statements: &str) -> String {
        let said = text(&mut self.client, &Self::call(statements));
        said.unwrap_or_else(|error| panic!("{statements}: {error:?}"))
    }

    /// Runs the job that a call queues to its good end.
    fn job(&mut self, call: &str) {
        let job = self.run(&format!("SELECT groundskeeper.{call}"));
        self.client.batch_execute(&format!("CALL groundskeeper.wait_for_job({job}, '1 min')")).unwrap();
        let ended = "SELECT concat_ws(' ', state, encode(convert_to(error, getdatabaseencoding()), 'escape'))
                       FROM groundskeeper.jobs WHERE job_id = ";
        assert_eq!(text(&mut self.client, &format!("{ended}{job}")).unwrap(), "succeeded", "{call}");
    }

    /// Refused, with that SQLSTATE; what is said reaches the client where it can be said at all.
    fn refused(&mut self, statement: &str, code: &str) {
        let quoted = statement.replace('\'', "''");
        assert_eq!(
            text(&mut self.client, &format!("SELECT refused('{quoted}')")).unwrap(),
            code,
            "{statement}"
        );
        if self.is_text {
            let refused = refusal(&mut self.client, &Self::call(statement)).unwrap();
            assert_eq!(refused.code, code, "{statement}: {refused:?}");
            let texts = [refused.message, refused.detail, refused.hint].concat();
            assert!(!texts.contains('\u{fffd}'), "{statement}: {texts}");
        }
    }
}

fn everything_works(encoding: &str, name: &str) {
    let mut named = Named::new(encoding, name);
    let t = r#"'"NNN"."NNN"'"#;
    // A conversion, there and back and there.
    let findings = format!("SELECT count(*) FROM groundskeeper.partition_preflight({t}, 'NNN')");
    assert_ne!(named.run(&findings), "0");
    let partition = format!("partition_table({t}, 'NNN', accept => '{{on_conflict}}')");
    named.job(&partition);
    named.job(&format!("undo_partitioning({t})"));
    named.job(&partition);
    // What is guarded.
    named.refused(r#"ALTER TABLE "NNN"."NNN" RENAME TO other"#, "55000");
    named.refused(r#"DROP TABLE "NNN"."NNN_default""#, "55000");
    named.run(r#"CREATE TABLE "NNN"."NNN far" PARTITION OF "NNN"."NNN" FOR VALUES FROM ('2097-01-01') TO ('2097-02-01');
           ALTER TABLE "NNN"."NNN far" OWNER TO "RRR""#);
    named.job(&format!("finalize_partitioning({t})"));
    let keys =
        r#"SELECT count(*) FROM "NNN"."NNN" FULL JOIN "NNN"."NNN_key" USING ("NNN id") WHERE "NNN" IS NULL"#;
    assert_eq!(named.run(keys), "0");
    // Partitions come and go.
    let made = "SELECT count(*) FROM create_monthly_partitions(5) WHERE action = 'created'";
    assert_eq!(named.run(made), "2");
    named.run(r#"INSERT INTO "NNN"."NNN" VALUES (1000, current_date + 300, 0)"#);
    named.job(&format!("drain_default({t})"));
    named.job(r#"drop_partition('"NNN"."NNN far"')"#);
    named.run(
        r#"CREATE SCHEMA "NNN attic" AUTHORIZATION "RRR"; SET groundskeeper.archive_schema = 'NNN attic'"#,
    );
    named.run(&format!("SELECT groundskeeper.set_retention({t}, '1 month', 'archive')"));
    let retired = "SELECT encode(convert_to(string_agg(concat(action, ' ', detail), ', '), getdatabaseencoding()), 'escape')
                     FROM groundskeeper.apply_retention()";
    let retired = named.run(retired);
    assert!(retired.contains("archived"), "{retired}");
    let oldest = r#"SELECT min(relid::regclass::text) FROM pg_partition_tree('"NNN"."NNN"') WHERE isleaf AND relid::text ~ '\d'"#;
    let detach = format!("detach_partition(({oldest})::regclass)");
    named.job(&detach);
    // An index and a view.
    named.run(r#"CREATE TABLE "NNN"."NNN plain" ("NNN" integer PRIMARY KEY)"#);
    named.job(r#"reindex('"NNN"."NNN plain_pkey"')"#);
    named.run(r#"SELECT groundskeeper.maintain('"NNN"."NNN view"')"#);
    let refreshed = "SELECT count(*) FROM update_table_statistics(true) WHERE action NOT LIKE 'failed%' AND relation LIKE '%NNN%'";
    assert_ne!(named.run(refreshed), "0");
    looked_at(&mut named);
    told(&mut named);
}

/// All that only looks.
fn looked_at(named: &mut Named) {
    let views = "SELECT format('SELECT count(v.*::text) FROM %s v', c.oid::regclass) FROM pg_class c
                  WHERE relkind = 'v' AND relnamespace IN ('monitoring'::regnamespace, 'groundskeeper'::regnamespace)";
    for look in texts(&mut named.client, views).unwrap() {
        named.run(&look);
    }
    for function in [
        "plan_status()",
        "kpi_report()",
        "check_alerts()",
        "query_latency()",
        "prerequisites()",
        "recommend_pool_size()",
    ] {
        named.run(&format!("SELECT count(f.*::text) FROM groundskeeper.{function} f"));
    }
    named.run("SELECT groundskeeper.record_metrics()");
    let known =
        "SELECT count(*) FROM monitoring.partition_health WHERE parent = format('%I.%I', 'NNN', 'NNN')";
    assert_eq!(named.run(known), "1");
}

/// What is refused says why, whatever it is about.
fn told(named: &mut Named) {
    for (statement, code) in [
        (r#"SELECT groundskeeper.partition_table('"NNN"."NNN plain"', 'NNN')"#, "55000"),
        (r#"SELECT groundskeeper.partition_table('"NNN"."NNN plain"', 'no NNN')"#, "55000"),
        (r#"SELECT groundskeeper.adopt_partitioned_table('"NNN"."NNN plain"')"#, "42809"),
        (r#"SELECT groundskeeper.adopt_partitioned_table('"NNN"."NNN"', 'NNN')"#, "22023"),
        (r#"SELECT groundskeeper.adopt_partitioned_table('"NNN"."NNN"', timezone => 'NNN')"#, "22023"),
        ("SELECT groundskeeper.silence_alert('NNN', now() + interval '1 hour', 'NNN')", "42704"),
        ("SELECT groundskeeper.apply_plan(true, '{NNN}')", "22023"),
        ("SELECT groundskeeper.connection_pool_config('NNN')", "22023"),
        (r#"SELECT groundskeeper.drain_default('"NNN"."NNN plain"')"#, "55000"),
        ("INSERT INTO groundskeeper.kpi_targets VALUES ('NNN', 1, '<', 1, NULL)", "22023"),
        (
            "INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES ('NNN', 'NNN', 'SELECT 1')",
            "22023",
        ),
        (
            "INSERT INTO groundskeeper.schedule (job_name, schedule, command) VALUES ('NNN', '0 4 * * *', 'NNN')",
            "42601",
        ),
        ("INSERT INTO groundskeeper.column_names VALUES ('NNN', 'NNN', 'NNN')", "22023"),
    ] {
        named.refused(statement, code);
    }
    let failed = "SELECT count(*) FROM groundskeeper.jobs WHERE state = 'failed'";
    assert_eq!(text(&mut named.client, failed).unwrap(), "0");
}

#[test]
fn utf8() {
    everything_works("UTF8", "'niñ表🎲'");
}

#[test]
fn what_stands_for_bytes_is_a_name_too() {
    everything_works("UTF8", "'a\u{10ff80}\u{10fff1}b'");
}

#[test]
fn latin1() {
    everything_works("LATIN1", "'niñería'");
}

#[test]
fn win1252() {
    everything_works("WIN1252", "'Š€–œ'");
}

#[test]
fn euc_jp() {
    everything_works("EUC_JP", "'日本表'");
}

#[test]
fn sql_ascii() {
    everything_works("SQL_ASCII", "'niñería'");
}

#[test]
fn sql_ascii_with_bytes_of_no_encoding() {
    everything_works("SQL_ASCII", "'ni' || chr(241) || 'a' || chr(128)");
}
