//! What others could do to the migration, and it to them: notes that are forged, triggers in a writer's way, changes
//! behind their back, rows that somebody holds.

use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{astray, count, installed, migrate, simulate};

/// Two games with a moneyline each, staged.
fn two_games() -> (TestDb, Client) {
    let (db, mut client) = installed(Template::ShapeA);
    client
        .batch_execute(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds,
                                                  home_team_name, away_team_name, raw_data, game_date)
             VALUES ('F', 'g1', 'dk', -110, 100, 'Mets', 'Cubs', '{}', '2025-06-13'),
                    ('F', 'g2', 'dk', -110, 100, 'Yankees', 'Red Sox', '{}', '2025-06-13')",
        )
        .unwrap();
    migrate(&mut client);
    (db, client)
}

#[test]
fn nobody_but_a_tables_owner_notes_anything_of_it() {
    let (mut db, mut client) = two_games();
    let lesser = db.role("lesser").unwrap();
    let mut as_lesser = db.client_as(&lesser).unwrap();
    as_lesser.batch_execute("CREATE TEMP TABLE mine (i integer)").unwrap();
    for note in [
        "(subject, relation, games, facts) VALUES ('games', 'mine'::regclass, '{g1}', '{teams}')",
        "(subject, relation, games, facts) VALUES ('games', 'staging.games'::regclass, '{g1}', '{teams}')",
        "(subject, relation, ids, facts) VALUES ('games', 'mine'::regclass, '{(,)}', '{gone}')",
        "(subject, relation, games) VALUES ('games', 'mine'::regclass, '{NULL}')",
        "(subject, ids) VALUES ('moneyline', '{(,)}')",
    ] {
        let insert = format!("INSERT INTO groundskeeper.migration_notes {note}");
        let refused = refusal(&mut as_lesser, &insert).unwrap();
        assert!(["42501", "23514"].contains(&refused.code.as_str()), "{insert}: {refused:?}");
    }
    // Nor what nobody could read.
    for note in [
        "games) VALUES ('games', 'staging.games'::regclass, '{NULL}')",
        "ids) VALUES ('moneyline', 'raw_data.moneylines_raw'::regclass, '{(,-9223372036854775808)}')",
    ] {
        let insert = format!("INSERT INTO groundskeeper.migration_notes (subject, relation, {note}");
        assert_eq!(refusal(&mut client, &insert).unwrap().code, "23514", "{insert}");
    }
    assert_eq!(count(&mut client, "groundskeeper.migration_notes"), 0);
}

#[test]
fn whoever_writes_through_a_view_a_rule_or_a_cascade_needs_no_more_rights_than_before() {
    let (mut db, mut client) = two_games();
    let writer = db.role("writer").unwrap();
    client
        .batch_execute(&format!(
            "REVOKE ALL ON ALL TABLES IN SCHEMA raw_data FROM PUBLIC;
             CREATE VIEW public.v AS SELECT * FROM raw_data.moneylines_raw; GRANT INSERT ON public.v TO \"{writer}\";
             CREATE TABLE public.feeds (name varchar(50) PRIMARY KEY); INSERT INTO public.feeds VALUES ('F');
             ALTER TABLE raw_data.moneylines_raw ADD FOREIGN KEY (source) REFERENCES public.feeds ON UPDATE CASCADE;
             GRANT SELECT, UPDATE ON public.feeds TO \"{writer}\""
        ))
        .unwrap();
    let mut as_writer = db.client_as(&writer).unwrap();
    as_writer
        .batch_execute(
            "INSERT INTO public.v (id, source, game_external_id, collected_at, created_at, updated_at)
             VALUES (77, 'F', 'g1', now(), now(), now());
             UPDATE public.feeds SET name = 'G'",
        )
        .unwrap();
    assert_eq!(count(&mut client, "groundskeeper.migration_notes"), 2);
    migrate(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines"), 3);
}

#[test]
fn a_table_of_that_name_that_is_not_the_extensions_is_not_written() {
    let (mut db, mut client) = two_games();
    let stranger = db.role("stranger").unwrap();
    client
        .batch_execute(&format!(
            "GRANT CREATE ON DATABASE {} TO \"{stranger}\"; DROP EXTENSION pg_groundskeeper",
            db.name()
        ))
        .unwrap();
    db.client_as(&stranger)
        .unwrap()
        .batch_execute(
            "CREATE SCHEMA groundskeeper; GRANT USAGE ON SCHEMA groundskeeper TO PUBLIC;
             CREATE TABLE groundskeeper.migration_notes (subject text, relation oid, ids int8multirange, games text[], facts text[]);
             GRANT INSERT ON groundskeeper.migration_notes TO PUBLIC",
        )
        .unwrap();
    client
        .batch_execute(
            "UPDATE raw_data.moneylines_raw SET home_odds = -120; DELETE FROM staging.games;
             INSERT INTO raw_data.totals_raw (source) VALUES ('F'); TRUNCATE raw_data.totals_raw CASCADE",
        )
        .unwrap();
    assert_eq!(count(&mut client, "groundskeeper.migration_notes"), 0);
    client.batch_execute("DROP SCHEMA groundskeeper CASCADE").unwrap();
}

#[test]
fn columns_that_are_renamed_or_altered_are_in_no_writers_way() {
    let (_db, mut client) = two_games();
    client
        .batch_execute(
            "UPDATE staging.games SET home_team_normalized = 'BOS', away_team_normalized = 'ATL' WHERE external_id = 'g1'",
        )
        .unwrap();
    migrate(&mut client);
    client
        .batch_execute(
            "DROP MATERIALIZED VIEW staging.daily_game_stats CASCADE;
             ALTER TABLE staging.games RENAME game_datetime TO starts_at;
             UPDATE staging.games SET venue = 'x';
             ALTER TABLE staging.games RENAME external_id TO ext;
             INSERT INTO groundskeeper.column_names VALUES ('staging.games', 'game_datetime', 'starts_at'),
                                                           ('staging.games', 'external_id', 'ext');
             UPDATE staging.games SET venue = 'y' WHERE ext = 'g2';
             ALTER TABLE staging.moneylines DROP CONSTRAINT moneylines_raw_id_fkey;
             DROP VIEW staging.migration_ready_records;
             ALTER TABLE raw_data.moneylines_raw ALTER id TYPE numeric;
             UPDATE raw_data.moneylines_raw SET home_odds = -130;
             ALTER TABLE raw_data.moneylines_raw ALTER id TYPE bigint",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines WHERE home_odds = -130"), 2);
    // What somebody has corrected is still as they wrote it.
    let teams = "SELECT home_team_normalized || away_team_normalized FROM staging.games WHERE ext = 'g1'";
    assert_eq!(text(&mut client, teams).unwrap(), "BOSATL");
}

#[test]
fn what_changed_while_triggers_were_off_or_tables_were_swapped_is_looked_at() {
    let (_db, mut client) = two_games();
    for behind in [
        "ALTER TABLE staging.games DISABLE TRIGGER ALL;
         UPDATE staging.games SET id = id + 100; UPDATE staging.games SET id = 203 - id;
         ALTER TABLE staging.games ENABLE TRIGGER ALL",
        "CREATE TABLE staging.games_new (LIKE staging.games INCLUDING ALL);
         INSERT INTO staging.games_new (id, external_id, game_date) SELECT 500 - id, external_id, game_date FROM staging.games;
         ALTER TABLE staging.games RENAME TO games_old; ALTER TABLE staging.games_new RENAME TO games;
         SELECT FROM groundskeeper.apply_plan()",
        "CREATE OR REPLACE FUNCTION staging.games_note_changes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         UPDATE staging.games SET id = id + 1000",
    ] {
        client.batch_execute(behind).unwrap();
        migrate(&mut client);
        assert_eq!(astray(&mut client), [""; 0], "{behind}");
    }
    client
        .batch_execute(
            "ALTER TABLE raw_data.moneylines_raw DISABLE TRIGGER ALL;
             UPDATE raw_data.moneylines_raw SET home_odds = -500;
             ALTER TABLE raw_data.moneylines_raw ENABLE TRIGGER ALL",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines WHERE home_odds = -500"), 2);
}

#[test]
fn a_locked_row_is_left_to_the_next_run_and_all_else_goes_on() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 3_000);
    let mut application = db.client().unwrap();
    application.batch_execute("BEGIN; SELECT FROM raw_data.moneylines_raw WHERE id = 7 FOR UPDATE").unwrap();
    let began = Instant::now();
    migrate(&mut client);
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let raw = count(&mut client, "raw_data.moneylines_raw");
    assert_eq!(count(&mut client, "staging.moneylines"), raw - 1);
    assert_eq!(count(&mut client, "staging.totals"), count(&mut client, "raw_data.totals_raw"));
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    application.batch_execute("COMMIT").unwrap();
    migrate(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines"), raw);
    // A staged row that somebody holds, too.
    application.batch_execute("BEGIN; SELECT FROM staging.moneylines WHERE raw_id = 8 FOR UPDATE").unwrap();
    client.batch_execute("UPDATE raw_data.moneylines_raw SET home_odds = -444 WHERE id IN (8, 9)").unwrap();
    migrate(&mut client);
    assert_eq!(
        texts(&mut client, "SELECT raw_id FROM staging.moneylines WHERE home_odds = -444").unwrap(),
        ["9"]
    );
    application.batch_execute("COMMIT").unwrap();
    migrate(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines WHERE home_odds = -444"), 2);
}

#[test]
fn requests_to_stop_that_come_in_twos_leave_no_run_open() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 20_000);
    let mut stopped = 0;
    for n in 0..40 {
        let mut victim = db.client().unwrap();
        let pid: i32 = victim.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
        let call = spawn(move || {
            victim.batch_execute("CALL groundskeeper.migrate_to_staging(batch_size => 50)").is_err()
        });
        sleep(Duration::from_millis(20 + n * 3));
        for _ in 0..2 {
            client.execute("SELECT pg_cancel_backend($1)", &[&pid]).unwrap();
            sleep(Duration::from_millis(n % 4));
        }
        stopped += i32::from(call.join().unwrap());
        assert_eq!(
            count(&mut client, "groundskeeper.migration_runs WHERE state = 'running'"),
            0,
            "round {n}"
        );
    }
    assert!(stopped > 10, "{stopped}");
    // And none goes unheard afterwards.
    migrate(&mut client);
    client.batch_execute("SET statement_timeout = 200").unwrap();
    assert_eq!(refusal(&mut client, "SELECT pg_sleep(20)").unwrap().code, "57014");
}

#[test]
fn an_update_of_many_rows_here_and_there_is_no_dearer_than_a_look_at_all() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 30_000);
    migrate(&mut client);
    client
        .batch_execute("UPDATE raw_data.totals_raw SET over_odds = over_odds - 1 WHERE id % 3 = 0")
        .unwrap();
    let ranges = "SELECT max((SELECT count(*) FROM unnest(ids))) FROM groundskeeper.migration_notes WHERE subject = 'total'";
    assert!(text(&mut client, ranges).unwrap().parse::<i32>().unwrap() <= 1_001);
    migrate(&mut client);
    let differ = "staging.totals s JOIN raw_data.totals_raw r ON r.id = s.raw_id WHERE s.over_odds IS DISTINCT FROM r.over_odds";
    assert_eq!(count(&mut client, differ), 0);
}
