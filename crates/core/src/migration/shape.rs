//! Which columns the tables have, and whether the migration fits them.

use std::fmt;

use super::Market;
use super::statement::GAME_COLUMNS;

/// A column as the catalog tells of it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as PostgreSQL spells it, with its digits or length.
    pub type_name: String,
    /// Whether a row cannot be without a value that somebody gives.
    pub required: bool,
}

/// A table and its columns.
#[derive(Debug, Clone)]
pub struct Table {
    /// `schema.name`.
    pub name: String,
    /// Its columns; none where there is no such table.
    pub columns: Vec<Column>,
}

/// What makes a table unfit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The table, or its column.
    pub what: String,
    /// Why.
    pub why: String,
    /// What helps.
    pub remedy: Option<String>,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.why)
    }
}

/// The words that a status column admits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Words {
    /// `validated`, `needs_review`, `invalid`, `low_coverage`.
    Plan,
    /// `valid`, `warning`, `invalid`.
    Validity,
}

/// How the migration is spelled for one market's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The market.
    pub market: Market,
    /// The staging column that refers to the raw row.
    pub raw_id: &'static str,
    /// Whether staging refers to a game by its external id instead of its number.
    pub by_external_id: bool,
    /// The staging column of the line, for markets that have one.
    pub line: Option<&'static str>,
    /// The words of the market's status column.
    pub words: Words,
    /// The words of the games' status column.
    pub game_words: Words,
}

/// The families of types that a column may be of.
#[derive(Clone, Copy)]
enum Family {
    Integer,
    Number,
    Text,
    Json,
    Date,
    Time,
    Score,
}

impl Family {
    fn admits(self, type_name: &str) -> Result<(), String> {
        let base = type_name.split('(').next().unwrap_or(type_name);
        let zoned = base == "timestamp" || type_name.starts_with("timestamp");
        let fits = match self {
            Self::Integer => matches!(base, "smallint" | "integer" | "bigint"),
            Self::Number => matches!(base, "smallint" | "integer" | "bigint" | "numeric"),
            Self::Text => matches!(base, "text" | "character varying"),
            Self::Json => base == "jsonb",
            Self::Date => base == "date",
            Self::Time => zoned,
            Self::Score => return score_fits(type_name),
        };
        let wanted = match self {
            Self::Integer => "an integer",
            Self::Number => "an exact number",
            Self::Text => "text",
            Self::Json => "jsonb",
            Self::Date => "a date",
            Self::Time => "a timestamp",
            Self::Score => "a score",
        };
        if fits { Ok(()) } else { Err(format!("is {type_name}, not {wanted}")) }
    }
}

/// A score needs two digits before the point and two after it.
fn score_fits(type_name: &str) -> Result<(), String> {
    let fits = match type_name {
        "numeric" | "real" | "double precision" => true,
        _ => digits(type_name).is_some_and(|(precision, scale)| precision - scale >= 2 && scale >= 2),
    };
    if fits { Ok(()) } else { Err(format!("is {type_name}, which cannot hold scores up to 99.99")) }
}

fn digits(type_name: &str) -> Option<(i32, i32)> {
    let (precision, scale) = type_name.strip_prefix("numeric(")?.strip_suffix(')')?.split_once(',')?;
    Some((precision.parse().ok()?, scale.parse().ok()?))
}

/// Whether a constraint names words at all.
fn names_words(check: &str) -> bool {
    check.split('\'').skip(1).step_by(2).any(|word| word.bytes().any(|byte| byte.is_ascii_alphanumeric()))
}

/// Looks tables over and collects what does not fit.
struct Inspection(Vec<Misfit>);

impl Inspection {
    fn exists(&mut self, table: &Table) -> bool {
        if table.columns.is_empty() {
            self.0.push(Misfit { what: table.name.clone(), why: "does not exist".into(), remedy: None });
        }
        !table.columns.is_empty()
    }

    /// The first of the names that the table has.
    fn column(&mut self, table: &Table, names: &[&'static str], family: Family) -> Option<&'static str> {
        let found = names.iter().find_map(|name| Some((*name, table.column(name)?)));
        let Some((name, column)) = found else {
            let what = format!("{}.{}", table.name, names.first()?);
            self.0.push(Misfit { what, why: "does not exist".into(), remedy: None });
            return None;
        };
        if let Err(why) = family.admits(&column.type_name) {
            let remedy = matches!(family, Family::Score).then(|| {
                let scale = digits(&column.type_name).map_or(2, |(_, scale)| scale.max(2));
                format!("ALTER TABLE {} ALTER COLUMN {name} TYPE numeric({}, {scale})", table.name, scale + 3)
            });
            self.0.push(Misfit { what: format!("{}.{name}", table.name), why, remedy });
        }
        Some(name)
    }

    fn columns(&mut self, table: &Table, family: Family, names: &[&'static str]) {
        for name in names {
            self.column(table, &[name], family);
        }
    }

    /// Columns that must be given a value, and are not among those that are written.
    fn required(&mut self, table: &Table, written: &[&str]) {
        let unknown = table.columns.iter().filter(|c| c.required && !written.contains(&c.name.as_str()));
        self.0.extend(unknown.map(|column| Misfit {
            what: format!("{}.{}", table.name, column.name),
            why: "is NOT NULL without a default, and the migration has no value for it".into(),
            remedy: None,
        }));
    }

    /// The words of a status column, by the CHECK constraint on it.
    fn words(&mut self, table: &Table, check: Option<&str>) -> Words {
        match check {
            None => Words::Plan,
            Some(check) if check.contains("'validated'") || !names_words(check) => Words::Plan,
            Some(check) if check.contains("'valid'") && check.contains("'warning'") => Words::Validity,
            Some(check) => {
                let what = format!("{}.validation_status", table.name);
                self.0.push(Misfit { what, why: format!("admits other words: {check}"), remedy: None });
                Words::Plan
            }
        }
    }
}

impl Table {
    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// How the migration is spelled for these tables.
///
/// # Errors
/// What does not fit, all of it.
pub fn fit(
    market: Market,
    raw: &Table,
    staging: &Table,
    games: &Table,
    status_checks: [Option<&str>; 2],
) -> Result<Shape, Vec<Misfit>> {
    let mut look = Inspection(Vec::new());
    if look.exists(raw) {
        look.columns(raw, Family::Integer, &["id", "sportsbook_id"]);
        let texts = ["source", "game_external_id", "sportsbook_name", "home_team_name", "away_team_name"];
        look.columns(raw, Family::Text, &texts);
        look.columns(raw, Family::Json, &["raw_data"]);
        look.columns(raw, Family::Date, &["game_date"]);
        look.columns(raw, Family::Time, &["collected_at", "created_at", "updated_at"]);
        look.columns(raw, Family::Integer, market.odds());
        if let Some(line) = market.line() {
            look.column(raw, &[line], Family::Number);
        }
        if market == Market::Spread {
            look.columns(raw, Family::Text, &["favorite_team", "underdog_team"]);
        }
    }
    let (mut raw_id, mut line, mut by_external_id) = ("raw_id", None, false);
    if look.exists(staging) {
        raw_id = look.column(staging, &["raw_id", market.own_raw_id()], Family::Integer).unwrap_or(raw_id);
        by_external_id = staging.column("game_id").is_some_and(|c| Family::Text.admits(&c.type_name).is_ok());
        let game = if by_external_id { Family::Text } else { Family::Integer };
        look.column(staging, &["game_id"], game);
        look.columns(staging, Family::Integer, &["sportsbook_id"]);
        look.columns(staging, Family::Text, &["sportsbook_name", "validation_status"]);
        look.columns(staging, Family::Text, &market.staging_teams());
        look.columns(staging, Family::Integer, market.odds());
        if let Some(name) = market.line() {
            line = look.column(staging, &[name, "line_value"], Family::Number);
        }
        look.columns(staging, Family::Score, &["data_quality_score"]);
        look.columns(staging, Family::Json, &["validation_errors"]);
        look.columns(staging, Family::Time, &["processed_at", "updated_at"]);
    }
    if look.exists(games) {
        look.columns(games, Family::Integer, &["id", "season"]);
        let texts = ["external_id", "home_team_normalized", "away_team_normalized", "validation_status"];
        look.columns(games, Family::Text, &texts);
        look.columns(games, Family::Date, &["game_date"]);
        look.columns(games, Family::Score, &["data_quality_score"]);
        look.columns(games, Family::Time, &["updated_at"]);
    }
    let words = look.words(staging, status_checks[0]);
    let game_words = look.words(games, status_checks[1]);
    let shape = Shape { market, raw_id, by_external_id, line, words, game_words };
    look.required(staging, &shape.written());
    look.required(games, &GAME_COLUMNS);
    if look.0.is_empty() { Ok(shape) } else { Err(look.0) }
}

impl Market {
    /// The columns of odds, the same in raw and staging.
    pub(super) const fn odds(self) -> &'static [&'static str] {
        match self {
            Self::Moneyline => &["home_odds", "away_odds"],
            Self::Spread => &["spread_odds"],
            Self::Total => &["over_odds", "under_odds"],
        }
    }

    /// The raw column of the line.
    pub(super) const fn line(self) -> Option<&'static str> {
        match self {
            Self::Moneyline => None,
            Self::Spread => Some("spread_value"),
            Self::Total => Some("total_points"),
        }
    }

    /// The raw columns of the two teams that are staged.
    pub(super) const fn teams(self) -> [&'static str; 2] {
        match self {
            Self::Spread => ["favorite_team", "underdog_team"],
            Self::Moneyline | Self::Total => ["home_team_name", "away_team_name"],
        }
    }

    /// The staging columns of these teams.
    pub(super) const fn staging_teams(self) -> [&'static str; 2] {
        match self {
            Self::Spread => ["favorite_team_normalized", "underdog_team_normalized"],
            Self::Moneyline | Self::Total => ["home_team_normalized", "away_team_normalized"],
        }
    }

    const fn own_raw_id(self) -> &'static str {
        match self {
            Self::Moneyline => "raw_moneylines_id",
            Self::Spread => "raw_spreads_id",
            Self::Total => "raw_totals_id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, columns: &[(&str, &str)]) -> Table {
        let column = |(name, type_name): &(&str, &str)| Column {
            name: (*name).into(),
            type_name: (*type_name).into(),
            required: false,
        };
        Table { name: name.into(), columns: columns.iter().map(column).collect() }
    }

    const TIME: &str = "timestamp with time zone";
    const NAME: &str = "character varying(100)";

    fn raw() -> Table {
        table(
            "raw_data.totals_raw",
            &[
                ("id", "bigint"),
                ("source", NAME),
                ("game_external_id", NAME),
                ("sportsbook_id", "integer"),
                ("sportsbook_name", NAME),
                ("total_points", "numeric(4,1)"),
                ("over_odds", "integer"),
                ("under_odds", "integer"),
                ("home_team_name", NAME),
                ("away_team_name", NAME),
                ("raw_data", "jsonb"),
                ("collected_at", TIME),
                ("game_date", "date"),
                ("created_at", TIME),
                ("updated_at", TIME),
            ],
        )
    }

    fn staging(raw_id: &str, game_id: &str, line: &str, score: &str) -> Table {
        table(
            "staging.totals",
            &[
                (raw_id, "bigint"),
                ("game_id", game_id),
                ("sportsbook_id", "integer"),
                ("sportsbook_name", NAME),
                (line, "numeric(4,1)"),
                ("over_odds", "integer"),
                ("under_odds", "integer"),
                ("home_team_normalized", NAME),
                ("away_team_normalized", NAME),
                ("data_quality_score", score),
                ("validation_status", "character varying(20)"),
                ("validation_errors", "jsonb"),
                ("processed_at", TIME),
                ("updated_at", TIME),
            ],
        )
    }

    fn games() -> Table {
        table(
            "staging.games",
            &[
                ("id", "bigint"),
                ("external_id", NAME),
                ("home_team_normalized", NAME),
                ("away_team_normalized", NAME),
                ("game_date", "date"),
                ("season", "integer"),
                ("data_quality_score", "numeric(5,2)"),
                ("validation_status", "character varying(20)"),
                ("updated_at", TIME),
            ],
        )
    }

    #[test]
    fn both_shapes_fit() {
        let a = staging("raw_id", "integer", "total_points", "numeric(5,2)");
        let a = fit(Market::Total, &raw(), &a, &games(), [None, None]).unwrap();
        assert_eq!(
            (a.raw_id, a.by_external_id, a.line, a.words),
            ("raw_id", false, Some("total_points"), Words::Plan)
        );
        let b = staging("raw_totals_id", "character varying(255)", "line_value", "numeric(6,3)");
        let check =
            "CHECK (((validation_status)::text = ANY (ARRAY['pending', 'valid', 'invalid', 'warning'])))";
        let b = fit(Market::Total, &raw(), &b, &games(), [Some(check), None]).unwrap();
        let expected = ("raw_totals_id", true, Some("line_value"), Words::Validity, Words::Plan);
        assert_eq!((b.raw_id, b.by_external_id, b.line, b.words, b.game_words), expected);
    }

    #[test]
    fn what_does_not_fit_is_named_with_its_remedy() {
        let mut unfit = staging("raw_id", "boolean", "total_points", "numeric(4,3)");
        unfit.columns.retain(|column| column.name != "validation_errors");
        let found =
            fit(Market::Total, &raw(), &unfit, &games(), [Some("CHECK (validation_status = 'x')"), None]);
        let found: Vec<String> = found.unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "staging.totals.game_id is boolean, not an integer",
                "staging.totals.data_quality_score is numeric(4,3), which cannot hold scores up to 99.99",
                "staging.totals.validation_errors does not exist",
                "staging.totals.validation_status admits other words: CHECK (validation_status = 'x')",
            ]
        );
        let narrow = staging("raw_id", "integer", "total_points", "numeric(4,3)");
        let found = fit(Market::Total, &raw(), &narrow, &games(), [None, None]).unwrap_err();
        let remedy = "ALTER TABLE staging.totals ALTER COLUMN data_quality_score TYPE numeric(6, 3)";
        assert_eq!(found[0].remedy.as_deref(), Some(remedy));
        let mut strict = staging("raw_id", "integer", "total_points", "numeric(5,2)");
        strict.columns.push(Column { name: "tenant".into(), type_name: "integer".into(), required: true });
        let found =
            fit(Market::Total, &raw(), &strict, &games(), [Some("CHECK (validation_status <> '')"), None]);
        let found: Vec<String> = found.unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["staging.totals.tenant is NOT NULL without a default, and the migration has no value for it"]
        );
        let gone = table("raw_data.totals_raw", &[]);
        let a = staging("raw_id", "integer", "total_points", "numeric(5,2)");
        let found = fit(Market::Total, &gone, &a, &games(), [None, None]).unwrap_err();
        assert_eq!(found[0].to_string(), "raw_data.totals_raw does not exist");
    }
}
