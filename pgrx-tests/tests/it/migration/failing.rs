//! Records that cannot be written.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{text, texts};
use postgres::Client;

use super::{assert_complete, count, installed, migrate, simulate, sweep};

fn failures(client: &mut Client) -> Vec<String> {
    let all = "SELECT format('%s %s %s', raw_table, raw_id, reason) FROM groundskeeper.migration_failures ORDER BY 1";
    texts(client, all).unwrap()
}

#[test]
fn one_bad_row_costs_one_row_and_is_tried_again() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 5_000);
    client
        .batch_execute(
            "ALTER TABLE staging.moneylines ADD CONSTRAINT poison CHECK (raw_id NOT IN (17, 18, 1500));
             CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF NEW.raw_id = 30 THEN RAISE 'not this one'; END IF;
                 IF NEW.raw_id = 31 THEN RETURN NULL; END IF;
                 IF NEW.raw_id = 32 THEN RAISE 'nor this one' USING ERRCODE = 'MY001'; END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON staging.totals FOR EACH ROW EXECUTE FUNCTION public.refuse()",
        )
        .unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(
        failures(&mut client),
        [
            "raw_data.moneylines_raw 1500 check_violation",
            "raw_data.moneylines_raw 17 check_violation",
            "raw_data.moneylines_raw 18 check_violation",
            "raw_data.totals_raw 30 raised_by_trigger",
            "raw_data.totals_raw 31 suppressed",
            "raw_data.totals_raw 32 other_error",
        ]
    );
    let detail = "SELECT detail FROM groundskeeper.migration_failures WHERE raw_id = 30";
    assert_eq!(text(&mut client, detail).unwrap(), "not this one");
    let log = "SELECT string_agg(format('%s %s %s', records_processed - records_successful, records_failed, status), ', '
                                 ORDER BY id) FROM public.pipeline_execution_log";
    assert_eq!(text(&mut client, log).unwrap(), "3 3 completed, 0 0 completed, 3 3 completed");

    // They are tried again, and counted again.
    sweep(&mut client);
    assert_eq!(failures(&mut client).len(), 6);
    let again = "SELECT string_agg(format('%s of %s', failed, processed), ', ' ORDER BY run_id)
                   FROM groundskeeper.migration_runs WHERE run_id > 3";
    assert_eq!(text(&mut client, again).unwrap(), "3 of 3, 0 of 0, 3 of 3");
    let known = "SELECT string_agg(coalesce(metadata ->> 'failed_again', '-'), ' ' ORDER BY id) FROM public.pipeline_execution_log";
    assert_eq!(text(&mut client, known).unwrap(), "- - - 3 - 3");

    client
        .batch_execute(
            "ALTER TABLE staging.moneylines DROP CONSTRAINT poison;
             DELETE FROM raw_data.moneylines_raw WHERE id = 18;
             DROP TRIGGER refuse ON staging.totals",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), [""; 0]);
    assert_complete(&mut client);
}

#[test]
fn a_row_that_moved_and_cannot_be_written_keeps_what_was_staged() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 1_000);
    migrate(&mut client);
    client
        .batch_execute(
            "ALTER TABLE staging.spreads ADD CONSTRAINT poison CHECK (spread_odds IS DISTINCT FROM 7777);
             UPDATE raw_data.spreads_raw SET spread_odds = CASE id WHEN 3 THEN 7777 ELSE 150 END, updated_at = now()
              WHERE id IN (3, 4, 5)",
        )
        .unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), ["raw_data.spreads_raw 3 check_violation"]);
    let staged = "SELECT string_agg((spread_odds = 150)::text, ' ' ORDER BY raw_id)
                    FROM staging.spreads WHERE raw_id IN (3, 4, 5)";
    assert_eq!(text(&mut client, staged).unwrap(), "false true true");
    client.batch_execute("ALTER TABLE staging.spreads DROP CONSTRAINT poison").unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), [""; 0]);
    assert_eq!(count(&mut client, "staging.spreads WHERE spread_odds = 7777"), 1);
}

#[test]
fn a_game_that_cannot_be_written_holds_back_its_records_and_no_others() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 3_000);
    let game =
        text(&mut client, "SELECT game_external_id FROM raw_data.totals_raw ORDER BY id LIMIT 1").unwrap();
    client
        .batch_execute(&format!(
            "ALTER TABLE staging.games ADD CONSTRAINT poison CHECK (external_id <> '{game}')"
        ))
        .unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    let of_game = format!(
        "(SELECT id FROM raw_data.moneylines_raw WHERE game_external_id = '{game}'
          UNION ALL SELECT id FROM raw_data.spreads_raw WHERE game_external_id = '{game}'
          UNION ALL SELECT id FROM raw_data.totals_raw WHERE game_external_id = '{game}') r"
    );
    let held_back = count(&mut client, &of_game);
    assert!(held_back > 0);
    assert_eq!(
        count(&mut client, "groundskeeper.migration_failures WHERE reason = 'game_not_staged'"),
        held_back
    );
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), held_back);
    client.batch_execute("ALTER TABLE staging.games DROP CONSTRAINT poison").unwrap();
    migrate(&mut client);
    assert_eq!(failures(&mut client), [""; 0]);
    assert_complete(&mut client);
}

#[test]
fn an_error_that_is_no_records_ends_the_run_and_says_so() {
    let (_db, mut client) = installed(Template::ShapeA);
    simulate(&mut client, 3_000);
    client
        .batch_execute(
            "CREATE FUNCTION public.full() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE 'no space left' USING ERRCODE = 'disk_full', DETAIL = 'none at all'; END $$;
             CREATE TRIGGER full_ BEFORE INSERT ON staging.spreads FOR EACH ROW EXECUTE FUNCTION public.full()",
        )
        .unwrap();
    let call = "CALL groundskeeper.migrate_to_staging()";
    let refused = groundskeeper_tests::sql::refusal(&mut client, call).unwrap();
    assert_eq!((refused.code.as_str(), refused.message.as_str()), ("53100", "no space left"));
    assert_eq!(refused.detail, "none at all");
    let states = "SELECT string_agg(format('%s: %s', state, error), ', ' ORDER BY run_id) FROM groundskeeper.migration_runs";
    assert_eq!(
        text(&mut client, states).unwrap(),
        "completed: , failed: no space left, failed: no space left"
    );
    let logged = "SELECT string_agg(status, ' ' ORDER BY id) FROM public.pipeline_execution_log";
    assert_eq!(text(&mut client, logged).unwrap(), "completed failed failed");
    assert_eq!(failures(&mut client), [""; 0]);
    client.batch_execute("DROP TRIGGER full_ ON staging.spreads").unwrap();
    migrate(&mut client);
    assert_complete(&mut client);
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
}
