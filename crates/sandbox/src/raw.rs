//! A row of the raw tables, and the stream that carries rows there.

use anyhow::Result;
use chrono::{DateTime, NaiveDate, Utc};
use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::{Json, ToSql, Type};
use postgres::{Client, CopyInWriter};
use rust_decimal::Decimal;
use serde_json::Value;

/// What is bet on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Market {
    /// Who wins.
    Moneyline,
    /// Who wins once the favorite has given runs away.
    Spread,
    /// Whether both teams together score more or less than a line.
    Total,
}

impl Market {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Moneyline, Self::Spread, Self::Total];

    /// The name of its tables in `staging` and `curated`.
    pub fn table(self) -> &'static str {
        match self {
            Self::Moneyline => "moneylines",
            Self::Spread => "spreads",
            Self::Total => "totals",
        }
    }

    /// The name of its table in `raw_data`.
    pub fn raw_table(self) -> String {
        format!("raw_data.{}_raw", self.table())
    }

    fn columns(self) -> Vec<(&'static str, Type)> {
        match self {
            Self::Moneyline => vec![
                ("home_odds", Type::INT4),
                ("away_odds", Type::INT4),
                ("home_team_name", Type::VARCHAR),
                ("away_team_name", Type::VARCHAR),
            ],
            Self::Spread => vec![
                ("spread_value", Type::NUMERIC),
                ("spread_odds", Type::INT4),
                ("favorite_team", Type::VARCHAR),
                ("underdog_team", Type::VARCHAR),
            ],
            Self::Total => {
                vec![("total_points", Type::NUMERIC), ("over_odds", Type::INT4), ("under_odds", Type::INT4)]
            }
        }
    }
}

/// A book's quote in one market, and the teams that its raw table has columns for.
#[derive(Debug, Clone, PartialEq)]
pub enum Quote {
    /// American odds on each side.
    Moneyline {
        /// On the home team.
        home: Option<i32>,
        /// On the visitors.
        away: Option<i32>,
        /// The home team, as the source spells it.
        home_team: Option<String>,
        /// The visitors, as the source spells them.
        away_team: Option<String>,
    },
    /// The home side's handicap and its odds.
    Spread {
        /// The handicap.
        value: Option<Decimal>,
        /// The odds.
        odds: Option<i32>,
        /// Who gives runs away.
        favorite: Option<String>,
        /// Who is given them.
        underdog: Option<String>,
    },
    /// A line and the odds on either side of it.
    Total {
        /// The line.
        points: Option<Decimal>,
        /// On more.
        over: Option<i32>,
        /// On less.
        under: Option<i32>,
    },
}

impl Quote {
    /// The market it is for.
    pub fn market(&self) -> Market {
        match self {
            Self::Moneyline { .. } => Market::Moneyline,
            Self::Spread { .. } => Market::Spread,
            Self::Total { .. } => Market::Total,
        }
    }

    fn values(&self) -> Vec<&(dyn ToSql + Sync)> {
        match self {
            Self::Moneyline { home, away, home_team, away_team } => vec![home, away, home_team, away_team],
            Self::Spread { value, odds, favorite, underdog } => vec![value, odds, favorite, underdog],
            Self::Total { points, over, under } => vec![points, over, under],
        }
    }
}

/// A record as it was collected.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The source's own id of the record.
    pub external_id: Option<String>,
    /// Who delivered it.
    pub source: String,
    /// The source's id of the game.
    pub game_external_id: Option<String>,
    /// The book, as a number.
    pub sportsbook_id: Option<i32>,
    /// The book, by name.
    pub sportsbook_name: Option<String>,
    /// The payload that the record was read from.
    pub raw_data: Option<Value>,
    /// When it was read.
    pub collected_at: DateTime<Utc>,
    /// The day of the game where the league counts its days.
    pub game_date: Option<NaiveDate>,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// The quote.
    pub quote: Quote,
}

/// The columns that all raw tables share.
const FRAME: [(&str, Type); 10] = [
    ("external_id", Type::VARCHAR),
    ("source", Type::VARCHAR),
    ("game_external_id", Type::VARCHAR),
    ("sportsbook_id", Type::INT4),
    ("sportsbook_name", Type::VARCHAR),
    ("raw_data", Type::JSONB),
    ("collected_at", Type::TIMESTAMPTZ),
    ("game_date", Type::DATE),
    ("created_at", Type::TIMESTAMPTZ),
    ("updated_at", Type::TIMESTAMPTZ),
];

/// A stream of records of one market into its raw table.
pub struct Writer<'a>(BinaryCopyInWriter<'a>);

impl<'a> Writer<'a> {
    /// Opens the stream; nothing is stored before [`Writer::finish`].
    pub fn open(client: &'a mut Client, market: Market) -> Result<Self> {
        let (names, types): (Vec<_>, Vec<_>) = FRAME.into_iter().chain(market.columns()).unzip();
        let copy = format!("COPY {} ({}) FROM STDIN (FORMAT binary)", market.raw_table(), names.join(", "));
        let stream: CopyInWriter<'a> = client.copy_in(&copy)?;
        Ok(Self(BinaryCopyInWriter::new(stream, &types)))
    }

    /// Sends one record.
    pub fn write(&mut self, record: &Record) -> Result<()> {
        let raw_data = record.raw_data.as_ref().map(Json);
        let mut row: Vec<&(dyn ToSql + Sync)> = vec![
            &record.external_id,
            &record.source,
            &record.game_external_id,
            &record.sportsbook_id,
            &record.sportsbook_name,
            &raw_data,
            &record.collected_at,
            &record.game_date,
            &record.created_at,
            &record.created_at,
        ];
        row.extend(record.quote.values());
        Ok(self.0.write(&row)?)
    }

    /// Stores what was sent and says how many rows that were.
    pub fn finish(self) -> Result<u64> {
        Ok(self.0.finish()?)
    }
}
