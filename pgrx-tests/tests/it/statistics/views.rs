//! When a materialized view is refreshed, and how.

use super::*;

#[test]
fn truncate_counts_no_rows_and_is_seen() {
    let (_db, mut client) = looked_after();
    change(&mut client, "TRUNCATE staging.moneylines CASCADE");
    assert_eq!(of(&update(&mut client), "staging.sportsbook_quality_metrics").action, "refreshed");
    assert_eq!(text(&mut client, "SELECT count(*) FROM staging.sportsbook_quality_metrics").unwrap(), "0");
}

#[test]
fn a_view_of_the_last_days_follows_the_plans_calendar() {
    let (_db, mut client) = looked_after();
    // Where the session lives does not matter.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC"] {
        client.batch_execute(&format!("SET timezone = '{zone}'")).unwrap();
        assert_eq!(touched(&update(&mut client)), [""; 0], "{zone}");
        assert_eq!(text(&mut client, "SELECT current_setting('timezone')").unwrap(), zone);
    }
    // Midnight, in the plan's zone: today is another day now than it is in the one before, at any hour.
    client.batch_execute("SET groundskeeper.timezone = 'Pacific/Pago_Pago'").unwrap();
    update(&mut client);
    client.batch_execute("CREATE MATERIALIZED VIEW staging.today AS SELECT CURRENT_DATE AS today").unwrap();
    client.batch_execute("CREATE UNIQUE INDEX ON staging.today (today)").unwrap();
    client.batch_execute("SELECT groundskeeper.maintain('staging.today')").unwrap();
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        client.batch_execute(&format!("SET groundskeeper.timezone = '{zone}'")).unwrap();
        let outcomes = update(&mut client);
        for view in ["staging.today", "staging.daily_game_stats", "staging.sportsbook_quality_metrics"] {
            assert_eq!(of(&outcomes, view).action, "refreshed", "{zone}: {outcomes:#?}");
        }
        let right = format!("SELECT today = (now() AT TIME ZONE '{zone}')::date FROM staging.today");
        assert_eq!(text(&mut client, &right).unwrap(), "true", "{zone}");
        assert_eq!(touched(&update(&mut client)), [""; 0], "{zone}");
    }
}

#[test]
fn a_view_without_a_clock_does_not_roll_over() {
    let (_db, mut client) = looked_after();
    client
        .batch_execute(
            "CREATE MATERIALIZED VIEW staging.ever AS SELECT count(*) AS n FROM staging.games;
             SELECT groundskeeper.maintain('staging.ever')",
        )
        .unwrap();
    let first = update(&mut client);
    assert!(of(&first, "staging.ever").reason.contains("readers waited"), "{first:#?}");
    client.batch_execute("SET groundskeeper.timezone = 'Pacific/Kiritimati'").unwrap();
    update(&mut client);
    client.batch_execute("SET groundskeeper.timezone = 'Pacific/Pago_Pago'").unwrap();
    assert_eq!(of(&update(&mut client), "staging.ever").action, "skipped");
}

#[test]
fn views_above_views_follow_them() {
    let (db, mut client) = looked_after();
    // Registered in the wrong order, and one with a plain view in between.
    client
        .batch_execute(
            "CREATE MATERIALIZED VIEW staging.z_base AS SELECT game_id, count(*) AS n FROM staging.totals GROUP BY 1;
             CREATE VIEW staging.between AS SELECT n FROM staging.z_base;
             CREATE MATERIALIZED VIEW staging.m_middle AS SELECT max(n) AS n FROM staging.between;
             CREATE MATERIALIZED VIEW staging.a_top AS SELECT n FROM staging.m_middle;
             SELECT groundskeeper.maintain(v) FROM unnest('{staging.a_top,staging.m_middle,staging.z_base}'::regclass[]) v",
        )
        .unwrap();
    let chain = ["staging.z_base refreshed", "staging.m_middle refreshed", "staging.a_top refreshed"];
    assert_eq!(touched(&update(&mut client)), chain);
    assert_eq!(touched(&update(&mut client)), [""; 0]);
    let one_game = "INSERT INTO staging.totals (game_id) SELECT 1 FROM generate_series(1, 99)";
    change(&mut client, one_game);
    assert_eq!(touched(&update(&mut client)), chain);
    let top = "SELECT a.n = (SELECT max(n) FROM (SELECT count(*) n FROM staging.totals GROUP BY game_id) x)
                 FROM staging.a_top a";
    assert_eq!(text(&mut client, top).unwrap(), "true");
    assert_eq!(touched(&update(&mut client)), [""; 0]);

    // The middle fails once, after what it reads was refreshed: it is made up for.
    change(&mut client, one_game);
    let mut holder = client_holding(&db, "staging.m_middle");
    assert_eq!(
        touched(&update(&mut client)),
        ["staging.z_base refreshed", "staging.m_middle failed"],
        "what the top reads has not changed"
    );
    holder.batch_execute("ROLLBACK").unwrap();
    assert_eq!(touched(&update(&mut client)), chain[1..]);
    assert_eq!(text(&mut client, top).unwrap(), "true");
}

/// Not in the way of readers, nor of anything but a refresh.
fn client_holding(db: &TestDb, view: &str) -> Client {
    let mut holder = db.client().unwrap();
    holder.batch_execute(&format!("BEGIN; COMMENT ON MATERIALIZED VIEW {view} IS 'held'")).unwrap();
    holder
}

#[test]
fn what_cannot_be_seen_to_change_is_refreshed_each_time() {
    let (_db, mut client) = looked_after();
    client
        .batch_execute(
            "CREATE FUNCTION staging.books() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM staging.spreads';
             CREATE MATERIALIZED VIEW staging.books_now AS SELECT staging.books() AS n;
             SELECT groundskeeper.maintain('staging.books_now')",
        )
        .unwrap();
    update(&mut client);
    let outcome = of(&update(&mut client), "staging.books_now").clone();
    assert_eq!(outcome.action, "refreshed");
    assert!(outcome.reason.contains("staging.books()"), "{outcome:?}");
}

#[test]
fn a_view_that_was_never_filled_is_filled() {
    let (_db, mut client) = looked_after();
    client.batch_execute("REFRESH MATERIALIZED VIEW staging.daily_game_stats WITH NO DATA").unwrap();
    let outcomes = update(&mut client);
    assert_eq!(of(&outcomes, "staging.daily_game_stats").reason, "never populated");
    assert_eq!(touched(&outcomes), ["staging.daily_game_stats refreshed"]);
    assert_ne!(text(&mut client, "SELECT count(*) FROM staging.daily_game_stats").unwrap(), "0");
    assert_eq!(touched(&update(&mut client)), [""; 0]);
}

#[test]
fn in_an_older_snapshot_nothing_counts_as_seen() {
    let (db, mut client) = looked_after();
    client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM staging.games LIMIT 1").unwrap();
    let mut writer = db.client().unwrap();
    change(&mut writer, "INSERT INTO staging.games (external_id, game_date) VALUES ('late', current_date)");
    update(&mut client);
    client.batch_execute("COMMIT").unwrap();
    update(&mut client);
    let all = "SELECT sum(total_games) = (SELECT count(*) FROM staging.games
                 WHERE game_date >= (now() AT TIME ZONE 'America/New_York')::date - 30) FROM staging.daily_game_stats";
    assert_eq!(text(&mut client, all).unwrap(), "true");
}

#[test]
fn a_group_without_a_sportsbook_is_not_rewritten_by_each_refresh() {
    let (_db, mut client) = looked_after();
    change(
        &mut client,
        "INSERT INTO staging.moneylines (game_id, sportsbook_name) SELECT 1, NULL FROM generate_series(1, 20)",
    );
    update(&mut client);
    let rows =
        "SELECT string_agg(ctid::text, ' ' ORDER BY sportsbook_name) FROM staging.sportsbook_quality_metrics";
    let before = text(&mut client, rows).unwrap();
    assert_eq!(
        text(
            &mut client,
            "SELECT count(*) FROM staging.sportsbook_quality_metrics WHERE sportsbook_name = '(none)'"
        )
        .unwrap(),
        "1"
    );
    call(&mut client, "update_table_statistics(true)");
    assert_eq!(text(&mut client, rows).unwrap(), before);
}
