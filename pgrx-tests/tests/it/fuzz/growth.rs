//! No call leaves memory behind.

use std::collections::BTreeMap;

use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

use super::{Function, RELATIONS, Random, call, functions, prepared, seed_and_calls};

#[test]
fn nothing_grows_over_100_000_calls() {
    let (db, mut client) = prepared();
    let relations = texts(&mut client, RELATIONS).unwrap();
    let mut random = Random(7);
    let pure: Vec<Function> =
        functions(&mut client).into_iter().filter(|f| f.is_pure && !f.arguments.is_empty()).collect();
    assert!(pure.len() >= 20, "{}", pure.len());
    client.batch_execute("CREATE TEMP TABLE calls (number serial PRIMARY KEY, statement text)").unwrap();
    for function in pure.iter().cycle().take(1_000) {
        let statement = call(function, &relations, &mut random);
        let select = statement.trim_start_matches("BEGIN; ").trim_end_matches("; ROLLBACK").to_owned();
        client.execute("INSERT INTO calls (statement) VALUES ($1)", &[&select]).unwrap();
    }
    let rounds = |client: &mut Client, rounds: usize| {
        client
            .batch_execute(&format!(
                "SET statement_timeout = 0;
                 DO $$
                 DECLARE one text; counted bigint;
                 BEGIN
                     FOR round IN 1 .. {rounds} LOOP
                         FOR one IN SELECT statement FROM calls LOOP
                             BEGIN
                                 EXECUTE one INTO counted;
                             EXCEPTION WHEN OTHERS THEN NULL;
                             END;
                         END LOOP;
                     END LOOP;
                 END $$"
            ))
            .unwrap();
    };
    rounds(&mut client, 10);
    let before = memory(&mut client);
    rounds(&mut client, 100);
    assert_no_growth(&mut client, &before, 1);
    drop(db);
}

/// Those that read and change something, which take longer; the caches of a session grow with what it has seen, so that
/// the same calls are made again.
#[test]
fn nothing_grows_over_the_same_calls() {
    let (db, mut client) = prepared();
    let relations = texts(&mut client, RELATIONS).unwrap();
    let mut random = Random(11);
    let all: Vec<Function> =
        functions(&mut client).into_iter().filter(|f| !f.is_pure && !f.is_procedure).collect();
    let calls: Vec<String> = all
        .iter()
        .cycle()
        .take(all.len() * 6)
        .map(|function| call(function, &relations, &mut random))
        .collect();
    let (_, asked) = seed_and_calls();
    let rounds = |client: &mut Client, rounds: usize| {
        for statement in calls.iter().cycle().take(calls.len() * rounds) {
            if client.batch_execute(statement).is_err() {
                client.batch_execute("ROLLBACK").unwrap();
            }
        }
    };
    rounds(&mut client, 3);
    let before = memory(&mut client);
    rounds(&mut client, asked.unwrap_or(10));
    assert_no_growth(&mut client, &before, 4);
    drop(db);
}

/// What PostgreSQL knows of relations and types, and forgets when others change them: sometimes more, sometimes less.
const CACHES: [&str; 6] = [
    "CacheMemoryContext",
    "index info",
    "partition descriptor",
    "partition key",
    "relation rules",
    "Type information cache",
];

/// Bytes of the process, and of PostgreSQL's memory contexts by their names.
struct Memory {
    process: i64,
    contexts: BTreeMap<String, i64>,
}

fn memory(client: &mut Client) -> Memory {
    let used = "SELECT name, sum(used_bytes)::bigint FROM pg_backend_memory_contexts WHERE name <> ALL ($1) GROUP BY name";
    let contexts = client
        .query(used, &[&CACHES.as_slice()])
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get(1)))
        .collect();
    let pid = text(client, "SELECT pg_backend_pid()").unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let process = line.trim().trim_end_matches(" kB").trim().parse::<i64>().unwrap() * 1024;
    Memory { process, contexts }
}

fn assert_no_growth(client: &mut Client, before: &Memory, tolerance: i64) {
    let after = memory(client);
    let mut grown: Vec<(i64, &str)> = after
        .contexts
        .iter()
        .map(|(name, bytes)| (bytes - before.contexts.get(name).unwrap_or(&0), name.as_str()))
        .collect();
    grown.sort_unstable();
    let contexts: i64 = grown.iter().map(|(bytes, _)| bytes).sum();
    let process = after.process - before.process;
    let most: Vec<_> = grown.iter().rev().take(5).collect();
    println!("contexts grew by {contexts} bytes, the process by {process}: {most:?}");
    assert!(contexts < tolerance * 256 * 1024, "memory contexts grew by {contexts} bytes: {most:?}");
    assert!(process < tolerance * 8 * 1024 * 1024, "the process grew by {process} bytes");
}

/// What a function keeps at its place of a statement is bounded, also where each row brings rules of its own.
#[test]
fn nothing_grows_with_the_rows_of_a_statement() {
    let (db, mut client) = prepared();
    let used = "CREATE FUNCTION pg_temp.used() RETURNS bigint LANGUAGE sql VOLATILE
                AS 'SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts'";
    client.batch_execute(used).unwrap();
    let grown = "
        SELECT max(used) - min(used)
          FROM (SELECT groundskeeper_internal.moneyline_verdict('a', 'b', -110, 100, 's', '{}', now(), now(),
                           jsonb_build_object('validated_from', i % 90)),
                       CASE WHEN i % 50000 = 0 THEN pg_temp.used() END
                  FROM generate_series(1, 100000) i OFFSET 0) r (verdict, used)
         WHERE (verdict).status IS NOT NULL";
    let grown: i64 = text(&mut client, grown).unwrap().parse().unwrap();
    assert!(grown < 1024 * 1024, "{grown} bytes in 50,000 rows");
    drop(db);
}
