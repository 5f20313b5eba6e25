//! Rows that have moved, in ways that are easily missed.

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{assert_complete, count, installed, migrate, sweep};

/// Six moneylines of three games, staged.
fn staged() -> (TestDb, Client) {
    let (db, mut client) = installed(Template::ShapeA);
    client.batch_execute(SIX).unwrap();
    migrate(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines"), 6);
    (db, client)
}

const SIX: &str = "
    INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, home_team_name,
                                         away_team_name, raw_data, game_date)
    SELECT 'FEED', 'g' || i % 3, 'book' || i, -110, 100, 'Mets', 'Boston Red Sox', '{}', '2025-06-13'
      FROM generate_series(1, 6) i";

/// The same, so old that no moment tells of them.
fn old_rows() -> String {
    SIX.replace("game_date)", "game_date, updated_at)").replace("-13'\n", "-13', '2025-06-13'\n")
}

fn last_run(client: &mut Client) -> String {
    let run = "SELECT format('%s of %s', successful, processed) FROM groundskeeper.migration_runs
                WHERE bet_type = 'moneyline' ORDER BY run_id DESC LIMIT 1";
    text(client, run).unwrap()
}

fn failures(client: &mut Client) -> Vec<String> {
    texts(client, "SELECT format('%s %s', raw_id, reason) FROM groundskeeper.migration_failures ORDER BY 1")
        .unwrap()
}

#[test]
fn a_game_that_cannot_be_written_leaves_the_staged_row_as_it_was() {
    let (_db, mut client) = staged();
    client
        .batch_execute(
            "ALTER TABLE staging.games ADD CONSTRAINT no_bad CHECK (external_id <> 'bad');
             UPDATE raw_data.moneylines_raw SET game_external_id = 'bad', home_odds = -500, updated_at = clock_timestamp() WHERE id = 1",
        )
        .unwrap();
    let row = "SELECT format('%s %s', game_id IS NULL, home_odds) FROM staging.moneylines WHERE raw_id = 1";
    for look in [migrate, sweep] {
        look(&mut client);
        assert_eq!(failures(&mut client), ["1 game_not_staged"]);
        assert_eq!(last_run(&mut client), "0 of 1");
        assert_eq!(text(&mut client, row).unwrap(), "f -110");
    }
    client.batch_execute("ALTER TABLE staging.games DROP CONSTRAINT no_bad").unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), [""; 0]);
    assert_eq!(text(&mut client, row).unwrap(), "f -500");
    assert_complete(&mut client);
}

#[test]
fn a_change_that_a_trigger_keeps_out_is_a_failure() {
    let (_db, mut client) = staged();
    client
        .batch_execute(
            "CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER keep BEFORE UPDATE ON staging.moneylines FOR EACH ROW EXECUTE FUNCTION public.keep();
             UPDATE raw_data.moneylines_raw SET home_odds = -500, updated_at = clock_timestamp() WHERE id = 1",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), ["1 suppressed"]);
    assert_eq!(last_run(&mut client), "0 of 1");
    client.batch_execute("DROP TRIGGER keep ON staging.moneylines").unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), [""; 0]);
    assert_eq!(
        text(&mut client, "SELECT home_odds FROM staging.moneylines WHERE raw_id = 1").unwrap(),
        "-500"
    );
}

#[test]
fn a_transaction_that_began_first_and_committed_last_is_not_missed() {
    let (db, mut client) = staged();
    let mut early = db.client().unwrap();
    early.batch_execute("BEGIN; SELECT now()").unwrap();
    client
        .batch_execute("UPDATE raw_data.moneylines_raw SET home_odds = -333, updated_at = now() WHERE id = 3")
        .unwrap();
    migrate(&mut client);
    early
        .batch_execute(
            "UPDATE raw_data.moneylines_raw SET home_odds = -444, updated_at = now() WHERE id = 3; COMMIT",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(
        text(&mut client, "SELECT home_odds FROM staging.moneylines WHERE raw_id = 3").unwrap(),
        "-444"
    );
    migrate(&mut client);
    assert_eq!(last_run(&mut client), "0 of 0");
}

#[test]
fn tables_that_were_emptied_are_seen_to_be() {
    let (_db, mut client) = installed(Template::ShapeA);
    client.batch_execute(&old_rows()).unwrap();
    migrate(&mut client);
    for emptied in [
        "TRUNCATE staging.moneylines CASCADE",
        "DELETE FROM staging.moneylines",
        "DELETE FROM staging.moneylines WHERE raw_id = 6",
    ] {
        client.batch_execute(emptied).unwrap();
        migrate(&mut client);
        assert_complete(&mut client);
        assert_eq!(count(&mut client, "staging.moneylines"), 6, "{emptied}");
    }
    client.batch_execute("TRUNCATE raw_data.moneylines_raw RESTART IDENTITY CASCADE").unwrap();
    client.batch_execute(&old_rows()).unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(last_run(&mut client), "6 of 6");
    migrate(&mut client);
    assert_eq!(last_run(&mut client), "0 of 0");
}

#[test]
fn a_sessions_settings_do_not_matter() {
    let (_db, mut client) = staged();
    client
        .batch_execute(
            "UPDATE raw_data.moneylines_raw SET home_odds = -777, updated_at = clock_timestamp() + id * interval '1 s';
             SET datestyle = 'SQL, DMY'; SET timezone = 'Europe/Dublin'; SET statement_timeout = '60s'",
        )
        .unwrap();
    client.batch_execute("CALL groundskeeper.migrate_to_staging('moneyline', 2)").unwrap();
    assert_eq!(last_run(&mut client), "6 of 6");
    assert_eq!(count(&mut client, "staging.moneylines WHERE home_odds = -777"), 6);
}

#[test]
fn what_a_trigger_does_not_expect_costs_one_row() {
    let (_db, mut client) = installed(Template::ShapeA);
    client
        .batch_execute(
            "CREATE FUNCTION public.odd() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 CASE WHEN NEW.raw_id <> 2 THEN NULL; END CASE;
                 IF NEW.raw_id = 3 THEN NEW.home_odds := (SELECT i FROM pg_catalog.generate_series(1, 2) i); END IF;
                 IF NEW.raw_id = 4 THEN RAISE 'no' USING ERRCODE = 'object_not_in_prerequisite_state'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER odd BEFORE INSERT ON staging.moneylines FOR EACH ROW EXECUTE FUNCTION public.odd()",
        )
        .unwrap();
    client.batch_execute(SIX).unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), ["2 sqlstate_20000", "3 sqlstate_21000", "4 sqlstate_55000"]);
    assert_complete(&mut client);
}
