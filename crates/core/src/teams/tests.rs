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

#[test]
fn names_are_known_as_feeds_and_archives_write_them() {
    for (name, expected) in [
        ("LOS", "LAD"),
        ("SDG", "SD"),
        ("SFO", "SF"),
        ("TAM", "TB"),
        ("San Fran Giants", "SF"),
        ("Wash Nationals", "WSH"),
        ("Ariz Diamondbacks", "ARI"),
        ("Ariz. D-backs", "ARI"),
        ("Phila Phillies", "PHI"),
        ("Cinci Reds", "CIN"),
        ("Minn Twins", "MIN"),
        ("Milw Brewers", "MIL"),
        ("Balt Orioles", "BAL"),
        ("Clev Guardians", "CLE"),
        ("Clev Indians", "CLE"),
        ("Det Tigers", "DET"),
        ("Hou Astros", "HOU"),
        ("Tex Rangers", "TEX"),
        ("Tor Blue Jays", "TOR"),
        ("Pitt Pirates", "PIT"),
        ("Pittsburg Pirates", "PIT"),
        ("Atl Braves", "ATL"),
        ("Bos Red Sox", "BOS"),
        ("Sea Mariners", "SEA"),
        ("Ana Angels", "LAA"),
        ("L.A. Angels", "LAA"),
        ("LA Dodgers", "LAD"),
        ("St.Louis Cardinals", "STL"),
        ("St Louis Cards", "STL"),
        ("Chi. Cubs", "CHC"),
        ("Chi White Sox", "CWS"),
        ("NY Yanks", "NYY"),
        ("NY Mets", "NYM"),
        ("KC Royals", "KC"),
        ("TB Rays", "TB"),
        ("Tampa Rays", "TB"),
        ("SD Padres", "SD"),
        ("Colo Rockies", "COL"),
        ("Mia Marlins", "MIA"),
        ("Oak A's", "ATH"),
        ("LV Athletics", "ATH"),
        ("Boston\u{a0}Red Sox", "BOS"),
        ("\u{feff}Boston\u{202f}Red\u{2007}Sox\u{200b}", "BOS"),
        ("NY Mets G2", "NYM"),
        ("Houston Astros (G1)", "HOU"),
        ("METS GAME 2", "NYM"),
        ("Yankees gm2", "NYY"),
        ("Yankees #2", "NYY"),
        ("SF G2", "SF"),
        ("SDG\u{a0}G1", "SD"),
    ] {
        assert_eq!(code(name), Some(expected), "{name}");
    }
    assert_eq!(club(b"Boston\xa0Red Sox\xa0G2").map(|club| club.code), Some("BOS"));
    assert_eq!(club(b"Arizona D\x92backs").map(|club| club.code), Some("ARI"));
}

#[test]
fn a_game_makes_no_name_known() {
    for name in [
        "New York G2",
        "Chicago (G1)",
        "Los Angeles Game 2",
        "LA G1",
        "G2",
        "SFG2",
        "SFG 2",
        "MetsG2",
        "Mets 2",
        "Mets G3",
        "Mets G1 G2",
        "Met\u{e0} G2",
        "Chicago W2",
        "Game 1",
    ] {
        assert_eq!(code(name), None, "{name}");
    }
}

/// Names that have something to do with one: pieces of several, in any order.
fn pieces() -> impl Strategy<Value = String> {
    let names: Vec<String> = CLUBS.iter().flat_map(Club::names).collect();
    let words = prop_oneof![
        prop::sample::select(names),
        "[A-Z]{1,3}",
        prop::sample::select(vec![
            "New York",
            "Chicago",
            "Los Angeles",
            "LA",
            "G",
            "Game",
            "(",
            "D",
            "Sox",
            ""
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(words, 1..4).prop_map(|words| words.join(" "))
}

const GAMES: [&str; 9] = [" G1", " (G2)", " Game 1", " gm2", " #2", "#1", "\u{a0}G2", " - Game 2", " [DH 1]"];

proptest! {
    #[test]
    fn a_game_changes_nothing(name in pieces(), game in prop::sample::select(GAMES.to_vec())) {
        // "Mets Game" and "#2" are one thing.
        let last = name.split(' ').next_back().unwrap_or_default();
        prop_assume!(!["G", "GM", "GAME", "DH"].contains(&last.to_uppercase().as_str()));
        prop_assert_eq!(code(&format!("{name}{game}")), code(&name), "{}", name);
    }

    #[test]
    fn a_number_makes_no_other_club(name in "[A-Za-z.# ()\u{a0}]{0,8}", tail in "[ gGdDhH#(-]{0,4}[0-9]\\)?") {
        let whole = format!("{name}{tail}");
        if let Some(found) = code(&whole) {
            let bare = without_game(whole.as_bytes()).unwrap();
            let folded = fold(bare, &mut [0; LONGEST]).map(<[u8]>::to_vec).unwrap();
            prop_assert_eq!(place(&folded).map(|place| CLUBS[place].code), Some(found));
            prop_assert!(whole.as_bytes().starts_with(bare));
        }
    }

    #[test]
    fn spaces_that_do_not_break_change_nothing(name in pieces(), space in prop::sample::select(vec!["\u{a0}", "\u{2007}", "\u{202f}", "\u{200b}", "\u{feff}"])) {
        prop_assert_eq!(code(&name.replace(' ', space)), code(&name));
        let of_one_byte: Vec<u8> = name.bytes().map(|byte| if byte == b' ' { 0xa0 } else { byte }).collect();
        prop_assert_eq!(club(&of_one_byte).map(|club| club.code), code(&name));
    }

    #[test]
    fn nothing_breaks_it_and_blanks_change_nothing(name in prop::collection::vec(any::<u8>(), 0..60)) {
        let padded = [b" ".as_slice(), &name, b"\t"].concat();
        prop_assert_eq!(club(&name).map(|c| c.code), club(&padded).map(|c| c.code));
    }
}
