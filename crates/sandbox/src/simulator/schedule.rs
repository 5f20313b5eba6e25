//! Two seasons of games, the second of them running.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use chrono_tz::America::New_York;

use super::clubs::{CLUBS, Club};
use super::random::{Part, Random};
use super::share;

/// Games that a season of the league has.
const GAMES_A_SEASON: u64 = 2_430;
/// Days that they are played on.
const DAYS_A_SEASON: u64 = 185;
/// Games in both seasons.
pub const GAMES: u64 = 2 * GAMES_A_SEASON;

/// When games start, in New York.
const STARTS: [(u32, u32); 7] = [(13, 5), (13, 35), (16, 10), (18, 40), (19, 10), (20, 10), (22, 10)];

/// A game.
#[derive(Debug)]
pub struct Game {
    /// Its number in the schedule.
    pub number: u64,
    /// The sources' id.
    pub external_id: String,
    /// Who plays at home.
    pub home: &'static Club,
    /// Who visits.
    pub away: &'static Club,
    /// Its day in New York.
    pub date: NaiveDate,
    /// Its first pitch.
    pub start: DateTime<Utc>,
}

impl Game {
    /// Its day and first pitch when it is put off by so many days: at the same time of day.
    pub fn put_off(&self, days: u64) -> (NaiveDate, DateTime<Utc>) {
        let days = Days::new(days);
        let start = self.start.with_timezone(&New_York).checked_add_days(days);
        (self.date + days, start.map_or(self.start, |start| start.to_utc()))
    }
}

/// `count` games, evenly drawn from two seasons of which the second has its last day after `now`.
pub fn games(seed: u64, count: u64, now: DateTime<Utc>) -> Vec<Game> {
    let last_day = now.with_timezone(&New_York).date_naive() + Days::new(1);
    // The year before, on the same days of the week.
    let seasons = [last_day - Days::new(364), last_day];
    let mut all = Vec::new();
    for last in seasons {
        for day in 0..DAYS_A_SEASON {
            let date = last - Days::new(DAYS_A_SEASON - 1 - day);
            let number = share(GAMES_A_SEASON, day, DAYS_A_SEASON);
            all.extend(game_day(seed, date, number, all.len() as u64));
        }
    }
    (0..).zip(all).filter(|(number, _)| share(count, *number, GAMES) > 0).map(|(_, game)| game).collect()
}

fn game_day(seed: u64, date: NaiveDate, games: u64, first: u64) -> Vec<Game> {
    let mut random = Random::stream(seed, Part::Schedule.stream(first));
    let mut clubs: Vec<&Club> = CLUBS.iter().collect();
    random.shuffle(&mut clubs);
    let mut starts: Vec<_> = (0..games).map(|_| *random.pick(&STARTS)).collect();
    starts.sort_unstable();
    let day = date.format("%Y%m%d");
    (first..)
        .zip(clubs.as_chunks().0.iter().zip(starts))
        .map(|(number, ([home, away], (hour, minute)))| Game {
            number,
            external_id: format!("{day}.{:02}-MLB-{}@{}", number - first + 1, away.code, home.code),
            home,
            away,
            date,
            start: in_new_york(date, hour, minute),
        })
        .collect()
}

/// Clocks change at night, so a time at which games start exists once on every day.
fn in_new_york(date: NaiveDate, hour: u32, minute: u32) -> DateTime<Utc> {
    let time = NaiveTime::from_hms_opt(hour, minute, 0).unwrap_or(NaiveTime::MIN);
    let local = date.and_time(time);
    local.and_local_timezone(New_York).earliest().map_or_else(|| local.and_utc(), |start| start.to_utc())
}
