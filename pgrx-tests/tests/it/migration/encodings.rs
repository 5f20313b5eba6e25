//! Databases that are not in UTF-8.

use groundskeeper_sandbox::raw::Market;
use groundskeeper_sandbox::shape;
use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{assert_complete, astray, count, migrate};

/// A database of Shape A in an encoding of its own, and what the plan makes in it.
fn encoded(encoding: &str) -> (TestDb, Client) {
    let db = TestDb::encoded(encoding).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(shape::SHAPE_A).unwrap();
    client.batch_execute("SELECT groundskeeper.apply_plan()").unwrap();
    db.settle().unwrap();
    (db, client)
}

/// Names as an SQL expression each: of a book, of a team that is no club's, of a game, and of a constraint.
struct Names {
    encoding: &'static str,
    book: &'static str,
    team: &'static str,
    game: &'static str,
    constraint: &'static str,
}

const LATIN1: Names = Names {
    encoding: "LATIN1",
    book: "'Betclic España'",
    team: "'León'",
    game: "'serie-ó-1'",
    constraint: "niñería",
};

const WIN1252: Names = Names {
    encoding: "WIN1252",
    book: "'Sázka Š € – 1'",
    team: "'Žalgiris œ'",
    game: "'série “1” €'",
    constraint: "pošta",
};

const EUC_JP: Names = Names {
    encoding: "EUC_JP",
    book: "'日本ブック'",
    team: "'読売ジャイアンツ'",
    game: "'東京-大阪-1'",
    constraint: "制約",
};

/// Bytes that a UTF-8 client sent.
const ASCII: Names = Names { encoding: "SQL_ASCII", ..LATIN1 };

/// Bytes that are no UTF-8 at all: no client that wants it can be shown them.
const ASCII_BYTES: Names = Names {
    encoding: "SQL_ASCII",
    book: "'Betclic Espa' || chr(241) || 'a'",
    team: "'Le' || chr(243) || 'n'",
    game: "'serie-' || chr(243) || '-1'",
    constraint: "plain",
};

/// A moneyline of a game on a day of June, collected at that hour.
fn quote(client: &mut Client, game: &str, book: &str, home: &str, day: u32) {
    let insert = format!(
        "INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds, away_odds, home_team_name,
                                              away_team_name, raw_data, game_date, collected_at)
         VALUES ('F', {game}, {book}, -110, -110, {home}, 'Cubs', '{{}}', '2025-06-{day:02}', '2025-05-{day:02} 12:00+00')"
    );
    client.batch_execute(&insert).unwrap();
}

/// What is staged is byte for byte what was collected, whether or not it could be shown; a book that nobody knows is
/// written in lower case.
fn assert_same(client: &mut Client) {
    assert_complete(client);
    assert_eq!(count(client, "groundskeeper.migration_failures"), 0);
    for market in Market::ALL {
        let (raw, staging) = (market.raw_table(), market.table());
        let other = format!(
            "{raw} r JOIN staging.{staging} s ON s.raw_id = r.id WHERE s.sportsbook_name IS DISTINCT FROM lower(r.sportsbook_name)"
        );
        assert_eq!(count(client, &other), 0, "{staging}");
    }
}

fn in_every_way(names: &Names) {
    let Names { encoding, book, team, game, constraint } = names;
    let (_db, mut client) = encoded(encoding);
    // 1. In names of a book and of a team that is no club's.
    quote(&mut client, "'g1'", book, team, 1);
    migrate(&mut client);
    assert_same(&mut client);
    let kept = format!(
        "staging.moneylines WHERE home_team_normalized = {team} AND validation_errors ? 'unknown_team'"
    );
    assert_eq!(count(&mut client, &kept), 1);
    // 2. In a game's id.
    quote(&mut client, game, "'b1'", "'Mets'", 1);
    migrate(&mut client);
    assert_same(&mut client);
    let of_game = format!("staging.games WHERE external_id = {game}");
    assert_eq!(count(&mut client, &of_game), 1);
    // 3. That game is given two dates, and two pairs of teams.
    quote(&mut client, game, "'b2'", "'Mets'", 2);
    quote(&mut client, game, book, "'Yankees'", 3);
    migrate(&mut client);
    assert_same(&mut client);
    let date = format!("SELECT game_date FROM staging.games WHERE external_id = {game}");
    assert_eq!(text(&mut client, &date).unwrap(), "2025-06-03");
    // 4. Nothing waits behind it.
    client
        .batch_execute(&format!(
            "INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, total_points, over_odds, under_odds, raw_data)
             VALUES ('F', 'ascii-game', 'b1', 8.5, -110, -110, '{{}}'), ('F', {game}, {book}, 8.5, -110, -110, '{{}}');
             INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value, spread_odds,
                                               favorite_team, underdog_team)
             VALUES ('F', {game}, {book}, 1.5, -110, {team}, 'Cubs')"
        ))
        .unwrap();
    migrate(&mut client);
    assert_same(&mut client);
    assert!(count(&mut client, "staging.totals") == 2 && count(&mut client, "staging.spreads") == 1);
    // It moves, is renamed, and is found again.
    client
        .batch_execute(&format!(
            "UPDATE raw_data.totals_raw SET game_external_id = {game} || {game};
             UPDATE staging.games SET id = id + 1000; DELETE FROM staging.games WHERE external_id = 'g1'"
        ))
        .unwrap();
    migrate(&mut client);
    assert_same(&mut client);
    if encoding != &"SQL_ASCII" {
        assert_eq!(astray(&mut client), [""; 0]);
    }
    fails(&mut client, names, constraint);
}

/// 5. What is said of failures holds such names, too.
fn fails(client: &mut Client, names: &Names, constraint: &str) {
    let Names { book, game, .. } = names;
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.moneylines ADD CONSTRAINT \"{constraint}\" CHECK (home_odds > -1000);
             ALTER TABLE staging.games ADD CONSTRAINT \"{constraint} 2\" CHECK (external_id <> 'bad' || {game});
             CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.over_odds = -7777 THEN RAISE 'not by %', NEW.sportsbook_name; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON staging.totals FOR EACH ROW EXECUTE FUNCTION public.refuse();
             INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, home_odds)
             VALUES ('F', {game}, {book}, -5000);
             INSERT INTO raw_data.spreads_raw (source, game_external_id, sportsbook_name, spread_value)
             VALUES ('F', 'bad' || {game}, {book}, 1.5);
             INSERT INTO raw_data.totals_raw (source, game_external_id, sportsbook_name, over_odds)
             VALUES ('F', {game}, {book}, -7777)"
        ))
        .unwrap();
    migrate(client);
    assert_complete(client);
    let reasons = "SELECT reason FROM groundskeeper.migration_failures ORDER BY raw_table";
    assert_eq!(texts(client, reasons).unwrap(), ["check_violation", "game_not_staged", "raised_by_trigger"]);
    // What is beyond ASCII in a message may be shown by question marks.
    let told = "groundskeeper.migration_failures WHERE detail LIKE 'not by %'";
    assert_eq!(count(client, told), 1);
    let told = "groundskeeper.migration_failures WHERE detail LIKE '%violates check constraint%'";
    assert_eq!(count(client, told), 2);
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.moneylines DROP CONSTRAINT \"{constraint}\";
             ALTER TABLE staging.games DROP CONSTRAINT \"{constraint} 2\"; DROP TRIGGER refuse ON staging.totals"
        ))
        .unwrap();
    migrate(client);
    assert_same(client);
}

#[test]
fn latin1_is_staged() {
    in_every_way(&LATIN1);
}

#[test]
fn win1252_is_staged() {
    in_every_way(&WIN1252);
}

#[test]
fn euc_jp_is_staged() {
    in_every_way(&EUC_JP);
}

#[test]
fn what_no_encoding_is_known_of_is_staged() {
    in_every_way(&ASCII);
}

#[test]
fn bytes_that_are_no_text_elsewhere_are_staged() {
    in_every_way(&ASCII_BYTES);
}

/// Columns, clubs and schemas of other names.
fn called_otherwise(names: &Names) {
    let Names { encoding, book, team, constraint, .. } = names;
    let (_db, mut client) = encoded(encoding);
    client
        .batch_execute(&format!(
            "ALTER TABLE raw_data.moneylines_raw RENAME home_odds TO \"{constraint}\";
             ALTER TABLE staging.moneylines RENAME sportsbook_name TO \"{constraint} 2\";
             INSERT INTO groundskeeper.column_names VALUES
                 ('raw_data.moneylines_raw', 'home_odds', '{constraint}'),
                 ('staging.moneylines', 'sportsbook_name', '{constraint} 2');
             INSERT INTO groundskeeper.club_names VALUES ({team}, 'DET');
             INSERT INTO raw_data.moneylines_raw (source, game_external_id, sportsbook_name, \"{constraint}\", away_odds,
                                                  home_team_name, away_team_name, raw_data, game_date, collected_at)
             VALUES ('F', 'g1', {book}, -110, -110, {team}, 'Cubs', '{{}}', '2025-06-01', '2025-05-01 12:00+00')"
        ))
        .unwrap();
    migrate(&mut client);
    let staged = format!(
        "staging.moneylines WHERE home_team_normalized = 'DET' AND home_odds = -110 AND \"{constraint} 2\" = lower({book})"
    );
    assert_eq!(count(&mut client, &staged), 1);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    // What cannot be found is named.
    client
        .batch_execute(&format!("ALTER TABLE raw_data.moneylines_raw RENAME \"{constraint}\" TO other"))
        .unwrap();
    let refused = refusal(&mut client, "CALL groundskeeper.migrate_to_staging('moneyline')").unwrap();
    assert!(!refused.code.starts_with("XX"), "{refused:?}");
}

#[test]
fn names_of_columns_and_clubs_are_known_in_every_encoding() {
    [&LATIN1, &WIN1252, &EUC_JP, &ASCII].into_iter().for_each(called_otherwise);
}
