//! Runs after the first: only what is new, has moved, or failed.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::text;
use postgres::Client;

use super::{NOTHING, assert_complete, count, installed, last_call, migrate, simulate, sweep};

/// One more moneyline of a game.
const ONE_MORE: &str = "
    INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, raw_data,
                                         home_team_name, away_team_name, game_date)
    VALUES ('FEED', 'one more', 'book', -110, 100, '{}', 'Mets', 'Boston', '2025-06-13')";

#[test]
fn a_second_run_finds_nothing_and_reads_no_table_from_end_to_end() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 23_391);
    client.batch_execute("ANALYZE").unwrap();
    migrate(&mut client);
    let staged = "SELECT string_agg(m::text, ';' ORDER BY id) FROM staging.moneylines m";
    let before = text(&mut client, staged).unwrap();
    client.batch_execute("VACUUM ANALYZE").unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    assert_eq!(text(&mut client, staged).unwrap(), before);

    let scans = "SELECT string_agg(relname || seq_tup_read, ' ' ORDER BY relname) FROM pg_stat_user_tables
                  WHERE schemaname = 'raw_data' OR relname IN ('moneylines', 'spreads', 'totals')";
    let scans = |client: &mut Client| {
        client.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
        text(client, scans).unwrap()
    };
    let before = scans(&mut client);
    client.batch_execute(ONE_MORE).unwrap();
    let mut other = db.client().unwrap();
    migrate(&mut other);
    other.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
    assert_eq!(last_call(&mut client), ["moneyline 1/1", "spread 0/0", "total 0/0"]);
    assert_eq!(scans(&mut client), before);
}

#[test]
fn what_moved_is_staged_again_in_place() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 2_000);
    migrate(&mut client);
    let ids = "SELECT string_agg(format('%s=%s', id, raw_id), ' ' ORDER BY id) FROM staging.spreads";
    let before = text(&mut client, ids).unwrap();
    client
        .batch_execute(
            "UPDATE raw_data.spreads_raw SET spread_odds = -123, favorite_team = 'Yanks', updated_at = now() WHERE id = 7;
             -- not said to have moved
             UPDATE raw_data.spreads_raw SET spread_odds = -124 WHERE id = 8;
             SET session_replication_role = replica;
             UPDATE raw_data.spreads_raw SET spread_odds = -125 WHERE id = 9;
             RESET session_replication_role",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client), ["moneyline 0/0", "spread 2/2", "total 0/0"]);
    assert_eq!(text(&mut client, ids).unwrap(), before);
    let moved =
        "SELECT string_agg(format('%s %s', spread_odds, favorite_team_normalized), ' ' ORDER BY raw_id)
                   FROM staging.spreads WHERE spread_odds IN (-123, -124, -125) AND raw_id IN (7, 9)";
    assert_eq!(text(&mut client, moved).unwrap(), "-123 NYY");
    assert_eq!(count(&mut client, "staging.spreads WHERE raw_id = 8 AND spread_odds = -124"), 1);
    // Behind the triggers' back, and found once everything is looked at.
    sweep(&mut client);
    assert_eq!(last_call(&mut client), ["moneyline 0/0", "spread 1/1", "total 0/0"]);
    assert_eq!(count(&mut client, "staging.spreads WHERE raw_id = 9 AND spread_odds = -125"), 1);
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    assert_complete(&mut client);
}

#[test]
fn a_low_id_that_is_committed_late_is_not_missed() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 1_000);
    migrate(&mut client);
    // Long ago by its own account, so only its id could tell that it is new.
    let late =
        ONE_MORE.replace("game_date)", "game_date, updated_at)").replace("-13')", "-13', '2020-01-01')");
    let mut slow = db.client().unwrap();
    slow.batch_execute("BEGIN").unwrap();
    slow.batch_execute(&late).unwrap();
    client.batch_execute(ONE_MORE).unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[0], "moneyline 1/1");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    slow.batch_execute("COMMIT").unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[0], "moneyline 1/1");
    assert_complete(&mut client);
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
}

#[test]
fn a_row_put_in_below_the_others_is_found_at_once_or_within_a_day() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 1_000);
    migrate(&mut client);
    let below = |id: i32, more: &str, value: &str| {
        ONE_MORE
            .replace("_raw (", &format!("_raw (id, {more}"))
            .replace("VALUES (", &format!("VALUES ({id}, {value}"))
    };
    client.batch_execute(&below(-5, "", "")).unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[0], "moneyline 1/1");
    client.batch_execute(&below(-7, "updated_at, ", "'2020-01-01', ")).unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[0], "moneyline 1/1");
    // A copy that replication applies fires no triggers.
    client.batch_execute("SET session_replication_role = replica").unwrap();
    client.batch_execute(&below(-6, "updated_at, ", "'2020-01-01', ")).unwrap();
    client.batch_execute("RESET session_replication_role").unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[0], "moneyline 0/0");
    client
        .batch_execute(
            "UPDATE groundskeeper.migration_progress SET swept_at = swept_at - interval '25 hours'",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(last_call(&mut client)[0], "moneyline 1/1");
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines WHERE raw_id < 0"), 3);
}

#[test]
fn rows_that_others_staged_are_left_alone() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 1_000);
    client
        .batch_execute(
            "INSERT INTO staging.moneylines (raw_id, data_quality_score, validation_status)
             SELECT id, 9.99, 'theirs' FROM raw_data.moneylines_raw WHERE id % 2 = 0",
        )
        .unwrap();
    let theirs = count(&mut client, "staging.moneylines");
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "staging.moneylines WHERE validation_status = 'theirs'"), theirs);
}
