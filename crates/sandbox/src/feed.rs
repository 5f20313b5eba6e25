//! A sportsbook's feed of odds, read into the raw tables.
//!
//! One object per game, one block per book, one record per block and market. An empty string stands
//! for a missing value. A record's payload is its book's block with the game's start beside it, which
//! the feed gives once for all of a game's blocks.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use chrono_tz::America::New_York;
use postgres::Client;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Value;

use crate::raw::{Market, Quote, Record, Writer};

/// The name that records read from a feed carry as their source.
pub const SOURCE: &str = "SPORTSBOOK_FEED";

/// A small feed of invented games: blank books, a missing spread, a one-sided total.
pub const SMALL: &str = include_str!("../fixtures/feed.json");

#[derive(Deserialize)]
struct Feed {
    games: Vec<Game>,
}

#[derive(Deserialize)]
struct Game {
    #[serde(rename = "_id")]
    id: String,
    date: String,
    home: Team,
    away: Team,
    sportsbooks: Vec<Value>,
}

#[derive(Deserialize)]
struct Team {
    city: String,
    team: String,
}

impl Team {
    fn name(&self) -> String {
        format!("{} {}", self.city, self.team)
    }
}

/// What is read of a book's block; the whole of it is kept in the record's payload.
#[derive(Deserialize)]
struct Book {
    name: String,
    odds: Odds,
}

#[derive(Deserialize)]
struct Odds {
    moneyline: Sides<Price>,
    spread: Sides<Line>,
    total: OverUnder,
}

#[derive(Deserialize)]
struct Sides<T> {
    home: T,
    away: T,
}

#[derive(Deserialize)]
struct OverUnder {
    over: Line,
    under: Line,
}

#[derive(Deserialize)]
struct Line {
    points: String,
    odds: Price,
}

#[derive(Deserialize)]
struct Price {
    american: String,
}

/// The records of a feed, as if collected and stored at `now`.
pub fn parse(json: &str, now: DateTime<Utc>) -> Result<Vec<Record>> {
    let feed: Feed = serde_json::from_str(json).context("not a feed of games")?;
    let mut records = Vec::new();
    for game in feed.games {
        let start = game.start()?;
        for block in &game.sportsbooks {
            let book = Book::deserialize(block).with_context(|| format!("a book of game {}", game.id))?;
            let quotes = game.quotes(&book).with_context(|| format!("{} on game {}", book.name, game.id))?;
            records.extend(quotes.map(|quote| game.record(&book, block, quote, start, now)));
        }
    }
    Ok(records)
}

/// Stores the records in the raw tables and says how many there were.
pub fn load(client: &mut Client, records: &[Record]) -> Result<u64> {
    let mut stored = 0;
    for market in Market::ALL {
        let mut writer = Writer::open(client, market)?;
        for record in records.iter().filter(|record| record.quote.market() == market) {
            writer.write(record)?;
        }
        stored += writer.finish()?;
    }
    Ok(stored)
}

impl Game {
    fn start(&self) -> Result<DateTime<Utc>> {
        self.date.parse().with_context(|| format!("the start of game {}: {:?}", self.id, self.date))
    }

    fn quotes(&self, book: &Book) -> Result<[Quote; 3]> {
        let Odds { moneyline, spread, total } = &book.odds;
        let value = number(&spread.home.points)?;
        let sides = match value {
            Some(value) if value < Decimal::ZERO => Some((&self.home, &self.away)),
            Some(_) => Some((&self.away, &self.home)),
            None => None,
        };
        Ok([
            Quote::Moneyline {
                home: moneyline.home.american()?,
                away: moneyline.away.american()?,
                home_team: Some(self.home.name()),
                away_team: Some(self.away.name()),
            },
            Quote::Spread {
                value,
                odds: spread.home.odds.american()?,
                favorite: sides.map(|(favorite, _)| favorite.name()),
                underdog: sides.map(|(_, underdog)| underdog.name()),
            },
            Quote::Total {
                points: number(&total.over.points)?,
                over: total.over.odds.american()?,
                under: total.under.odds.american()?,
            },
        ])
    }

    fn record(
        &self,
        book: &Book,
        block: &Value,
        quote: Quote,
        start: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Record {
        Record {
            external_id: Some(format!("{}/{}", self.id, book.name)),
            source: SOURCE.to_owned(),
            game_external_id: present(&self.id),
            sportsbook_id: None,
            sportsbook_name: present(&book.name),
            raw_data: Some(self.payload(block)),
            collected_at: now,
            game_date: Some(start.with_timezone(&New_York).date_naive()),
            created_at: now,
            quote,
        }
    }

    /// The block with the game's start as the feed writes it.
    fn payload(&self, block: &Value) -> Value {
        let mut payload = block.clone();
        if let Value::Object(fields) = &mut payload {
            fields.insert("date".to_owned(), Value::from(self.date.as_str()));
        }
        payload
    }
}

impl Price {
    fn american(&self) -> Result<Option<i32>> {
        number(&self.american)
    }
}

fn present(text: &str) -> Option<String> {
    (!text.trim().is_empty()).then(|| text.to_owned())
}

fn number<T>(text: &str) -> Result<Option<T>>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("not a number: {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<Record> {
        parse(SMALL, DateTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn every_book_gives_a_record_in_every_market() {
        let records = small();
        assert_eq!(records.len(), 3 * 4 * 3, "three games, four books, three markets");
        for market in Market::ALL {
            assert_eq!(records.iter().filter(|record| record.quote.market() == market).count(), 12);
        }
    }

    #[test]
    fn an_empty_string_is_a_missing_value() {
        let blank =
            small().into_iter().filter(|record| record.sportsbook_name.as_deref() == Some("blankbook"));
        for record in blank {
            match record.quote {
                Quote::Moneyline { home, away, .. } => assert_eq!((home, away), (None, None)),
                Quote::Spread { value, odds, favorite, .. } => {
                    assert_eq!((value, odds, favorite), (None, None, None));
                }
                Quote::Total { points, over, under } => assert_eq!((points, over, under), (None, None, None)),
            }
        }
    }

    #[test]
    fn a_late_game_counts_for_the_day_it_began_on_in_new_york() {
        let late = small()
            .into_iter()
            .find(|record| record.game_external_id.as_deref().is_some_and(|id| id.ends_with("SEA@LAD")));
        assert_eq!(late.unwrap().game_date, NaiveDate::from_ymd_opt(2024, 4, 1));
    }

    #[test]
    fn a_payload_is_the_books_block_with_the_games_start() {
        for record in small() {
            let payload = record.raw_data.unwrap();
            let start: DateTime<Utc> = payload["date"].as_str().unwrap().parse().unwrap();
            assert_eq!(Some(start.with_timezone(&New_York).date_naive()), record.game_date);
            assert_eq!(payload["name"].as_str(), record.sportsbook_name.as_deref());
            assert!(payload["odds"].is_object());
        }
    }

    #[test]
    fn only_a_moneyline_names_the_teams() {
        let teams = small().into_iter().find_map(|record| match record.quote {
            Quote::Moneyline { home_team, away_team, .. } => Some([home_team, away_team]),
            _ => None,
        });
        let teams = teams.unwrap().map(Option::unwrap);
        assert_eq!(teams, ["St. Louis Cardinals", "Chicago Cubs"]);
    }

    #[test]
    fn the_side_that_gives_runs_away_is_the_favorite() {
        let records = small();
        let spread = records.iter().find_map(|record| match &record.quote {
            Quote::Spread { value: Some(value), favorite, .. } if *value < Decimal::ZERO => Some(favorite),
            _ => None,
        });
        assert_eq!(spread.unwrap().as_deref(), Some("St. Louis Cardinals"));
    }

    #[test]
    fn what_is_no_feed_is_an_error_that_says_so() {
        assert!(parse("[]", DateTime::UNIX_EPOCH).is_err());
        let odd = SMALL.replace("\"+140\"", "\"evens\"");
        assert!(format!("{:#}", parse(&odd, DateTime::UNIX_EPOCH).unwrap_err()).contains("evens"));
    }

    use chrono::NaiveDate;
}
