//! The plan's two tables together, the one referring to the other, while both are written.

use groundskeeper_tests::sql::{refusal, text};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

use super::writers::{Writer, writer};
use super::{RAW, STAGING, convert, differing, finalize, installed, undo};

/// What is compared of either: all but the columns that nobody sets here.
const COLUMNS: [(&str, &str, &str); 2] = [
    (RAW, "public.raw", "id, source, game_external_id, home_odds, raw_data, collected_at, game_date"),
    (STAGING, "public.staging", "id, raw_id, game_id, home_odds, validation_status, processed_at"),
];

/// The two tables with rows in them, and two that are fed by the same statements, with a foreign key between them too.
const ROWS: &str = "
    INSERT INTO raw_data.moneylines_raw (source, game_external_id, home_odds, raw_data, game_date)
    SELECT 'source ' || i % 7, 'g' || i / 300, i, jsonb_build_object('a', i),
           CASE WHEN i % 50 = 0 THEN NULL WHEN i % 500 = 1 THEN 'infinity' WHEN i % 500 = 2 THEN '2099-05-05'
                ELSE current_date - i % 200 END
      FROM generate_series(1, 20000) i;
    INSERT INTO staging.moneylines (raw_id, game_id, home_odds, processed_at)
    SELECT CASE WHEN i % 40 > 0 THEN i END, i / 30, i, now() - i % 200 * interval '1 day' FROM generate_series(1, 20000) i;
    INSERT INTO curated.moneylines (staging_id) SELECT i FROM generate_series(1, 50) i;
    CREATE TABLE public.raw (LIKE raw_data.moneylines_raw INCLUDING DEFAULTS, PRIMARY KEY (id));
    INSERT INTO public.raw SELECT * FROM raw_data.moneylines_raw;
    CREATE TABLE public.staging (LIKE staging.moneylines INCLUDING DEFAULTS, PRIMARY KEY (id), FOREIGN KEY (raw_id) REFERENCES public.raw);
    INSERT INTO public.staging SELECT * FROM staging.moneylines;
    CREATE INDEX ON staging.moneylines (raw_id); CREATE INDEX ON public.staging (raw_id);
    -- Runs what must fail, and fails if it does not.
    CREATE PROCEDURE public.refused(statement text, code text) LANGUAGE plpgsql AS $$
    BEGIN
        BEGIN
            EXECUTE statement;
        EXCEPTION WHEN integrity_constraint_violation THEN
            IF SQLSTATE = code THEN
                RETURN;
            END IF;
            RAISE;
        END;
        RAISE EXCEPTION 'not refused: %', statement;
    END $$;
    ANALYZE raw_data.moneylines_raw, staging.moneylines";

/// One of the things that an application does: to the two tables, then the same to the two that they are compared with.
fn statements(turn: i64) -> Vec<String> {
    let id = 100 + turn * 7919 % 15_000;
    let date = ["NULL", "'infinity'", "current_date - 40", "current_date", "'2099-01-01'"]
        [usize::try_from(turn % 5).unwrap()];
    let moment = ["'-infinity'", "now() - interval '70 days'", "date_trunc('month', now())", "'2099-01-01'"]
        [usize::try_from(turn % 4).unwrap()];
    let new = 1_000_000 + turn;
    let of_raw = format!("SELECT {new}, 'writer', {date}, 'epoch'::timestamptz");
    let done = match turn % 9 {
        // a row and what refers to it, in one statement
        0 => format!(
            "WITH x AS (INSERT INTO :raw (id, source, game_date, collected_at) {of_raw} RETURNING id)
             INSERT INTO :staging (id, raw_id, processed_at) SELECT id, id, {moment} FROM x"
        ),
        1 => format!("UPDATE :raw SET game_date = {date} WHERE id BETWEEN {id} AND {id} + 3"),
        2 => format!("UPDATE :staging SET processed_at = {moment} WHERE id BETWEEN {id} AND {id} + 3"),
        3 => format!("DELETE FROM :staging WHERE raw_id = {id}; DELETE FROM :raw WHERE id = {id}"),
        // the key that is referred to changes, and the row moves
        4 => format!(
            "UPDATE :staging SET raw_id = NULL WHERE raw_id = {id};
             UPDATE :raw SET id = {new}, game_date = {date} WHERE id = {id};
             UPDATE :staging SET raw_id = (SELECT r.id FROM :raw r WHERE r.id = {new}) WHERE id = {id}"
        ),
        5 => format!(
            "UPDATE :staging SET id = {new}, validation_status = 'moved' WHERE id = {id};
             UPDATE :raw SET raw_data = '{{\"turn\": {turn}}}' WHERE id = {id}"
        ),
        6 => "UPDATE :raw SET home_odds = coalesce(home_odds, 0) + 1 WHERE id <= 3;
              UPDATE :staging SET home_odds = coalesce(home_odds, 0) + 1 WHERE id <= 3"
            .to_owned(),
        // neither may a row be referred to that is not there, nor one go that is
        7 => format!(
            "CALL refused('INSERT INTO :staging (id, raw_id, processed_at) VALUES (-1, -{turn}, now())', '23503');
             CALL refused('UPDATE :staging SET raw_id = -{turn} WHERE id = 7', '23503');
             CALL refused('INSERT INTO :raw (id, source, game_date, collected_at) VALUES (7, ''twice'', {}, now())', '23505')",
            date.replace('\'', "''")
        ),
        _ => "CALL refused('DELETE FROM :raw WHERE id = 7', '23503');
              CALL refused('UPDATE :raw SET id = -7 WHERE id = 7', '23503')"
            .to_owned(),
    };
    let on = |raw: &str, staging: &str| done.replace(":raw", raw).replace(":staging", staging);
    vec![on(RAW, STAGING), on("public.raw", "public.staging")]
}

fn assert_all(client: &mut Client, what: &str) {
    // in one snapshot each, while the writers go on
    for (table, control, columns) in COLUMNS {
        let rows = |table: &str| format!("SELECT {columns} FROM {table}");
        assert_eq!(differing(client, &rows(table), &rows(control)), "0", "{table} {what}");
    }
    for (child, column, parent) in [(STAGING, "raw_id", RAW), ("curated.moneylines", "staging_id", STAGING)] {
        let lost = format!(
            "SELECT count(*) FROM {child} c WHERE NOT EXISTS (SELECT FROM {parent} p WHERE p.id = c.{column}) AND c.{column} IS NOT NULL"
        );
        assert_eq!(text(client, &lost).unwrap(), "0", "{child} {what}");
        for statement in [
            format!("INSERT INTO {child} ({column}) VALUES (-1)"),
            format!("DELETE FROM {parent} WHERE id = 7"),
            format!("UPDATE {parent} SET id = -1 WHERE id = 7"),
        ] {
            assert_eq!(refusal(client, &statement).unwrap().code, "23503", "{statement} {what}");
        }
    }
}

/// That the key tables have the keys of the rows, and no others.
fn assert_keys(client: &mut Client, what: &str) {
    for table in [RAW, STAGING] {
        super::assert_keys(client, table, &format!("{table}_key"), what);
    }
}

fn prepared() -> (TestDb, Client) {
    let (db, mut client) = installed(Template::ShapeA);
    client.batch_execute(ROWS).unwrap();
    (db, client)
}

#[test]
fn both_tables_go_there_and_back_while_they_are_written() {
    let (db, mut client) = prepared();
    let writers = [writer(&db, 100_000, statements), writer(&db, 200_001, statements)];
    let both = |client: &mut Client| {
        convert(client, RAW, "game_date");
        convert(client, STAGING, "processed_at");
    };
    both(&mut client);
    assert_all(&mut client, "converted");
    assert_keys(&mut client, "converted");
    undo(&mut client, RAW);
    undo(&mut client, STAGING);
    assert_all(&mut client, "undone");
    both(&mut client);
    assert_all(&mut client, "converted again");
    finalize(&mut client, STAGING);
    finalize(&mut client, RAW);
    assert_all(&mut client, "finalized");
    assert_keys(&mut client, "finalized");
    let ends = writers.map(Writer::stop);
    println!("transactions of each writer, and the longest: {ends:?}");
    assert_all(&mut client, "at the end");
    assert_keys(&mut client, "at the end");
    assert!(ends.iter().all(|(turns, _)| *turns > 50), "{ends:?}");
    let validated = "SELECT bool_and(convalidated) FROM pg_constraint
                      WHERE contype = 'f' AND conrelid IN ('staging.moneylines'::regclass, 'curated.moneylines'::regclass)";
    assert_eq!(text(&mut client, validated).unwrap(), "true");
}
