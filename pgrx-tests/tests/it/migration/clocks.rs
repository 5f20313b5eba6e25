//! Clocks do not matter: what was written is found, whatever its `updated_at` says.

use groundskeeper_sandbox::raw::Market;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{NOTHING, assert_complete, count, installed, last_call, migrate, raw_id};

/// A record of each market, by a clock.
fn collect(client: &mut Client, at: &str) {
    client
        .batch_execute(&format!(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds,
                                                  home_team_name, away_team_name, raw_data, game_date, updated_at)
             VALUES ('HOST_A', 'g1', 'draftkings', -110, 100, 'Mets', 'Cubs', '{{}}', '2025-06-13', {at});
             INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds,
                                               favorite_team, underdog_team, raw_data, game_date, updated_at)
             VALUES ('HOST_A', 'g1', 'draftkings', -1.5, -110, 'Mets', 'Cubs', '{{}}', '2025-06-13', {at});
             INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds,
                                              raw_data, game_date, updated_at)
             VALUES ('HOST_A', 'g1', 'draftkings', 8.5, -110, -110, '{{}}', '2025-06-13', {at})"
        ))
        .unwrap();
}

/// New odds in every market; `touch` is what is said of the time, if anything.
fn reprice(client: &mut Client, odds: i32, touch: &str) {
    for (market, column) in Market::ALL.iter().zip(["home_odds", "spread_odds", "over_odds"]) {
        let raw = market.raw_table();
        client.batch_execute(&format!("UPDATE {raw} SET {column} = {odds} {touch}")).unwrap();
    }
}

/// Staged rows that differ from their raw rows; the moments are compared where both are of one type.
fn stale(client: &mut Client, with_moments: bool) -> Vec<String> {
    Market::ALL
        .iter()
        .zip([("home_odds", "home_odds"), ("spread_odds", "spread_odds"), ("over_odds", "over_odds")])
        .flat_map(|(market, (raw_odds, odds))| {
            let (raw, staging, raw_id) = (market.raw_table(), market.table(), raw_id(client, *market));
            let odds = if *market == Market::Spread && raw_id != "raw_id" { "home_odds" } else { odds };
            let moments = if with_moments { "OR s.updated_at IS DISTINCT FROM r.updated_at" } else { "" };
            let stale = format!(
                "SELECT format('%s: %s / %s', '{staging}', r, s) FROM {raw} r LEFT JOIN staging.{staging} s ON s.{raw_id} = r.id
                  WHERE s.{odds} IS DISTINCT FROM r.{raw_odds} {moments}"
            );
            texts(client, &stale).unwrap()
        })
        .collect()
}

#[test]
fn an_update_is_found_whatever_the_clock_said_before_and_says_now() {
    let (_db, mut client) = installed(Template::ShapeA);
    for at in
        ["now() + interval '9 hours'", "now()", "now() - interval '1 day'", "'2020-01-01'", "'infinity'"]
    {
        collect(&mut client, at);
    }
    migrate(&mut client);
    assert_eq!(stale(&mut client, true), [""; 0]);
    for (n, touch) in (1..).zip([
        ", updated_at = now()",
        ", updated_at = now() - interval '1 day'",
        ", updated_at = '2020-01-01'",
        "",
        ", updated_at = updated_at",
        ", updated_at = now() + interval '9 hours'",
        ", updated_at = '2019-12-31'",
        ", updated_at = '-infinity'",
        "",
        ", updated_at = clock_timestamp()",
    ]) {
        reprice(&mut client, -110 - n, touch);
        migrate(&mut client);
        assert_eq!(stale(&mut client, true), [""; 0], "{touch}");
        assert_eq!(last_call(&mut client), ["moneyline 5/5", "spread 5/5", "total 5/5"], "{touch}");
        migrate(&mut client);
        assert_eq!(last_call(&mut client), NOTHING, "{touch}");
    }
    assert_complete(&mut client);
}

#[test]
fn a_host_that_is_behind_wins_over_one_that_is_ahead() {
    let (db, mut client) = installed(Template::ShapeA);
    collect(&mut client, "now() + interval '9 hours'");
    migrate(&mut client);
    let mut behind = db.client().unwrap();
    // Both hosts write within one transaction of the other; the last to commit has the last word.
    behind.batch_execute("BEGIN").unwrap();
    reprice(&mut behind, -180, ", updated_at = now() - interval '1 hour'");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);
    behind.batch_execute("COMMIT").unwrap();
    migrate(&mut client);
    assert_eq!(stale(&mut client, true), [""; 0]);
    assert_eq!(count(&mut client, "staging.moneylines WHERE home_odds = -180"), 1);
}

#[test]
fn what_is_rolled_back_is_nothing_and_what_is_released_is_something() {
    let (db, mut client) = installed(Template::ShapeA);
    collect(&mut client, "now()");
    migrate(&mut client);
    let mut collector = db.client().unwrap();
    collector.batch_execute("BEGIN").unwrap();
    reprice(&mut collector, -150, "");
    collector.batch_execute("ROLLBACK").unwrap();
    migrate(&mut client);
    assert_eq!(stale(&mut client, true), [""; 0]);
    collector.batch_execute("BEGIN; SAVEPOINT one").unwrap();
    reprice(&mut collector, -160, ", updated_at = '2020-01-01'");
    collector.batch_execute("RELEASE one; SAVEPOINT two").unwrap();
    reprice(&mut collector, -170, "");
    collector.batch_execute("ROLLBACK TO two").unwrap();
    migrate(&mut client);
    collector.batch_execute("COMMIT").unwrap();
    migrate(&mut client);
    assert_eq!(stale(&mut client, true), [""; 0]);
    assert_eq!(count(&mut client, "staging.moneylines WHERE home_odds = -160"), 1);
}

#[test]
fn a_row_put_in_below_the_others_long_ago_by_its_own_account_is_found_at_once() {
    let (_db, mut client) = installed(Template::ShapeA);
    collect(&mut client, "now()");
    migrate(&mut client);
    for id in [-5, 0, -9_000_000_000_000_i64] {
        client
            .batch_execute(&format!(
                "INSERT INTO raw_data.totals_raw (id, source, game_external_id, sportsbook_name, total_points, over_odds,
                                                  under_odds, collected_at, updated_at)
                 VALUES ({id}, 'OLD', 'g1', 'fanduel', 8.5, -110, -110, '2020-01-01', '2020-01-01')"
            ))
            .unwrap();
        migrate(&mut client);
        assert_eq!(last_call(&mut client), ["moneyline 0/0", "spread 0/0", "total 1/1"], "{id}");
        assert_eq!(count(&mut client, &format!("staging.totals WHERE raw_id = {id}")), 1);
    }
    assert_complete(&mut client);
}

/// Shape A with the raw tables' moments as some mappers make them: without a zone, in UTC.
fn without_zones(staging_too: bool) -> (TestDb, Client) {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    let tables = Market::ALL.map(Market::raw_table).to_vec();
    let staging = Market::ALL.map(|market| format!("staging.{}", market.table()));
    let columns = ["collected_at", "created_at", "updated_at"];
    let raw = tables.iter().flat_map(|table| columns.map(|column| (table.clone(), column)));
    let staged = staging.iter().map(|table| (table.clone(), "updated_at")).filter(|_| staging_too);
    for (table, column) in raw.chain(staged) {
        client
            .batch_execute(&format!(
                "ALTER TABLE {table} ALTER {column} DROP DEFAULT,
                     ALTER {column} TYPE timestamp USING {column} AT TIME ZONE 'UTC',
                     ALTER {column} SET DEFAULT (now() AT TIME ZONE 'UTC')"
            ))
            .unwrap();
    }
    db.install().unwrap();
    db.settle().unwrap();
    (db, client)
}

#[test]
fn moments_without_a_zone_mean_the_same_to_every_session() {
    let in_utc = "now() AT TIME ZONE 'UTC'";
    for staging_too in [false, true] {
        let (_db, mut client) = without_zones(staging_too);
        collect(&mut client, in_utc);
        let zones = ["America/Los_Angeles", "UTC", "Asia/Tokyo", "America/Los_Angeles", "Pacific/Kiritimati"];
        for (n, zone) in (1..).zip(zones) {
            client.batch_execute(&format!("SET timezone = '{zone}'")).unwrap();
            reprice(&mut client, -110 - n, &format!(", updated_at = {in_utc}"));
            migrate(&mut client);
            assert_eq!(stale(&mut client, staging_too), [""; 0], "{zone}");
            migrate(&mut client);
            assert_eq!(last_call(&mut client), NOTHING, "{zone}");
            reprice(&mut client, -210 - n, "");
            migrate(&mut client);
            assert_eq!(stale(&mut client, staging_too), [""; 0], "{zone}, untouched");
        }
        // What was staged in one zone and what in another stand for the same moment.
        client
            .batch_execute(
                "INSERT INTO raw_data.moneylines_raw (source, game_external_id, updated_at) VALUES ('F', 'g1', '2025-06-13 12:00')",
            )
            .unwrap();
        migrate(&mut client);
        client
            .batch_execute(
                "SET timezone = 'America/Los_Angeles';
                 INSERT INTO raw_data.moneylines_raw (source, game_external_id, updated_at) VALUES ('F', 'g1', '2025-06-13 12:00')",
            )
            .unwrap();
        migrate(&mut client);
        let moments = "SELECT count(DISTINCT s.updated_at) FROM staging.moneylines s JOIN raw_data.moneylines_raw r ON r.id = s.raw_id
                        WHERE r.updated_at = '2025-06-13 12:00'";
        assert_eq!(text(&mut client, moments).unwrap(), "1");
        assert_complete(&mut client);
    }
}

#[test]
fn a_row_without_a_moment_is_staged_again_like_any_other() {
    let (_db, mut client) = installed(Template::ShapeB);
    for market in Market::ALL {
        let nullable = format!("ALTER TABLE {} ALTER updated_at DROP NOT NULL", market.raw_table());
        client.batch_execute(&nullable).unwrap();
    }
    collect(&mut client, "NULL");
    collect(&mut client, "now()");
    migrate(&mut client);
    assert_eq!(stale(&mut client, true), [""; 0]);
    for (n, touch) in (1..).zip([
        "",
        ", updated_at = NULL",
        ", updated_at = now()",
        ", updated_at = CASE WHEN id = 1 THEN NULL ELSE updated_at END",
        "",
    ]) {
        reprice(&mut client, -110 - n, touch);
        migrate(&mut client);
        assert_eq!(stale(&mut client, true), [""; 0], "{touch}");
        migrate(&mut client);
        assert_eq!(last_call(&mut client), NOTHING, "{touch}");
    }
    assert_complete(&mut client);
}

/// What no trigger sees.
const UNSEEN: [&str; 2] = [
    "SET session_replication_role = replica;
     UPDATE raw_data.totals_raw SET over_odds = -133; DELETE FROM staging.games;
     INSERT INTO raw_data.spreads_raw (id, source, game_external_id, updated_at) VALUES (-7, 'F', 'unseen', '2020-01-01');
     RESET session_replication_role",
    "ALTER TABLE raw_data.totals_raw DISABLE TRIGGER USER; ALTER TABLE staging.games DISABLE TRIGGER USER;
     UPDATE raw_data.totals_raw SET over_odds = -134; UPDATE staging.games SET id = id + 1000;
     ALTER TABLE raw_data.totals_raw ENABLE TRIGGER USER; ALTER TABLE staging.games ENABLE TRIGGER USER",
];

#[test]
fn what_no_trigger_saw_is_found_by_a_sweep() {
    let (_db, mut client) = installed(Template::ShapeA);
    collect(&mut client, "now()");
    migrate(&mut client);
    for unseen in UNSEEN {
        client.batch_execute(unseen).unwrap();
        client.batch_execute("CALL groundskeeper.migrate_to_staging(sweep => true)").unwrap();
        assert_eq!(stale(&mut client, true), [""; 0], "{unseen}");
        assert_eq!(super::astray(&mut client), [""; 0], "{unseen}");
        assert_complete(&mut client);
        migrate(&mut client);
        assert_eq!(last_call(&mut client), NOTHING, "{unseen}");
    }
}

#[test]
fn what_no_trigger_saw_is_found_within_a_day() {
    let (_db, mut client) = installed(Template::ShapeA);
    collect(&mut client, "now()");
    migrate(&mut client);
    for unseen in UNSEEN {
        client.batch_execute(unseen).unwrap();
        let day = "UPDATE groundskeeper.migration_progress SET swept_at = swept_at - interval '25 hours'";
        client.batch_execute(day).unwrap();
        migrate(&mut client);
        assert_eq!(stale(&mut client, true), [""; 0], "{unseen}");
        assert_eq!(super::astray(&mut client), [""; 0], "{unseen}");
    }
}
