//! Alerts, from what is wrong to the client that is told of it.

mod life;
mod rules;
mod sources;

use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use postgres::fallible_iterator::FallibleIterator as _;
use serde_json::Value;
use std::time::Duration;

fn run_sql(client: &mut Client, sql: &str) {
    client.batch_execute(sql).unwrap_or_else(|error| panic!("{error:?}: {sql}"));
}

/// An installation whose only rule watches the KPI of migrations, and fires and clears at once.
fn watching_migrations() -> (TestDb, Client) {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "UPDATE groundskeeper.alert_rules SET enabled = rule = 'migration_success_rate', fire_after = '0', clear_after = '0'",
    );
    (db, client)
}

/// Makes the KPI of migrations what is asked for.
fn migrated(client: &mut Client, percent: u32) {
    run_sql(
        client,
        &format!(
            "TRUNCATE public.pipeline_execution_log;
             INSERT INTO public.pipeline_execution_log
                 (pipeline_stage, records_processed, records_successful, records_failed, start_time, end_time, status)
             VALUES ('staging', 1000, {percent} * 10, 1000 - {percent} * 10, now(), now(), 'completed')"
        ),
    );
}

/// Checks, and how a rule stands then.
fn checked(client: &mut Client, rule: &str) -> String {
    let query = "SELECT state FROM groundskeeper.check_alerts() WHERE rule = $1";
    client.query_one(query, &[&rule]).unwrap().get(0)
}

/// Detail of a rule in the view.
fn detail(client: &mut Client, rule: &str) -> String {
    let query = "SELECT detail FROM groundskeeper.alerts WHERE rule = $1";
    client.query_one(query, &[&rule]).unwrap().get(0)
}

/// What a listening client has been told.
fn told(listener: &mut Client) -> Vec<Value> {
    let mut told = Vec::new();
    let mut notifications = listener.notifications();
    let mut waiting = notifications.timeout_iter(Duration::from_millis(500));
    while let Some(notification) = waiting.next().unwrap() {
        assert_eq!(notification.channel(), "groundskeeper_alerts");
        told.push(serde_json::from_str(notification.payload()).unwrap());
    }
    told
}

fn states(told: &[Value]) -> Vec<&str> {
    told.iter().map(|payload| payload["state"].as_str().unwrap()).collect()
}
