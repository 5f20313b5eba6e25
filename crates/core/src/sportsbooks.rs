//! Sportsbooks: how each spells its own name, and what sources write for it.

use std::borrow::Cow;
use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::folding::{LONGEST, fold, plain};

/// A sportsbook with the names that it goes by.
#[derive(Debug)]
pub struct Sportsbook {
    /// Its name as it spells it.
    pub name: &'static str,
    /// What else is written for it: only what no other sportsbook is called.
    pub variants: &'static [&'static str],
}

macro_rules! sportsbooks {
    ($($name:literal [$($variant:literal),*];)+) => {
        &[$(Sportsbook { name: $name, variants: &[$($variant),*] }),+]
    };
}

/// All that are known. The word "Sportsbook" behind a name goes without saying.
#[rustfmt::skip]
pub static SPORTSBOOKS: &[Sportsbook] = sportsbooks! {
    // The United States.
    "Bally Bet" ["Bally's", "Ballys Bet", "Bally"];
    "Barstool" ["Barstool Sports"];
    "Betfred" ["Betfred Sports"];
    "betJACK" [];
    "Betly" [];
    "BetMGM" ["MGM", "BetMGM Sports"];
    "betPARX" ["ParxBet"];
    "Betr" [];
    "BetRivers" ["Bet Rivers Sports"];
    "Borgata" ["Borgata Sports"];
    "Caesars" ["CZR", "Ceasars", "Caesars Sports"];
    "Circa" ["Circa Sports"];
    "DraftKings" ["DK", "DKNG", "Draft King", "DraftKings Sports"];
    "ESPN BET" [];
    "Fanatics" ["Fanatics Sports", "Fanatics Betting"];
    "FanDuel" ["FD", "FanDuel Sports"];
    "Fliff" [];
    "FOX Bet" [];
    "Golden Nugget" [];
    "Hard Rock Bet" ["Hard Rock"];
    "Novig" [];
    "PointsBet" ["Point Bet"];
    "ProphetX" ["Prophet Exchange"];
    "SI Sportsbook" ["Sports Illustrated"];
    "South Point" [];
    "Sporttrade" [];
    "SugarHouse" ["PlaySugarHouse"];
    "SuperBook" ["SuperBook Sports"];
    "theScore Bet" ["Score Bet"];
    "TwinSpires" [];
    "Westgate" ["Westgate SuperBook", "Westgate Las Vegas", "Westgate Las Vegas SuperBook"];
    "Wind Creek" [];
    "WynnBET" ["Wynn"];
    // Offshore.
    "5Dimes" ["Five Dimes"];
    "BetAnySports" [];
    "Betcris" [];
    "BetDSI" [];
    "BetOnline" ["BetOnline.ag"];
    "BetUS" ["BetUS.com.pa"];
    "Bodog" [];
    "Bookmaker" ["Bookmaker.eu"];
    "Bovada" ["Bovada.lv"];
    "Everygame" [];
    "GTbets" [];
    "Heritage" ["Heritage Sports"];
    "Intertops" [];
    "JustBet" [];
    "LowVig" ["LowVig.ag"];
    "MyBookie" ["MyBookie.ag"];
    "Pinnacle" ["Pinny", "Pinnacle Sports"];
    "SportsBetting" ["SportsBetting.ag"];
    "YouWager" [];
    // Elsewhere.
    "10bet" [];
    "1xBet" [];
    "888sport" [];
    "bet365" ["B365"];
    "Betano" [];
    "Betclic" [];
    // The exchange and the book of one house quote different prices.
    "Betfair" [];
    "Betfair Exchange" ["Betfair Ex"];
    "Betfair Sportsbook" ["Betfair SB"];
    "Betsson" [];
    "BetVictor" [];
    "Betway" [];
    "BoyleSports" [];
    "bwin" [];
    "Coolbet" [];
    "Coral" [];
    "Ladbrokes" [];
    "LeoVegas" [];
    "Marathonbet" [];
    "Matchbook" [];
    "Neds" [];
    "NordicBet" [];
    "Paddy Power" [];
    "Sky Bet" [];
    "Smarkets" [];
    "Sports Interaction" [];
    "Sportsbet" [];
    "Stake" ["Stake.com"];
    "Tipico" [];
    "Unibet" [];
    // Bought by Caesars, which is named by itself.
    "William Hill" ["WH"];
};

/// Every name that a sportsbook is known by, folded, and its place among them. Nothing is ever added, so nobody can
/// make it slow by choosing names.
static NAMES: LazyLock<FxHashMap<Vec<u8>, usize>> = LazyLock::new(|| {
    let names =
        SPORTSBOOKS.iter().enumerate().flat_map(|(place, book)| book.names().map(move |name| (place, name)));
    names.map(|(place, name)| (folded_whole(name), place)).collect()
});

impl Sportsbook {
    fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.variants.iter().copied())
    }
}

/// The sportsbook that a name in any ASCII-based encoding means. Case, blanks and punctuation do not matter, nor does
/// the word "Sportsbook" behind it.
#[must_use]
pub fn sportsbook(name: &[u8]) -> Option<&'static Sportsbook> {
    SPORTSBOOKS.get(place(fold(name, &mut [0; LONGEST])?)?)
}

/// The place among [`SPORTSBOOKS`] of the one that a folded name means.
pub(crate) fn place(folded: &[u8]) -> Option<usize> {
    NAMES.get(folded).or_else(|| NAMES.get(without_sportsbook(folded)?)).copied()
}

/// A folded name without the word "Sportsbook" at its end.
pub(crate) fn without_sportsbook(folded: &[u8]) -> Option<&[u8]> {
    folded.strip_suffix(b"sportsbook").filter(|rest| !rest.is_empty())
}

/// The one spelling of a sportsbook's name, known or not; nothing for a blank one.
#[must_use]
pub fn spelling(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    match sportsbook(name) {
        Some(book) => Some(Cow::Borrowed(book.name.as_bytes())),
        None => Some(plain(name)).filter(|plain| !plain.is_empty()),
    }
}

fn folded_whole(name: &str) -> Vec<u8> {
    fold(name.as_bytes(), &mut [0; LONGEST]).unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn spelled(name: &str) -> Option<String> {
        spelling(name.as_bytes()).map(|spelled| String::from_utf8(spelled.into_owned()).unwrap())
    }

    #[test]
    fn every_name_is_one_sportsbooks_and_finds_it() {
        let mut seen = HashMap::new();
        for book in SPORTSBOOKS {
            for name in book.names() {
                assert!(!folded_whole(name).is_empty(), "{name}");
                assert_eq!(spelled(name).as_deref(), Some(book.name), "{name}");
                assert_eq!(seen.insert(folded_whole(name), book.name), None, "{name}");
            }
        }
    }

    #[test]
    fn a_book_has_one_spelling() {
        for (name, expected) in [
            ("DraftKings", "DraftKings"),
            ("draftkings", "DraftKings"),
            ("DRAFTKINGS ", "DraftKings"),
            ("draft kings", "DraftKings"),
            ("Draft\u{a0}Kings", "DraftKings"),
            ("DraftKings Sportsbook", "DraftKings"),
            ("dk", "DraftKings"),
            ("FD", "FanDuel"),
            ("mgm", "BetMGM"),
            ("Bet MGM", "BetMGM"),
            ("Caesars Sportsbook", "Caesars"),
            ("Caesar's", "Caesars"),
            ("williamhill", "William Hill"),
            ("BET365", "bet365"),
            ("espnbet", "ESPN BET"),
            ("SI_Sportsbook", "SI Sportsbook"),
            ("Sisportsbook", "SI Sportsbook"),
            ("betonlineag", "BetOnline"),
            ("Betfair Sportsbook", "Betfair Sportsbook"),
            ("betfair", "Betfair"),
        ] {
            assert_eq!(spelled(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_not_known_has_one_spelling_all_the_same() {
        for (name, expected) in [
            (" Joe's \t Book ", "joe's book"),
            ("JOE'S BOOK", "joe's book"),
            ("Sportsbook", "sportsbook"),
            ("Unibet (FR)", "unibet (fr)"),
            ("ESPN", "espn"),
            ("ÉTÉ", "ÉtÉ"),
            ("...", "..."),
        ] {
            assert_eq!(spelled(name).as_deref(), Some(expected), "{name}");
        }
        for name in ["", " ", "\t\u{b}\r\n"] {
            assert_eq!(spelled(name), None, "{name:?}");
        }
        assert_eq!(spelling(b"F\xe4IR ").as_deref(), Some(&b"f\xe4ir"[..]));
    }

    proptest! {
        #[test]
        fn a_spelling_is_at_rest(name in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Some(once) = spelling(&name) {
                prop_assert_eq!(spelling(&once), Some(Cow::Borrowed(&*once)));
            }
        }

        #[test]
        fn case_and_blanks_around_change_nothing(name in "[ -~]{0,30}", blanks in "[ \t\r\n]{0,3}") {
            let other = format!("{blanks}{}{blanks}", name.to_ascii_uppercase());
            prop_assert_eq!(spelled(&other), spelled(&name));
            prop_assert_eq!(spelled(&other.to_ascii_lowercase()), spelled(&name));
        }
    }
}
