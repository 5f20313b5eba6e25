//! The quality functions, against the rules restated in SQL, and the table of their rules.

use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use postgres::error::SqlState;

fn installed() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let client = db.client().unwrap();
    (db, client)
}

/// The single value of a query, as text; `NULL` for NULL.
fn text(client: &mut Client, expression: &str) -> String {
    let row = client.query_one(&format!("SELECT ({expression})::text"), &[]).unwrap();
    row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into())
}

/// What the refusal of a statement says: its message, having checked that it is 22023 and helps.
fn refusal(client: &mut Client, statement: &str) -> String {
    let error = client.batch_execute(statement).unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(*error.code(), SqlState::INVALID_PARAMETER_VALUE, "{statement}: {error}");
    assert!(error.detail().is_some() && error.hint().is_some(), "{statement}: {error}");
    error.message().into()
}

const SCORES: [(&str, usize); 3] =
    [("moneyline_quality_score", 8), ("spread_quality_score", 8), ("total_quality_score", 9)];

#[test]
fn null_is_a_value_that_is_missing() {
    let (_db, mut client) = installed();
    for (function, arguments) in SCORES {
        let nulls = vec!["NULL"; arguments].join(", ");
        let expected = if function.starts_with("money") { "24.99" } else { "14.99" };
        assert_eq!(text(&mut client, &format!("groundskeeper.{function}({nulls})")), expected);
        assert_eq!(text(&mut client, &format!("groundskeeper.{function}({nulls}, NULL)")), expected);
    }
    for (expression, expected) in [
        ("validation_status(NULL)", "NULL"),
        ("validation_status(99, NULL, NULL)", "validated"),
        ("validation_status('NaN')", "invalid"),
        ("validation_status(80)", "validated"),
        ("validation_status(79.999)", "needs_review"),
        ("validation_status(59.99)", "invalid"),
        ("validation_status(99, '{NULL, collected_after_created}')", "validated"),
        ("validation_status(99, '{missing_home_odds}')", "needs_review"),
        ("validation_status(50, '{missing_home_odds}')", "invalid"),
        ("validation_status(99, '{implausible_market}')", "needs_review"),
        ("validation_status(99, '{unknown_team, line_rounded}')", "needs_review"),
        ("validation_status(99, '{conflicting_teams}')", "needs_review"),
        ("validation_status(99, '{swapped_sides}')", "needs_review"),
        ("validation_status(99, '{unknown_team}')", "validated"),
        ("validation_status(70, rules => '{\"validated_from\": 70}')", "validated"),
        ("base_quality_factor(NULL, NULL, NULL)", "0"),
        ("base_quality_factor(-110, 100, NULL)", "0"),
        ("base_quality_factor(-110, 100, 'DraftKings')", "1"),
    ] {
        assert_eq!(text(&mut client, &format!("groundskeeper.{expression}")), expected, "{expression}");
    }
    assert_eq!(text(&mut client, "groundskeeper_internal.check_quality_rules(NULL)"), "true");
}

#[test]
fn each_issue_has_its_code() {
    let (_db, mut client) = installed();
    for (call, expected) in [
        (
            "moneyline_quality_issues(E' \\t\\n', '', NULL, NULL, NULL, NULL, NULL, NULL)",
            "{missing_sportsbook,missing_game_reference,missing_home_odds,missing_away_odds}",
        ),
        (
            "moneyline_quality_issues('b', 'g', 99, -99, 's', '{}', 'infinity', 'now')",
            "{invalid_home_odds,invalid_away_odds,collected_after_created}",
        ),
        (
            "spread_quality_issues('b', 'g', NULL, NULL, 's', '{}', NULL, NULL)",
            "{missing_spread_value,missing_spread_odds}",
        ),
        (
            "spread_quality_issues('b', 'g', 'NaN', 0, 's', '{}', NULL, NULL)",
            "{missing_spread_value,invalid_spread_odds}",
        ),
        (
            "total_quality_issues('b', 'g', NULL, NULL, NULL, 's', '{}', NULL, NULL)",
            "{missing_total_points,missing_over_odds,missing_under_odds}",
        ),
        (
            "total_quality_issues('b', 'g', 8.5, 1, -1, 's', '{}', NULL, NULL)",
            "{invalid_over_odds,invalid_under_odds}",
        ),
        ("total_quality_issues('b', 'g', 0, 100, -100, 's', '{}', NULL, NULL)", "{}"),
        ("moneyline_quality_issues('b', 'g', 105, 105, 's', '{}', NULL, NULL)", "{}"),
        ("moneyline_quality_issues('b', 'g', -167, -167, 's', '{}', NULL, NULL)", "{implausible_market}"),
        (
            "total_quality_issues('b', 'g', 8.5, 2147483647, 2147483647, 's', '{}', NULL, NULL)",
            "{implausible_market}",
        ),
        (
            "total_quality_issues('b', 'g', 8.5, -2147483648, -2147483648, 's', '{}', NULL, NULL)",
            "{implausible_market}",
        ),
        (
            "moneyline_quality_issues('b', 'g', 105, 105, 's', '{}', NULL, NULL, '{\"hold_below\": 2.43}')",
            "{implausible_market}",
        ),
        (
            "moneyline_quality_issues('b', 'g', -110, -110, 's', '{}', NULL, NULL, '{\"hold_above\": 4.76}')",
            "{implausible_market}",
        ),
        (
            "moneyline_quality_issues('b', 'g', -110, -110, 's', '{}', NULL, NULL, '{\"hold_above\": 4.77}')",
            "{}",
        ),
    ] {
        assert_eq!(text(&mut client, &format!("groundskeeper.{call}")), expected, "{call}");
    }
}

/// Random records, of which most have a gap or an oddity, under rules that change from row to row; and the rules
/// as their owner's table states them.
const RESTATED: &str = r#"
CREATE TABLE record AS
SELECT n,
       (ARRAY[NULL, '', '  ', E'\t\n\v\f\r ', ' x ', E'\u00a0', 'DraftKings'])[1 + random() * 6.0] AS book,
       (ARRAY[NULL, '', 'mlb-1'])[1 + random() * 2.0] AS game,
       (ARRAY[NULL, 'NaN', 'Infinity', 0, -1.5, 8.5, 1e30])[1 + random() * 6.0]::numeric AS measure,
       (ARRAY[NULL, -2147483648, -101, -100, -99, 0, 99, 100])[1 + random() * 7.0] AS one,
       (ARRAY[NULL, -110, -100, -1, 99, 100, 2147483647])[1 + random() * 6.0] AS other,
       (ARRAY[NULL, '', ' ', 'UNKNOWN', 'unknown', 'SBR'])[1 + random() * 5.0] AS source,
       CASE n % 40
         -- compressed, and out of line
         WHEN 0 THEN jsonb_build_object('pad', repeat('x', 20000))
         WHEN 1 THEN jsonb_build_array(repeat('x', 20000))
         WHEN 2 THEN (SELECT jsonb_object_agg(i, md5(i::text || n)) FROM generate_series(1, 400) i)
         WHEN 3 THEN (SELECT jsonb_agg(md5(i::text || n)) FROM generate_series(1, 400) i)
         ELSE (ARRAY[NULL, '{}', '[]', '[{}]', '"{}"', '3', 'null', '{"a": {}}'])[1 + random() * 7.0]::jsonb
       END AS raw_data,
       (ARRAY[NULL, '-infinity', 'infinity', '2025-06-13', '2025-06-14'])[1 + random() * 4.0]::timestamptz AS collected,
       (ARRAY[NULL, '-infinity', 'infinity', '2025-06-13', '2025-06-14'])[1 + random() * 4.0]::timestamptz AS created,
       (ARRAY[NULL, '{}', '{"start": 50.5, "source_known": 0}',
              '{"missing_sportsbook": 0.01, "missing_game_reference": 0.1, "moneyline_missing_one_odds": 1.23,
                "moneyline_missing_both_odds": 4.56, "spread_missing_value": 7.89, "spread_missing_odds": 2.34,
                "total_missing_points": 5.67, "total_missing_both_odds": 8.91, "collected_after_created": 99.99,
                "source_known": 3.21, "raw_data_object": 6.54}'])[1 + random() * 3.0]::jsonb AS rules
  FROM generate_series(1, 20000) n;

CREATE VIEW restated AS
SELECT r.*, fell.moneyline, fell.spread, fell.total,
       (d.r->>'start')::numeric AS start, (d.r->>'source_known')::numeric AS source_known,
       (d.r->>'raw_data_object')::numeric AS raw_data_object
  FROM record r
 CROSS JOIN LATERAL (SELECT jsonb_object_agg(rule, points) || coalesce(r.rules, '{}')
                       FROM groundskeeper.default_quality_rules()) d(r)
 CROSS JOIN LATERAL (SELECT coalesce(book, '') ~ '^[ \t\n\v\f\r]*$' AS no_book,
                            coalesce(game, '') ~ '^[ \t\n\v\f\r]*$' AS no_game,
                            measure IS NULL OR measure IN ('NaN', 'Infinity') AS no_measure,
                            one IS NULL OR one BETWEEN -99 AND 99 AS no_one,
                            other IS NULL OR other BETWEEN -99 AND 99 AS no_other) has
 CROSS JOIN LATERAL (SELECT sum((d.r->>rule)::numeric * holds::integer) AS frame
                       FROM (VALUES ('missing_sportsbook', no_book), ('missing_game_reference', no_game),
                                    ('collected_after_created', coalesce(collected > created, false)))
                            AS c(rule, holds)) common
 CROSS JOIN LATERAL (SELECT frame
                            + (d.r->>'moneyline_missing_both_odds')::numeric * (no_one AND no_other)::integer
                            + (d.r->>'moneyline_missing_one_odds')::numeric * (no_one <> no_other)::integer,
                            frame
                            + (d.r->>'spread_missing_value')::numeric * no_measure::integer
                            + (d.r->>'spread_missing_odds')::numeric * no_one::integer,
                            frame
                            + (d.r->>'total_missing_points')::numeric * no_measure::integer
                            + (d.r->>'total_missing_both_odds')::numeric * (no_one AND no_other)::integer)
                    AS fell(moneyline, spread, total);

CREATE FUNCTION finished(points numeric, r restated) RETURNS numeric LANGUAGE sql AS $$
  SELECT greatest(0, least(99.99, least(99.99,
           points + CASE WHEN r.source ~ '[^ ]' AND r.source <> 'UNKNOWN' THEN r.source_known ELSE 0 END)
           + CASE WHEN jsonb_typeof(r.raw_data) = 'object' THEN r.raw_data_object ELSE 0 END))
$$;
"#;

#[test]
fn scores_agree_with_the_rules_restated_in_sql() {
    let (_db, mut client) = installed();
    client.batch_execute(RESTATED).unwrap();
    for (bet, measures) in
        [("moneyline", "one, other"), ("spread", "measure, one"), ("total", "measure, one, other")]
    {
        let sql = format!(
            "SELECT count(*), count(*) FILTER (WHERE ours IS DISTINCT FROM finished(start - {bet}, r)),
                    count(DISTINCT ours), bool_and(scale(ours) = 2)
               FROM restated r,
            LATERAL groundskeeper.{bet}_quality_score(book, game, {measures}, source, raw_data, collected, created,
                                                      rules) AS ours"
        );
        let row = client.query_one(&sql, &[]).unwrap();
        let (records, differing, distinct): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!((records, differing), (20_000, 0), "{bet}");
        assert!(
            distinct > 50,
            "{bet} has {distinct} scores only: too few to strain what is kept between calls"
        );
        assert!(row.get::<_, bool>(3), "{bet}: two decimals always");
    }
}

#[test]
fn rules_that_make_no_sense_are_refused_by_name() {
    let (_db, mut client) = installed();
    for (rules, message) in [
        (r#"{"begin": 3}"#, r#"unknown quality rule "begin""#),
        (r#"{"start": -0.01}"#, r#"quality rule "start" is out of range: -0.01"#),
        (r#"{"start": 100}"#, r#"quality rule "start" is out of range: 100"#),
        (r#"{"start": 1.005}"#, r#"quality rule "start" has more than two decimals: 1.005"#),
        (r#"{"start": "NaN"}"#, r#"quality rule "start" is not a number: "NaN""#),
        (r#"{"start": "20"}"#, r#"quality rule "start" is not a number: "20""#),
        (r#"{"start": null}"#, r#"quality rule "start" is not a number: null"#),
        (r#"{"start": 1e400}"#, "quality rules must be a JSON object of numbers"),
        ("[20]", "quality rules must be a JSON object of numbers"),
        ("20", "quality rules must be a JSON object of numbers"),
    ] {
        for (function, arguments) in SCORES {
            let nulls = vec!["NULL"; arguments].join(", ");
            for function in [function, &function.replace("score", "issues")] {
                let call = format!("SELECT groundskeeper.{function}({nulls}, '{rules}')");
                assert_eq!(refusal(&mut client, &call), message, "{call}");
            }
        }
        let call = format!("SELECT groundskeeper.validation_status(99, rules => '{rules}')");
        assert_eq!(refusal(&mut client, &call), message);
    }
}

#[test]
fn the_table_of_rules_takes_edits_and_nothing_else() {
    let (_db, mut client) = installed();
    let differing = "SELECT count(*) FROM (TABLE groundskeeper.quality_rules
                     EXCEPT TABLE defaults) x";
    client
        .batch_execute("CREATE VIEW defaults AS SELECT * FROM groundskeeper.default_quality_rules()")
        .unwrap();
    let changed = |client: &mut Client| client.query_one(differing, &[]).unwrap().get::<_, i64>(0);
    assert_eq!(changed(&mut client), 0);

    for (statement, message) in [
        ("UPDATE groundskeeper.quality_rules SET points = 'NaN' WHERE rule = 'start'", "is not a number"),
        ("UPDATE groundskeeper.quality_rules SET points = -5 WHERE rule = 'start'", "is out of range: -5"),
        (
            "UPDATE groundskeeper.quality_rules SET points = 1000 WHERE rule = 'start'",
            "is out of range: 1000",
        ),
        (
            "UPDATE groundskeeper.quality_rules SET rule = 'x' WHERE rule = 'start'",
            "unknown quality rule \"x\"",
        ),
        ("INSERT INTO groundskeeper.quality_rules VALUES ('x', 1, 'y')", "unknown quality rule \"x\""),
        ("INSERT INTO groundskeeper.quality_rules VALUES ('start', -1, 'y')", "is out of range: -1"),
    ] {
        let refused = refusal(&mut client, statement);
        assert!(refused.contains(message), "{statement}: {refused}");
    }
    assert_eq!(changed(&mut client), 0);

    client
        .batch_execute(
            "UPDATE groundskeeper.quality_rules SET points = 30 WHERE rule = 'missing_sportsbook';
             INSERT INTO groundskeeper.quality_rules (rule, points) VALUES ('validated_from', 90)",
        )
        .unwrap();
    assert_eq!(changed(&mut client), 2);
    let in_force = "(SELECT jsonb_object_agg(rule, points) FROM groundskeeper.quality_rules)";
    let score = format!(
        "groundskeeper.moneyline_quality_score(NULL, 'g', 100, -100, NULL, NULL, NULL, NULL, {in_force})"
    );
    assert_eq!(text(&mut client, &score), "69.99");

    client.batch_execute("DELETE FROM groundskeeper.quality_rules WHERE points = 30").unwrap();
    assert_eq!(changed(&mut client), 1, "30 is gone, or 25 is wrong");
    client.batch_execute("TRUNCATE groundskeeper.quality_rules").unwrap();
    assert_eq!(changed(&mut client), 0);
    assert_eq!(text(&mut client, "SELECT count(*) FROM groundskeeper.quality_rules"), "20");
}

#[test]
fn edited_rules_survive_a_dump_and_a_restore() {
    let (db, mut client) = installed();
    client
        .batch_execute(
            "UPDATE groundskeeper.quality_rules SET points = 33.5, description = 'ours' WHERE rule = 'source_known'",
        )
        .unwrap();
    let rules = "SELECT string_agg(q::text, ';' ORDER BY rule) FROM groundskeeper.quality_rules q";
    let before = text(&mut client, rules);
    let dump = db.dump().unwrap();

    let copy = TestDb::new(Template::Empty).unwrap();
    copy.server().restore(copy.name(), &dump).unwrap();
    let after = text(&mut copy.client().unwrap(), rules);
    assert!(after.contains("(source_known,33.5,ours)"), "{after}");
    assert_eq!(after, before);
}

#[test]
fn anyone_may_score_and_few_may_see_or_change_the_rules() {
    let (mut db, mut client) = installed();
    let anyone = db.role("anyone").unwrap();
    let monitor = db.role("monitor").unwrap();
    client.batch_execute(&format!("GRANT pg_monitor TO {monitor}")).unwrap();

    let mut as_anyone = db.client_as(&anyone).unwrap();
    for (function, arguments) in SCORES {
        let nulls = vec!["NULL"; arguments].join(", ");
        let issues = function.replace("score", "issues");
        let expression = format!(
            "groundskeeper.validation_status(groundskeeper.{function}({nulls}),
                                                                  groundskeeper.{issues}({nulls}))"
        );
        assert_eq!(text(&mut as_anyone, &expression), "invalid");
    }
    assert_eq!(text(&mut as_anyone, "groundskeeper.base_quality_factor(1, 1, '')"), "1");

    let mut as_monitor = db.client_as(&monitor).unwrap();
    assert_eq!(text(&mut as_monitor, "SELECT count(*) FROM groundskeeper.quality_rules"), "20");
    for (client, statement) in [
        (&mut as_anyone, "TABLE groundskeeper.quality_rules"),
        (&mut as_monitor, "UPDATE groundskeeper.quality_rules SET points = 1"),
    ] {
        let error = client.batch_execute(statement).unwrap_err();
        assert_eq!(error.code(), Some(&SqlState::INSUFFICIENT_PRIVILEGE), "{statement}");
    }
}
