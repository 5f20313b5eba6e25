//! The shapes load, and both ways to fill them give what the plan's owner counted.

use chrono::{DateTime, Utc};
use groundskeeper_sandbox::server::{Options, SUPERUSER, Server};
use groundskeeper_sandbox::simulator::{PLAN_ROWS, Simulation};
use groundskeeper_sandbox::{feed, old_pipeline, shape};
use postgres::Client;

fn database(server: &Server, name: &str, shape: &[&str]) -> Client {
    server.create_database(name, "template0").unwrap();
    let mut client = server.connect(name, SUPERUSER).unwrap();
    for sql in shape {
        client.batch_execute(sql).unwrap();
    }
    client
}

fn counts(client: &mut Client, sql: &str) -> Vec<i64> {
    let row = client.query_one(sql, &[]).unwrap();
    (0..row.len()).map(|column| row.get(column)).collect()
}

#[test]
fn every_shape_loads() {
    let server = Options::default().start().unwrap();
    let mut client = database(&server, "b", shape::SHAPE_B);
    let references =
        "SELECT count(*), count(*) FILTER (WHERE conrelid::regclass::text ~ 'moneylines|spreads|totals')
           FROM pg_constraint WHERE contype = 'f'";
    assert_eq!(counts(&mut client, references), [6, 0], "those of the three markets are gone");
    database(&server, "half", &[shape::SHAPE_A, shape::HALF_APPLIED]);
    database(&server, "dependents", &[shape::SHAPE_A, shape::DEPENDENTS]);
    // Its roles are the whole server's, so a second database finds them there.
    database(&server, "dependents_again", &[shape::SHAPE_A, shape::DEPENDENTS]);
    database(&server, "restored", &[]);
    server.restore("restored", &server.dump("dependents", &[]).unwrap()).unwrap();
}

#[test]
fn the_simulators_database_fails_as_the_plan_counted() {
    let server = Options::default().start().unwrap();
    let mut client = database(&server, "a", &[shape::SHAPE_A]);
    let simulation = Simulation { rows: PLAN_ROWS, seed: 1, now: now() };
    simulation.load(&mut client, &|_| ()).unwrap();
    let outcome = old_pipeline::run(&mut client, &|_| ()).unwrap();
    assert_eq!(outcome, old_pipeline::Outcome { processed: 23_391, failed: 1_943 });

    let staged = "SELECT (SELECT count(*) FROM staging.moneylines), (SELECT count(*) FROM staging.spreads),
                         (SELECT count(*) FROM staging.totals), (SELECT count(DISTINCT external_id) FROM staging.games)";
    assert_eq!(counts(&mut client, staged), [10_665, 1_615, 9_168, 1_687]);
    let logged = "SELECT sum(records_failed), sum(records_processed), sum(records_successful)
                  FROM public.pipeline_execution_log";
    assert_eq!(counts(&mut client, logged), [1_943, 23_391, 21_448]);
    let recent =
        "SELECT count(*) > 100, count(*) FILTER (WHERE collected_at > now() - interval '7 days') > 100
                  FROM raw_data.moneylines_raw";
    let row = client.query_one(recent, &[]).unwrap();
    assert!(row.get(0) && row.get(1), "the views' windows have rows in them");
}

#[test]
fn the_small_feed_loads() {
    let server = Options::default().start().unwrap();
    let mut client = database(&server, "a", &[shape::SHAPE_A]);
    let records = feed::parse(feed::SMALL, now()).unwrap();
    assert_eq!(feed::load(&mut client, &records).unwrap(), 36);
    let missing = "SELECT
        (SELECT count(*) FROM raw_data.moneylines_raw WHERE num_nulls(home_odds, away_odds) = 2),
        (SELECT count(*) FROM raw_data.moneylines_raw WHERE num_nulls(home_odds, away_odds) = 1),
        (SELECT count(*) FROM raw_data.spreads_raw WHERE spread_value IS NULL AND spread_odds IS NULL),
        (SELECT count(*) FROM raw_data.totals_raw WHERE num_nulls(over_odds, under_odds) = 1),
        (SELECT count(*) FROM raw_data.totals_raw WHERE jsonb_typeof(raw_data) = 'object'
           AND collected_at <= created_at),
        (SELECT count(*) FROM raw_data.totals_raw
           WHERE ((raw_data ->> 'date')::timestamptz AT TIME ZONE 'America/New_York')::date = game_date)";
    assert_eq!(counts(&mut client, missing), [3, 1, 4, 1, 12, 12]);
    assert_eq!(old_pipeline::run(&mut client, &|_| ()).unwrap().failed, 0);
}

fn now() -> DateTime<Utc> {
    Utc::now()
}
