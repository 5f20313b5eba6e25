//! The thirty clubs: what sources call them, and the code that stands for each.

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

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
    /// Other codes, other spellings, and names that it gave up.
    pub variants: &'static [&'static str],
}

macro_rules! clubs {
    ($($code:literal $city:literal $nickname:literal $enough:literal [$($variant:literal),*];)+) => {
        [$(Club { code: $code, city: $city, nickname: $nickname, city_is_enough: $enough, variants: &[$($variant),*] }),+]
    };
}

/// All of them, by code.
#[rustfmt::skip]
pub static CLUBS: [Club; 30] = clubs! {
    "ARI" "Arizona" "Diamondbacks" true ["AZ", "ARZ", "D-backs", "Dbacks", "Arizona D-backs", "Phoenix"];
    // Left Oakland after 2024, plays in Sacramento without bearing its name, on the way to Las Vegas.
    "ATH" "Sacramento" "Athletics" true ["OAK", "SAC", "LV", "LVA", "A's", "As", "Oakland", "Oakland Athletics",
        "Oakland A's", "Sacramento A's", "Las Vegas", "Las Vegas Athletics", "Las Vegas A's", "The Athletics"];
    "ATL" "Atlanta" "Braves" true [];
    "BAL" "Baltimore" "Orioles" true ["O's", "Os", "Baltimore O's"];
    "BOS" "Boston" "Red Sox" true ["BRS", "Boston Sox", "Redsox"];
    "CHC" "Chicago" "Cubs" false ["CHN", "CUB", "Chi Cubs", "Chicago C", "Chicago (N)", "Chicago NL"];
    "CIN" "Cincinnati" "Reds" true ["Redlegs"];
    // The Indians until 2021.
    "CLE" "Cleveland" "Guardians" true ["CLG", "Guards", "Indians", "Cleveland Indians"];
    "COL" "Colorado" "Rockies" true ["Denver"];
    "CWS" "Chicago" "White Sox" false ["CHW", "CHA", "CHISOX", "Chi White Sox", "Chi Sox", "Chicago W", "Chicago (A)",
        "Chicago AL", "Whitesox"];
    "DET" "Detroit" "Tigers" true [];
    "HOU" "Houston" "Astros" true ["'Stros", "Stros"];
    "KC" "Kansas City" "Royals" true ["KCR", "KCA", "KAN", "K.C.", "KC Royals"];
    "LAA" "Los Angeles" "Angels" false ["ANA", "CAL", "LA Angels", "Los Angeles A", "Anaheim", "Anaheim Angels",
        "California Angels", "Los Angeles Angels of Anaheim", "LA Angels of Anaheim", "Halos"];
    "LAD" "Los Angeles" "Dodgers" false ["LAN", "LA Dodgers", "Los Angeles D"];
    "MIA" "Miami" "Marlins" true ["FLA", "FLO", "Florida", "Florida Marlins"];
    "MIL" "Milwaukee" "Brewers" true ["Brew Crew"];
    "MIN" "Minnesota" "Twins" true [];
    "NYM" "New York" "Mets" false ["NYN", "NY Mets", "N.Y. Mets", "New York M", "New York (N)"];
    "NYY" "New York" "Yankees" false ["NYA", "NY Yankees", "N.Y. Yankees", "Yanks", "New York Y", "New York (A)"];
    "PHI" "Philadelphia" "Phillies" true ["Phils", "Philly"];
    "PIT" "Pittsburgh" "Pirates" true ["Bucs", "Buccos"];
    "SD" "San Diego" "Padres" true ["SDP", "SDN", "Pads", "SD Padres"];
    "SEA" "Seattle" "Mariners" true ["M's", "Ms"];
    "SF" "San Francisco" "Giants" true ["SFG", "SFN", "SF Giants"];
    "STL" "St. Louis" "Cardinals" true ["SLN", "Cards", "Saint Louis", "Saint Louis Cardinals", "STL Cardinals"];
    "TB" "Tampa Bay" "Rays" true ["TBR", "TBA", "TBD", "Tampa", "TB Rays", "Devil Rays", "Tampa Bay Devil Rays"];
    "TEX" "Texas" "Rangers" true [];
    "TOR" "Toronto" "Blue Jays" true ["Jays", "Bluejays", "Toronto Jays"];
    "WSH" "Washington" "Nationals" true ["WAS", "WSN", "WDC", "Nats", "Washington Nats", "Washington DC", "Washington D.C."];
};

/// Longer names are no club's.
const LONGEST: usize = 40;

/// Every name that a club is known by, folded. Nothing is ever added, so nobody can make it slow by choosing names.
static NAMES: LazyLock<FxHashMap<Vec<u8>, &'static Club>> = LazyLock::new(|| {
    CLUBS.iter().flat_map(|club| club.names().map(move |name| (folded_whole(&name), club))).collect()
});

impl Club {
    /// What it is called: by its code, its names and their variants.
    fn names(&self) -> impl Iterator<Item = String> {
        let own =
            [self.code.to_owned(), self.nickname.to_owned(), format!("{} {}", self.city, self.nickname)];
        let other_codes = self.variants.iter().copied().filter(|variant| is_code(variant));
        let coded =
            std::iter::once(self.code).chain(other_codes).map(|code| format!("{code} {}", self.nickname));
        let city = self.city_is_enough.then(|| self.city.to_owned());
        let variants = self.variants.iter().map(|variant| (*variant).to_owned());
        own.into_iter().chain(coded).chain(city).chain(variants)
    }
}

fn is_code(name: &str) -> bool {
    (2..=3).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// The club that a name in any ASCII-based encoding means. Case, blanks and punctuation do not matter, all else
/// does: a name that is not one of a club's is nobody's, and one that two clubs share (New York) is neither's.
#[must_use]
pub fn club(name: &[u8]) -> Option<&'static Club> {
    let mut buffer = [0; LONGEST];
    let length = fold(name, &mut buffer)?;
    NAMES.get(&buffer[..length]).copied()
}

/// What becomes of each byte of a name: a letter or digit in lower case, nothing of what does not matter, or `OTHER`.
const FOLDED: [u8; 256] = {
    let mut folded = [OTHER; 256];
    let mut byte = 0;
    while byte < 128 {
        folded[byte as usize] = match byte {
            b' ' | b'\t'..=b'\r' | b'.' | b'\'' | b'-' | b'_' | b'(' | b')' => NOTHING,
            letter if letter.is_ascii_alphanumeric() => letter.to_ascii_lowercase(),
            _ => OTHER,
        };
        byte += 1;
    }
    folded
};
const NOTHING: u8 = 0;
const OTHER: u8 = 1;

/// Writes a name's letters and digits in lower case; its length, or nothing where it holds anything that no club's
/// name does.
fn fold(name: &[u8], into: &mut [u8; LONGEST]) -> Option<usize> {
    const APOSTROPHE: &[u8] = "\u{2019}".as_bytes();
    let mut length = 0;
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match FOLDED[usize::from(*first)] {
            NOTHING => {}
            OTHER => rest = strip_first(first, tail, APOSTROPHE)?,
            folded => {
                *into.get_mut(length)? = folded;
                length += 1;
            }
        }
    }
    Some(length)
}

/// What follows a character whose first byte has been read.
fn strip_first<'a>(first: &u8, tail: &'a [u8], character: &[u8]) -> Option<&'a [u8]> {
    let (expected, others) = character.split_first()?;
    if first == expected { tail.strip_prefix(others) } else { None }
}

fn folded_whole(name: &str) -> Vec<u8> {
    let mut buffer = [0; LONGEST];
    let length = fold(name.as_bytes(), &mut buffer).unwrap_or(0);
    buffer[..length].to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;

    use super::*;

    fn code(name: &str) -> Option<&'static str> {
        club(name.as_bytes()).map(|club| club.code)
    }

    #[test]
    fn every_name_is_one_clubs_and_finds_it() {
        let mut seen = HashMap::new();
        for club in &CLUBS {
            for name in club.names() {
                assert!(!folded_whole(&name).is_empty(), "{name}");
                assert_eq!(code(&name), Some(club.code), "{name}");
                let other = seen.insert(folded_whole(&name), club.code);
                assert!(other.is_none_or(|other| other == club.code), "{name} is {other:?}'s too");
            }
        }
        assert_eq!(CLUBS.iter().map(|club| club.code).collect::<HashSet<_>>().len(), 30);
    }

    #[test]
    fn renamed_clubs_are_found_by_all_of_their_names() {
        for name in
            ["Oakland Athletics", "Athletics", "Sacramento Athletics", "Las Vegas Athletics", "A's", "OAK"]
        {
            assert_eq!(code(name), Some("ATH"), "{name}");
        }
        for name in ["Cleveland Indians", "Cleveland Guardians", "Guardians", "INDIANS", "cle"] {
            assert_eq!(code(name), Some("CLE"), "{name}");
        }
    }

    #[test]
    fn spelling_does_not_matter() {
        for (name, expected) in [
            ("st louis cardinals", "STL"),
            ("  St. Louis\tCardinals ", "STL"),
            ("Arizona D\u{2019}backs", "ARI"),
            ("LOS ANGELES DODGERS", "LAD"),
            ("kc", "KC"),
            ("N.Y. Yankees", "NYY"),
        ] {
            assert_eq!(code(name), Some(expected), "{name}");
        }
    }

    #[test]
    fn what_is_no_clubs_name_is_nobodys() {
        let no_utf8: &[u8] = &[0xff, 0xfe];
        assert!(club(no_utf8).is_none());
        for name in [
            "",
            " ",
            "'",
            "New York",
            "Chicago",
            "Los Angeles",
            "LA",
            "Sox",
            "Springfield Isotopes",
            "Metš",
            "Mets!",
            "Pittsburg",
            "PITT",
            "Yankees Mets",
            "\u{2018}Stros",
            "Boston Red Sox vs New York",
        ] {
            assert_eq!(code(name), None, "{name}");
        }
        assert_eq!(code(&"x".repeat(100_000)), None);
        assert_eq!(code(&" ".repeat(100_000)), None);
    }

    proptest! {
        #[test]
        fn nothing_breaks_it_and_blanks_change_nothing(name in prop::collection::vec(any::<u8>(), 0..60)) {
            let padded = [b" ".as_slice(), &name, b"\t"].concat();
            prop_assert_eq!(club(&name).map(|c| c.code), club(&padded).map(|c| c.code));
        }
    }
}
