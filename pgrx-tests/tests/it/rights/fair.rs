//! Who takes all places, or others' locks, keeps nobody waiting.

use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::{Options, Server};
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};

use super::{ended, installed, number, until};

#[test]
fn jobs_that_wait_give_their_places_to_another_role() {
    // with as many workers as other databases leave it
    let server = Options::default().set("max_worker_processes", "16").start().unwrap();
    let mut db = TestDb::on(Server::attach(server.base()).unwrap(), Template::Empty).unwrap();
    db.install().unwrap();
    let mut client = db.client().unwrap();
    let roles = ["greedy", "greedier", "grasping", "grabby", "modest"].map(|stem| db.role(stem).unwrap());
    for role in &roles {
        client
            .batch_execute(&format!("CREATE SCHEMA {role} AUTHORIZATION {role}; GRANT EXECUTE ON FUNCTION groundskeeper.reindex TO {role}"))
            .unwrap();
    }
    let [all @ .., modest] = &roles;
    // roles with more jobs than there are places, each of which waits for a lock of theirs
    let mut holding = Vec::new();
    for role in all {
        let mut session = db.client_as(role).unwrap();
        for n in 1..=8 {
            session
                .batch_execute(&format!(
                    "CREATE TABLE {role}.t{n} (a integer); CREATE INDEX i{n} ON {role}.t{n} (a)"
                ))
                .unwrap();
        }
        let mut holder = db.client_as(role).unwrap();
        let tables: Vec<String> = (1..=8).map(|n| format!("{role}.t{n}")).collect();
        holder.batch_execute(&format!("BEGIN; LOCK TABLE {} IN SHARE MODE", tables.join(", "))).unwrap();
        holding.push(holder);
        for n in 1..=8 {
            number(&mut session, &format!("groundskeeper.reindex('{role}.i{n}')"));
        }
    }
    let waiting = "SELECT count(*) >= 4 FROM groundskeeper.jobs WHERE state = 'waiting'";
    until(&mut client, waiting, "true");
    let mut session = db.client_as(modest).unwrap();
    session
        .batch_execute(&format!("CREATE TABLE {modest}.t (a integer); CREATE INDEX i ON {modest}.t (a)"))
        .unwrap();
    let asked = Instant::now();
    let job = number(&mut session, &format!("groundskeeper.reindex('{modest}.i')"));
    assert_eq!(ended(&mut client, job), "succeeded");
    assert!(asked.elapsed() < Duration::from_secs(5), "served after {:?}", asked.elapsed());
    // what has given way is done later, and has lost no attempt by it
    for mut holder in holding {
        holder.batch_execute("COMMIT").unwrap();
    }
    db.settle().unwrap();
    let states = "SELECT string_agg(DISTINCT state, ' ') FROM groundskeeper.jobs";
    assert_eq!(text(&mut client, states).unwrap(), "succeeded");
}

#[test]
fn a_strangers_table_is_locked_last_and_for_a_moment() {
    let (mut db, mut client) = installed();
    let (attacker, victim) = (db.role("attacker").unwrap(), db.role("victim").unwrap());
    client
        .batch_execute(&format!(
            "CREATE SCHEMA theirs AUTHORIZATION {victim}; CREATE SCHEMA app AUTHORIZATION {attacker};
             GRANT EXECUTE ON FUNCTION groundskeeper.partition_table TO {attacker};
             ALTER ROLE {attacker} SET groundskeeper.lock_timeout = '30s'"
        ))
        .unwrap();
    let mut as_victim = db.client_as(&victim).unwrap();
    as_victim
        .batch_execute(&format!(
            "CREATE TABLE theirs.games (id integer PRIMARY KEY); INSERT INTO theirs.games VALUES (1);
             GRANT USAGE ON SCHEMA theirs TO {attacker}; GRANT REFERENCES ON theirs.games TO {attacker}"
        ))
        .unwrap();
    let mut as_attacker = db.client_as(&attacker).unwrap();
    as_attacker
        .batch_execute(
            "CREATE TABLE app.bets (id integer PRIMARY KEY, at date NOT NULL, game integer REFERENCES theirs.games);
             INSERT INTO app.bets VALUES (1, now()::date, 1)",
        )
        .unwrap();
    let mut reader = db.client_as(&attacker).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM app.bets").unwrap();
    let job = number(
        &mut as_attacker,
        "groundskeeper.partition_table('app.bets', 'at', accept => '{on_conflict}')",
    );
    // the job waits for the attacker's own reader
    let waits =
        format!("SELECT state = 'waiting' AND phase = 'proven' FROM groundskeeper.jobs WHERE job_id = {job}");
    until(&mut client, &waits, "true");
    as_victim.batch_execute("SET statement_timeout = '2s'").unwrap();
    for _ in 0..20 {
        assert_eq!(text(&mut as_victim, "SELECT count(*) FROM theirs.games").unwrap(), "1");
        std::thread::sleep(Duration::from_millis(50));
    }
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(ended(&mut client, job), "succeeded");
}
