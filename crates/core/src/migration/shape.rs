//! Which columns a market's tables have, and whether the migration fits them.

use super::Market;
use super::columns::{ColumnNames, Family, Found, Inspection, Misfit, Table, Words, quote};
use super::roles::SIDES;

/// How the migration is spelled for one market's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// The market.
    pub market: Market,
    /// Its raw table.
    pub raw: Raw,
    /// Its staging table.
    pub staging: Staging,
    /// The games.
    pub games: Games,
}

/// A raw table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The row's number.
    pub id: Found,
    /// Who delivered it.
    pub source: Found,
    /// The payload.
    pub payload: Found,
    /// The book's number.
    pub book_id: Found,
    /// The odds.
    pub odds: Vec<Found>,
    /// When it was stored.
    pub created_at: Found,
    /// When it was changed.
    pub updated_at: Found,
    /// What it tells of its game.
    pub tells: Source,
}

/// What a raw table tells of games.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The market.
    pub market: Market,
    /// The game's id at the source.
    pub game: Found,
    /// The book's name.
    pub book: Found,
    /// The day of the game.
    pub game_date: Found,
    /// When it was read.
    pub collected_at: Found,
    /// The line, where the market has one.
    pub line: Option<Found>,
    /// The home team and the visitors, where it names them.
    pub sides: Option<[Found; 2]>,
    /// The favorite and the underdog, where it names them.
    pub pair: Option<[Found; 2]>,
    /// The payload, where it may tell when the game starts.
    pub payload: Option<Found>,
    /// What tells when the game starts beside the keys that feeds have.
    pub start: Start,
}

/// What a deployment has for the start of a game.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// Nothing of its own.
    Unsaid,
    /// A column.
    Column(Found),
    /// A key of the payload.
    Key(String),
}

/// A staging table's columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staging {
    /// The raw row's number.
    pub raw_id: Found,
    /// The game.
    pub game_id: Found,
    /// Whether it refers to a game by its external id instead of its number.
    pub by_external_id: bool,
    /// The book's number.
    pub book_id: Found,
    /// The book's name.
    pub book: Found,
    /// The odds, as those of the raw table.
    pub odds: Vec<Found>,
    /// The line, where the market has one.
    pub line: Option<Found>,
    /// The home team and the visitors, where it has room for them.
    pub sides: Option<[Found; 2]>,
    /// The favorite and the underdog, where it has room for them.
    pub pair: Option<[Found; 2]>,
    /// The score.
    pub score: Found,
    /// The status.
    pub status: Found,
    /// The issues.
    pub errors: Found,
    /// When it was staged.
    pub processed_at: Found,
    /// The raw row's moment.
    pub updated_at: Found,
    /// The words of its status.
    pub words: Words,
    /// Whether triggers may change a row before it is written.
    pub rewrites_rows: bool,
}

/// The columns of the games.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Games {
    /// The game's number.
    pub id: Found,
    /// Its id at the source.
    pub external_id: Found,
    /// The home team and the visitors.
    pub sides: [Found; 2],
    /// Its day.
    pub game_date: Found,
    /// Its time of day, where there is room for it.
    pub game_time: Option<Found>,
    /// When it starts, where there is room for it.
    pub game_datetime: Option<Found>,
    /// Its season.
    pub season: Found,
    /// Its score.
    pub score: Found,
    /// Its status.
    pub status: Found,
    /// When it was changed.
    pub updated_at: Found,
    /// The words of its status.
    pub words: Words,
}

/// The games' table.
pub const GAMES: &str = "staging.games";

/// How the migration is spelled for these tables.
///
/// # Errors
/// What does not fit, all of it.
pub fn fit(
    market: Market,
    raw: &Table,
    staging: &Table,
    games: &Table,
    names: &ColumnNames,
) -> Result<Shape, Vec<Misfit>> {
    let mut look = Inspection::new(names);
    let raw = if look.exists(raw) { raw_columns(&mut look, market, raw, names) } else { None };
    let staged = if look.exists(staging) { staging_columns(&mut look, market, staging) } else { None };
    let game = if look.exists(games) { game_columns(&mut look, games) } else { None };
    if let Some(staged) = &staged {
        let written = staged.written();
        look.required(staging, &written.iter().map(|found| found.name.as_str()).collect::<Vec<_>>());
    }
    if let Some(game) = &game {
        let written = game.written();
        look.required(games, &written.iter().map(|found| found.name.as_str()).collect::<Vec<_>>());
    }
    match (raw, staged, game) {
        (Some(raw), Some(staging), Some(games)) if look.misfits.is_empty() => {
            Ok(Shape { market, raw, staging, games })
        }
        _ => Err(look.misfits),
    }
}

/// The columns of the games alone.
///
/// # Errors
/// What does not fit, all of it.
pub fn fit_games(games: &Table, names: &ColumnNames) -> Result<Games, Vec<Misfit>> {
    let mut look = Inspection::new(names);
    let found = if look.exists(games) { game_columns(&mut look, games) } else { None };
    found.filter(|_| look.misfits.is_empty()).ok_or(look.misfits)
}

/// The columns of a raw table that a note of its changes takes: the row's number, and its game's id at the source.
///
/// # Errors
/// What does not fit.
pub fn raw_keys(raw: &Table, names: &ColumnNames) -> Result<(Found, Found), Vec<Misfit>> {
    let mut look = Inspection::new(names);
    if !look.exists(raw) {
        return Err(look.misfits);
    }
    let id = look.column(raw, &["id"], Family::Integer);
    let game = look.column(raw, &["game_external_id"], Family::Text);
    id.zip(game).ok_or(look.misfits)
}

/// What a raw table tells of games; nothing where it lacks what that takes.
#[must_use]
pub fn source(market: Market, raw: &Table, names: &ColumnNames) -> Option<Source> {
    let mut look = Inspection::new(names);
    source_columns(&mut look, market, raw, names).filter(|_| look.misfits.is_empty())
}

fn raw_columns(look: &mut Inspection, market: Market, raw: &Table, names: &ColumnNames) -> Option<Raw> {
    let id = look.column(raw, &["id"], Family::Integer);
    let book_id = look.column(raw, &["sportsbook_id"], Family::Integer);
    let source = look.column(raw, &["source"], Family::Text);
    let payload = look.column(raw, &["raw_data"], Family::Json);
    let created_at = look.column(raw, &["created_at"], Family::Time);
    let updated_at = look.column(raw, &["updated_at"], Family::Time);
    let tells = source_columns(look, market, raw, names);
    let odds: Vec<_> = market.odds().iter().map(|roles| look.column(raw, roles, Family::Integer)).collect();
    if market.line().is_some() && tells.as_ref().is_some_and(|tells| tells.line.is_none()) {
        look.column(raw, market.line()?, Family::Number);
    }
    if market == Market::Moneyline && tells.as_ref().is_some_and(|tells| tells.sides.is_none()) {
        SIDES.iter().for_each(|role| drop(look.column(raw, &[role], Family::Text)));
    }
    let odds = odds.into_iter().collect::<Option<_>>()?;
    let (id, source, payload, book_id) = (id?, source?, payload?, book_id?);
    Some(Raw {
        id,
        source,
        payload,
        book_id,
        odds,
        created_at: created_at?,
        updated_at: updated_at?,
        tells: tells?,
    })
}

fn source_columns(look: &mut Inspection, market: Market, raw: &Table, names: &ColumnNames) -> Option<Source> {
    let game = look.column(raw, &["game_external_id"], Family::Text);
    let book = look.column(raw, &["sportsbook_name"], Family::Text);
    let game_date = look.column(raw, &["game_date"], Family::Date);
    let collected_at = look.column(raw, &["collected_at"], Family::Time);
    let line = market.line().and_then(|roles| look.optional(raw, roles, Family::Number));
    let sides = both(look, raw, SIDES);
    let pair = both(look, raw, ["favorite_team", "underdog_team"]);
    let payload = look.optional(raw, &["raw_data"], Family::Json);
    let start = match names.of(&raw.name, "start_time") {
        None => Start::Unsaid,
        Some(name) if raw.column(name).is_some() => {
            look.optional(raw, &["start_time"], Family::Time).map_or(Start::Unsaid, Start::Column)
        }
        Some(key) => Start::Key(key.to_owned()),
    };
    let (game, book, game_date, collected_at) = (game?, book?, game_date?, collected_at?);
    Some(Source { market, game, book, game_date, collected_at, line, sides, pair, payload, start })
}

fn both(look: &mut Inspection, table: &Table, roles: [&str; 2]) -> Option<[Found; 2]> {
    let [one, other] = roles.map(|role| look.optional(table, &[role], Family::Text));
    Some([one?, other?])
}

fn staging_columns(look: &mut Inspection, market: Market, staging: &Table) -> Option<Staging> {
    let raw_id = look.column(staging, &["raw_id", market.own_raw_id()], Family::Integer);
    let is_text = |name: &str| {
        staging
            .column(name)
            .is_some_and(|c| c.type_name == "text" || c.type_name.starts_with("character varying"))
    };
    let by_external_id = look.name(staging, "game_id").is_some_and(is_text);
    let game = if by_external_id { Family::Text } else { Family::Integer };
    let game_id = look.column(staging, &["game_id"], game);
    let book_id = look.column(staging, &["sportsbook_id"], Family::Integer);
    let book = look.column(staging, &["sportsbook_name"], Family::Text);
    let status = look.column(staging, &["validation_status"], Family::Text);
    let normalized = ["home_team_normalized", "away_team_normalized"];
    let sides = if market == Market::Moneyline {
        let [home, away] = normalized.map(|role| look.column(staging, &[role], Family::Text));
        home.zip(away).map(Into::into)
    } else {
        both(look, staging, normalized)
    };
    let pair = both(look, staging, ["favorite_team_normalized", "underdog_team_normalized"]);
    let odds: Vec<_> =
        market.odds().iter().map(|roles| look.column(staging, roles, Family::Integer)).collect();
    let line = market.line().map(|roles| look.column(staging, &[roles[0], "line_value"], Family::Number));
    let score = look.column(staging, &["data_quality_score"], Family::Score);
    let errors = look.column(staging, &["validation_errors"], Family::Json);
    let processed_at = look.column(staging, &["processed_at"], Family::Time);
    let updated_at = look.column(staging, &["updated_at"], Family::Time);
    let words = look.words(staging);
    Some(Staging {
        raw_id: raw_id?,
        game_id: game_id?,
        by_external_id,
        book_id: book_id?,
        book: book?,
        odds: odds.into_iter().collect::<Option<_>>()?,
        line: match line {
            Some(line) => Some(line?),
            None => None,
        },
        sides,
        pair,
        score: score?,
        status: status?,
        errors: errors?,
        processed_at: processed_at?,
        updated_at: updated_at?,
        words,
        rewrites_rows: staging.rewrites_rows,
    })
}

fn game_columns(look: &mut Inspection, games: &Table) -> Option<Games> {
    let id = look.column(games, &["id"], Family::Integer);
    let season = look.column(games, &["season"], Family::Integer);
    let external_id = look.column(games, &["external_id"], Family::Text);
    let home = look.column(games, &["home_team_normalized"], Family::Text);
    let away = look.column(games, &["away_team_normalized"], Family::Text);
    let status = look.column(games, &["validation_status"], Family::Text);
    let game_date = look.column(games, &["game_date"], Family::Date);
    let game_datetime = look.optional(games, &["game_datetime"], Family::Time);
    let score = look.column(games, &["data_quality_score"], Family::Score);
    let updated_at = look.column(games, &["updated_at"], Family::Time);
    let words = look.words(games);
    // Its type is no family of ours, and it is read only.
    let game_time = games.column("game_time").filter(|c| c.type_name == "time without time zone");
    let game_time = game_time.map(|column| Found {
        quoted: quote(&column.name),
        name: column.name.clone(),
        type_name: column.type_name.clone(),
        not_null: column.not_null,
    });
    Some(Games {
        id: id?,
        external_id: external_id?,
        sides: [home?, away?],
        game_date: game_date?,
        game_time,
        game_datetime,
        season: season?,
        score: score?,
        status: status?,
        updated_at: updated_at?,
        words,
    })
}

impl Staging {
    /// The columns that are written.
    #[must_use]
    pub fn written(&self) -> Vec<&Found> {
        let own = [&self.raw_id, &self.game_id, &self.book_id, &self.book];
        let kept = [&self.score, &self.status, &self.errors, &self.processed_at, &self.updated_at];
        let teams = self.sides.iter().chain(&self.pair).flatten();
        own.into_iter().chain(&self.odds).chain(&self.line).chain(teams).chain(kept).collect()
    }
}

impl Games {
    /// The columns that a new game is given.
    #[must_use]
    pub fn written(&self) -> Vec<&Found> {
        let [home, away] = &self.sides;
        let own = [&self.external_id, home, away, &self.game_date, &self.season, &self.score, &self.status];
        own.into_iter().chain(&self.game_datetime).collect()
    }
}

#[cfg(test)]
pub(super) mod tests;
