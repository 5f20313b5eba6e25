//! The thirty clubs: what sources call them, and the code that stands for each.

mod doubleheader;

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::folding::{LONGEST, fold};
pub(crate) use doubleheader::without_game;

/// A club with the names that it goes by.
#[derive(Debug)]
pub struct Club {
    /// The code that normalized names use.
    pub code: &'static str,
    /// Where it plays, as it is written before the nickname.
    pub city: &'static str,
    /// What it is called.
    pub nickname: &'static str,
    /// Whether the city alone says which club is meant.
    pub city_is_enough: bool,
    /// What is written for the city, but only before a nickname.
    pub cities: &'static [&'static str],
    /// What else it is called, alone or after the city.
    pub nicknames: &'static [&'static str],
    /// Other codes, other spellings, and names that it gave up.
    pub variants: &'static [&'static str],
}

macro_rules! clubs {
    ($($code:literal $city:literal $nickname:literal $enough:literal
       [$($short:literal),*] [$($familiar:literal),*] [$($variant:literal),*];)+) => {
        [$(Club { code: $code, city: $city, nickname: $nickname, city_is_enough: $enough, cities: &[$($short),*],
                  nicknames: &[$($familiar),*], variants: &[$($variant),*] }),+]
    };
}

/// All of them, by code.
#[rustfmt::skip]
pub static CLUBS: [Club; 30] = clubs! {
    "ARI" "Arizona" "Diamondbacks" true ["Ariz"] ["D-backs"] ["AZ", "ARZ", "Phoenix"];
    // Left Oakland after 2024, plays in Sacramento without bearing its name, on the way to Las Vegas.
    "ATH" "Sacramento" "Athletics" true ["Sacto", "Vegas"] ["A's"]
        ["OAK", "SAC", "LV", "LVA", "Oakland", "Oakland Athletics", "Oakland A's", "Las Vegas", "Las Vegas Athletics",
         "Las Vegas A's", "The Athletics"];
    "ATL" "Atlanta" "Braves" true ["Atlan"] [] [];
    "BAL" "Baltimore" "Orioles" true ["Balt", "Balto"] ["O's"] [];
    "BOS" "Boston" "Red Sox" true [] ["Bosox"] ["BRS", "Boston Sox", "Bos Sox"];
    "CHC" "Chicago" "Cubs" false ["Chi", "Chic", "Chgo"] ["Cubbies"]
        ["CHN", "CUB", "Chicago C", "Chicago (N)", "Chicago NL"];
    "CIN" "Cincinnati" "Reds" true ["Cinc", "Cinci", "Cinn", "Cincy", "Cincinatti"] ["Redlegs"] [];
    // The Indians until 2021.
    "CLE" "Cleveland" "Guardians" true ["Clev", "Cleve"] ["Guards", "Indians"] ["CLG"];
    "COL" "Colorado" "Rockies" true ["Colo"] [] ["Denver"];
    "CWS" "Chicago" "White Sox" false ["Chi", "Chic", "Chgo"] ["Chisox"]
        ["CHW", "CHA", "Chicago W", "Chicago (A)", "Chicago AL"];
    "DET" "Detroit" "Tigers" true ["Detr"] [] [];
    "HOU" "Houston" "Astros" true ["Houst"] ["'Stros"] [];
    "KC" "Kansas City" "Royals" true ["K.C.", "Kan City", "Kans City", "Kansas Cty"] [] ["KCR", "KCA", "KAN"];
    "LAA" "Los Angeles" "Angels" false ["LA", "L.A.", "Los Ang", "Anaheim", "California", "Calif"] ["Halos"]
        ["ANA", "CAL", "Los Angeles A", "Anaheim", "Los Angeles Angels of Anaheim", "LA Angels of Anaheim"];
    "LAD" "Los Angeles" "Dodgers" false ["LA", "L.A.", "Los Ang"] [] ["LAN", "LOS", "Los Angeles D"];
    "MIA" "Miami" "Marlins" true [] [] ["FLA", "FLO", "Florida", "Florida Marlins"];
    "MIL" "Milwaukee" "Brewers" true ["Milw", "Milwau"] ["Brew Crew"] [];
    "MIN" "Minnesota" "Twins" true ["Minn", "Minne"] [] [];
    "NYM" "New York" "Mets" false ["NY", "N.Y.", "N. York"] [] ["NYN", "New York M", "New York (N)"];
    "NYY" "New York" "Yankees" false ["NY", "N.Y.", "N. York"] ["Yanks"] ["NYA", "New York Y", "New York (A)"];
    "PHI" "Philadelphia" "Phillies" true ["Phil", "Phila", "Philly"] ["Phils"] ["Philly"];
    "PIT" "Pittsburgh" "Pirates" true ["Pitt", "Pitts", "Pittsburg", "Pgh"] ["Bucs", "Buccos"] [];
    "SD" "San Diego" "Padres" true ["S.D.", "San D", "S. Diego"] ["Pads"] ["SDP", "SDN", "SDG"];
    "SEA" "Seattle" "Mariners" true ["Seat", "Seatt"] ["M's"] [];
    "SF" "San Francisco" "Giants" true ["S.F.", "San Fran", "S. Fran", "S. Francisco"] [] ["SFG", "SFN", "SFO"];
    "STL" "St. Louis" "Cardinals" true ["St. L.", "St. Lou", "Saint Louis"] ["Cards"] ["SLN", "Saint Louis"];
    "TB" "Tampa Bay" "Rays" true ["T.B.", "Tampa", "T. Bay"] ["Devil Rays", "D-Rays"] ["TBR", "TBA", "TBD", "TAM", "Tampa"];
    "TEX" "Texas" "Rangers" true [] [] [];
    "TOR" "Toronto" "Blue Jays" true ["Toron"] ["Jays"] [];
    "WSH" "Washington" "Nationals" true ["Wash", "D.C."] ["Nats"]
        ["WAS", "WSN", "WDC", "Washington DC", "Washington DC Nationals"];
};

/// Every name that a club is known by, folded, and the club's place among them. Nothing is ever added, so nobody can
/// make it slow by choosing names.
static NAMES: LazyLock<FxHashMap<Vec<u8>, usize>> = LazyLock::new(|| {
    let names =
        CLUBS.iter().enumerate().flat_map(|(place, club)| club.names().map(move |name| (place, name)));
    names.map(|(place, name)| (folded_whole(&name), place)).collect()
});

impl Club {
    /// What it is called: by its codes, its names and their variants.
    fn names(&self) -> impl Iterator<Item = String> {
        let codes = || {
            let others = self.variants.iter().copied().filter(|variant| is_code(variant));
            std::iter::once(self.code).chain(others)
        };
        let nicknames = || std::iter::once(self.nickname).chain(self.nicknames.iter().copied());
        let cities = std::iter::once(self.city).chain(self.cities.iter().copied()).chain(codes());
        let whole =
            cities.flat_map(move |city| nicknames().map(move |nickname| format!("{city} {nickname}")));
        let city = self.city_is_enough.then_some(self.city);
        let alone = codes().chain(nicknames()).chain(city).chain(self.variants.iter().copied());
        whole.chain(alone.map(str::to_owned))
    }
}

fn is_code(name: &str) -> bool {
    (2..=3).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The club that a name in any ASCII-based encoding means. Case, blanks and punctuation do not matter, nor does which
/// game of a doubleheader it speaks of; all else does: a name that is not one of a club's is nobody's, and one that
/// two clubs share (New York) is neither's.
#[must_use]
pub fn club(name: &[u8]) -> Option<&'static Club> {
    let whole = |name| place(fold(name, &mut [0; LONGEST])?);
    whole(name).or_else(|| whole(without_game(name)?)).and_then(|place| CLUBS.get(place))
}

/// The place among [`CLUBS`] of the club that a folded name means.
pub(crate) fn place(folded: &[u8]) -> Option<usize> {
    NAMES.get(folded).copied()
}

fn folded_whole(name: &str) -> Vec<u8> {
    fold(name.as_bytes(), &mut [0; LONGEST]).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests;
