//! A deployment's names of clubs and sportsbooks: the tables, and the functions that apply them.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

const ALL: &str = "
    SELECT 'name ' || name || ' ' || club FROM groundskeeper.club_names
    UNION ALL SELECT 'code ' || club || ' ' || code FROM groundskeeper.club_codes
    UNION ALL SELECT 'book ' || name || ' ' || sportsbook FROM groundskeeper.sportsbook_names
    ORDER BY 1";

fn installed() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let client = db.client().unwrap();
    (db, client)
}

fn check(client: &mut Client, cases: &[(&str, &str)]) {
    for (call, expected) in cases {
        let query = format!("SELECT groundskeeper.{call}");
        assert_eq!(text(client, &query).unwrap(), *expected, "{call}");
    }
}

/// A deployment that has its own idea of everything.
const OURS: &str = "
    INSERT INTO groundskeeper.club_names VALUES ('New York', 'NYM'), ('Nine of Oakland', 'ATH');
    INSERT INTO groundskeeper.club_codes VALUES ('ATH', 'OAK'), ('CWS', 'CHW'), ('SF', 'SFG');
    INSERT INTO groundskeeper.sportsbook_names VALUES ('DraftKings', 'DK'), ('Casa', 'La Casa')";

#[test]
fn anyone_may_ask_for_built_in_names() {
    let mut db = TestDb::installed(Template::Empty).unwrap();
    let anyone = db.role("anyone").unwrap();
    let mut client = db.client_as(&anyone).unwrap();
    check(
        &mut client,
        &[
            ("club_code('Oakland A''s')", "ATH"),
            ("club_code('San Fran Giants (G2)')", "SF"),
            (r"club_code(E'Boston\u00a0Red Sox')", "BOS"),
            ("club_code('New York')", ""),
            ("club_code(' ')", ""),
            ("club_code(NULL)", ""),
            ("club_code(NULL, '{}')", ""),
            ("club_code('Mets', NULL)", "NYM"),
            (r#"club_code('Mets', '{"codes": {"NYM": "NYN"}}')"#, "NYN"),
            ("sportsbook('DraftKings')", "DraftKings"),
            ("sportsbook('draftkings')", "DraftKings"),
            ("sportsbook('DRAFTKINGS ')", "DraftKings"),
            (r"sportsbook(E' Joe''s\t  BOOK\n')", "joe's book"),
            (r"sportsbook(E' \t\n')", ""),
            ("sportsbook(NULL)", ""),
            (r#"sportsbook('dk', naming => '{"books": {"DraftKings": "D. K."}}')"#, "D. K."),
        ],
    );
    for naming in ["NULL", "'{}'"] {
        let fits = format!("SELECT groundskeeper_internal.check_naming({naming})");
        assert_eq!(text(&mut client, &fits).unwrap(), "true", "{naming}");
    }
}

#[test]
fn a_feeds_names_are_known_by_the_older_functions_too() {
    let (_db, mut client) = installed();
    // The names of which nobody knew a club.
    let unknown = r"SELECT string_agg(n, ', ') FROM unnest(ARRAY['LOS', 'SDG', 'SFO', 'TAM', 'Wash Nationals',
        'Ariz Diamondbacks', 'San Fran Giants', 'NY Mets G2', 'Houston Astros (G1)', E'Boston\u00a0Red Sox',
        'Los Angeles', 'New York', 'Chicago', 'CUB', 'KAN', 'St.Louis']) n
        WHERE NOT groundskeeper.is_known_team(n)";
    assert_eq!(text(&mut client, unknown).unwrap(), "Los Angeles, New York, Chicago");
    check(&mut client, &[("normalized_team('NY Mets G2')", "NYM"), ("normalized_team('LA G2')", "LA G2")]);
}

#[test]
fn the_tables_say_what_is_written() {
    let (_db, mut client) = installed();
    assert_eq!(
        text(&mut client, "SELECT groundskeeper.naming()").unwrap(),
        r#"{"books": {}, "clubs": {}, "codes": {}}"#
    );
    client.batch_execute(OURS).unwrap();
    check(
        &mut client,
        &[
            ("club_code('Athletics', groundskeeper.naming())", "OAK"),
            ("club_code('nine of oakland g1', groundskeeper.naming())", "OAK"),
            ("club_code('OAK', groundskeeper.naming())", "OAK"),
            ("club_code('sfg', groundskeeper.naming())", "SFG"),
            ("club_code('NEW YORK', groundskeeper.naming())", "NYM"),
            ("club_code('Chicago', groundskeeper.naming())", ""),
            ("sportsbook('draft kings', groundskeeper.naming())", "DK"),
            ("sportsbook('LA CASA', groundskeeper.naming())", "La Casa"),
            ("sportsbook('casa ', groundskeeper.naming())", "La Casa"),
            ("sportsbook('Casa Nostra', groundskeeper.naming())", "casa nostra"),
            ("sportsbook('fd', groundskeeper.naming())", "FanDuel"),
        ],
    );
}

#[test]
fn what_is_kept_at_a_call_is_never_anothers() {
    let (_db, mut client) = installed();
    let rows = "SELECT count(*), count(*) FILTER (WHERE groundskeeper.sportsbook('dk', naming) = expected
                                                    AND groundskeeper.club_code('Mets', naming) = code)
                  FROM generate_series(1, 3000) n
                 CROSS JOIN LATERAL (SELECT CASE n % 3
                       WHEN 0 THEN NULL WHEN 1 THEN '{}'
                       ELSE jsonb_build_object('books', jsonb_build_object('dk', 'B' || n % 7),
                                               'codes', jsonb_build_object('NYM', 'N' || n % 5)) END) a (naming)
                 CROSS JOIN LATERAL (SELECT CASE n % 3 WHEN 2 THEN 'B' || n % 7 ELSE 'DraftKings' END,
                                            CASE n % 3 WHEN 2 THEN 'N' || n % 5 ELSE 'NYM' END) e (expected, code)";
    let row = client.query_one(rows, &[]).unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3000, 3000));
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let (_db, mut client) = installed();
    client.batch_execute(OURS).unwrap();
    let before = texts(&mut client, ALL).unwrap();
    for (statement, message) in [
        ("INSERT INTO groundskeeper.club_names VALUES ('Nine', 'NIN')", r#"unknown club "NIN""#),
        ("INSERT INTO groundskeeper.club_names VALUES (' ', 'NYM')", "is blank"),
        (
            "INSERT INTO groundskeeper.club_names VALUES ('NEW  YORK', 'NYY')",
            r#"the names "New York" and "NEW  YORK" are one"#,
        ),
        (
            "UPDATE groundskeeper.club_names SET name = 'oak', club = 'SF' WHERE name = 'New York'",
            r#"the name "oak" is the code in use for club "ATH""#,
        ),
        ("INSERT INTO groundskeeper.club_codes VALUES ('OAK', 'ATH')", r#"unknown club "OAK""#),
        ("INSERT INTO groundskeeper.club_codes VALUES ('TB', E' \\t')", "is blank"),
        ("INSERT INTO groundskeeper.club_codes VALUES ('TB', 'TAMPA BAY R')", "is longer than 10 bytes"),
        ("INSERT INTO groundskeeper.club_codes VALUES ('TB', 'TBR ')", "has blanks at its ends"),
        ("INSERT INTO groundskeeper.club_codes VALUES ('SD', 'SFG')", r#"is a name of club "SF""#),
        (
            "INSERT INTO groundskeeper.club_codes VALUES ('NYM', 'NY'), ('NYY', 'ny')",
            r#"is the code for club "NYM" too"#,
        ),
        ("INSERT INTO groundskeeper.sportsbook_names VALUES (E'\\n', 'DK')", "is blank"),
        ("INSERT INTO groundskeeper.sportsbook_names VALUES ('x', '')", "is blank"),
        ("INSERT INTO groundskeeper.sportsbook_names VALUES ('draftkings', 'D. K.')", "are one sportsbook's"),
        (
            "INSERT INTO groundskeeper.sportsbook_names VALUES ('home', 'LA CASA')",
            "are two spellings of one sportsbook",
        ),
    ] {
        let refused = refusal(&mut client, statement).unwrap();
        assert_eq!(refused.code, "22023", "{statement}: {refused:?}");
        assert!(refused.message.contains(message), "{statement}: {refused:?}");
        assert!(!refused.detail.is_empty() && !refused.hint.is_empty(), "{statement}: {refused:?}");
    }
    let unknown =
        refusal(&mut client, "INSERT INTO groundskeeper.club_names VALUES ('Nine', 'NIN')").unwrap();
    assert!(unknown.detail.contains("ARI, ATH, ATL"), "{unknown:?}");
    for (statement, code) in [
        ("INSERT INTO groundskeeper.club_names VALUES (NULL, 'NYM')", "23502"),
        ("INSERT INTO groundskeeper.club_codes VALUES ('TB', NULL)", "23502"),
        ("INSERT INTO groundskeeper.club_codes VALUES ('ATH', 'SAC')", "23505"),
    ] {
        assert_eq!(refusal(&mut client, statement).unwrap().code, code, "{statement}");
    }
    assert_eq!(texts(&mut client, ALL).unwrap(), before);

    for naming in ["[]", "3", "null", r#"{"teams": {}}"#, r#"{"clubs": [1]}"#, r#"{"books": {"x": null}}"#] {
        for function in [
            "groundskeeper.club_code('x', ",
            "groundskeeper.sportsbook('x', ",
            "groundskeeper.club_code(NULL, ",
            "groundskeeper_internal.check_naming(",
        ] {
            let refused = refusal(&mut client, &format!("SELECT {function}'{naming}')")).unwrap();
            assert_eq!(refused.code, "22023", "{function} {naming}: {refused:?}");
            assert!(refused.message.starts_with("naming must be a JSON object"), "{refused:?}");
        }
    }
}

#[test]
fn two_at_once_do_not_contradict_each_other() {
    let (db, mut client) = installed();
    let mut other = db.client().unwrap();
    client.batch_execute("BEGIN; INSERT INTO groundskeeper.club_codes VALUES ('ATH', 'OAKS')").unwrap();
    let waiting = std::thread::spawn(move || {
        refusal(&mut other, "INSERT INTO groundskeeper.club_names VALUES ('oaks', 'SF')").unwrap()
    });
    let blocked =
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'groundskeeper.club_names'::regclass
                      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while text(&mut client, blocked).unwrap() == "0" {
        assert!(!waiting.is_finished(), "it did not wait");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    client.batch_execute("COMMIT").unwrap();
    let refused = waiting.join().unwrap();
    assert!(refused.message.contains("is the code in use"), "{refused:?}");
}

#[test]
fn the_tables_survive_a_dump_and_a_restore() {
    let (db, mut client) = installed();
    client.batch_execute(OURS).unwrap();
    let before = texts(&mut client, ALL).unwrap();
    for arguments in [&[][..], &["--inserts"]] {
        let dump = db.server().dump(db.name(), arguments).unwrap();
        let copy = TestDb::new(Template::Empty).unwrap();
        copy.server().restore(copy.name(), &dump).unwrap();
        let mut there = copy.client().unwrap();
        assert_eq!(texts(&mut there, ALL).unwrap(), before);
        check(&mut there, &[("club_code('Athletics', groundskeeper.naming())", "OAK")]);
        let refused =
            refusal(&mut there, "INSERT INTO groundskeeper.club_codes VALUES ('SD', 'OAK')").unwrap();
        assert_eq!(refused.code, "22023", "{refused:?}");
    }
}

#[test]
fn few_may_see_the_tables_and_whom_they_are_granted_to_may_write_them() {
    let (mut db, mut client) = installed();
    let [anyone, monitor, writer] = ["anyone", "monitor", "writer"].map(|stem| db.role(stem).unwrap());
    client
        .batch_execute(&format!(
            "GRANT pg_monitor TO {}; GRANT INSERT ON groundskeeper.club_codes TO {}; {OURS}",
            quote_ident(&monitor),
            quote_ident(&writer)
        ))
        .unwrap();
    let mut as_anyone = db.client_as(&anyone).unwrap();
    let mut as_monitor = db.client_as(&monitor).unwrap();
    let mut as_writer = db.client_as(&writer).unwrap();
    assert_eq!(texts(&mut as_monitor, ALL).unwrap().len(), 7);
    for table in ["club_names", "club_codes", "sportsbook_names"] {
        let refused = refusal(&mut as_anyone, &format!("TABLE groundskeeper.{table}")).unwrap();
        assert_eq!(refused.code, "42501", "{refused:?}");
        for client in [&mut as_anyone, &mut as_monitor] {
            for statement in [
                format!("INSERT INTO groundskeeper.{table} VALUES ('TB', 'TB')"),
                format!("DELETE FROM groundskeeper.{table}"),
                format!("TRUNCATE groundskeeper.{table}"),
            ] {
                assert_eq!(refusal(client, &statement).unwrap().code, "42501", "{statement}");
            }
        }
    }
    for client in [&mut as_anyone, &mut as_monitor] {
        assert_eq!(refusal(client, "SELECT groundskeeper.naming()").unwrap().code, "42501");
    }
    // The tables that it may not read are looked at all the same.
    as_writer.batch_execute("INSERT INTO groundskeeper.club_codes VALUES ('TB', 'TBR')").unwrap();
    let refused =
        refusal(&mut as_writer, "INSERT INTO groundskeeper.club_codes VALUES ('SD', 'new york')").unwrap();
    assert_eq!(refused.code, "22023", "{refused:?}");
}

#[test]
fn names_outside_of_ascii_pass_in_other_encodings() {
    let db = TestDb::encoded("LATIN1").unwrap();
    let mut client = db.client().unwrap();
    client
        .batch_execute(
            "INSERT INTO groundskeeper.club_names VALUES ('Leones de León', 'DET');
             INSERT INTO groundskeeper.sportsbook_names VALUES ('Betclic España', 'Betclic ES'), ('É', 'Été')",
        )
        .unwrap();
    check(
        &mut client,
        &[
            ("club_code('LEONES de León G2', groundskeeper.naming())", "DET"),
            ("club_code('Boston\u{a0}Red Sox')", "BOS"),
            ("club_code('Leones de León')", ""),
            ("sportsbook('BETCLIC España', groundskeeper.naming())", "Betclic ES"),
            ("sportsbook('Été ', groundskeeper.naming())", "Été"),
            ("sportsbook('Été')", "Été"),
            ("sportsbook('PEÑA  Bets')", "peÑa bets"),
        ],
    );
    let refused = refusal(&mut client, "INSERT INTO groundskeeper.club_names VALUES ('x', 'León')").unwrap();
    assert_eq!((refused.code.as_str(), refused.message.as_str()), ("22023", r#"unknown club "Le\xf3n""#));
}
