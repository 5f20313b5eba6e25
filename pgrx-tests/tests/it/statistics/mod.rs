//! `update_table_statistics()`: what is due is done, and nothing else is touched.

mod failures;
mod readers;
mod registry;
mod rights;
mod views;

use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

const PLAN: [&str; 9] = [
    "raw_data.moneylines_raw",
    "raw_data.spreads_raw",
    "raw_data.totals_raw",
    "staging.moneylines",
    "staging.spreads",
    "staging.totals",
    "staging.games",
    "staging.daily_game_stats",
    "staging.sportsbook_quality_metrics",
];

/// What became of one relation.
#[derive(Debug, Clone, PartialEq)]
struct Outcome {
    relation: String,
    action: String,
    reason: String,
}

fn update(client: &mut Client) -> Vec<Outcome> {
    call(client, "update_table_statistics()")
}

fn call(client: &mut Client, call: &str) -> Vec<Outcome> {
    let rows =
        client.query(&format!("SELECT relation, action, reason, duration_ms FROM {call}"), &[]).unwrap();
    rows.iter()
        .map(|row| {
            assert!(row.get::<_, f64>(3) >= 0.0);
            Outcome { relation: row.get(0), action: row.get(1), reason: row.get(2) }
        })
        .collect()
}

fn of<'a>(outcomes: &'a [Outcome], relation: &str) -> &'a Outcome {
    outcomes
        .iter()
        .find(|o| o.relation == relation)
        .unwrap_or_else(|| panic!("no {relation} in {outcomes:#?}"))
}

/// The relations that something was done with.
fn touched(outcomes: &[Outcome]) -> Vec<String> {
    let done = outcomes.iter().filter(|o| o.action != "skipped");
    done.map(|o| format!("{} {}", o.relation, o.action)).collect()
}

/// Changes something and has the counters know of it at once.
fn change(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap();
    client.batch_execute("SELECT pg_stat_force_next_flush()").unwrap();
}

/// A filled database with everything looked after once.
fn looked_after() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    db.settle().unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 2000).unwrap();
    change(&mut client, "SELECT");
    let first = update(&mut client);
    assert_eq!(first.len(), PLAN.len(), "{first:#?}");
    assert!(first.iter().all(|o| o.action == "analyzed" || o.action == "refreshed"), "{first:#?}");
    (db, client)
}

#[test]
fn what_has_not_changed_is_not_touched() {
    let (_db, mut client) = looked_after();
    let again = update(&mut client);
    assert_eq!(again.iter().map(|o| o.relation.as_str()).collect::<Vec<_>>(), PLAN);
    assert!(again.iter().all(|o| o.action == "skipped" && !o.reason.is_empty()), "{again:#?}");
    let forced = call(&mut client, "update_table_statistics(force => true)");
    assert!(forced.iter().all(|o| o.action != "skipped" && o.action != "failed"), "{forced:#?}");
}

#[test]
fn sixty_runs_without_a_change_leave_nothing_behind() {
    if groundskeeper_tests::lacks("pgstattuple") {
        return;
    }
    let (_db, mut client) = looked_after();
    client.batch_execute("CREATE EXTENSION pgstattuple").unwrap();
    // or autovacuum comes in between, and less is left than before
    for catalog in ["pg_attribute", "pg_class", "pg_statistic"] {
        client.batch_execute(&format!("VACUUM {catalog}")).unwrap();
    }
    let dead = "SELECT c.oid::regclass || ' ' || (pgstattuple(c.oid)).dead_tuple_count
                  FROM pg_class c WHERE c.relkind IN ('r', 'm')
                   AND (c.relnamespace IN ('groundskeeper'::regnamespace, 'staging'::regnamespace)
                        OR c.oid IN ('pg_attribute'::regclass, 'pg_class'::regclass, 'pg_statistic'::regclass))
                 ORDER BY 1";
    let count = |line: &str| line.rsplit(' ').next().unwrap().parse::<i64>().unwrap();
    // Where autovacuum has come by all the same, it is looked at again.
    let visits = "SELECT sum(autovacuum_count + autoanalyze_count) FROM pg_stat_all_tables";
    let before = loop {
        let visited = text(&mut client, visits).unwrap();
        let before = texts(&mut client, dead).unwrap();
        for _ in 0..60 {
            assert_eq!(touched(&update(&mut client)), [""; 0]);
        }
        let after = texts(&mut client, dead).unwrap();
        // A page that is read may lose dead rows, too.
        let is_less = |(after, before): (&String, &String)| count(after) < count(before);
        let pruned = after.iter().zip(&before).any(is_less);
        if after == before || !pruned && visited == text(&mut client, visits).unwrap() {
            assert_eq!(after, before);
            break before;
        }
    };
    let xid = "SELECT pg_current_xact_id_if_assigned() IS NULL FROM update_table_statistics() LIMIT 1";
    assert_eq!(text(&mut client, xid).unwrap(), "true", "a run without a change writes nothing");
    // The same measure tells what an unconditional refresh costs.
    call(&mut client, "update_table_statistics(true)");
    assert_ne!(texts(&mut client, dead).unwrap(), before);
}

#[test]
fn one_changed_table_takes_only_the_views_above_it_with_it() {
    let (_db, mut client) = looked_after();
    change(&mut client, "UPDATE staging.games SET season = 2025 WHERE id = 1");
    assert_eq!(
        touched(&update(&mut client)),
        ["staging.daily_game_stats refreshed"],
        "too little for ANALYZE"
    );
    change(&mut client, "UPDATE staging.moneylines SET updated_at = now()");
    assert_eq!(
        touched(&update(&mut client)),
        [
            "staging.moneylines analyzed",
            "staging.daily_game_stats refreshed",
            "staging.sportsbook_quality_metrics refreshed"
        ]
    );
    change(&mut client, "INSERT INTO raw_data.totals_raw (source) SELECT 'x' FROM generate_series(1, 5000)");
    assert_eq!(touched(&update(&mut client)), ["raw_data.totals_raw analyzed"]);
    assert_eq!(touched(&update(&mut client)), [""; 0]);
}

#[test]
fn the_threshold_is_the_tables_own_where_it_has_one() {
    let (_db, mut client) = looked_after();
    client
        .batch_execute(
            "ALTER TABLE staging.spreads SET (autovacuum_analyze_threshold = 3, autovacuum_analyze_scale_factor = 0)",
        )
        .unwrap();
    let some = |count: i32| {
        format!(
            "UPDATE staging.spreads SET updated_at = now() WHERE id IN (SELECT id FROM staging.spreads LIMIT {count})"
        )
    };
    change(&mut client, &some(3));
    assert_eq!(touched(&update(&mut client)), [""; 0]);
    change(&mut client, &some(1));
    assert_eq!(touched(&update(&mut client)), ["staging.spreads analyzed"]);
    assert!(
        text(
            &mut client,
            "SELECT reason FROM groundskeeper.maintenance_log ORDER BY started_at DESC LIMIT 1"
        )
        .unwrap()
        .contains("4 rows changed")
    );
}

#[test]
fn a_partitioned_table_is_analyzed_as_a_whole() {
    let (_db, mut client) = looked_after();
    client
        .batch_execute(
            "CREATE TABLE public.odds (at timestamptz NOT NULL, price integer) PARTITION BY RANGE (at);
             CREATE TABLE public.odds_06 PARTITION OF public.odds FOR VALUES FROM ('2025-06-01') TO ('2025-07-01');
             CREATE TABLE public.odds_07 PARTITION OF public.odds FOR VALUES FROM ('2025-07-01') TO ('2025-08-01');
             SELECT groundskeeper.maintain('public.odds')",
        )
        .unwrap();
    change(
        &mut client,
        "INSERT INTO public.odds SELECT '2025-06-01 00:00+00'::timestamptz + i * interval '1 minute', i
           FROM generate_series(1000, 80000) i",
    );
    // What autovacuum does.
    client.batch_execute("ANALYZE public.odds_06; ANALYZE public.odds_07").unwrap();
    let june = "EXPLAIN (FORMAT JSON) SELECT FROM public.odds WHERE at >= '2025-06-11' AND at < '2025-07-11'";
    assert_eq!(touched(&update(&mut client)), ["public.odds analyzed"]);
    let inherited = "SELECT count(*) FROM pg_stats WHERE tablename = 'odds' AND inherited";
    assert_eq!(text(&mut client, inherited).unwrap(), "2");
    let plan: serde_json::Value = client.query_one(june, &[]).unwrap().get(0);
    let estimated = plan[0]["Plan"]["Plan Rows"].as_f64().unwrap();
    let real = f64::from(30 * 24 * 60);
    assert!(estimated > real / 2.0 && estimated < real * 2.0, "{estimated} instead of {real}");
    assert_eq!(touched(&update(&mut client)), [""; 0]);

    // The partitions' own counters begin again when autovacuum analyzes them; the changes count all the same.
    change(&mut client, "UPDATE public.odds SET price = 0 WHERE at < '2025-06-20'");
    client.batch_execute("ANALYZE public.odds_06; ANALYZE public.odds_07").unwrap();
    assert_eq!(touched(&update(&mut client)), ["public.odds analyzed"]);
    change(&mut client, "UPDATE public.odds SET price = 1 WHERE at < '2025-06-02'");
    assert_eq!(touched(&update(&mut client)), [""; 0], "below the threshold");
    // A month more.
    change(
        &mut client,
        "CREATE TABLE public.odds_08 PARTITION OF public.odds FOR VALUES FROM ('2025-08-01') TO ('2025-09-01');
         INSERT INTO public.odds SELECT '2025-08-02', i FROM generate_series(1, 20000) i",
    );
    assert_eq!(touched(&update(&mut client)), ["public.odds analyzed"]);
}

#[test]
fn a_crash_or_reset_of_the_counters_is_a_change() {
    let (_db, mut client) = looked_after();
    client.batch_execute("SELECT pg_stat_reset()").unwrap();
    let views = ["staging.daily_game_stats refreshed", "staging.sportsbook_quality_metrics refreshed"];
    assert_eq!(touched(&update(&mut client)), views);
    assert_eq!(touched(&update(&mut client)), [""; 0]);
}
