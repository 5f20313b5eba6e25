//! Every function and procedure of the extension, called with what it was not made for.
//!
//! The seed is fixed; `cargo xtask test --fuzz CALLS` makes so many calls of each, with a seed of its own that it prints.

mod growth;
mod values;

use std::fmt::Write as _;

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use postgres::error::DbError;
use values::VALUES;

/// How many calls a run makes of each function, and of each that changes something, unless it is told otherwise.
const CALLS: usize = 150;
const CHANGING: usize = 25;
/// What may be refused with: invalid values, statements that make no sense, what is not supported, not there, too much, or
/// not now.
const CLASSES: [&str; 10] = ["0A", "22", "23", "25", "2D", "39", "42", "54", "55", "57014"];
/// What no text for a person has in it.
const INNARDS: [&str; 5] = ["backtrace", "panicked", ".rs:", "unwrap", "RUST_"];

/// Relations of every kind, each with what a function might look for.
const ODD: &str = "
    CREATE SCHEMA odd;
    CREATE TABLE odd.plain (id bigint PRIMARY KEY, day date, at timestamptz, n integer);
    CREATE TABLE odd.empty ();
    CREATE UNLOGGED TABLE odd.unlogged (id integer PRIMARY KEY, day date NOT NULL);
    CREATE TEMP TABLE passing (id integer PRIMARY KEY, day date);
    CREATE VIEW odd.view AS SELECT * FROM odd.plain;
    CREATE MATERIALIZED VIEW odd.matview AS SELECT * FROM odd.plain;
    CREATE MATERIALIZED VIEW odd.unfilled AS SELECT * FROM odd.plain WITH NO DATA;
    CREATE SEQUENCE odd.sequence;
    CREATE TYPE odd.composite AS (a integer, b text);
    CREATE INDEX plain_n ON odd.plain (n) WHERE n > 0;
    CREATE FOREIGN DATA WRAPPER odd; CREATE SERVER odd FOREIGN DATA WRAPPER odd;
    CREATE FOREIGN TABLE odd.remote (id bigint, day date) SERVER odd;
    CREATE TABLE odd.ranged (id bigint, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE INDEX ranged_id ON odd.ranged (id);
    CREATE TABLE odd.ranged_2025_01 PARTITION OF odd.ranged FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE odd.ranged_other PARTITION OF odd.ranged DEFAULT;
    CREATE TABLE odd.by_two (id bigint, day date NOT NULL) PARTITION BY RANGE (day, id);
    CREATE TABLE odd.by_expression (id bigint, day date NOT NULL) PARTITION BY RANGE ((id + 1));
    CREATE TABLE odd.listed (id bigint, day date NOT NULL) PARTITION BY LIST (day);
    CREATE TABLE odd.hashed (id bigint, day date NOT NULL) PARTITION BY HASH (day);
    CREATE TABLE odd.infinite (day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE odd.infinite_all PARTITION OF odd.infinite FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
    CREATE TABLE odd.managed (id bigint, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE odd.managed_2025_01 PARTITION OF odd.managed FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    SELECT groundskeeper.adopt_partitioned_table('odd.managed');
    CREATE TABLE odd.parent (id integer); CREATE TABLE odd.child () INHERITS (odd.parent);
    CREATE TABLE odd.\"it's; -- \"\"quoted\"\"\" (id integer PRIMARY KEY, day date);
    CREATE TABLE odd.gone (id integer);";

/// A relation by its number, as SQL.
const RELATIONS: &str = "
    SELECT oid FROM pg_class WHERE relnamespace IN ('odd'::regnamespace, pg_my_temp_schema())
    UNION ALL SELECT reltoastrelid FROM pg_class WHERE oid = 'odd.managed_2025_01'::regclass OR relname = 'job' AND reltoastrelid <> 0
    UNION ALL VALUES ('pg_class'::regclass::oid), ('pg_authid'::regclass), ('pg_class_oid_index'::regclass),
                     ('staging.games'::regclass), ('raw_data.moneylines_raw'::regclass), ('groundskeeper.jobs'::regclass),
                     ('groundskeeper.job'::regclass), ('monitoring.index_health'::regclass),
                     ('format(text)'::regprocedure), ('text'::regtype), (0), (1), (2147483648), (4294967295)";

/// Numbers that a seed gives: xorshift, as the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// A function of the extension.
struct Function {
    name: String,
    arguments: Vec<String>,
    is_procedure: bool,
    changes: bool,
    is_pure: bool,
}

fn functions(client: &mut Client) -> Vec<Function> {
    let all = "SELECT p.oid::regproc::text, coalesce((SELECT array_agg(format_type(t, NULL) ORDER BY n)
                                                   FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY a (t, n)), '{}'),
                      p.prokind = 'p', p.provolatile = 'v', p.provolatile = 'i' AND NOT p.proretset
                 FROM pg_proc p
                 JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                 JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
                ORDER BY p.oid::regprocedure::text COLLATE \"C\"";
    let rows = client.query(all, &[]).unwrap();
    rows.iter()
        .map(|row| Function {
            name: row.get(0),
            arguments: row.get(1),
            is_procedure: row.get(2),
            changes: row.get(3),
            is_pure: row.get(4),
        })
        .collect()
}

/// One call with values at random, and what may be dropped before it.
fn call(function: &Function, relations: &[String], random: &mut Random) -> String {
    let mut dropped = String::new();
    let values: Vec<String> = function
        .arguments
        .iter()
        .map(|kind| match kind.as_str() {
            "regclass" if random.below(12) == 0 => "NULL".to_owned(),
            "regclass" if random.below(12) == 0 => {
                dropped = "DROP TABLE odd.gone; ".to_owned();
                "(SELECT gone FROM odd_gone)".to_owned()
            }
            "regclass" => format!("{}::oid::regclass", random.of(relations)),
            kind => {
                let values = VALUES.iter().find(|(name, _)| *name == kind);
                let (_, values) =
                    values.unwrap_or_else(|| panic!("no values of type {kind} for {}", function.name));
                let value = random.of(values);
                if kind == "text" { format!("{value}::text") } else { format!("({value})::{kind}") }
            }
        })
        .collect();
    if function.is_procedure {
        return format!("CALL {}({})", function.name, values.join(", "));
    }
    format!(
        "BEGIN; {dropped}SELECT count(f.*::text) FROM {}({}) f; ROLLBACK",
        function.name,
        values.join(", ")
    )
}

fn seed_and_calls() -> (u64, Option<usize>) {
    let asked = std::env::var(groundskeeper_tests::FUZZ).ok();
    let Some(asked) = asked else { return (0x0067_726f_756e_6473, None) };
    let (calls, seed) = asked.split_once(':').unwrap_or((&asked, ""));
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().subsec_nanos();
    let seed = seed.parse().unwrap_or_else(|_| u64::from(now()) | 1);
    println!("--fuzz {calls}:{seed} makes the same calls again");
    (seed, Some(calls.parse().expect("a number of calls")))
}

/// What is wrong with a refusal.
fn complaint(error: &DbError) -> Option<String> {
    let code = error.code().code();
    let said = [
        error.message(),
        error.detail().unwrap_or(""),
        error.hint().unwrap_or(""),
        error.where_().unwrap_or(""),
    ]
    .join("\n");
    if !CLASSES.iter().any(|class| code.starts_with(class)) {
        return Some(format!("{code} {said}"));
    }
    INNARDS.iter().find(|innards| said.contains(**innards)).map(|innards| format!("{innards} in: {said}"))
}

fn prepared() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(ODD).unwrap();
    client
        .batch_execute("CREATE TEMP TABLE odd_gone AS SELECT 'odd.gone'::regclass::oid::regclass AS gone; SET statement_timeout = '30s'")
        .unwrap();
    (db, client)
}

#[test]
fn nothing_that_is_passed_is_an_internal_error() {
    let (db, mut client) = prepared();
    let relations = texts(&mut client, RELATIONS).unwrap();
    let (seed, calls) = seed_and_calls();
    let mut random = Random(seed);
    let mut wrong = String::new();
    let mut made = 0;
    for function in functions(&mut client) {
        let few = function.changes || function.is_procedure;
        let mut complaints = 0;
        for _ in 0..calls.unwrap_or(if few { CHANGING } else { CALLS }) {
            let statement = call(&function, &relations, &mut random);
            made += 1;
            let Err(error) = client.batch_execute(&statement) else { continue };
            let Some(refused) = error.as_db_error() else {
                panic!("{statement}: {error}\n{}", db.server().log())
            };
            if let Some(complaint) = complaint(refused).filter(|_| complaints < 3) {
                complaints += 1;
                let shown: String = statement.chars().take(600).collect();
                writeln!(wrong, "{shown}\n    {complaint}").unwrap();
            }
            client.batch_execute("ROLLBACK").unwrap();
        }
    }
    assert!(wrong.is_empty(), "of {made} calls:\n{wrong}");
    assert!(made > 5_000, "{made}");
}

#[test]
fn whoever_calls_hears_nothing_of_the_insides() {
    let (mut db, mut client) = prepared();
    let role = db.role("anyone").unwrap();
    client
        .batch_execute(&format!("GRANT USAGE ON SCHEMA odd, groundskeeper TO {}", quote_ident(&role)))
        .unwrap();
    let mut session = db.client_as(&role).unwrap();
    session
        .batch_execute(
            "CREATE TEMP TABLE odd_gone AS SELECT 1::oid::regclass AS gone; SET statement_timeout = '30s'",
        )
        .unwrap();
    let relations = texts(&mut client, RELATIONS).unwrap();
    let mut random = Random(11);
    for function in functions(&mut client) {
        for _ in 0..5 {
            let statement = call(&function, &relations, &mut random);
            if let Err(error) = session.batch_execute(&statement) {
                let refused = error.as_db_error().unwrap_or_else(|| panic!("{statement}: {error}"));
                assert_eq!(complaint(refused), None, "{statement}");
                session.batch_execute("ROLLBACK").unwrap();
            }
        }
    }
}
