//! The statements of the migration. Every name in them is known beforehand, so nothing needs quoting; `$1` is the
//! set of rules as text.

use super::{Market, Shape, Words};

/// What a text is that is not blank, as a regular expression: it holds something but the six ASCII blanks.
pub const BLANKS: &str = r"E'[^ \t\n\x0B\f\r]'";

/// The columns that a new game is given.
pub(super) const GAME_COLUMNS: [&str; 7] = [
    "external_id",
    "home_team_normalized",
    "away_team_normalized",
    "game_date",
    "season",
    "data_quality_score",
    "validation_status",
];

const RULES: &str = "$1::pg_catalog.text::pg_catalog.jsonb";

/// The raw rows that a statement is about; `r` is the raw table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Ids above `$2`, up to `$3`.
    Range,
    /// The ids in `$2`.
    Ids,
}

impl Scope {
    /// The condition.
    #[must_use]
    pub const fn condition(self) -> &'static str {
        match self {
            Self::Range => "r.id > $2 AND r.id <= $3",
            Self::Ids => "r.id = ANY ($2)",
        }
    }
}

impl Market {
    /// The raw table, with its schema.
    #[must_use]
    pub fn raw(self) -> String {
        format!("raw_data.{}", self.raw_table())
    }

    /// The staging table, with its schema.
    #[must_use]
    pub fn staging(self) -> String {
        format!("staging.{}", self.staging_table())
    }

    fn arguments(self) -> String {
        let line = self.line().map(|line| format!("r.{line}::pg_catalog.numeric, ")).unwrap_or_default();
        let odds: String = self.odds().iter().map(|odds| format!("r.{odds}::pg_catalog.int4, ")).collect();
        format!(
            "r.sportsbook_name, r.game_external_id, {line}{odds}r.source, r.raw_data, r.collected_at, r.created_at, {RULES}"
        )
    }
}

/// Whether a staging row `s` was made from another version of the raw row. That version is told by its `updated_at`,
/// which is the raw row's: an earlier moment tells of another version as well as a later one, where transactions commit
/// in another order than they began. A row whose `updated_at` is no earlier than its staging was stamped by somebody
/// else, and only a later moment tells anything. A raw row without that moment never moves.
fn is_stale(raw: &str) -> String {
    format!(
        "({raw}.updated_at > s.updated_at OR {raw}.updated_at < s.updated_at AND s.updated_at < s.processed_at
          OR s.updated_at IS NULL AND {raw}.updated_at IS NOT NULL)"
    )
}

/// A status in the words that the column admits.
fn in_words(words: Words, status: &str) -> String {
    match words {
        Words::Plan => status.to_owned(),
        Words::Validity => {
            format!(
                "CASE {status} WHEN 'validated' THEN 'valid' WHEN 'invalid' THEN 'invalid' ELSE 'warning' END"
            )
        }
    }
}

impl Shape {
    /// What is staged of each raw row in the scope: the staging columns under their own names, the raw row's id as
    /// `raw_row`, and its game's as `external_id`.
    fn records(&self, scope: Scope, condition: &str) -> String {
        let market = self.market;
        let (raw, bet, where_) = (market.raw(), market.bet_type(), scope.condition());
        let arguments = market.arguments();
        let [one, other] = market.teams();
        let (game, games) = if self.by_external_id {
            let game = format!("CASE WHEN r.game_external_id ~ {BLANKS} THEN r.game_external_id END");
            (game, String::new())
        } else {
            // One row per external id, as in staging.migration_ready_records: a join must not fan out. Rows of a game
            // come together, and PostgreSQL memoizes what it has looked up.
            let games = format!(
                "LEFT JOIN LATERAL (SELECT pg_catalog.min(g.id) AS id FROM staging.games g
                                     WHERE g.external_id = r.game_external_id AND g.external_id ~ {BLANKS}) g ON true"
            );
            ("g.id".to_owned(), games)
        };
        let values: String =
            self.quoted().iter().map(|(column, raw)| format!(", r.{raw} AS {column}")).collect();
        let passed: String = self.quoted().iter().map(|(column, _)| format!(", x.{column}")).collect();
        let [team_one, team_other] = market.staging_teams();
        let status =
            in_words(self.words, &format!("groundskeeper.validation_status(x.score, x.issues, {RULES})"));
        format!(
            "SELECT x.raw_row, x.external_id, x.raw_row AS {raw_id}, x.game_id{passed},
                    x.{team_one}, x.{team_other}, x.score AS data_quality_score, {status} AS validation_status,
                    CASE WHEN pg_catalog.cardinality(x.issues) > 0 THEN pg_catalog.to_jsonb(x.issues) END AS validation_errors,
                    pg_catalog.now() AS processed_at, x.updated_at
               FROM (SELECT r.id AS raw_row, r.game_external_id AS external_id, {game} AS game_id{values}, r.updated_at,
                            groundskeeper.normalized_team(r.{one}) AS {team_one},
                            groundskeeper.normalized_team(r.{other}) AS {team_other},
                            groundskeeper.{bet}_quality_score({arguments}) AS score,
                            CASE WHEN groundskeeper.is_known_team(r.{one}) IS NOT FALSE
                                  AND groundskeeper.is_known_team(r.{other}) IS NOT FALSE
                                 THEN groundskeeper.{bet}_quality_issues({arguments})
                                 ELSE pg_catalog.array_append(groundskeeper.{bet}_quality_issues({arguments}), 'unknown_team')
                             END AS issues
                       FROM {raw} r {games}
                      WHERE {where_}{condition}
                     OFFSET 0) x",
            raw_id = self.raw_id,
        )
    }

    /// Staging columns that are taken over as they are, with the raw columns.
    fn quoted(&self) -> Vec<(&'static str, &'static str)> {
        let line = self.line.zip(self.market.line());
        let odds = self.market.odds().iter().map(|odds| (*odds, *odds));
        [("sportsbook_id", "sportsbook_id"), ("sportsbook_name", "sportsbook_name")]
            .into_iter()
            .chain(line)
            .chain(odds)
            .collect()
    }

    /// The staging columns that are written.
    pub(super) fn written(&self) -> Vec<&'static str> {
        [vec![self.raw_id], self.columns()].concat()
    }

    /// The same but for the raw row's id.
    fn columns(&self) -> Vec<&'static str> {
        let mut columns = vec!["game_id"];
        columns.extend(self.quoted().iter().map(|(column, _)| *column));
        columns.extend(self.market.staging_teams());
        columns.extend([
            "data_quality_score",
            "validation_status",
            "validation_errors",
            "processed_at",
            "updated_at",
        ]);
        columns
    }

    /// Stages the raw rows of the scope that are not staged yet. Where `fresh`, none of them can be. A row whose game
    /// is not there is left out.
    #[must_use]
    pub fn insert(&self, scope: Scope, fresh: bool) -> String {
        let condition = if fresh { String::new() } else { format!(" AND {}", self.not_staged()) };
        let columns = self.columns().join(", ");
        format!(
            "INSERT INTO {staging} ({raw_id}, {columns}) SELECT {raw_id}, {columns} FROM ({records}) y WHERE {has_game}",
            has_game = self.has_game(),
            staging = self.market.staging(),
            raw_id = self.raw_id,
            records = self.records(scope, &condition)
        )
    }

    /// That the game of a record `y` is there, or that it has none. Above the join: with the condition on it, PostgreSQL
    /// would not memoize.
    fn has_game(&self) -> String {
        if self.by_external_id {
            return "true".to_owned();
        }
        format!("(y.game_id IS NOT NULL OR y.external_id IS NULL OR y.external_id !~ {BLANKS})")
    }

    /// Stages the raw rows of the scope again that have moved since, in place. A row whose game is not there is left as
    /// it is.
    #[must_use]
    pub fn update(&self, scope: Scope) -> String {
        let set: Vec<String> = self.columns().iter().map(|column| format!("{column} = y.{column}")).collect();
        let moved = format!(
            " AND EXISTS (SELECT FROM {} s WHERE s.{} = r.id AND {})",
            self.market.staging(),
            self.raw_id,
            is_stale("r")
        );
        format!(
            "UPDATE {staging} s SET {set} FROM ({records}) y
              WHERE s.{raw_id} = y.raw_row AND {stale} AND {has_game}",
            stale = is_stale("y"),
            has_game = self.has_game(),
            staging = self.market.staging(),
            set = set.join(", "),
            raw_id = self.raw_id,
            records = self.records(scope, &moved)
        )
    }

    /// Scores the staging rows of the scope anew, and writes those that it changes. Rows whose raw row has moved are
    /// the migration's.
    #[must_use]
    pub fn rescore(&self, scope: Scope) -> String {
        format!(
            "UPDATE {staging} s
                SET data_quality_score = y.data_quality_score, validation_status = y.validation_status,
                    validation_errors = y.validation_errors
               FROM ({records}) y
              WHERE s.{raw_id} = y.raw_row AND {stale} IS NOT TRUE
                AND (s.data_quality_score, s.validation_status::pg_catalog.text, s.validation_errors)
                    IS DISTINCT FROM (y.data_quality_score, y.validation_status, y.validation_errors)",
            staging = self.market.staging(),
            raw_id = self.raw_id,
            stale = is_stale("y"),
            records = self.records(scope, "")
        )
    }

    fn not_staged(&self) -> String {
        format!("NOT EXISTS (SELECT FROM {} s WHERE s.{} = r.id)", self.market.staging(), self.raw_id)
    }

    /// The ids in the scope that are not staged as they are, each with its game's external id where that game is not
    /// there.
    #[must_use]
    pub fn unstaged(&self, scope: Scope) -> String {
        let game = if self.by_external_id {
            "NULL::pg_catalog.text".to_owned()
        } else {
            format!(
                "CASE WHEN r.game_external_id ~ {BLANKS}
                       AND NOT EXISTS (SELECT FROM staging.games g WHERE g.external_id = r.game_external_id)
                      THEN r.game_external_id::pg_catalog.text END"
            )
        };
        format!(
            "SELECT DISTINCT r.id::pg_catalog.int8, {game}
               FROM {raw} r LEFT JOIN {staging} s ON s.{raw_id} = r.id
              WHERE $1::pg_catalog.text IS NOT NULL AND {where_} AND (s.{raw_id} IS NULL OR {stale}) ORDER BY 1",
            raw = self.market.raw(),
            staging = self.market.staging(),
            raw_id = self.raw_id,
            where_ = scope.condition(),
            stale = is_stale("r")
        )
    }

    /// The next `$3` ids above `$2` by `$1`: raw rows at or after that moment, none above `$4`, that are not staged or
    /// have moved, each with its moment.
    #[must_use]
    pub fn moved(&self) -> String {
        format!(
            "SELECT r.id::pg_catalog.int8, r.updated_at::pg_catalog.text, s.raw_row IS NULL OR s.is_stale
               FROM (SELECT r.id, r.updated_at FROM {raw} r
                      WHERE (r.updated_at, r.id) > ($1::pg_catalog.timestamptz, $2) AND r.id <= $4
                      ORDER BY r.updated_at, r.id LIMIT $3) r
               LEFT JOIN LATERAL (SELECT s.{raw_id} AS raw_row, pg_catalog.bool_or({stale}) AS is_stale
                                    FROM {staging} s WHERE s.{raw_id} = r.id GROUP BY s.{raw_id}) s ON true
              ORDER BY r.updated_at, r.id",
            stale = is_stale("r"),
            raw = self.market.raw(),
            staging = self.market.staging(),
            raw_id = self.raw_id
        )
    }
}

/// Makes and mends games, one row for each external id, from all of the raw tables: those that `touched` selects, or
/// all. Of several dates the one collected last counts, of several names the last one that is a club's. Returns how
/// many games there are, were inserted, were updated, had more than one date, have more than one row, and examples of
/// the dates.
#[must_use]
pub fn games(raw: &[Market], touched: Option<&str>, words: Words) -> String {
    let touching =
        if touched.is_some() { "JOIN touched t ON t.external_id = r.game_external_id" } else { "" };
    let records: Vec<String> = raw
        .iter()
        .map(|market| {
            format!(
                "SELECT r.game_external_id::pg_catalog.text AS external_id, r.sportsbook_name, r.game_date,
                        r.home_team_name AS home, r.away_team_name AS away, r.collected_at
                   FROM {} r {touching}",
                market.raw()
            )
        })
        .collect();
    let touched = touched.unwrap_or("SELECT NULL");
    // One pass counts each of these by itself: together they are nearly as many as the records.
    let parts = [("book", "sportsbook_name"), ("date", "game_date"), ("teams", "home, away")];
    let team = |side: &str| {
        format!(
            "(pg_catalog.array_agg(groundskeeper.normalized_team({side})
                  ORDER BY groundskeeper.is_known_team({side}) DESC, collected_at DESC NULLS LAST, {side})
              FILTER (WHERE part = 'teams' AND {side} ~ {BLANKS}))[1]"
        )
    };
    let status = format!("groundskeeper.game_validation_status(books, records, {RULES})");
    format!(
        "WITH touched AS MATERIALIZED (
             SELECT DISTINCT t.external_id::pg_catalog.text AS external_id FROM ({touched}) t (external_id)),
         seen AS (
             SELECT external_id, sportsbook_name, game_date, home, away, pg_catalog.count(*) AS records,
                    pg_catalog.max(collected_at) AS collected_at,
                    CASE {part} END AS part
               FROM ({records}) r
              GROUP BY GROUPING SETS ({sets})),
         counted AS (
             SELECT external_id,
                    pg_catalog.count(*) FILTER (WHERE part = 'book' AND sportsbook_name ~ {BLANKS}) AS books,
                    pg_catalog.sum(records) FILTER (WHERE part = 'book')::pg_catalog.int8 AS records,
                    (pg_catalog.array_agg(game_date ORDER BY collected_at DESC NULLS LAST, game_date DESC)
                     FILTER (WHERE game_date IS NOT NULL))[1] AS game_date,
                    pg_catalog.array_agg(game_date ORDER BY game_date) FILTER (WHERE game_date IS NOT NULL) AS dates,
                    {home} AS home, {away} AS away
               FROM seen WHERE external_id ~ {BLANKS} GROUP BY external_id),
         game AS MATERIALIZED (
             SELECT external_id, home, away, game_date, dates,
                    CASE WHEN pg_catalog.isfinite(game_date)
                         THEN EXTRACT(year FROM game_date)::pg_catalog.int4 END AS season,
                    groundskeeper.game_quality_score(books, records, {RULES}) AS score, {status} AS status
               FROM counted),
         known AS MATERIALIZED (
             SELECT g.external_id::pg_catalog.text AS external_id, pg_catalog.min(g.id) AS id, pg_catalog.count(*) AS copies
               FROM staging.games g WHERE g.external_id IN (SELECT external_id FROM game) GROUP BY 1),
         updated AS (
             UPDATE staging.games g
                SET home_team_normalized = COALESCE(n.home, g.home_team_normalized),
                    away_team_normalized = COALESCE(n.away, g.away_team_normalized),
                    game_date = COALESCE(n.game_date, g.game_date), season = COALESCE(n.season, g.season),
                    data_quality_score = n.score, validation_status = n.status, updated_at = pg_catalog.now()
               FROM game n JOIN known k USING (external_id)
              WHERE g.id = k.id
                AND (g.home_team_normalized::pg_catalog.text, g.away_team_normalized::pg_catalog.text, g.game_date, g.season,
                     g.data_quality_score, g.validation_status::pg_catalog.text)
                    IS DISTINCT FROM
                    (COALESCE(n.home, g.home_team_normalized), COALESCE(n.away, g.away_team_normalized),
                     COALESCE(n.game_date, g.game_date), COALESCE(n.season, g.season), n.score, n.status)
             RETURNING 1),
         inserted AS (
             INSERT INTO staging.games ({columns})
             SELECT n.external_id, n.home, n.away, n.game_date, n.season, n.score, n.status
               FROM game n LEFT JOIN known k USING (external_id)
              WHERE k.id IS NULL ORDER BY n.game_date, n.external_id
             RETURNING 1)
         SELECT (SELECT pg_catalog.count(*) FROM game), (SELECT pg_catalog.count(*) FROM inserted),
                (SELECT pg_catalog.count(*) FROM updated),
                (SELECT pg_catalog.count(*) FROM game WHERE pg_catalog.cardinality(dates) > 1),
                (SELECT pg_catalog.count(*) FROM known WHERE copies > 1),
                (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('game', c.external_id, 'dates', c.dates, 'kept', c.game_date)
                                             ORDER BY c.external_id)::pg_catalog.text
                   FROM (SELECT external_id, dates, game_date FROM game WHERE pg_catalog.cardinality(dates) > 1
                          ORDER BY external_id LIMIT 20) c)",
        columns = GAME_COLUMNS.join(", "),
        part = parts.map(|(part, columns)| format!("WHEN GROUPING({columns}) = 0 THEN '{part}'")).join(" "),
        sets = parts.map(|(_, columns)| format!("(external_id, {columns})")).join(", "),
        records = records.join(" UNION ALL "),
        home = team("home"),
        away = team("away"),
        status = in_words(words, &status),
    )
}
