//! Names that break out of quotes, owners that lie in wait, sessions that are bent.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{carry_out, differing, ended, installed, leftovers, queue, undo, with};

const NAMES: [&str; 8] = [
    r#"it's "quoted""#,
    "dots.and;semi--colons/*",
    "100% %I %s $1 $$ $body$",
    r"back\slash\' E'\n",
    "Ünïcödé 表 🎲",
    "sixty_three_bytes_long_name_that_is_cut_nowhere_else_than_here_",
    "select",
    "'); DROP TABLE canary; --",
];

#[test]
fn names_are_names() {
    for (at, name) in NAMES.iter().enumerate() {
        let (_db, mut client) = with("CREATE TABLE public.canary ()");
        let key = NAMES[(at + 1) % NAMES.len()];
        let (schema, table, id, day) = (
            quote_ident(&format!("s{}", &name.chars().take(20).collect::<String>())),
            quote_ident(name),
            quote_ident(key),
            quote_ident(&format!("d {}", &key.chars().take(15).collect::<String>())),
        );
        client
            .batch_execute(&format!(
                "CREATE SCHEMA {schema}; CREATE TABLE {schema}.{table} ({id} serial PRIMARY KEY, {day} date, x integer);
                 INSERT INTO {schema}.{table} ({day}, x) SELECT current_date - i, i FROM generate_series(1, 80) i;
                 CREATE INDEX ON {schema}.{table} (x); CREATE TABLE {schema}.child (r integer REFERENCES {schema}.{table} ON DELETE CASCADE);
                 INSERT INTO {schema}.child VALUES (1); CREATE VIEW {schema}.v AS SELECT * FROM {schema}.{table}"
            ))
            .unwrap();
        let call =
            |f: &str, rest: &str| format!("{f}('{}'{rest})", format!("{schema}.{table}").replace('\'', "''"));
        let day_literal = day[1..day.len() - 1].replace("\"\"", "\"").replace('\'', "''");
        for last in ["undo_partitioning", "finalize_partitioning"] {
            carry_out(
                &mut client,
                &call("partition_table", &format!(", '{day_literal}', accept => '{{on_conflict}}'")),
            );
            client
                .batch_execute(&format!(
                    "INSERT INTO {schema}.{table} ({day}, x) VALUES (NULL, 0); UPDATE {schema}.{table} SET {id} = {id} + 5000, {day} = NULL WHERE {id} = 3;
                     UPDATE {schema}.{table} SET {id} = 3 WHERE {id} = 5003; DELETE FROM {schema}.{table} WHERE x = 0"
                ))
                .unwrap();
            carry_out(&mut client, &call(last, ""));
            assert_eq!(
                text(&mut client, &format!("SELECT count(*) FROM {schema}.{table}")).unwrap(),
                "80",
                "{name}"
            );
        }
        client
            .batch_execute(&format!("DELETE FROM {schema}.{table} WHERE {id} = 1; SELECT FROM public.canary"))
            .unwrap();
        assert_eq!(
            text(&mut client, &format!("SELECT count(*) FROM {schema}.child")).unwrap(),
            "0",
            "{name}"
        );
    }
}

/// Functions, operators and casts by the names of PostgreSQL's own, which tell who calls them.
const TRAPS: &str = r#"
    CREATE TABLE mine.calls (who name);
    CREATE FUNCTION mine.spring(r anyelement) RETURNS anyelement LANGUAGE plpgsql VOLATILE AS
        'BEGIN INSERT INTO mine.calls VALUES (current_user); RETURN r; END';
    CREATE FUNCTION mine.eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS
        'BEGIN PERFORM mine.spring(1); RETURN true; END';
    CREATE OPERATOR mine.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = mine.eq);
    CREATE FUNCTION mine.count(bigint) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN PERFORM mine.spring(1); RETURN 0; END';
    CREATE FUNCTION mine.format(text, text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM mine.spring(1); RETURN $1; END';
    CREATE FUNCTION mine.watched(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
        'BEGIN PERFORM mine.spring(1); RETURN $1; END';
    CREATE TYPE mine.pair AS (a integer, b text);
    CREATE FUNCTION mine.to_text(mine.pair) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM mine.spring(1); RETURN ''same''; END';
    CREATE CAST (mine.pair AS text) WITH FUNCTION mine.to_text(mine.pair) AS ASSIGNMENT;
    CREATE FUNCTION mine.on_row() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM mine.spring(1); RETURN NEW; END';
    CREATE TABLE mine.t (id bigint PRIMARY KEY, day date, n integer CHECK (mine.watched(n) >= 0), p mine.pair);
    INSERT INTO mine.t SELECT i, current_date - i % 60, i, ROW(i, 'x')::mine.pair FROM generate_series(1, 300) i;
    CREATE INDEX ON mine.t (mine.watched(n));
    CREATE MATERIALIZED VIEW mine.m AS SELECT mine.watched(n) AS n FROM mine.t;
    CREATE TRIGGER on_row BEFORE UPDATE ON mine.t FOR EACH ROW EXECUTE FUNCTION mine.on_row();
    TRUNCATE mine.calls;"#;

fn owned(db: &mut TestDb, client: &mut Client) -> (String, Client) {
    let owner = db.role("owner").unwrap();
    let quoted = quote_ident(&owner);
    client.batch_execute(&format!("CREATE SCHEMA mine AUTHORIZATION {quoted}")).unwrap();
    let mut theirs = db.client_as(&owner).unwrap();
    theirs.batch_execute(TRAPS).unwrap();
    (owner, theirs)
}

#[test]
fn an_owners_code_runs_as_the_owner_whoever_asks() {
    let (mut db, mut client) = installed(Template::Empty);
    let (owner, mut theirs) = owned(&mut db, &mut client);
    let quoted = quote_ident(&owner);
    client
        .batch_execute(&format!(
            "ALTER ROLE {quoted} SET search_path = mine, pg_catalog; ALTER ROLE {quoted} SET statement_timeout = '1ms';
             ALTER ROLE {quoted} SET datestyle = 'SQL, DMY'; ALTER ROLE {quoted} SET timezone = 'Asia/Kolkata';
             ALTER ROLE {quoted} SET extra_float_digits = -10; ALTER ROLE {quoted} SET default_transaction_isolation = 'serializable';
             ALTER ROLE {quoted} SET session_replication_role = 'origin'"
        ))
        .unwrap();
    let convert = "partition_table('mine.t', 'day', accept => '{on_conflict}')";
    for call in [convert, "undo_partitioning('mine.t')", convert, "finalize_partitioning('mine.t')"] {
        // the superuser's own path leads there too
        client.batch_execute("SET search_path = mine, pg_catalog").unwrap();
        let job = queue(&mut client, call);
        client.batch_execute("RESET search_path").unwrap();
        let (state, error) = ended(&mut client, job);
        assert_eq!(state, "succeeded", "{call}: {error}");
        theirs.batch_execute("UPDATE mine.t SET n = n + 1, id = id + 1000 WHERE mine.t.n = 5").unwrap();
    }
    assert_eq!(texts(&mut client, "SELECT DISTINCT who FROM mine.calls").unwrap(), [owner.as_str()]);
    assert_eq!(text(&mut client, "SELECT count(*) FROM mine.t").unwrap(), "300");
    assert_eq!(differing(&mut client, "SELECT id FROM mine.t", "SELECT id FROM mine.t_key"), "0");
    let owners = "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class WHERE relnamespace = 'mine'::regnamespace
                  UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'mine'::regnamespace";
    assert_eq!(texts(&mut client, owners).unwrap(), [owner.as_str()]);
}

#[test]
fn keys_of_every_kind_are_copied_whatever_the_session_is_set_to() {
    for (columns, key, on) in [
        ("id uuid DEFAULT gen_random_uuid() PRIMARY KEY, at timestamptz", "at", "day"),
        ("id text PRIMARY KEY DEFAULT gen_random_uuid()::text, at timestamp", "at", "week"),
        ("id bigserial, at timestamptz NOT NULL, PRIMARY KEY (at, id)", "at", "month"),
        ("id bigserial, x double precision DEFAULT random(), at date, PRIMARY KEY (x, id)", "at", "quarter"),
        (
            "id bigserial, y timestamptz DEFAULT clock_timestamp(), at timestamp, PRIMARY KEY (y, id)",
            "at",
            "year",
        ),
        ("id numeric PRIMARY KEY DEFAULT random() * 1e20, at timestamptz", "at", "quarter"),
    ] {
        let (mut db, mut client) = installed(Template::Empty);
        let owner = db.role("owner").unwrap();
        let quoted = quote_ident(&owner);
        client
            .batch_execute(&format!(
                "CREATE SCHEMA mine AUTHORIZATION {quoted}; ALTER ROLE {quoted} SET datestyle = 'SQL, DMY';
                 ALTER ROLE {quoted} SET timezone = 'Asia/Kolkata'; ALTER ROLE {quoted} SET extra_float_digits = -10;
                 ALTER ROLE {quoted} SET intervalstyle = 'sql_standard'; ALTER ROLE {quoted} SET bytea_output = 'escape'"
            ))
            .unwrap();
        let mut theirs = db.client_as(&owner).unwrap();
        // Not every server is built with it.
        let xml = if client.batch_execute("SELECT '<a/>'::xml").is_ok() { "xml" } else { "text" };
        theirs
            .batch_execute(&format!(
                "CREATE TYPE mine.mood AS ENUM ('b', 'a'); CREATE DOMAIN mine.positive AS integer CHECK (VALUE > 0); CREATE TYPE mine.pair AS (a integer, b text);
                 CREATE TABLE mine.t ({columns}, gone text, j json, b jsonb, l text[], n numeric, f double precision, m mine.mood, d mine.positive,
                     p mine.pair, z bytea, v varchar(9), c char(5), i interval, x1 {xml}, r int4range, k point, h inet, s tsvector, ms mine.mood[]);
                 ALTER TABLE mine.t DROP COLUMN gone;
                 INSERT INTO mine.t (at, j, b, l, n, f, m, d, p, z, v, c, i, x1, r, k, h, s, ms)
                 SELECT now() - i * interval '7 h', '{{\"a\": 1,  \"a\": 2}}', '{{}}', ARRAY['x', NULL], CASE WHEN i % 7 = 0 THEN 'NaN' ELSE i / 3.0 END,
                        CASE WHEN i % 5 = 0 THEN 'NaN' WHEN i % 5 = 1 THEN '-0' ELSE random() END, 'a', i, ROW(i, 'q\"')::mine.pair, decode('00ff', 'hex'), 'v', 'c ', '1 mon 2 d', '<a/>', '[1,5)', '(1,2)', '::1', 'a b', '{{a,b}}'
                   FROM generate_series(1, 700) i;
                 CREATE TABLE mine.control AS TABLE mine.t"
            ))
            .unwrap();
        carry_out(
            &mut client,
            &format!("partition_table('mine.t', '{key}', '{on}', accept => '{{on_conflict}}')"),
        );
        let change = "UPDATE mine.:t SET l = '{changed}' WHERE d % 10 = 3; DELETE FROM mine.:t WHERE d % 10 = 4; UPDATE mine.:t SET at = at - interval '40 d' WHERE d % 10 = 5";
        for table in ["t", "control"] {
            theirs.batch_execute(&change.replace(":t", table)).unwrap();
        }
        let rows = |table: &str| format!("SELECT r::text FROM mine.{table} r");
        assert_eq!(differing(&mut client, &rows("t"), &rows("control")), "0", "{columns}");
        undo(&mut client, "mine.t");
        assert_eq!(differing(&mut client, &rows("t"), &rows("control")), "0", "{columns}");
        assert_eq!(leftovers(&mut client), [""; 0]);
    }
}
