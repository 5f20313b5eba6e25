//! Rules, and scoring by new ones.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{refusal, text, texts};

use super::{count, installed, migrate, simulate, waited};

#[test]
fn new_rules_hold_for_the_next_run_and_rescore_what_is_staged() {
    let (db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    migrate(&mut client);
    let staged =
        "SELECT string_agg(format('%s %s %s %s', id, raw_id, processed_at, updated_at), ';' ORDER BY id)
                    FROM staging.moneylines";
    let before = text(&mut client, staged).unwrap();
    client
        .batch_execute(
            "UPDATE groundskeeper.quality_rules SET points = 90 WHERE rule = 'start';
             UPDATE groundskeeper.quality_rules SET points = 0 WHERE rule IN ('source_known', 'raw_data_object')",
        )
        .unwrap();
    client
        .batch_execute(
            "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds)
             VALUES ('FEED', 'new', 'book', -110, 100)",
        )
        .unwrap();
    migrate(&mut client);
    let best = "SELECT max(data_quality_score) FROM staging.moneylines WHERE raw_id";
    let last = "= (SELECT max(id) FROM raw_data.moneylines_raw)";
    assert_eq!(text(&mut client, &format!("{best} {last}")).unwrap(), "90.00");
    assert_eq!(text(&mut client, &format!("{best} > 0")).unwrap(), "99.99");
    client
        .batch_execute(
            "DELETE FROM staging.moneylines WHERE raw_id = (SELECT max(id) FROM raw_data.moneylines_raw)",
        )
        .unwrap();
    for table in ["moneylines", "spreads", "totals", "games"] {
        client.batch_execute(&format!("SELECT groundskeeper.rescore('staging.{table}')")).unwrap();
    }
    db.settle().unwrap();
    let jobs = "SELECT DISTINCT format('%s %s %s', kind, state, error) FROM groundskeeper.jobs WHERE kind = 'rescore'";
    assert_eq!(texts(&mut client, jobs).unwrap(), ["rescore succeeded "]);
    for table in ["moneylines", "spreads", "totals", "games"] {
        let best = format!("SELECT max(data_quality_score) FROM staging.{table}");
        assert_eq!(text(&mut client, &best).unwrap(), "90.00", "{table}");
    }
    assert_eq!(text(&mut client, staged).unwrap(), before, "ids and moments stay");
    // Nothing is left to change, so nothing is written.
    let versions = "SELECT string_agg(xmin::text, ' ' ORDER BY id) FROM staging.totals";
    let before = text(&mut client, versions).unwrap();
    client.batch_execute("SELECT groundskeeper.rescore('staging.totals')").unwrap();
    db.settle().unwrap();
    assert_eq!(text(&mut client, versions).unwrap(), before);
}

#[test]
fn only_what_is_scored_is_rescored() {
    let (_db, mut client) = installed(Template::ShapeA);
    for (relation, code) in [("NULL", "22004"), ("'raw_data.totals_raw'", "42809"), ("'pg_class'", "42809")] {
        let call = format!("SELECT groundskeeper.rescore({relation})");
        assert_eq!(refusal(&mut client, &call).unwrap().code, code, "{call}");
    }
    for (points, rule) in
        [("-1", "start"), ("'NaN'", "start"), ("1e9", "source_known"), ("1", "no_such_rule")]
    {
        let insert = format!("INSERT INTO groundskeeper.quality_rules VALUES ('{rule}', {points}, '')");
        assert_eq!(refusal(&mut client, &insert).unwrap().code, "22023", "{insert}");
    }
}

#[test]
fn only_the_owner_has_a_table_rescored() {
    let (mut db, mut client) = installed(Template::ShapeA);
    let role = db.role("loader").unwrap();
    let mut loader = db.client_as(&role).unwrap();
    let rescore = "SELECT groundskeeper.rescore('staging.moneylines')";
    let refused = refusal(&mut loader, rescore).unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("42501", "permission denied for function rescore")
    );
    client.batch_execute(&format!("GRANT EXECUTE ON FUNCTION groundskeeper.rescore TO \"{role}\"")).unwrap();
    let refused = refusal(&mut loader, rescore).unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("42501", "must be owner of staging.moneylines")
    );
    assert_eq!(count(&mut client, "groundskeeper.jobs WHERE kind = 'rescore'"), 0);
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.moneylines OWNER TO \"{role}\"; GRANT USAGE ON SCHEMA staging TO \"{role}\""
        ))
        .unwrap();
    let job = text(&mut loader, rescore).unwrap();
    assert_eq!(waited(&mut client, &job), "succeeded");
    client.batch_execute(&format!("REASSIGN OWNED BY \"{role}\" TO CURRENT_USER")).unwrap();
}

#[test]
fn games_come_from_all_raw_tables_with_the_date_collected_last() {
    let (_db, mut client) = installed(Template::ShapeA);
    client
        .batch_execute(
            "INSERT INTO staging.games (external_id, venue) VALUES ('twice', 'kept'), ('twice', 'kept');
             INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_team_name, away_team_name,
                                                  game_date, collected_at)
             VALUES ('F', 'put off', 'a', 'Mets', 'Chicago Cubs', '2025-06-13', '2025-06-10'),
                    ('F', 'put off', 'c', 'Metropolitans', 'Cubs', NULL, '2025-06-12'),
                    ('F', 'twice', 'a', 'Mets', NULL, '2025-06-13', now());
             INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, game_date, collected_at)
             VALUES ('F', 'put off', 'b', '2025-06-15', '2025-06-12'), ('F', ' ', 'b', NULL, now()),
                    ('F', NULL, 'b', NULL, now());
             INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, game_date, collected_at)
             VALUES ('F', 'totals only', ' ', NULL, now()), ('F', 'put off', 'c', '2025-06-14', '2025-06-11'),
                    ('F', 'put off', 'c', NULL, '2025-06-13')",
        )
        .unwrap();
    migrate(&mut client);
    let games = "SELECT format('%s %s@%s %s %s %s %s', external_id, away_team_normalized, home_team_normalized, game_date,
                               season, data_quality_score, validation_status)
                   FROM staging.games ORDER BY external_id, id";
    assert_eq!(
        texts(&mut client, games).unwrap(),
        [
            "put off CHC@NYM 2025-06-15 2025 99.99 validated",
            "totals only @   69.99 low_coverage",
            "twice @NYM 2025-06-13 2025 69.99 low_coverage",
            "twice @    pending",
        ]
    );
    assert_eq!(count(&mut client, "staging.games WHERE venue = 'kept'"), 2);
    let note =
        "SELECT metadata #>> '{games,conflicts,0}' FROM public.pipeline_execution_log ORDER BY id LIMIT 1";
    let note = text(&mut client, note).unwrap();
    assert!(note.contains("put off") && note.contains(r#""kept": "2025-06-15""#), "{note}");
    let without = "SELECT string_agg(format('%s %s', s.game_id IS NULL, s.validation_errors ? 'missing_game_reference'), ', ')
                     FROM staging.spreads s JOIN raw_data.spreads_raw r ON r.id = s.raw_id
                    WHERE r.game_external_id IS DISTINCT FROM 'put off'";
    assert_eq!(text(&mut client, without).unwrap(), "t t, t t");
    let first = "SELECT count(*) FROM staging.moneylines m JOIN staging.games g ON g.id = m.game_id WHERE g.external_id = 'twice'
                    AND g.id = (SELECT min(id) FROM staging.games WHERE external_id = 'twice')";
    assert_eq!(text(&mut client, first).unwrap(), "1");
    // A game is scored again as more is collected of it.
    client
        .batch_execute(
            "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name) SELECT 'F', 'totals only', 'book ' || i
               FROM generate_series(1, 5) i",
        )
        .unwrap();
    migrate(&mut client);
    let score =
        "SELECT data_quality_score || validation_status FROM staging.games WHERE external_id = 'totals only'";
    assert_eq!(text(&mut client, score).unwrap(), "99.99validated");
}
