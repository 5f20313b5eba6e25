use proptest::prelude::*;

use super::*;
use crate::sportsbooks::{self, SPORTSBOOKS};
use crate::teams::{self, CLUBS};

fn naming(json: &str) -> Naming {
    Naming::from_json(json.as_bytes()).unwrap()
}

fn team(naming: &Naming, name: &str) -> Option<String> {
    naming.team(name.as_bytes()).map(|code| String::from_utf8(code.into()).unwrap())
}

fn book(naming: &Naming, name: &str) -> Option<String> {
    naming.book(name.as_bytes()).map(|name| String::from_utf8(name.into_owned()).unwrap())
}

fn refusal(json: &str) -> String {
    let error = Naming::from_json(json.as_bytes()).unwrap_err();
    assert!(!error.detail().is_empty(), "{error}");
    error.to_string()
}

#[test]
fn nothing_given_is_what_is_built_in() {
    for json in ["{}", r#"{"clubs": {}, "codes": {}, "books": {}}"#] {
        let naming = naming(json);
        assert_eq!(team(&naming, "Oakland A's G2").as_deref(), Some("ATH"));
        assert_eq!(team(&naming, "New York"), None);
        assert_eq!(book(&naming, "DRAFTKINGS ").as_deref(), Some("DraftKings"));
        assert_eq!(book(&naming, "Joe's  BOOK").as_deref(), Some("joe's book"));
        assert_eq!(book(&naming, " \t"), None);
    }
}

#[test]
fn a_deployments_codes_are_written_and_understood() {
    let naming = naming(
        r#"{"codes": {"ATH": "OAK", "CWS": "CHW", "SF": "SFG", "LAD": "LA", "TB": "Rays!"},
            "clubs": {"New York": "NYM", "Los Gigantes de San Francisco, California, en la Bahia": "SF"}}"#,
    );
    for (name, expected) in [
        ("Athletics", Some("OAK")),
        ("ATH", Some("OAK")),
        ("oak", Some("OAK")),
        ("Sacramento Athletics (G1)", Some("OAK")),
        ("White Sox", Some("CHW")),
        ("Giants", Some("SFG")),
        ("LA", Some("LA")),
        ("la g2", Some("LA")),
        ("Dodgers", Some("LA")),
        ("Angels", Some("LAA")),
        ("Tampa Bay", Some("Rays!")),
        ("RAYS!", Some("Rays!")),
        ("new  york", Some("NYM")),
        ("New York G2", Some("NYM")),
        ("New York Yankees", Some("NYY")),
        ("los gigantes de  SAN francisco, California, en la bahia #1", Some("SFG")),
        ("Chicago", None),
        ("", None),
    ] {
        assert_eq!(team(&naming, name).as_deref(), expected, "{name}");
    }
}

#[test]
fn a_deployments_names_come_before_those_built_in() {
    let naming = naming(r#"{"clubs": {"Tampa": "MIA", "LV": "SEA", "Team 49 G1": "SF"}}"#);
    assert_eq!(team(&naming, "TAMPA").as_deref(), Some("MIA"));
    assert_eq!(team(&naming, "Tampa Bay").as_deref(), Some("TB"));
    assert_eq!(team(&naming, "lv").as_deref(), Some("SEA"));
    assert_eq!(team(&naming, "LV Athletics").as_deref(), Some("ATH"));
    // Whole before without a game.
    assert_eq!(team(&naming, "team 49 g1").as_deref(), Some("SF"));
    assert_eq!(team(&naming, "team 49"), None);
}

#[test]
fn a_book_is_renamed_with_all_of_its_names() {
    let renamed = naming(
        r#"{"books": {"DraftKings": "DK", "Casa de Apuestas": "La Casa", "mirror": "DK", "B": "MGM"}}"#,
    );
    for (name, expected) in [
        ("draft kings", "DK"),
        ("DKNG", "DK"),
        ("dk", "DK"),
        ("Mirror", "DK"),
        ("CASA  de apuestas", "La Casa"),
        ("la casa", "La Casa"),
        ("La Casa Sportsbook", "La Casa"),
        ("BetMGM", "MGM"),
        ("FanDuel", "FanDuel"),
        ("La Casa Grande", "la casa grande"),
    ] {
        assert_eq!(book(&renamed, name).as_deref(), Some(expected), "{name}");
    }
    let renamed = naming(r#"{"books": {"dk": "DRAFTKINGS INC", "WH": "Caesars"}}"#);
    for name in ["draftkings", "DK", "draftkings inc", "DraftKings Sportsbook"] {
        assert_eq!(book(&renamed, name).as_deref(), Some("DRAFTKINGS INC"), "{name}");
    }
    assert_eq!(book(&renamed, "William Hill").as_deref(), Some("Caesars"));
    assert_eq!(book(&renamed, "Caesars").as_deref(), Some("Caesars"));
}

#[test]
fn names_in_any_encoding_are_understood() {
    let latin1 = b"{\"clubs\": {\"Qu\xe9bec\": \"TOR\"}, \"books\": {\"\xc9T\xc9\": \"\xc9t\xe9\"}}";
    let naming = Naming::from_json(latin1).unwrap();
    assert_eq!(naming.team(b"QU\xe9BEC "), Some(&b"TOR"[..]));
    assert_eq!(naming.team("Qu\u{e9}bec".as_bytes()), None);
    assert_eq!(naming.book(b" \xc9t\xc9").as_deref(), Some(&b"\xc9t\xe9"[..]));
    let error = Naming::from_json(b"{\"clubs\": {\"x\": \"\xc9\"}}").unwrap_err();
    assert_eq!(error.to_string(), r#"unknown club "\xc9""#);
    let escaped = self::naming(r#"{"clubs": {"Qu\u00e9bec \"Nine\"": "TOR"}}"#);
    assert_eq!(team(&escaped, "Qu\u{e9}bec \"nine\"").as_deref(), Some("TOR"));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (json, message) in [
        (r#"{"clubs": {"Nine": "NIN"}}"#, r#"unknown club "NIN""#),
        (r#"{"clubs": {"Nine": "nym"}}"#, r#"unknown club "nym""#),
        (r#"{"codes": {"OAK": "ATH"}}"#, r#"unknown club "OAK""#),
        (r#"{"clubs": {" ": "NYM"}}"#, r#"the name given for club "NYM" is blank"#),
        (r#"{"clubs": {"Tampa": "TB", "TAMPA ": "MIA"}}"#, r#"the names "Tampa" and "TAMPA " are one"#),
        (r#"{"codes": {"ATH": ""}}"#, r#"the code "" for club "ATH" is blank"#),
        (r#"{"codes": {"ATH": "OAK "}}"#, r#"the code "OAK " for club "ATH" has blanks at its ends"#),
        (
            r#"{"codes": {"ATH": "ATHLETICS11"}}"#,
            r#"the code "ATHLETICS11" for club "ATH" is longer than 10 bytes"#,
        ),
        (r#"{"codes": {"NYM": "NYY"}}"#, r#"the code "NYY" for club "NYM" is a name of club "NYY""#),
        (
            r#"{"codes": {"NYM": "NY", "NYY": "ny"}}"#,
            r#"the code "ny" for club "NYY" is the code for club "NYM" too"#,
        ),
        (
            r#"{"codes": {"ATH": "OAK", "ATH": "SAC"}}"#,
            r#"the code "SAC" for club "ATH" is not its only one"#,
        ),
        (
            r#"{"clubs": {"oak": "SF"}, "codes": {"ATH": "OAK"}}"#,
            r#"the name "oak" is the code in use for club "ATH""#,
        ),
        (r#"{"books": {"": "DK"}}"#, r#"the name given for sportsbook "DK" is blank"#),
        (r#"{"books": {"dk": " "}}"#, r#"the sportsbook that "dk" stands for is blank"#),
        (r#"{"books": {"dk": " DK"}}"#, r#"the sportsbook that "dk" stands for has blanks at its ends"#),
        (r#"{"books": {"dk": "A", "DK": "B"}}"#, r#"the names "dk" and "DK" are one sportsbook's"#),
        (
            r#"{"books": {"dk": "A", "draft kings": "B"}}"#,
            r#"the names "dk" and "draft kings" are one sportsbook's"#,
        ),
        (r#"{"books": {"x": "Foo", "y": "FOO"}}"#, r#""Foo" and "FOO" are two spellings of one sportsbook"#),
        (
            r#"{"books": {"x": "DraftKings", "dk": "D. K."}}"#,
            r#""DraftKings" and "D. K." are two spellings of one sportsbook"#,
        ),
        (r#"{"books": {"x": "y", "y": "x"}}"#, r#""x" and "y" are two spellings of one sportsbook"#),
    ] {
        assert_eq!(refusal(json), message, "{json}");
    }
    for json in [
        "",
        "[]",
        "3",
        "null",
        "{",
        r#"{"teams": {}}"#,
        r#"{"clubs": []}"#,
        r#"{"clubs": null}"#,
        r#"{"books": {"x": 3}}"#,
        "{} {}",
    ] {
        assert!(refusal(json).starts_with("naming must be a JSON object"), "{json}");
    }
    let unknown = Naming::from_json(br#"{"codes": {"X": "Y"}}"#).unwrap_err();
    assert!(unknown.detail().starts_with("The clubs are ARI, ATH, ATL"), "{}", unknown.detail());
}

fn object(pairs: &[(String, String)]) -> String {
    let pairs: Vec<_> = pairs.iter().map(|(one, other)| format!("{one:?}: {other:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn entries(
    name: &'static str,
    value: impl Strategy<Value = String>,
) -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((name, value), 0..4)
}

fn club() -> impl Strategy<Value = String> {
    prop::sample::select(CLUBS.iter().map(|club| club.code.to_owned()).collect::<Vec<_>>())
}

fn documents() -> impl Strategy<Value = [Vec<(String, String)>; 3]> {
    let codes = prop::collection::vec((club(), "[A-Z]{2,3}".boxed()), 0..4);
    let books = "[a-c]{1,2}|DraftKings|dk|FanDuel|fd";
    (entries("[A-Za-z ]{1,6}", club()), codes, entries(books, books.boxed()))
        .prop_map(|(clubs, codes, books)| [clubs, codes, books])
}

fn read([clubs, codes, books]: &[Vec<(String, String)>; 3]) -> Result<Naming, NamingError> {
    let json =
        format!(r#"{{"clubs": {}, "codes": {}, "books": {}}}"#, object(clubs), object(codes), object(books));
    Naming::from_json(json.as_bytes())
}

proptest! {
    #[test]
    fn alone_the_built_in_names_decide(name in prop::collection::vec(any::<u8>(), 0..50)) {
        let naming = Naming::built_in();
        prop_assert_eq!(naming.team(&name), teams::club(&name).map(|club| club.code.as_bytes()));
        prop_assert_eq!(naming.book(&name), sportsbooks::spelling(&name));
    }

    #[test]
    fn what_is_written_is_understood_and_written_again(document in documents()) {
        if let Ok(naming) = read(&document) {
            let [clubs, codes, books] = &document;
            for (name, _) in clubs {
                prop_assert!(naming.team(name.as_bytes()).is_some());
            }
            for (club, code) in codes {
                prop_assert_eq!(naming.team(code.as_bytes()), Some(code.as_bytes()));
                let renamed = clubs.iter().any(|(name, _)| key(name.as_bytes()) == key(club.as_bytes()));
                prop_assert!(renamed || naming.team(club.as_bytes()) == Some(code.as_bytes()));
            }
            for (name, spelling) in books {
                for name in [name, spelling, &name.to_uppercase(), &format!(" {spelling}\t")] {
                    prop_assert_eq!(book(&naming, name), Some(spelling.clone()));
                }
            }
            for known in SPORTSBOOKS {
                for name in known.variants.iter().chain([&known.name]) {
                    let spelling = book(&naming, name);
                    prop_assert_eq!(&spelling, &book(&naming, known.name));
                    prop_assert_eq!(&book(&naming, spelling.as_deref().unwrap_or_default()), &spelling);
                }
            }
        }
    }

    #[test]
    fn with_fewer_entries_a_naming_stays_valid(document in documents(), part in 0..3usize, entry in 0..4usize) {
        let mut fewer = document.clone();
        if read(&document).is_ok() && entry < fewer[part].len() {
            fewer[part].remove(entry);
            prop_assert!(read(&fewer).is_ok());
        }
    }

    #[test]
    fn no_text_breaks_it(text in prop::collection::vec(any::<u8>(), 0..60), name in prop::collection::vec(any::<u8>(), 0..60)) {
        drop(Naming::from_json(&text));
        let json = [b"{\"books\": {\"x\": \"", name.as_slice(), b"\"}}"].concat();
        if let Ok(naming) = Naming::from_json(&json) {
            prop_assert!(naming.book(b"X").is_some());
        }
    }
}
