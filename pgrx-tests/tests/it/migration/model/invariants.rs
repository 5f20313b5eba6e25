//! What must hold after a full call, computed from the raw tables by other means than the migration's.

use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

/// What the raw tables say of games. Where records collected at the same moment disagree, any of them may be right.
pub const VIEWS: &str = r#"
    CREATE SCHEMA model;
    CREATE TABLE model.clubs (name text PRIMARY KEY, code text NOT NULL);
    -- What somebody changed in a game: kept, or where it is loose, nothing is known of it.
    CREATE TABLE model.hand (game text PRIMARY KEY, home text, away text, day date, loose boolean NOT NULL DEFAULT false);
    CREATE VIEW model.record AS
        SELECT market, r.id, CASE WHEN btrim(r.game) <> '' THEN r.game END AS game,
               nullif(lower(btrim(book)), '') AS book, nullif(btrim(one), '') AS one, nullif(btrim(other), '') AS other,
               h.code AS home, a.code AS away, collected_at, game_date,
               (SELECT moment::timestamptz
                  FROM (VALUES (1, payload ->> 'date'), (2, payload ->> 'commence_time'), (3, payload ->> 'start_time'),
                               (4, payload ->> 'game_datetime')) k (place, moment)
                 WHERE moment ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d' ORDER BY place LIMIT 1) AS starts
          FROM (SELECT 'moneylines' AS market, id, game_external_id::text AS game, sportsbook_name::text AS book,
                       home_team_name::text AS one, away_team_name::text AS other, raw_data AS payload, collected_at, game_date
                  FROM raw_data.moneylines_raw
                UNION ALL
                SELECT 'spreads', id, game_external_id, sportsbook_name, favorite_team, underdog_team, raw_data, collected_at,
                       game_date FROM raw_data.spreads_raw
                UNION ALL
                SELECT 'totals', id, game_external_id, sportsbook_name, NULL, NULL, raw_data, collected_at, game_date
                  FROM raw_data.totals_raw) r
          LEFT JOIN model.clubs h ON h.name = nullif(btrim(one), '')
          LEFT JOIN model.clubs a ON a.name = nullif(btrim(other), '');
    CREATE VIEW model.game AS
        SELECT game, count(*) AS records, count(DISTINCT book) AS books,
               99.99 - CASE WHEN count(DISTINCT book) < 2 THEN 20 ELSE 0 END - CASE WHEN count(*) < 5 THEN 10 ELSE 0 END AS score
          FROM model.record WHERE game IS NOT NULL GROUP BY game;
    CREATE VIEW model.pair AS
        WITH pair AS (SELECT game, home, away, max(collected_at) AS last FROM model.record
                       WHERE market = 'moneylines' AND game IS NOT NULL AND home <> away GROUP BY game, home, away)
        SELECT game, home, away FROM pair WHERE last = (SELECT max(p.last) FROM pair p WHERE p.game = pair.game);
    CREATE VIEW model.moment AS
        WITH timed AS (SELECT game, starts, collected_at FROM model.record WHERE game IS NOT NULL AND starts IS NOT NULL),
             dated AS (SELECT game, game_date, collected_at FROM model.record WHERE game IS NOT NULL AND game_date IS NOT NULL)
        SELECT game, starts, (starts AT TIME ZONE 'America/New_York')::date AS day FROM timed
         WHERE collected_at = (SELECT max(t.collected_at) FROM timed t WHERE t.game = timed.game)
        UNION ALL
        SELECT game, game_date::timestamp AT TIME ZONE 'America/New_York', game_date FROM dated
         WHERE collected_at = (SELECT max(d.collected_at) FROM dated d WHERE d.game = dated.game)
           AND NOT EXISTS (SELECT FROM timed t WHERE t.game = dated.game);
    CREATE VIEW model.staged AS
        SELECT DISTINCT ON (g.external_id) g.id, g.external_id::text AS game, g.home_team_normalized::text AS home,
               g.away_team_normalized::text AS away, g.game_date AS day, g.game_datetime AS starts,
               g.data_quality_score AS score,
               CASE g.validation_status WHEN 'valid' THEN 'validated' ELSE g.validation_status::text END AS status
          FROM staging.games g ORDER BY g.external_id, g.id;
    -- Games of which the records' teams count, each with whether a moneyline disagrees, and whether anything may.
    CREATE VIEW model.teamed AS
        SELECT s.*,
               EXISTS (SELECT FROM model.record r WHERE r.game = s.game AND market = 'moneylines' AND r.home <> r.away
                          AND (r.home, r.away) IS DISTINCT FROM (s.home, s.away)) AS conflict,
               NOT EXISTS (SELECT FROM model.record r WHERE r.game = s.game AND (one IS NOT NULL OR other IS NOT NULL)
                              AND (r.home, r.away) IS DISTINCT FROM (s.home, s.away)
                              AND (market = 'moneylines' OR (r.away, r.home) IS DISTINCT FROM (s.home, s.away))) AS clean
          FROM model.staged s
         WHERE NOT EXISTS (SELECT FROM model.hand h WHERE h.game = s.game AND (loose OR h.home IS NOT NULL))"#;

/// Each selects what is wrong.
const GAMES: [(&str, &str); 13] = [
    (
        "a game that records name has no row, or several",
        "SELECT format('%s: %s', game, n) FROM model.game, LATERAL (SELECT count(*) AS n FROM staging.games WHERE external_id = game) c
          WHERE n <> 1",
    ),
    (
        "a game's score is not its records'",
        "SELECT format('%s: %s, not %s', game, s.score, m.score) FROM model.game m JOIN model.staged s USING (game)
          WHERE s.score IS DISTINCT FROM m.score",
    ),
    (
        "a game that all records have left is scored as if it had some",
        "SELECT format('%s: %s %s', game, score, status) FROM model.staged s
          WHERE NOT EXISTS (SELECT FROM model.record r WHERE r.game = s.game)
            AND NOT EXISTS (SELECT FROM model.hand h WHERE h.game = s.game)
            AND (score IS DISTINCT FROM 69.99 OR status NOT IN ('low_coverage', 'warning'))",
    ),
    (
        "a team plays itself",
        "SELECT format('%s: %s', game, home) FROM model.staged WHERE home = away",
    ),
    (
        "a game's teams are not those of the record collected last",
        "SELECT format('%s: %s, %s', game, home, away) FROM model.teamed t
          WHERE EXISTS (SELECT FROM model.pair p WHERE p.game = t.game)
            AND NOT EXISTS (SELECT FROM model.pair p WHERE p.game = t.game AND (p.home, p.away) = (t.home, t.away))",
    ),
    (
        "teams that somebody corrected are others again",
        "SELECT format('%s: %s, %s', game, s.home, s.away) FROM model.staged s JOIN model.hand h USING (game)
          WHERE NOT loose AND h.home IS NOT NULL AND (s.home, s.away) IS DISTINCT FROM (h.home, h.away)",
    ),
    (
        "a game's time is not that of the record collected last",
        "SELECT format('%s: %s, %s', game, s.day, s.starts) FROM model.staged s
          WHERE EXISTS (SELECT FROM model.moment m WHERE m.game = s.game)
            AND NOT EXISTS (SELECT FROM model.hand h WHERE h.game = s.game AND (loose OR h.day IS NOT NULL))
            AND NOT EXISTS (SELECT FROM model.moment m WHERE m.game = s.game AND (m.day, m.starts) = (s.day, s.starts))
            -- where no record tells the time any more, what is known of that day stays
            AND NOT EXISTS (SELECT FROM model.moment m WHERE m.game = s.game AND m.day = s.day
                               AND (s.starts AT TIME ZONE 'America/New_York')::date = s.day
                               AND NOT EXISTS (SELECT FROM model.record r WHERE r.game = s.game AND r.starts IS NOT NULL))",
    ),
    (
        "a date that somebody corrected is another again",
        "SELECT format('%s: %s', game, s.day) FROM model.staged s JOIN model.hand h USING (game)
          WHERE NOT loose AND h.day IS NOT NULL AND s.day IS DISTINCT FROM h.day",
    ),
    (
        "a game whose records disagree is good all the same",
        "SELECT game FROM model.teamed t JOIN model.pair p USING (game) WHERE conflict AND status = 'validated'",
    ),
    (
        "a game that no record disputes has another status than its books make",
        "SELECT format('%s: %s', game, status) FROM model.teamed t JOIN model.game m USING (game)
          WHERE clean AND NOT conflict
            AND CASE WHEN books < 2 THEN status NOT IN ('low_coverage', 'warning') ELSE status <> 'validated' END",
    ),
    (
        "records have failed",
        "SELECT format('%s %s: %s, %s', raw_table, raw_id, reason, detail) FROM groundskeeper.migration_failures",
    ),
    (
        "a run does not add up or has not ended",
        "SELECT format('%s: %s, %s = %s + %s', run_id, state, processed, successful, failed) FROM groundskeeper.migration_runs
          WHERE processed IS DISTINCT FROM successful + failed OR state NOT IN ('completed', 'failed')
             OR state = 'failed' AND coalesce(error, '') = ''",
    ),
    (
        "the two logs differ",
        "SELECT coalesce(r, '-') || ' / ' || coalesce(l, '-')
           FROM (SELECT format('%s %s %s %s %s %s %s', execution_id, raw_table, state, processed, successful, failed, error) AS r
                   FROM groundskeeper.migration_runs) r
           FULL JOIN (SELECT format('%s %s %s %s %s %s %s', execution_id, source_table, status, records_processed,
                                    records_successful, records_failed, error_message) AS l
                        FROM public.pipeline_execution_log) l ON r = l
          WHERE r IS NULL OR l IS NULL",
    ),
];

/// A market: its raw id's column on Shape B, what is staged as it is on either shape, and the points that what is
/// missing costs.
struct Market {
    name: &'static str,
    values_a: &'static [(&'static str, &'static str)],
    values_b: &'static [(&'static str, &'static str)],
    points: &'static str,
}

const MARKETS: [Market; 3] = [
    Market {
        name: "moneylines",
        values_a: &[("home_odds", "home_odds"), ("away_odds", "away_odds")],
        values_b: &[("home_odds", "home_odds"), ("away_odds", "away_odds")],
        points: "CASE (CASE WHEN abs(r.home_odds) >= 100 THEN 0 ELSE 1 END + CASE WHEN abs(r.away_odds) >= 100 THEN 0 ELSE 1 END)
                     WHEN 2 THEN 30 WHEN 1 THEN 15 ELSE 0 END",
    },
    Market {
        name: "spreads",
        values_a: &[("spread_value", "spread_value"), ("spread_odds", "spread_odds")],
        values_b: &[("spread_value", "line_value")],
        points: "CASE WHEN r.spread_value IS NULL THEN 25 ELSE 0 END + CASE WHEN abs(r.spread_odds) >= 100 THEN 0 ELSE 15 END",
    },
    Market {
        name: "totals",
        values_a: &[("total_points", "total_points"), ("over_odds", "over_odds"), ("under_odds", "under_odds")],
        values_b: &[("total_points", "line_value"), ("over_odds", "over_odds"), ("under_odds", "under_odds")],
        points: "CASE WHEN r.total_points IS NULL THEN 25 ELSE 0 END
                 + CASE WHEN abs(r.over_odds) >= 100 OR abs(r.under_odds) >= 100 THEN 0 ELSE 15 END",
    },
];

impl Market {
    fn checks(&self, shape_b: bool) -> Vec<(&'static str, String)> {
        let name = self.name;
        let (raw_id, values) = match shape_b {
            true => (format!("raw_{name}_id"), self.values_b),
            false => ("raw_id".to_owned(), self.values_a),
        };
        let joined = format!(
            "raw_data.{name}_raw r JOIN staging.{name} s ON s.{raw_id} = r.id
             JOIN model.record m ON m.market = '{name}' AND m.id = r.id"
        );
        let same: Vec<String> = [("sportsbook_id", "sportsbook_id"), ("updated_at", "updated_at")]
            .iter()
            .chain(values)
            .map(|(raw, staged)| format!("r.{raw} IS DISTINCT FROM s.{staged}"))
            .collect();
        let mut checks = vec![
            (
                "a raw row is not staged once",
                format!(
                    "SELECT format('{name} %s: %s', r.id, n)
                       FROM raw_data.{name}_raw r, LATERAL (SELECT count(*) AS n FROM staging.{name} s WHERE s.{raw_id} = r.id) c
                      WHERE n <> 1"
                ),
            ),
            (
                "a staged row is not the raw row as it is now",
                format!(
                    "SELECT format('{name} %s: %s / %s', r.id, r, s) FROM {joined}
                      WHERE {} OR m.book IS DISTINCT FROM nullif(lower(btrim(s.sportsbook_name)), '')",
                    same.join(" OR ")
                ),
            ),
            (
                "a staged row's score is not what its raw row is worth",
                format!(
                    "SELECT format('{name} %s: %s, not %s', r.id, s.data_quality_score, score)
                       FROM {joined}, LATERAL (SELECT LEAST(99.99, LEAST(99.99, 99.99
                                - CASE WHEN m.book IS NULL THEN 20 ELSE 0 END - CASE WHEN m.game IS NULL THEN 25 ELSE 0 END
                                - ({points}) - CASE WHEN r.collected_at > r.created_at THEN 5 ELSE 0 END
                                + CASE WHEN btrim(r.source) NOT IN ('', 'UNKNOWN') THEN 5 ELSE 0 END)
                                + CASE WHEN jsonb_typeof(r.raw_data) = 'object' THEN 3 ELSE 0 END) AS score) x
                      WHERE s.data_quality_score IS DISTINCT FROM score",
                    points = self.points
                ),
            ),
            (
                "a staged row's status does not go with its score and issues",
                format!(
                    "SELECT format('{name} %s: %s %s %s', r.id, s.data_quality_score, s.validation_status, s.validation_errors)
                       FROM {joined}
                      WHERE CASE WHEN s.data_quality_score < 60 THEN validation_status <> 'invalid'
                                 WHEN s.data_quality_score < 80 OR s.validation_errors::text
                                      ~ 'missing_|invalid_|swapped_sides|conflicting_teams'
                                 THEN validation_status NOT IN ('needs_review', 'warning')
                                 WHEN s.validation_errors IS NULL THEN validation_status NOT IN ('validated', 'valid')
                                 ELSE validation_status NOT IN ('validated', 'valid', 'needs_review', 'warning') END
                         OR (m.game IS NULL) <> coalesce(s.validation_errors ? 'missing_game_reference', false)
                         OR (m.book IS NULL) <> coalesce(s.validation_errors ? 'missing_sportsbook', false)"
                ),
            ),
            (
                "a staged row refers to another game than its raw row names",
                match shape_b {
                    true => format!(
                        "SELECT format('{name} %s: %s, not %s', r.id, s.game_id, m.game) FROM {joined}
                          WHERE s.game_id::text IS DISTINCT FROM m.game"
                    ),
                    false => format!(
                        "SELECT format('{name} %s: %s, not %s of %s', r.id, s.game_id, g.id, m.game) FROM {joined}
                           LEFT JOIN model.staged g ON g.game = m.game
                          WHERE s.game_id::bigint IS DISTINCT FROM g.id::bigint"
                    ),
                },
            ),
        ];
        if name == "moneylines" {
            checks.push((
                "a club is staged under another name",
                format!(
                    "SELECT format('%s: %s, %s', r.id, s.home_team_normalized, s.away_team_normalized) FROM {joined}
                      WHERE m.home <> s.home_team_normalized OR m.away <> s.away_team_normalized
                         OR m.home IS NOT NULL AND s.home_team_normalized IS NULL
                         OR m.away IS NOT NULL AND s.away_team_normalized IS NULL"
                ),
            ));
            checks.push((
                "a moneyline's issues do not say whether its teams are its game's",
                format!(
                    "SELECT format('%s: %s, %s of %s: %s', r.id, m.home, m.away, m.game, s.validation_errors)
                       FROM {joined} JOIN model.teamed g ON g.game = m.game
                      WHERE m.home <> m.away AND EXISTS (SELECT FROM model.pair p WHERE p.game = m.game)
                        AND ((coalesce(s.validation_errors, '[]') ? 'swapped_sides') <> ((m.away, m.home) = (g.home, g.away))
                             OR (coalesce(s.validation_errors, '[]') ? 'conflicting_teams')
                                <> ((m.home, m.away) <> (g.home, g.away) AND (m.away, m.home) <> (g.home, g.away)))"
                ),
            ));
        }
        checks
    }
}

/// All that is wrong, with some examples of each kind.
pub fn check(client: &mut Client, shape_b: bool) {
    let games = GAMES.iter().map(|(what, query)| (*what, (*query).to_owned()));
    let markets = MARKETS.iter().flat_map(|market| market.checks(shape_b));
    let wrong: Vec<String> = games
        .chain(markets)
        .filter_map(|(what, query)| {
            let examples = texts(client, &format!("SELECT * FROM ({query}) q LIMIT 5")).unwrap();
            (!examples.is_empty()).then(|| format!("{what}:\n  {}", examples.join("\n  ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The versions of all rows that the migration writes: others, once something was written.
pub fn versions(client: &mut Client) -> Vec<String> {
    ["games", "moneylines", "spreads", "totals"]
        .map(|table| {
            let rows = format!(
                "SELECT md5(string_agg(format('%s %s %s', id, ctid, xmin), ';' ORDER BY id)) FROM staging.{table}"
            );
            text(client, &rows).unwrap()
        })
        .to_vec()
}
