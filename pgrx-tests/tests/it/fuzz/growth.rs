//! No call leaves memory behind.

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
    assert_no_growth(&mut client, before, 1);
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
    assert_no_growth(&mut client, before, 4);
    drop(db);
}

/// Bytes of PostgreSQL's memory contexts, and of the process.
fn memory(client: &mut Client) -> (i64, i64) {
    let used = "SELECT sum(used_bytes)::bigint FROM pg_backend_memory_contexts";
    let used = text(client, used).unwrap().parse().unwrap();
    let pid = text(client, "SELECT pg_backend_pid()").unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    (used, line.trim().trim_end_matches(" kB").trim().parse::<i64>().unwrap() * 1024)
}

fn assert_no_growth(client: &mut Client, before: (i64, i64), tolerance: i64) {
    let after = memory(client);
    let grown = (after.0 - before.0, after.1 - before.1);
    println!("contexts grew by {} bytes, the process by {}", grown.0, grown.1);
    assert!(grown.0 < tolerance * 256 * 1024, "memory contexts grew by {} bytes", grown.0);
    assert!(grown.1 < tolerance * 8 * 1024 * 1024, "the process grew by {} bytes", grown.1);
}
