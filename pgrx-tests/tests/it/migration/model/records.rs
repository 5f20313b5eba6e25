//! What collectors bring in: records as literals, so that a log of statements is all that a replay needs.

use groundskeeper_sandbox::raw::Market;

use crate::chance::Chance;

/// Clubs whose code nobody disputes, and how sources spell them.
const CLUBS: [(&str, &[&str]); 6] = [
    ("NYM", &["Mets", "NYM", "New York Mets", "NY Mets G2", " mets "]),
    ("BOS", &["Boston Red Sox", "BOS", "Boston\u{a0}Red Sox", "red sox"]),
    ("CHC", &["Cubs", "Chicago Cubs", "CHC", "Chicago Cubs (G1)"]),
    ("STL", &["Cardinals", "STL", "St. Louis Cardinals", "St.Louis"]),
    ("NYY", &["Yankees", "NYY", "New York Yankees", "N.Y. Yankees"]),
    ("LAD", &["Dodgers", "LAD", "Los Angeles Dodgers", "LA Dodgers"]),
];

const BOOKS: [&str; 12] = [
    "'DraftKings'",
    "'draftkings'",
    "'DRAFTKINGS '",
    "'FanDuel'",
    "'fanduel'",
    "'BetMGM'",
    "'betmgm'",
    "'Caesars'",
    "'CAESARS'",
    "'caesars '",
    "NULL",
    "' '",
];

const NO_TEAM: [&str; 5] = ["NULL", "''", "' '", "'Nine'", "'New York'"];

/// Only some of these say when the game begins.
const PAYLOADS: [&str; 13] = [
    "NULL",
    "'{}'",
    "'[]'",
    r#"'"text"'"#,
    r#"'{"date": "2025-06-14T02:10:00Z"}'"#,
    r#"'{"date": "2025-06-13T23:05:00.000Z", "venue": null}'"#,
    r#"'{"commence_time": "2025-06-13T19:05:00-04:00"}'"#,
    r#"'{"start_time": "2025-06-15T00:10:00+00:00"}'"#,
    r#"'{"game_datetime": "2025-06-12T17:10:00-05:00"}'"#,
    r#"'{"date": "2025-06-13"}'"#,
    r#"'{"date": 5, "other": "2025-06-14T02:10:00Z"}'"#,
    r#"'{"game": {"date": "2025-06-14T02:10:00Z"}}'"#,
    r#"'{"start_time": "soon"}'"#,
];

/// Fills the invariants' list of spellings.
pub fn clubs() -> String {
    let names = CLUBS.iter().flat_map(|(code, names)| names.iter().map(move |name| (code, name)));
    let values: Vec<String> = names.map(|(code, name)| format!("(btrim('{name}'), '{code}')")).collect();
    format!("INSERT INTO model.clubs VALUES {}", values.join(", "))
}

/// The columns of a raw table's rows, the id first.
pub fn columns(market: Market) -> String {
    let own = match market {
        Market::Moneyline => "home_team_name, away_team_name, home_odds, away_odds",
        Market::Spread => "favorite_team, underdog_team, spread_value, spread_odds",
        Market::Total => "total_points, over_odds, under_odds",
    };
    format!(
        "id, source, game_external_id, sportsbook_id, sportsbook_name, raw_data, collected_at, game_date, created_at,
         updated_at, {own}"
    )
}

/// A row with that id.
pub fn row(chance: &mut Chance, market: Market, id: &str, games: &[String], nulls: bool) -> String {
    let game = game(chance, games);
    let values = [
        id.to_owned(),
        chance.pick(&["'FEED'", "'FEED'", "'OTHER'", "'UNKNOWN'", "' '"]).to_owned(),
        game.clone(),
        chance.pick(&["NULL", "7", "12"]).to_owned(),
        book(chance),
        payload(chance),
        collected(chance),
        day(chance),
        created(chance),
        touched(chance, nulls),
        own(chance, market, &game),
    ];
    format!("({})", values.join(", "))
}

fn own(chance: &mut Chance, market: Market, game: &str) -> String {
    let nth = chance.below(40);
    match market {
        Market::Moneyline => {
            let home = chance.pick(&["", "", "", "", "NULL", "50"]);
            let home = if home.is_empty() { format!("-{}", 110 + nth) } else { home.to_owned() };
            let away = chance.pick(&["", "", "", "", "NULL", "0"]);
            let away = if away.is_empty() { (100 + nth).to_string() } else { away.to_owned() };
            let [one, other] = teams(chance, game);
            format!("{one}, {other}, {home}, {away}")
        }
        Market::Spread => {
            let [one, other] = teams(chance, game);
            let value = chance.pick(&["-1.5", "1.5", "2.5", "NULL"]);
            let odds = chance.pick(&["-110", "100", "-125", "NULL", "7"]);
            format!("{one}, {other}, {value}, {odds}")
        }
        Market::Total => {
            let points = chance.pick(&["7", "8.5", "9.5", "NULL"]);
            let odds = chance.pick(&["-110, -110", "-115, -105", "NULL, -110", "NULL, NULL", "3, -110"]);
            format!("{points}, {odds}")
        }
    }
}

/// Mostly the two that play by the game's name, now and then the other way round or somebody else.
pub fn teams(chance: &mut Chance, game: &str) -> [String; 2] {
    let number: usize = game.bytes().map(usize::from).sum();
    let (mut home, mut away) = (number % 6, (number + 1 + number / 6 % 4) % 6);
    match chance.below(20) {
        0 | 1 => (home, away) = (away, home),
        2 => (home, away) = (chance.below(6), chance.below(6)),
        _ => {}
    }
    [home, away].map(|club| match chance.below(25) {
        0 => chance.pick(&NO_TEAM).to_owned(),
        _ => format!("'{}'", chance.pick(CLUBS[club].1)),
    })
}

pub fn game(chance: &mut Chance, games: &[String]) -> String {
    match chance.below(25) {
        0 => chance.pick(&["NULL", "''", "' '"]).to_owned(),
        _ => format!("'{}'", games[chance.below(games.len())]),
    }
}

pub fn book(chance: &mut Chance) -> String {
    chance.pick(&BOOKS).to_owned()
}

pub fn payload(chance: &mut Chance) -> String {
    chance.pick(&PAYLOADS).to_owned()
}

pub fn day(chance: &mut Chance) -> String {
    chance.pick(&["NULL", "'2025-06-13'", "'2025-06-13'", "'2025-06-14'", "'2025-06-20'"]).to_owned()
}

pub fn collected(chance: &mut Chance) -> String {
    match chance.below(12) {
        0 => "now()".to_owned(),
        1 => "'2031-05-05 05:05+00'".to_owned(),
        2 => "'2019-05-05 05:05+00'".to_owned(),
        _ => format!("'2025-06-{} {:02}:{:02}+00'", 10 + chance.below(4), chance.below(24), chance.below(60)),
    }
}

fn created(chance: &mut Chance) -> String {
    chance.pick(&["now()", "now()", "'2025-06-12 12:00+00'"]).to_owned()
}

/// What some clock makes of `updated_at`.
pub fn touched(chance: &mut Chance, nulls: bool) -> String {
    match chance.below(if nulls { 10 } else { 9 }) {
        0 => "now() + interval '9 hours'",
        1 => "now() - interval '1 day'",
        2 => "'2020-01-01 00:00+00'",
        3 => "'2035-01-01 00:00+00'",
        4 => "clock_timestamp()",
        9 => "NULL",
        _ => "now()",
    }
    .to_owned()
}
