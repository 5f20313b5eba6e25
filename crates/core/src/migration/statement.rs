//! The statements that stage records. Names of columns are quoted when they are found; those of tables are the
//! plan's. `$1` is the set of rules and `$2` the names of the deployment, both as text.

use super::columns::{Found, Words, digits, longest};
use super::shape::{GAMES, Shape, Staging};
use super::{Market, Scope};

/// What a text is that is not blank, as a regular expression: it holds something but the six ASCII blanks.
pub const BLANKS: &str = r"E'[^ \t\n\x0B\f\r]'";

pub(super) const RULES: &str = "$1::pg_catalog.text::pg_catalog.jsonb";
pub(super) const NAMING: &str = "$2::pg_catalog.text::pg_catalog.jsonb";

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
}

/// A status in the words that the column admits.
pub(super) fn in_words(words: Words, status: &str) -> String {
    match words {
        Words::Plan => status.to_owned(),
        Words::Validity => {
            format!(
                "CASE {status} WHEN 'validated' THEN 'valid' WHEN 'invalid' THEN 'invalid' ELSE 'warning' END"
            )
        }
    }
}

/// A club's code for a name, NULL where it is no club's.
pub(super) fn club(name: &str) -> String {
    format!("groundskeeper.club_code({name}, {NAMING})")
}

/// A name as it was given, unless it is blank.
pub(super) fn given(name: &str) -> String {
    format!("CASE WHEN {name} ~ {BLANKS} THEN {name}::pg_catalog.text END")
}

impl Shape {
    /// The staging columns but for the raw row's number, each with its expression over a record `y`.
    fn columns(&self) -> Vec<(&Found, String)> {
        let staging = &self.staging;
        let taken =
            self.values().into_iter().chain(self.teams()).map(|v| (v.column, format!("y.{}", v.alias)));
        // A row that tells no moment is given one that nobody else writes.
        let moment = "pg_catalog.now() - '1 microsecond'::pg_catalog.interval";
        let version = if staging.updated_at.not_null {
            format!("COALESCE(y.version, {moment})")
        } else {
            "y.version".into()
        };
        let mut columns = vec![(&staging.game_id, "y.game_id".to_owned())];
        columns.extend(taken);
        columns.extend([
            (&staging.score, "y.score".to_owned()),
            (&staging.status, "y.status".to_owned()),
            (&staging.errors, "y.errors".to_owned()),
            (&staging.processed_at, "pg_catalog.now()".to_owned()),
            (&staging.updated_at, version),
        ]);
        columns
    }

    /// Whether a staging row `s` is not what its raw row makes of it now, a record `y`.
    ///
    /// A row whose two moments are one was staged by somebody else: only a later raw row, or a reference to another
    /// game, is reason to write it. Where triggers may change what is written, the moment tells nothing.
    fn differs(&self) -> String {
        let Staging { game_id, processed_at, updated_at, score, errors, .. } = &self.staging;
        let game =
            format!("s.{}::pg_catalog.text IS DISTINCT FROM y.game_id::pg_catalog.text", game_id.quoted);
        let taken = self.values().into_iter().chain(self.teams()).map(|v| {
            if v.column.type_name.starts_with("character") || v.column.type_name == "text" {
                format!("s.{}::pg_catalog.text IS DISTINCT FROM y.{}", v.column.quoted, v.alias)
            } else {
                format!("s.{} IS DISTINCT FROM y.{}", v.column.quoted, v.alias)
            }
        });
        let kept = [
            format!("s.{} IS DISTINCT FROM y.score", score.quoted),
            format!("s.{} IS DISTINCT FROM y.errors", errors.quoted),
        ];
        let (updated, processed) = (&updated_at.quoted, &processed_at.quoted);
        let known = if updated_at.not_null { "y.version IS NOT NULL AND " } else { "" };
        let moved = format!("{known}s.{updated} IS DISTINCT FROM y.version::{}", updated_at.type_name);
        let mut differences = vec![game];
        differences.extend(taken.chain(kept));
        if self.staging.rewrites_rows {
            return format!("({})", differences.join(" OR "));
        }
        format!(
            "CASE WHEN s.{updated} = s.{processed}
                  THEN y.version > s.{updated} OR s.{game_id} IS NOT NULL AND {game}
                  ELSE {moved} OR {all} END",
            game_id = game_id.quoted,
            game = differences[0],
            all = differences.join(" OR "),
        )
    }

    /// That the game of a record `y` is there, or that it has none. Above the join: with the condition on it, PostgreSQL
    /// would not memoize.
    fn has_game(&self) -> String {
        if self.staging.by_external_id {
            return "true".to_owned();
        }
        format!("(y.game_id IS NOT NULL OR y.external_id IS NULL OR y.external_id !~ {BLANKS})")
    }

    /// Stages the raw rows of the scope that are not staged yet. Where `fresh`, none of them can be. A row whose game
    /// is not there is left out.
    #[must_use]
    pub fn insert(&self, scope: Scope, fresh: bool) -> String {
        let condition = if fresh { String::new() } else { format!(" AND {}", self.not_staged()) };
        let columns = self.columns();
        let names: Vec<&str> = columns.iter().map(|(column, _)| column.quoted.as_str()).collect();
        let values: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
        format!(
            "INSERT INTO {staging} ({raw_id}, {names}) SELECT y.raw_row, {values} FROM ({records}) y WHERE {has_game}",
            names = names.join(", "),
            values = values.join(", "),
            has_game = self.has_game(),
            staging = self.market.staging(),
            raw_id = self.staging.raw_id.quoted,
            records = self.records(scope, &condition)
        )
    }

    /// Stages the raw rows of the scope again, in place, whose staged rows are not what they make now; those staged in
    /// this transaction are. A row whose game is not there is left as it is. Returns how many were written, the
    /// numbers of those that were not, and whether others have locked some.
    ///
    /// All rows are locked before the first is written, and none of them is waited for: an application may hold one
    /// and want the next, and what a trigger of the table's does may take long.
    #[must_use]
    pub fn update(&self, scope: Scope) -> String {
        let (staging, raw_id) = (self.market.staging(), &self.staging.raw_id.quoted);
        let set: Vec<String> =
            self.columns().iter().map(|(column, value)| format!("{} = {value}", column.quoted)).collect();
        let staged = format!(
            " AND EXISTS (SELECT FROM {staging} s WHERE s.{raw_id} = r.{id} AND s.{processed} IS DISTINCT FROM pg_catalog.now())",
            id = self.raw.id.quoted,
            processed = self.staging.processed_at.quoted
        );
        format!(
            "WITH stale AS MATERIALIZED (
                 SELECT y.* FROM ({records}) y WHERE EXISTS (SELECT FROM {staging} s WHERE s.{raw_id} = y.raw_row AND {differs})),
             locked AS MATERIALIZED (
                 SELECT s.{raw_id} AS raw_row FROM {staging} s
                  WHERE s.{raw_id} IN (SELECT raw_row FROM stale y WHERE {has_game}) FOR NO KEY UPDATE SKIP LOCKED),
             done AS (
                 UPDATE {staging} s SET {set} FROM stale y
                  WHERE s.{raw_id} = y.raw_row AND y.raw_row = ANY (ARRAY(SELECT raw_row FROM locked)) AND {has_game}
                 RETURNING y.raw_row)
             SELECT (SELECT pg_catalog.count(DISTINCT raw_row) FROM done),
                    (SELECT pg_catalog.array_agg(raw_row::pg_catalog.int8)
                       FROM (SELECT raw_row FROM stale EXCEPT SELECT raw_row FROM done) kept),
                    (SELECT pg_catalog.count(DISTINCT raw_row) FROM locked)
                    < (SELECT pg_catalog.count(*) FROM stale y WHERE {has_game})",
            records = self.records(scope, &staged),
            differs = self.differs(),
            set = set.join(", "),
            has_game = self.has_game(),
        )
    }

    /// Scores the staging rows of the scope anew, and writes those that it changes. Rows whose raw row has moved are
    /// the migration's.
    #[must_use]
    pub fn rescore(&self, scope: Scope) -> String {
        let Staging { raw_id, score, status, errors, updated_at, processed_at, .. } = &self.staging;
        format!(
            "UPDATE {staging} s
                SET {score} = y.score, {status} = y.status, {errors} = y.errors
               FROM ({records}) y
              WHERE s.{raw_id} = y.raw_row
                AND (y.version IS NULL OR s.{updated} = y.version::{moment} OR s.{updated} >= s.{processed} AND y.version <= s.{updated})
                AND (s.{score}, s.{status}::pg_catalog.text, s.{errors}) IS DISTINCT FROM (y.score, y.status, y.errors)",
            staging = self.market.staging(),
            score = score.quoted,
            status = status.quoted,
            errors = errors.quoted,
            raw_id = raw_id.quoted,
            updated = updated_at.quoted,
            moment = updated_at.type_name,
            processed = processed_at.quoted,
            records = self.records(scope, "")
        )
    }

    fn not_staged(&self) -> String {
        format!(
            "NOT EXISTS (SELECT FROM {} s WHERE s.{} = r.{})",
            self.market.staging(),
            self.staging.raw_id.quoted,
            self.raw.id.quoted
        )
    }

    /// The numbers in the scope that are not staged.
    #[must_use]
    pub fn unstaged(&self, scope: Scope) -> String {
        format!(
            "SELECT r.{id}::pg_catalog.int8 FROM {raw} r WHERE {where_} AND {not_staged} ORDER BY 1",
            id = self.raw.id.quoted,
            raw = self.market.raw(),
            where_ = scope.plain_condition(&self.raw.id.quoted),
            not_staged = self.not_staged()
        )
    }

    /// The game of each of the raw rows `$1`, where it is not there.
    #[must_use]
    pub fn missing_games(&self) -> Option<String> {
        if self.staging.by_external_id {
            return None;
        }
        let (id, game) = (&self.raw.id.quoted, &self.raw.tells.game.quoted);
        Some(format!(
            "SELECT r.{id}::pg_catalog.int8, r.{game}::pg_catalog.text
               FROM {raw} r
              WHERE r.{id} = ANY ($1) AND r.{game} ~ {BLANKS}
                AND NOT EXISTS (SELECT FROM {GAMES} g WHERE g.{external_id} = r.{game})",
            raw = self.market.raw(),
            external_id = self.games.external_id.quoted
        ))
    }

    /// Which of a raw row's values do not fit their columns in staging, by name; `$1` is the row's number. Nothing
    /// where all columns take whatever raw ones hold.
    #[must_use]
    pub fn unfit_values(&self) -> Option<String> {
        let (raw, staging) = (&self.raw, &self.staging);
        let sides = staging.sides.iter().flatten().zip(raw.tells.sides.iter().flatten());
        let pair = staging.pair.iter().flatten().zip(raw.tells.pair.iter().flatten());
        let own = [(&staging.book, &raw.tells.book)];
        let texts = own.into_iter().chain(sides).chain(pair).filter_map(|(to, from)| {
            let limit = longest(&to.type_name)?;
            Some((to, format!("pg_catalog.length(r.{}) > {limit}", from.quoted)))
        });
        let numbers = staging.odds.iter().zip(&raw.odds).chain(staging.line.iter().zip(&raw.tells.line));
        let numbers = numbers.chain([(&staging.book_id, &raw.book_id)]).filter_map(|(to, from)| {
            let limit = match to.type_name.as_str() {
                "smallint" => "32767.5".to_owned(),
                "integer" => "2147483647.5".to_owned(),
                other => {
                    let (precision, scale) = digits(other)?;
                    format!("1e{} - 0.5 * 1e-{scale}", precision - scale)
                }
            };
            Some((to, format!("pg_catalog.abs(r.{}::pg_catalog.numeric) >= {limit}", from.quoted)))
        });
        let checks: Vec<String> = texts
            .chain(numbers)
            .map(|(to, unfit)| format!("CASE WHEN {unfit} THEN '{}' END", to.name.replace('\'', "''")))
            .collect();
        (!checks.is_empty()).then(|| {
            format!(
                "SELECT pg_catalog.concat_ws(', ', {}) FROM {} r WHERE r.{} = $1",
                checks.join(", "),
                self.market.raw(),
                raw.id.quoted
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::ColumnNames;
    use super::super::shape::tests::shape_of_spreads;
    use super::*;

    #[test]
    fn whatever_columns_are_called_they_are_quoted() {
        let shape = shape_of_spreads(&ColumnNames::new(vec![(
            "raw_data.spreads_raw".into(),
            "spread_odds".into(),
            "odds; --\"".into(),
        )]));
        for statement in
            [shape.insert(Scope::Ids, false), shape.update(Scope::Range), shape.rescore(Scope::Range)]
        {
            assert!(statement.contains("r.\"odds; --\"\"\""), "{statement}");
        }
    }

    #[test]
    fn a_spread_without_sides_says_nothing_of_swapped_ones() {
        let shape = shape_of_spreads(&ColumnNames::default());
        let codes: Vec<_> = shape.conditions().into_iter().map(|(code, _)| code).collect();
        assert_eq!(codes, ["unknown_team", "conflicting_teams", "line_rounded"]);
    }
}
