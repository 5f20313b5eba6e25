//! The queries' texts.

/// One of the ten.
pub struct Query {
    /// Its place among them.
    pub number: u32,
    /// What it is for.
    pub purpose: &'static str,
    /// As it was asked before the plan.
    pub before: &'static str,
    /// As it can be asked since, where the plan gives a better way.
    pub after: Option<&'static str>,
    /// Why none of the plan's indexes serves it, where none does.
    pub reason: &'static str,
}

/// All of them, in the order in which the pipeline meets them.
pub const QUERIES: [Query; 10] = [
    Query {
        number: 1,
        purpose: "a page of raw rows with their games, for staging",
        before: "SELECT r.*, g.id FROM raw_data.moneylines_raw r
                   LEFT JOIN staging.games g ON g.external_id = r.game_external_id
                  ORDER BY r.id LIMIT 1000 OFFSET $middle",
        after: Some(
            "SELECT r.*, g.id FROM raw_data.moneylines_raw r
               LEFT JOIN LATERAL (SELECT min(g.id) AS id FROM staging.games g
                                   WHERE g.external_id = r.game_external_id) g ON true
              WHERE r.id > $middle ORDER BY r.id LIMIT 1000",
        ),
        reason: "the primary key serves it, now that it goes by id instead of OFFSET",
    },
    Query {
        number: 2,
        purpose: "games from raw rows, with how many books quote them",
        before: "SELECT game_external_id, game_date, count(DISTINCT sportsbook_name) FROM raw_data.moneylines_raw
                  WHERE game_external_id IS NOT NULL GROUP BY 1, 2",
        after: Some(
            "SELECT g.game_external_id, q.game_date, q.books
               FROM (SELECT DISTINCT game_external_id FROM raw_data.moneylines_raw WHERE id > 2 * $middle - 1000) g
              CROSS JOIN LATERAL (SELECT r.game_date, count(DISTINCT r.sportsbook_name) AS books
                                    FROM raw_data.moneylines_raw r
                                   WHERE r.game_external_id = g.game_external_id GROUP BY r.game_date) q",
        ),
        reason: "those of the last thousand rows are read by primary key, and a scan finds the rest of their quotes",
    },
    Query {
        number: 3,
        purpose: "deleting staged rows before they are staged again",
        before: "DELETE FROM staging.moneylines m WHERE m.id IN (
                   SELECT s.id FROM staging.moneylines s
                    WHERE s.id > 2 * $middle - 20000 AND s.validation_status <> 'validated'
                    ORDER BY s.id LIMIT 100)",
        after: None,
        reason: "the foreign key is checked by idx_curated_moneylines_staging, which EXPLAIN does not show",
    },
    Query {
        number: 4,
        purpose: "a day's games with their three markets",
        before: "SELECT g.id, count(DISTINCT m.id), count(DISTINCT s.id), count(DISTINCT t.id)
                   FROM staging.games g
                   LEFT JOIN staging.moneylines m ON m.game_id = g.id AND m.validation_status = 'validated'
                   LEFT JOIN staging.spreads s ON s.game_id = g.id AND s.validation_status = 'validated'
                   LEFT JOIN staging.totals t ON t.game_id = g.id AND t.validation_status = 'validated'
                  WHERE g.game_date = $date GROUP BY g.id",
        after: Some(
            "SELECT g.id, m.n, s.n, t.n
               FROM staging.games g
               LEFT JOIN LATERAL (SELECT count(*) AS n FROM staging.moneylines m
                                   WHERE m.game_id = g.id AND m.validation_status = 'validated') m ON true
               LEFT JOIN LATERAL (SELECT count(*) AS n FROM staging.spreads s
                                   WHERE s.game_id = g.id AND s.validation_status = 'validated') s ON true
               LEFT JOIN LATERAL (SELECT count(*) AS n FROM staging.totals t
                                   WHERE t.game_id = g.id AND t.validation_status = 'validated') t ON true
              WHERE g.game_date = $date",
        ),
        reason: "the indexes on game_id that were there serve it",
    },
    Query {
        number: 5,
        purpose: "a page of games with their curated rows",
        before: "SELECT g.*, e.id FROM staging.games g JOIN curated.enhanced_games e ON e.staging_game_id = g.id
                  ORDER BY g.id LIMIT 100 OFFSET $midgame",
        after: Some(
            "SELECT g.*, e.id FROM staging.games g JOIN curated.enhanced_games e ON e.staging_game_id = g.id
              WHERE g.id > $midgame ORDER BY g.id LIMIT 100",
        ),
        reason: "the primary keys serve it",
    },
    Query {
        number: 6,
        purpose: "the latest feature vectors of a game",
        before: "SELECT game_id, bet_type, max(feature_set_version), count(*) FROM curated.feature_vectors
                  WHERE game_id = $enhanced GROUP BY game_id, bet_type",
        after: None,
        reason: "the index on (game_id, bet_type) that was there serves it",
    },
    Query {
        number: 7,
        purpose: "raw rows that are not staged, the newest first",
        before: "SELECT r.* FROM raw_data.moneylines_raw r
                  WHERE r.id NOT IN (SELECT raw_id FROM staging.moneylines WHERE raw_id IS NOT NULL)
                  ORDER BY r.collected_at DESC LIMIT 100",
        after: Some(
            "SELECT r.* FROM raw_data.moneylines_raw r
              WHERE r.id > (SELECT confirmed_id FROM groundskeeper.migration_progress
                             WHERE raw_table = 'raw_data.moneylines_raw')
                AND NOT EXISTS (SELECT FROM staging.moneylines m WHERE m.raw_id = r.id)
              ORDER BY r.collected_at DESC LIMIT 100",
        ),
        reason: "the primary key serves it, as the migration knows up to where rows are staged",
    },
    Query {
        number: 8,
        purpose: "an upsert by five columns",
        before: "UPDATE raw_data.moneylines_raw SET home_odds = home_odds
                  WHERE game_external_id = $game AND collected_at = $collected AND sportsbook_name = $book
                    AND source <> '' AND game_date = $date",
        after: None,
        reason: "none",
    },
    Query {
        number: 9,
        purpose: "a game by its teams, within hours of a time",
        before: "SELECT * FROM staging.games WHERE home_team_normalized = $home AND away_team_normalized = $away
                    AND game_datetime BETWEEN timestamptz $start - interval '6 hours' AND timestamptz $start + interval '6 hours'",
        after: None,
        reason: "none",
    },
    Query {
        number: 10,
        purpose: "the best bets on a game since a time",
        before: "SELECT * FROM curated.betting_analysis
                  WHERE game_id = $enhanced AND confidence_score >= 0.5 AND recommendation IN ('bet', 'strong_bet')
                    AND created_at >= timestamptz $start - interval '30 days'
                  ORDER BY confidence_score DESC LIMIT 20",
        after: None,
        reason: "none",
    },
];
