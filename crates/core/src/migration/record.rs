//! What a raw row makes: the query behind every statement that stages records.

use super::Scope;
use super::columns::{Found, digits};
use super::shape::{GAMES, Raw, Shape, Source};
use super::statement::{BLANKS, NAMING, RULES, club, given, in_words};

/// The moment that a staged row is given: the raw row's own, or where there must be one, the best that it has.
fn version(raw: &Raw, must_be: bool) -> String {
    let moments = [&raw.updated_at, &raw.created_at, &raw.tells.collected_at];
    let moments = moments.map(|found| format!("r.{}::pg_catalog.timestamptz", found.quoted));
    if must_be { format!("COALESCE({})", moments.join(", ")) } else { moments[0].clone() }
}

/// A team of a record: where its name stands, and under which alias it is handed on.
struct Team<'a> {
    column: &'a Found,
    alias: &'static str,
}

impl Source {
    fn teams(&self) -> Vec<Team<'_>> {
        let sides = self.sides.iter().flat_map(|[home, away]| [(home, "home"), (away, "away")]);
        let pair = self.pair.iter().flat_map(|[one, other]| [(one, "favorite"), (other, "underdog")]);
        sides.chain(pair).map(|(column, alias)| Team { column, alias }).collect()
    }
}

/// A column that staging takes over, what it is made of, and under which alias that is handed on: whatever a
/// deployment calls its columns, aliases are ours.
pub(super) struct Value<'a> {
    pub(super) column: &'a Found,
    pub(super) alias: String,
    expression: String,
}

fn numbered<'a>(letter: char, values: impl IntoIterator<Item = (&'a Found, String)>) -> Vec<Value<'a>> {
    let value = |(n, (column, expression))| Value { column, alias: format!("{letter}{n}"), expression };
    values.into_iter().enumerate().map(value).collect()
}

impl Shape {
    /// What the score and the issues are worked out from.
    fn arguments(&self) -> String {
        let raw = &self.raw;
        let number = |found: &Found, type_name: &str| format!("r.{}::pg_catalog.{type_name}", found.quoted);
        let line = raw.tells.line.iter().map(|line| number(line, "numeric"));
        let odds = raw.odds.iter().map(|odds| number(odds, "int4"));
        let moments = [&raw.tells.collected_at, &raw.created_at].map(|found| number(found, "timestamptz"));
        let names = [&raw.tells.book, &raw.tells.game].map(|found| format!("r.{}", found.quoted));
        let rest = [format!("r.{}", raw.source.quoted), format!("r.{}", raw.payload.quoted)];
        let all: Vec<String> = names
            .into_iter()
            .chain(line)
            .chain(odds)
            .chain(rest)
            .chain(moments)
            .chain([RULES.to_owned()])
            .collect();
        all.join(", ")
    }

    /// Numbers are cast to the type that staging keeps them in, so that what is staged can be told from what would be.
    pub(super) fn values(&self) -> Vec<Value<'_>> {
        let (raw, staging) = (&self.raw, &self.staging);
        let cast = |from: &Found, to: &Found| format!("r.{}::{}", from.quoted, to.type_name);
        let book = format!("groundskeeper.sportsbook(r.{}, {NAMING})", raw.tells.book.quoted);
        let line = staging.line.iter().zip(&raw.tells.line);
        let odds = staging.odds.iter().zip(&raw.odds);
        let numbers = [(&staging.book_id, &raw.book_id)].into_iter().chain(line).chain(odds);
        let numbers = numbers.map(|(to, from)| (to, cast(from, to)));
        numbered('v', [(&staging.book, book)].into_iter().chain(numbers))
    }

    /// The staging columns of teams, by the code and the name in the inner query. Where a spread names no sides, the
    /// sign of the home side's line tells which is which.
    pub(super) fn teams(&self) -> Vec<Value<'_>> {
        let (tells, staging) = (&self.raw.tells, &self.staging);
        let named = |alias: &str| format!("COALESCE(x.{alias}_code, {})", given(&format!("x.{alias}_name")));
        let mut teams = Vec::new();
        if let Some([home, away]) = &staging.sides {
            let expressions = match (&tells.sides, &tells.pair, &tells.line) {
                (Some(_), ..) => Some([named("home"), named("away")]),
                (None, Some(_), Some(_)) => Some([("<", ">"), (">", "<")].map(|(favorite, underdog)| {
                    format!(
                        "CASE WHEN x.line {favorite} 0 THEN {} WHEN x.line {underdog} 0 THEN {} END",
                        named("favorite"),
                        named("underdog")
                    )
                })),
                _ => None,
            };
            teams.extend([home, away].into_iter().zip(expressions.into_iter().flatten()));
        }
        if let (Some([one, other]), Some(_)) = (&staging.pair, &tells.pair) {
            teams.extend([(one, named("favorite")), (other, named("underdog"))]);
        }
        numbered('t', teams)
    }

    /// The issues that the scorer does not know of, as conditions on the inner query. None of them is there in most rows.
    pub(super) fn conditions(&self) -> Vec<(&'static str, String)> {
        let tells = &self.raw.tells;
        let teams = tells.teams();
        let mut conditions = Vec::new();
        if !teams.is_empty() {
            let unknown =
                teams.iter().map(|t| format!("x.{0}_code IS NULL AND x.{0}_name ~ {BLANKS}", t.alias));
            conditions.push(("unknown_team", unknown.collect::<Vec<_>>().join(" OR ")));
        }
        if tells.sides.is_some() {
            let differs = "(x.home_code <> x.game_home OR x.away_code <> x.game_away)";
            let swapped = "(x.home_code = x.game_away OR x.home_code IS NULL) AND (x.away_code = x.game_home OR x.away_code IS NULL)";
            conditions.push((
                "conflicting_teams",
                format!("x.home_code = x.away_code OR {differs} AND ({swapped}) IS NOT TRUE"),
            ));
            conditions.push((
                "swapped_sides",
                format!("x.home_code <> x.away_code IS NOT FALSE AND {differs} AND {swapped}"),
            ));
        } else if tells.pair.is_some() {
            let strange = ["favorite", "underdog"]
                .map(|team| format!("x.{team}_code <> x.game_home AND x.{team}_code <> x.game_away"));
            let all = format!("x.favorite_code = x.underdog_code OR {}", strange.join(" OR "));
            conditions.push(("conflicting_teams", all));
        }
        let values = self.values();
        let line = values.iter().find(|v| Some(v.column) == self.staging.line.as_ref());
        if let Some(line) = line.filter(|v| digits(&v.column.type_name).is_some()) {
            conditions.push(("line_rounded", format!("x.{} <> x.line", line.alias)));
        }
        conditions
    }

    /// What holds of nearly all records that name their sides, and leaves nothing to look for: two clubs, and the game's.
    fn agreement(&self) -> Option<String> {
        let rounds = self.conditions().iter().any(|(code, _)| *code == "line_rounded");
        (self.raw.tells.sides.is_some() && !rounds).then(|| {
            "WHEN x.home_code = x.game_home AND x.away_code = x.game_away AND x.home_code <> x.away_code THEN NULL".into()
        })
    }

    /// What is staged of each raw row in the scope: the staging columns under their own names, the raw row's number
    /// as `raw_row`, its game's id at the source as `external_id`, and its moment as `version`.
    pub(super) fn records(&self, scope: Scope, condition: &str) -> String {
        let (raw, staging, bet) = (&self.raw, &self.staging, self.market.bet_type());
        let (id, game) = (&raw.id.quoted, &raw.tells.game.quoted);
        let arguments = self.arguments();
        let values = self.values();
        let inner: String = values.iter().map(|v| format!(", {} AS {}", v.expression, v.alias)).collect();
        let passed: String = values.iter().map(|v| format!(", x.{}", v.alias)).collect();
        let teams: String =
            self.teams().iter().map(|v| format!(", {} AS {}", v.expression, v.alias)).collect();
        let names: String = raw
            .tells
            .teams()
            .iter()
            .map(|team| {
                let name = format!("r.{}", team.column.quoted);
                format!(", {} AS {alias}_code, {name} AS {alias}_name", club(&name), alias = team.alias)
            })
            .collect();
        let line =
            raw.tells.line.as_ref().map(|line| format!(", r.{}::pg_catalog.numeric AS line", line.quoted));
        let conditions = self.conditions();
        let none = conditions.iter().map(|(_, holds)| format!("({holds}) IS NOT TRUE"));
        let none: Vec<String> = none.collect();
        let codes: Vec<String> =
            conditions.iter().map(|(code, holds)| format!("CASE WHEN {holds} THEN '{code}' END")).collect();
        let further = if conditions.is_empty() {
            "NULL::pg_catalog.text[]".to_owned()
        } else {
            format!(
                "CASE {} WHEN {} THEN NULL ELSE pg_catalog.array_remove(ARRAY[{}]::pg_catalog.text[], NULL) END",
                self.agreement().unwrap_or_default(),
                none.join(" AND "),
                codes.join(", ")
            )
        };
        // Nearly always the scorer's verdict is the last word.
        let issues = "((y.verdict).issues || y.further)";
        let unless = |further: &str, last: &str| {
            format!("CASE WHEN y.further IS NULL THEN (y.verdict).{last} ELSE {further} END")
        };
        let status = unless(
            &format!("groundskeeper.validation_status((y.verdict).score, {issues}, {RULES})"),
            "status",
        );
        let errors = unless(&format!("pg_catalog.to_jsonb({issues})"), "errors");
        let game_id = if staging.by_external_id { given(&format!("r.{game}")) } else { "g.id".to_owned() };
        format!(
            "SELECT y.*, (y.verdict).score::{score_type} AS score, {status} AS status, {errors} AS errors
               FROM (SELECT x.raw_row, x.external_id, x.game_id{passed}{teams}, x.version, x.verdict,
                            {further} AS further
                       FROM (SELECT r.{id} AS raw_row, r.{game}::pg_catalog.text AS external_id, {game_id} AS game_id{inner},
                                    {version} AS version{line}{names}, g.home AS game_home, g.away AS game_away,
                                    groundskeeper_internal.{bet}_verdict({arguments}) AS verdict
                               FROM {table} r {games}
                              WHERE {where_}{condition}
                             OFFSET 0) x
                     OFFSET 0) y",
            score_type = staging.score.type_name,
            status = in_words(staging.words, &status),
            version = version(raw, staging.updated_at.not_null),
            line = line.unwrap_or_default(),
            table = self.market.raw(),
            games = self.game_of("r"),
            where_ = scope.condition(id),
        )
    }

    /// The game of a raw row. One row per external id, as in staging.migration_ready_records: a join must not fan
    /// out. Rows of a game come together, and PostgreSQL memoizes what it has looked up.
    fn game_of(&self, raw: &str) -> String {
        let (games, game) = (&self.games, &self.raw.tells.game.quoted);
        let [home, away] = &games.sides;
        format!(
            "LEFT JOIN LATERAL (
                 SELECT g.{id} AS id, {home} AS home, {away} AS away
                   FROM {GAMES} g WHERE g.{external_id} = {raw}.{game} AND g.{external_id} ~ {BLANKS}
                  ORDER BY g.{id} LIMIT 1) g ON true",
            id = games.id.quoted,
            external_id = games.external_id.quoted,
            home = club(&format!("g.{}", home.quoted)),
            away = club(&format!("g.{}", away.quoted)),
        )
    }
}
