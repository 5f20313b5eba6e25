//! Games: who plays whom and when, by what the records say together, and which records are whose.

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::{NOTHING, assert_complete, astray, count, installed, last_call, migrate};

/// A moneyline of a game: source, home, away, hour of collection.
fn quote(client: &mut Client, game: &str, source: &str, home: &str, away: &str, hour: u32) {
    let insert = "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds,
                                                       home_team_name, away_team_name, raw_data, game_date, collected_at)
                  VALUES ($1::text, $2, 'book of ' || $1::text, -110, 100, $3, $4, '{}', '2025-06-13',
                          ('2025-06-13'::date + $5 * interval '1 hour') AT TIME ZONE 'UTC')";
    client.execute(insert, &[&source, &game, &home, &away, &f64::from(hour)]).unwrap();
}

fn games(client: &mut Client) -> Vec<String> {
    let games = "SELECT format('%s: %s, %s, %s', external_id, home_team_normalized, away_team_normalized, validation_status)
                   FROM staging.games ORDER BY external_id";
    texts(client, games).unwrap()
}

/// What is said of the sides of each moneyline, by source.
fn disagreements(client: &mut Client) -> Vec<String> {
    let sides = "SELECT format('%s %s: %s', r.source, s.validation_status,
                               (SELECT string_agg(i, ' ') FROM jsonb_array_elements_text(coalesce(s.validation_errors, '[]')) i
                                 WHERE i IN ('swapped_sides', 'conflicting_teams')))
                   FROM staging.moneylines s JOIN raw_data.moneylines_raw r ON r.id = s.raw_id ORDER BY r.id";
    texts(client, sides).unwrap()
}

#[test]
fn home_and_away_come_from_one_record() {
    let (_db, mut client) = installed(Template::ShapeA);
    // The later record has a name that is no club's: the other side may not come from it alone.
    quote(&mut client, "g2", "A", "Yankees", "Red Sox", 10);
    quote(&mut client, "g2", "B", "Red Sox", "New York", 11);
    // Nobody may play itself.
    quote(&mut client, "g3", "A", "Mets", "Cubs", 10);
    quote(&mut client, "g3", "B", "Mets", "NYM", 11);
    migrate(&mut client);
    let teams = "SELECT string_agg(format('%s: %s, %s', external_id, home_team_normalized, away_team_normalized), '; '
                                   ORDER BY external_id) FROM staging.games";
    assert_eq!(text(&mut client, teams).unwrap(), "g2: NYY, BOS; g3: NYM, CHC");
}

#[test]
fn records_that_put_the_teams_the_other_way_round_are_told() {
    let (_db, mut client) = installed(Template::ShapeA);
    quote(&mut client, "g1", "A", "Mets", "Cubs", 10);
    quote(&mut client, "g1", "B", "Cubs", "Mets", 10);
    migrate(&mut client);
    // At one moment, with as many records each: either will do, but for one of them.
    let chosen = games(&mut client);
    let one_of_them = ["g1: NYM, CHC, needs_review", "g1: CHC, NYM, needs_review"];
    assert!(one_of_them.contains(&chosen[0].as_str()), "{chosen:?}");
    let told = disagreements(&mut client);
    let swapped = told.iter().filter(|line| line.ends_with("needs_review: swapped_sides")).count();
    assert_eq!(swapped, 1, "{told:?}");
    migrate(&mut client);
    assert_eq!(last_call(&mut client), NOTHING);

    // More records for one of them.
    quote(&mut client, "g1", "C", "New York Mets", "Chicago Cubs", 10);
    migrate(&mut client);
    assert_eq!(games(&mut client), ["g1: NYM, CHC, needs_review"]);
    assert_eq!(
        disagreements(&mut client),
        ["A validated: ", "B needs_review: swapped_sides", "C validated: "]
    );
    // The other collected last: what was said of records staged before is turned around.
    quote(&mut client, "g1", "D", "Cubs", "Mets", 11);
    migrate(&mut client);
    assert_eq!(games(&mut client), ["g1: CHC, NYM, needs_review"]);
    assert_eq!(
        disagreements(&mut client),
        ["A needs_review: swapped_sides", "B validated: ", "C needs_review: swapped_sides", "D validated: "]
    );
    assert_eq!(astray(&mut client), [""; 0]);
    // And once all agree, nothing is left of it.
    client
        .batch_execute("UPDATE raw_data.moneylines_raw SET home_team_name = 'Cubs', away_team_name = 'Mets'")
        .unwrap();
    migrate(&mut client);
    assert_eq!(games(&mut client), ["g1: CHC, NYM, validated"]);
    assert_eq!(
        disagreements(&mut client),
        ["A validated: ", "B validated: ", "C validated: ", "D validated: "]
    );
}

#[test]
fn a_third_sources_other_game_is_told_and_a_suffix_is_no_other_team() {
    let (_db, mut client) = installed(Template::ShapeA);
    quote(&mut client, "g1", "A", "Mets", "Cubs", 12);
    quote(&mut client, "g1", "B", "NY Mets G2", "Chicago\u{a0}Cubs", 10);
    quote(&mut client, "g1", "C", "Reds", "Cards", 11);
    quote(&mut client, "g2", "A", "NY Mets G2", "Cubs", 12);
    quote(&mut client, "g2", "B", "Mets (G2)", "Chicago Cubs", 10);
    migrate(&mut client);
    assert_eq!(games(&mut client), ["g1: NYM, CHC, needs_review", "g2: NYM, CHC, validated"]);
    let told = ["A validated: ", "B validated: ", "C needs_review: conflicting_teams"];
    assert_eq!(disagreements(&mut client)[..3], told);
    assert_eq!(disagreements(&mut client)[3..], ["A validated: ", "B validated: "]);
    // Two out of three, for another game, collected last.
    quote(&mut client, "g1", "D", "Cincinnati Reds", "STL", 13);
    migrate(&mut client);
    assert_eq!(games(&mut client)[0], "g1: CIN, STL, needs_review");
    assert_eq!(disagreements(&mut client)[0], "A needs_review: conflicting_teams");
}

#[test]
fn what_somebody_corrected_is_kept() {
    let (_db, mut client) = installed(Template::ShapeA);
    for game in ["teams", "date", "neither"] {
        quote(&mut client, game, "A", "Mets", "Cubs", 10);
    }
    migrate(&mut client);
    client
        .batch_execute(
            "UPDATE staging.games SET home_team_normalized = 'HOU', away_team_normalized = 'SEA' WHERE external_id = 'teams';
             UPDATE staging.games SET game_date = '2025-06-20' WHERE external_id = 'date'",
        )
        .unwrap();
    for call in ["", "sweep => true"] {
        for game in ["teams", "date", "neither"] {
            quote(&mut client, game, "B", "Yankees", "Red Sox", 12);
            client
                .batch_execute(&format!(
                    "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, game_date, collected_at)
                     VALUES ('T', '{game}', 'another', '2025-07-01', '2025-06-13 13:00+00')"
                ))
                .unwrap();
        }
        client.batch_execute(&format!("CALL groundskeeper.migrate_to_staging({call})")).unwrap();
        let kept = "SELECT string_agg(format('%s: %s, %s, %s', external_id, home_team_normalized, away_team_normalized, game_date),
                                      '; ' ORDER BY external_id) FROM staging.games";
        assert_eq!(
            text(&mut client, kept).unwrap(),
            "date: NYY, BOS, 2025-06-20; neither: NYY, BOS, 2025-07-01; teams: HOU, SEA, 2025-07-01",
            "{call}"
        );
    }
    // What is not the corrector's goes on.
    assert_eq!(count(&mut client, "staging.games WHERE data_quality_score = 99.99"), 3);
}

/// A total of a game whose date is the day in UTC, with what its payload says.
fn night_game(client: &mut Client, game: &str, payload: &str, hour: u32) {
    let insert = "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds,
                                                   raw_data, game_date, collected_at)
                  VALUES ('F', $1, 'dk', 8.5, -110, -110, $2::text::jsonb, '2025-06-14',
                          ('2025-06-13'::date + $3 * interval '1 hour') AT TIME ZONE 'UTC')";
    client.execute(insert, &[&game, &payload, &f64::from(hour)]).unwrap();
}

fn times(client: &mut Client) -> Vec<String> {
    let times = "SELECT format('%s: %s, %s', external_id, game_date, game_datetime AT TIME ZONE 'UTC')
                   FROM staging.games ORDER BY external_id";
    texts(client, times).unwrap()
}

#[test]
fn a_games_own_time_decides_its_day() {
    let (_db, mut client) = installed(Template::ShapeA);
    // No session's zone has a say in it.
    client.batch_execute("SET timezone = 'Asia/Tokyo'").unwrap();
    for (game, payload) in [
        ("1 date", r#"{"date": "2025-06-14T02:10:00Z"}"#),
        ("2 commence_time", r#"{"commence_time": "2025-06-13T22:10:00-04:00"}"#),
        ("3 start_time", r#"{"start_time": "2025-06-14T02:10:00.000+00:00"}"#),
        ("4 game_datetime", r#"{"game_datetime": "2025-06-13T19:10:00-07:00", "home": "x"}"#),
        ("5 none", "{}"),
        ("6 day only", r#"{"date": "2025-06-13"}"#),
        ("7 below", r#"{"game": {"date": "2025-06-14T02:10:00Z"}}"#),
        ("8 no time", r#"{"date": "soon"}"#),
        ("9 no text", r#"{"date": 20250614}"#),
        ("A no object", r#"["2025-06-14T02:10:00Z"]"#),
        ("B no such day", r#"{"date": "2025-02-30T02:10:00Z"}"#),
    ] {
        night_game(&mut client, game, payload, 10);
    }
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    let known = ["1 date", "2 commence_time", "3 start_time", "4 game_datetime"]
        .map(|game| format!("{game}: 2025-06-13, 2025-06-14 02:10:00"));
    let midnight =
        ["5 none", "6 day only", "7 below", "8 no time", "9 no text", "A no object", "B no such day"]
            .map(|game| format!("{game}: 2025-06-14, 2025-06-14 04:00:00"));
    assert_eq!(times(&mut client), [known.as_slice(), midnight.as_slice()].concat());

    // A later record without a time takes none away; one with another time is believed; an earlier one is not.
    night_game(&mut client, "1 date", "{}", 11);
    night_game(&mut client, "2 commence_time", r#"{"date": "2025-06-15T17:05:00Z"}"#, 11);
    night_game(&mut client, "3 start_time", r#"{"date": "2025-06-15T17:05:00Z"}"#, 9);
    night_game(&mut client, "5 none", r#"{"date": "2025-06-14T02:10:00Z"}"#, 9);
    migrate(&mut client);
    let times = times(&mut client);
    assert_eq!(times[0], "1 date: 2025-06-13, 2025-06-14 02:10:00");
    assert_eq!(times[1], "2 commence_time: 2025-06-15, 2025-06-15 17:05:00");
    assert_eq!(times[2], "3 start_time: 2025-06-13, 2025-06-14 02:10:00");
    assert_eq!(times[4], "5 none: 2025-06-13, 2025-06-14 02:10:00");
}

#[test]
fn a_game_of_one_market_only_has_what_that_market_tells() {
    let (_db, mut client) = installed(Template::ShapeA);
    night_game(&mut client, "total", r#"{"date": "2025-06-14T02:10:00Z"}"#, 10);
    client
        .batch_execute(
            "INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds,
                                               favorite_team, underdog_team, raw_data, game_date)
             VALUES ('F', 'spread', 'dk', -1.5, 100, 'Mets', 'Cubs', '{}', '2025-01-10')",
        )
        .unwrap();
    migrate(&mut client);
    // In winter midnight is five hours later.
    assert_eq!(
        times(&mut client),
        ["spread: 2025-01-10, 2025-01-10 05:00:00", "total: 2025-06-13, 2025-06-14 02:10:00"]
    );
    let nobody = "staging.games WHERE home_team_normalized IS NULL AND away_team_normalized IS NULL";
    assert_eq!(count(&mut client, nobody), 2);
    let staged = "SELECT favorite_team_normalized || underdog_team_normalized FROM staging.spreads";
    assert_eq!(text(&mut client, staged).unwrap(), "NYMCHC");
    // The teams come with the first moneyline.
    quote(&mut client, "spread", "A", "Cubs", "Mets", 10);
    migrate(&mut client);
    assert_eq!(games(&mut client)[0], "spread: CHC, NYM, validated");
    let disputed = "staging.spreads WHERE validation_errors::text ~ 'swapped|conflicting'";
    assert_eq!(count(&mut client, disputed), 0, "a favorite may be either side");
}

/// Four games of three markets, staged.
fn four_games() -> (TestDb, Client) {
    let (db, mut client) = installed(Template::ShapeA);
    for (game, home, away) in
        [("a", "Mets", "Cubs"), ("b", "Reds", "Cards"), ("c", "Yankees", "Red Sox"), ("d", "Dodgers", "Mets")]
    {
        for source in ["A", "B"] {
            quote(&mut client, game, source, home, away, 10);
        }
        night_game(&mut client, game, "{}", 10);
        client
            .batch_execute(&format!(
                "INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds)
                 VALUES ('A', '{game}', 'dk', 1.5, 100)"
            ))
            .unwrap();
    }
    migrate(&mut client);
    (db, client)
}

#[test]
fn records_are_led_back_to_their_games_whatever_became_of_the_numbers() {
    let (_db, mut client) = four_games();
    for damage in [
        "TRUNCATE staging.games RESTART IDENTITY CASCADE;
         INSERT INTO staging.games (external_id) VALUES ('d'), ('of somebody else'), ('a')",
        "TRUNCATE staging.games RESTART IDENTITY CASCADE",
        "DELETE FROM staging.games WHERE external_id = 'a'",
        "DELETE FROM staging.games",
        "UPDATE staging.games SET id = id + 500000 WHERE external_id = 'b'",
        "UPDATE staging.games SET id = -id",
        "UPDATE staging.games SET id = 0 WHERE external_id = 'a';
         UPDATE staging.games SET id = (SELECT game_id FROM staging.totals ORDER BY raw_id LIMIT 1) WHERE external_id = 'b';
         UPDATE staging.games SET id = (SELECT game_id FROM staging.totals ORDER BY raw_id LIMIT 1 OFFSET 1) WHERE external_id = 'a'",
        "UPDATE staging.games SET external_id = 'by another name' WHERE external_id = 'c'",
        "UPDATE staging.games SET external_id = CASE external_id WHEN 'a' THEN 'd' ELSE 'a' END WHERE external_id IN ('a', 'd')",
        "UPDATE staging.games SET external_id = NULL WHERE external_id = 'b'",
        "UPDATE staging.totals SET game_id = 4711; UPDATE staging.games SET updated_at = now();
         UPDATE raw_data.totals_raw SET source = source",
        "INSERT INTO staging.games (id, external_id) VALUES (-4711, 'd')",
        "DELETE FROM staging.games WHERE id = -4711",
    ] {
        client.batch_execute(damage).unwrap();
        migrate(&mut client);
        assert_eq!(astray(&mut client), [""; 0], "{damage}");
        for game in ["a", "b", "c", "d"] {
            let rows = count(&mut client, &format!("staging.games WHERE external_id = '{game}'"));
            let twice = game == "d" && damage.starts_with("INSERT");
            assert_eq!(rows, 1 + i64::from(twice), "{game}: {damage}");
        }
        assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0, "{damage}");
        migrate(&mut client);
        assert_eq!(last_call(&mut client), NOTHING, "{damage}");
    }
}

#[test]
fn games_that_were_made_one_stay_one() {
    let (_db, mut client) = four_games();
    client
        .batch_execute(
            "BEGIN;
             UPDATE raw_data.moneylines_raw SET game_external_id = 'b' WHERE game_external_id = 'a';
             UPDATE raw_data.spreads_raw SET game_external_id = 'b' WHERE game_external_id = 'a';
             UPDATE raw_data.totals_raw SET game_external_id = 'b' WHERE game_external_id = 'a';
             UPDATE staging.moneylines s SET game_id = b.id FROM staging.games a, staging.games b
              WHERE a.external_id = 'a' AND b.external_id = 'b' AND s.game_id = a.id;
             DELETE FROM staging.games WHERE external_id = 'a';
             COMMIT",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(astray(&mut client), [""; 0]);
    assert_eq!(count(&mut client, "staging.games WHERE external_id = 'a'"), 0);
    let merged = "SELECT data_quality_score || validation_status FROM staging.games WHERE external_id = 'b'";
    assert_eq!(text(&mut client, merged).unwrap(), "99.99needs_review", "eight records, but of two matchups");
}

#[test]
fn a_game_that_a_record_leaves_is_scored_anew_in_the_same_call() {
    let (_db, mut client) = installed(Template::ShapeA);
    for source in ["A", "B", "C", "D", "E"] {
        quote(&mut client, "old", source, "Mets", "Cubs", 10);
    }
    let scores =
        "SELECT string_agg(format('%s %s %s', external_id, data_quality_score, validation_status), ', '
                                    ORDER BY external_id) FROM staging.games";
    for (step, expected) in [
        ("", "old 99.99 validated"),
        (
            "UPDATE raw_data.moneylines_raw SET game_external_id = 'new' WHERE source = 'A'",
            "new 69.99 low_coverage, old 89.99 validated",
        ),
        (
            "UPDATE raw_data.moneylines_raw SET game_external_id = NULL WHERE source IN ('B', 'C', 'D')",
            "new 69.99 low_coverage, old 69.99 low_coverage",
        ),
        (
            "UPDATE raw_data.moneylines_raw SET game_external_id = 'new'",
            "new 99.99 validated, old 69.99 low_coverage",
        ),
        (
            "DELETE FROM staging.moneylines WHERE raw_id = 1; DELETE FROM raw_data.moneylines_raw WHERE id = 1",
            "new 89.99 validated, old 69.99 low_coverage",
        ),
        // One book by four spellings.
        (
            "UPDATE raw_data.moneylines_raw SET sportsbook_name = (ARRAY['DraftKings', 'draftkings', 'DRAFTKINGS ', ' draftKings'])[id - 1]",
            "new 69.99 low_coverage, old 69.99 low_coverage",
        ),
        (
            "DELETE FROM staging.moneylines; DELETE FROM raw_data.moneylines_raw WHERE id < 5",
            "new 69.99 low_coverage, old 69.99 low_coverage",
        ),
    ] {
        client.batch_execute(step).unwrap();
        migrate(&mut client);
        assert_eq!(text(&mut client, scores).unwrap(), expected, "{step}");
        assert_eq!(astray(&mut client), [""; 0], "{step}");
    }
}

#[test]
fn a_raw_table_that_is_emptied_leaves_its_games_scored_by_the_others() {
    let (_db, mut client) = four_games();
    client.batch_execute("TRUNCATE raw_data.moneylines_raw CASCADE").unwrap();
    migrate(&mut client);
    // A spread and a total of the same book are left of each.
    assert_eq!(count(&mut client, "staging.games WHERE data_quality_score = 69.99"), 4);
}
