//! The thirty clubs of the league, as a source may spell them.

use super::random::Random;

/// A club, its home and its strength: the share of games it wins against an average opponent.
#[derive(Debug)]
pub struct Club {
    /// As in box scores.
    pub code: &'static str,
    /// Where it plays.
    pub city: &'static str,
    /// What it is called.
    pub nickname: &'static str,
    /// Its ballpark.
    pub venue: &'static str,
    /// Its chance against an average opponent on neutral ground.
    pub strength: f64,
}

impl Club {
    /// Its name in full.
    pub fn name(&self) -> String {
        format!("{} {}", self.city, self.nickname)
    }

    /// Its name in one of the ways that sources spell it.
    pub fn spelled(&self, random: &mut Random) -> String {
        match random.below(4) {
            0 => self.code.to_owned(),
            1 => self.nickname.to_owned(),
            _ => self.name(),
        }
    }
}

macro_rules! clubs {
    ($($code:literal $city:literal $nickname:literal $venue:literal $strength:literal;)+) => {
        [$(Club { code: $code, city: $city, nickname: $nickname, venue: $venue, strength: $strength }),+]
    };
}

/// All of them. The strengths are invented.
pub static CLUBS: [Club; 30] = clubs! {
    "ARI" "Arizona" "Diamondbacks" "Chase Field" 0.51;
    "ATH" "Sacramento" "Athletics" "Sutter Health Park" 0.45;
    "ATL" "Atlanta" "Braves" "Truist Park" 0.54;
    "BAL" "Baltimore" "Orioles" "Camden Yards" 0.52;
    "BOS" "Boston" "Red Sox" "Fenway Park" 0.51;
    "CHC" "Chicago" "Cubs" "Wrigley Field" 0.54;
    "CIN" "Cincinnati" "Reds" "Great American Ball Park" 0.50;
    "CLE" "Cleveland" "Guardians" "Progressive Field" 0.52;
    "COL" "Colorado" "Rockies" "Coors Field" 0.37;
    "CWS" "Chicago" "White Sox" "Rate Field" 0.36;
    "DET" "Detroit" "Tigers" "Comerica Park" 0.54;
    "HOU" "Houston" "Astros" "Daikin Park" 0.54;
    "KC" "Kansas City" "Royals" "Kauffman Stadium" 0.50;
    "LAA" "Los Angeles" "Angels" "Angel Stadium" 0.45;
    "LAD" "Los Angeles" "Dodgers" "Dodger Stadium" 0.59;
    "MIA" "Miami" "Marlins" "loanDepot park" 0.44;
    "MIL" "Milwaukee" "Brewers" "American Family Field" 0.55;
    "MIN" "Minnesota" "Twins" "Target Field" 0.49;
    "NYM" "New York" "Mets" "Citi Field" 0.53;
    "NYY" "New York" "Yankees" "Yankee Stadium" 0.56;
    "PHI" "Philadelphia" "Phillies" "Citizens Bank Park" 0.57;
    "PIT" "Pittsburgh" "Pirates" "PNC Park" 0.46;
    "SD" "San Diego" "Padres" "Petco Park" 0.54;
    "SEA" "Seattle" "Mariners" "T-Mobile Park" 0.52;
    "SF" "San Francisco" "Giants" "Oracle Park" 0.50;
    "STL" "St. Louis" "Cardinals" "Busch Stadium" 0.50;
    "TB" "Tampa Bay" "Rays" "Steinbrenner Field" 0.51;
    "TEX" "Texas" "Rangers" "Globe Life Field" 0.50;
    "TOR" "Toronto" "Blue Jays" "Rogers Centre" 0.51;
    "WSH" "Washington" "Nationals" "Nationals Park" 0.44;
};

/// The nine books, each with the share of the stakes it keeps.
pub const BOOKS: [(&str, f64); 9] = [
    ("draftkings", 0.045),
    ("fanduel", 0.042),
    ("betmgm", 0.047),
    ("caesars", 0.046),
    ("bet365", 0.044),
    ("fanatics", 0.050),
    ("betrivers", 0.052),
    ("pinnacle", 0.024),
    ("circa", 0.028),
];
