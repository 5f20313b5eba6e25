//! Two seasons of odds, invented: the same for the same seed, on every machine.
//!
//! Games are few and known beforehand; their records are drawn one by one on the way to the server,
//! so that any number of rows takes no more memory than a few.

mod clubs;
mod defects;
mod odds;
mod random;
mod schedule;

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use postgres::Client;
use serde_json::json;

use crate::raw::{Market, Record, Writer};
use clubs::BOOKS;
use odds::Opinion;
use random::{Part, Random};
use schedule::Game;

/// What the plan counted: 23,391 records, of which 1,943 failed.
pub const PLAN_ROWS: u64 = 23_391;
/// Of these, moneylines.
pub const PLAN_MONEYLINES: u64 = 10_665;
const PLAN_FAILED: u64 = 1_943;
const PLAN_SPREADS: u64 = 1_615;
/// Games that moneylines were found for, and as many more as the failed totals belong to.
const PLAN_TRACKED_GAMES: u64 = 1_687;
const PLAN_GAMES: u64 = PLAN_TRACKED_GAMES + 358;

/// Who delivers records.
const SOURCES: [&str; 3] = ["ODDS_API", "LINE_SCRAPER", "PARTNER_FEED"];
/// One game in so many is put off by a day while it is being quoted.
const POSTPONED: u64 = 400;

/// A betting database's raw data, in the plan's proportions.
#[derive(Debug, Clone, Copy)]
pub struct Simulation {
    /// Rows in the three raw tables together.
    pub rows: u64,
    /// The same seed gives the same data.
    pub seed: u64,
    /// The moment at which the data is looked at; the second season is running then.
    pub now: DateTime<Utc>,
}

impl Simulation {
    /// Rows of one market.
    pub fn rows_of(&self, market: Market) -> u64 {
        let moneylines = self.scaled(PLAN_MONEYLINES);
        let spreads = self.scaled(PLAN_SPREADS);
        match market {
            Market::Moneyline => moneylines,
            Market::Spread => spreads,
            Market::Total => self.rows - moneylines - spreads,
        }
    }

    /// Totals of games that no moneyline mentions: the pipeline before the plan loses them.
    pub fn untracked_totals(&self) -> u64 {
        self.scaled(PLAN_FAILED)
    }

    /// Fills the raw tables. `progress` is told of every batch of rows.
    pub fn load(&self, client: &mut Client, progress: &dyn Fn(u64)) -> Result<()> {
        Market::ALL.into_iter().try_for_each(|market| self.load_market(client, market, progress))
    }

    /// Fills the raw table of one market.
    pub fn load_market(&self, client: &mut Client, market: Market, progress: &dyn Fn(u64)) -> Result<()> {
        let games = self.games();
        let mut writer = Writer::open(client, market)?;
        let mut unreported = 0;
        for record in games.iter().flat_map(|game| self.records(game, market)) {
            writer.write(&record)?;
            unreported += 1;
            if unreported == 1_000 {
                progress(std::mem::take(&mut unreported));
            }
        }
        writer.finish()?;
        progress(unreported);
        Ok(())
    }

    fn scaled(&self, of_plan: u64) -> u64 {
        let scaled = u128::from(self.rows) * u128::from(of_plan) / u128::from(PLAN_ROWS);
        u64::try_from(scaled).unwrap_or(u64::MAX)
    }

    fn games(&self) -> Vec<Quoted> {
        let count = self.scaled(PLAN_GAMES).clamp(2, schedule::GAMES);
        let untracked = (count * (PLAN_GAMES - PLAN_TRACKED_GAMES) / PLAN_GAMES).max(1);
        let games = schedule::games(self.seed, count, self.now);
        let (mut lost, mut kept) = (0, 0);
        (0..)
            .zip(games)
            .map(|(index, game)| {
                let tracked = share(untracked, index, count) == 0;
                let place = if tracked { &mut kept } else { &mut lost };
                *place += 1;
                let peers = if tracked { count - untracked } else { untracked };
                Quoted { game, tracked, place: *place - 1, peers }
            })
            .collect()
    }

    fn records_of(&self, quoted: &Quoted, market: Market) -> u64 {
        let all = match (market, quoted.tracked) {
            (Market::Total, true) => self.rows_of(market) - self.untracked_totals(),
            (Market::Total, false) => self.untracked_totals(),
            (_, true) => self.rows_of(market),
            (_, false) => 0,
        };
        share(all, quoted.place, quoted.peers)
    }

    /// The records of one game in one market: in rounds of collection, each over the same books.
    fn records(&self, quoted: &Quoted, market: Market) -> impl Iterator<Item = Record> {
        let (game, seed, now) = (&quoted.game, self.seed, self.now);
        let count = self.records_of(quoted, market);
        let books = (count / 2).clamp(1, BOOKS.len() as u64);
        let rounds = count.div_ceil(books);
        let mut random = Random::stream(seed, Part::Quotes(market).stream(game.number));
        let mut opinion = Opinion::opening(seed, game);
        // Not every game is quoted by the same books.
        let first_book = random.below(BOOKS.len());
        let tracked = quoted.tracked;
        (0..count).map(move |index| {
            let round = index / books;
            if index % books == 0 {
                opinion.drift(&mut random);
            }
            let book = (first_book + (index % books) as usize) % BOOKS.len();
            let quote = opinion.quote(market, BOOKS[book].1, game, &mut random);
            let collected_at = collection_time(game, round, rounds, now) + TimeDelta::seconds(book as i64);
            let postponed = game.number % POSTPONED == 7 && 2 * round >= rounds && round > 0;
            let (game_date, start) = game.put_off(u64::from(postponed));
            let mut record = Record {
                external_id: Some(format!("{}/{}/{round}", game.external_id, BOOKS[book].0)),
                source: (*random.pick(&SOURCES)).to_owned(),
                game_external_id: Some(game.external_id.clone()),
                sportsbook_id: Some(book as i32 + 1),
                sportsbook_name: Some(BOOKS[book].0.to_owned()),
                raw_data: Some(json!({
                    "book": BOOKS[book].0, "start_time": start, "venue": game.home.venue, "round": round,
                })),
                collected_at,
                game_date: Some(game_date),
                created_at: collected_at + TimeDelta::milliseconds(200 + random.below(4_000) as i64),
                quote,
            };
            // Every tracked game stays known by its first moneyline, and its totals stay its own: so
            // the totals that the old pipeline loses are those of untracked games, to the row.
            let anchored = match market {
                Market::Moneyline => index == 0,
                Market::Spread => false,
                Market::Total => tracked,
            };
            defects::spoil(&mut record, anchored, &mut random);
            record
        })
    }
}

/// A game with its place among those that are quoted alike.
struct Quoted {
    game: Game,
    /// Whether books quote who wins it. Of the others, only totals are seen.
    tracked: bool,
    place: u64,
    peers: u64,
}

/// Collection goes on from two days before a game to its first pitch, or to now.
fn collection_time(game: &Game, round: u64, rounds: u64, now: DateTime<Utc>) -> DateTime<Utc> {
    let opening = game.start - TimeDelta::hours(48);
    let closing = game.start.min(now) - TimeDelta::minutes(5);
    let span = (closing - opening).num_seconds();
    opening + TimeDelta::seconds(span * (round as i64 + 1) / (rounds as i64 + 1))
}

/// What the place `index` of `places` gets when `all` is dealt out as evenly as whole numbers allow.
fn share(all: u64, index: u64, places: u64) -> u64 {
    let before = |index: u64| u128::from(all) * u128::from(index) / u128::from(places);
    (before(index + 1) - before(index)) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use chrono_tz::America::New_York;

    use super::*;
    use crate::raw::Quote;

    fn simulation(rows: u64) -> Simulation {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        Simulation { rows, seed: 7, now }
    }

    fn all(simulation: &Simulation, market: Market) -> Vec<Record> {
        simulation.games().iter().flat_map(|game| simulation.records(game, market)).collect()
    }

    #[test]
    fn shares_add_up() {
        for (all, places) in [(0, 3), (7, 3), (10_665, 1_687), (5, 5), (2, 9)] {
            assert_eq!((0..places).map(|index| share(all, index, places)).sum::<u64>(), all);
        }
    }

    #[test]
    fn the_plans_size_has_the_plans_volumes() {
        let simulation = simulation(PLAN_ROWS);
        let games = simulation.games();
        assert_eq!(games.iter().filter(|game| game.tracked).count() as u64, PLAN_TRACKED_GAMES);
        let counts = Market::ALL.map(|market| all(&simulation, market).len() as u64);
        assert_eq!(counts, [10_665, 1_615, 11_111]);
    }

    #[test]
    fn exactly_the_plans_failures_are_totals_of_games_without_moneylines() {
        let simulation = simulation(PLAN_ROWS);
        let known: HashSet<_> = all(&simulation, Market::Moneyline)
            .into_iter()
            .filter(|record| record.game_date.is_some())
            .filter_map(|record| record.game_external_id)
            .filter(|id| !id.trim().is_empty())
            .collect();
        let lost = |record: &Record| record.game_external_id.as_ref().is_none_or(|id| !known.contains(id));
        let failed = all(&simulation, Market::Total).iter().filter(|record| lost(record)).count();
        assert_eq!(failed as u64, PLAN_FAILED);
    }

    #[test]
    fn the_same_seed_gives_the_same_data_and_another_seed_other_data() {
        let one = all(&simulation(2_000), Market::Spread);
        assert_eq!(one, all(&simulation(2_000), Market::Spread));
        assert_ne!(one, all(&Simulation { seed: 8, ..simulation(2_000) }, Market::Spread));
    }

    #[test]
    fn odds_move_and_books_disagree() {
        let mut seen: HashMap<_, HashSet<_>> = HashMap::new();
        for record in all(&simulation(100_000), Market::Moneyline) {
            if let Quote::Moneyline { home: Some(home), .. } = record.quote {
                seen.entry(record.game_external_id).or_default().insert(home);
            }
        }
        let moving = seen.values().filter(|odds| odds.len() > 1).count();
        assert!(moving * 10 > seen.len() * 9, "{moving} of {}", seen.len());
    }

    #[test]
    fn nothing_is_from_the_future() {
        let simulation = simulation(PLAN_ROWS);
        for record in Market::ALL.iter().flat_map(|market| all(&simulation, *market)) {
            assert!(record.created_at <= simulation.now, "{record:?}");
        }
    }

    #[test]
    fn a_payload_has_the_start_of_a_game_on_its_day_in_new_york() {
        let records = Market::ALL.into_iter().flat_map(|market| all(&simulation(PLAN_ROWS), market));
        let mut days: HashMap<_, HashSet<_>> = HashMap::new();
        for record in records {
            let (Some(payload), Some(id), Some(day)) =
                (record.raw_data, record.game_external_id, record.game_date)
            else {
                continue;
            };
            let Some(start) = payload.get("start_time") else { continue };
            let start: DateTime<Utc> = start.as_str().unwrap().parse().unwrap();
            assert_eq!(start.with_timezone(&New_York).date_naive(), day);
            days.entry(id).or_default().insert(day);
        }
        assert!(days.values().any(|days| days.len() == 2), "games are put off");
    }

    #[test]
    fn every_kind_of_defect_occurs_but_stays_rare() {
        let records = all(&simulation(PLAN_ROWS), Market::Moneyline);
        let share = |test: &dyn Fn(&Record) -> bool| {
            records.iter().filter(|record| test(record)).count() as f64 / records.len() as f64
        };
        let odds = |record: &Record| match record.quote {
            Quote::Moneyline { home, away, .. } => [home, away],
            _ => [None, None],
        };
        let defects: [&dyn Fn(&Record) -> bool; 8] = [
            &|record| odds(record) == [None, None],
            &|record| odds(record).iter().any(Option::is_none),
            &|record| odds(record).iter().flatten().any(|odds| odds.abs() < 100),
            &|record| record.sportsbook_name.as_deref().is_none_or(|name| name.trim().is_empty()),
            &|record| record.game_external_id.as_deref().is_none_or(|id| id.trim().is_empty()),
            &|record| record.game_date.is_none(),
            &|record| record.collected_at > record.created_at,
            &|record| !record.raw_data.as_ref().is_some_and(serde_json::Value::is_object),
        ];
        for (number, defect) in defects.iter().enumerate() {
            let share = share(defect);
            assert!(share > 0.001 && share < 0.05, "defect {number}: {share}");
        }
    }
}
