//! Metrics for monitoring systems: cheap facts, each part by itself, so that a scrape is over in milliseconds whatever the
//! database. What is dear to measure is as the last check of alerts found it.

use crate::backend;
use crate::error::Result;
use crate::extension::{LIBRARY, as_owner};
use crate::guc::pinned;
use crate::latency;
use crate::sql::{self, Argument, required};
use crate::subtransaction::isolated;
use groundskeeper_core::exposition::{Sample, in_order, of_histogram};
use groundskeeper_core::histogram::Histogram;
use groundskeeper_core::kpi::KPIS;
use groundskeeper_core::plan::Plan;
use serde_json::{Map, Value};
use std::ffi::CStr;

/// All samples, in the order of their families.
pub fn samples(plan: &Plan) -> Result<Vec<Sample>> {
    let percentages: Vec<String> =
        KPIS.iter().filter(|kpi| kpi.is_percentage).map(|kpi| kpi.name.to_owned()).collect();
    let (schemas, names) = tables(plan);
    let mut all = about()?;
    // Nobody is granted the extension's own tables; what is said of them is sums.
    collect(&mut all, "own", || as_owner(|| ask(include_str!("exposition/own.sql"), &[])));
    collect(&mut all, "kpis", || {
        as_owner(|| ask(include_str!("exposition/kpis.sql"), &[percentages.into()]))
    });
    collect(&mut all, "maintenance", || as_owner(|| ask(include_str!("exposition/maintenance.sql"), &[])));
    collect(&mut all, "connections", || ask(include_str!("exposition/connections.sql"), &[]));
    collect(&mut all, "tables", || {
        ask(include_str!("exposition/tables.sql"), &[schemas.into(), names.into()])
    });
    collect(&mut all, "latency", || Ok(counted()));
    Ok(in_order(all))
}

/// Compiling takes longer than what these queries take, no lock is waited for, and moments are written in one way.
const SETTINGS: [(&CStr, &CStr); 3] =
    [(c"jit", c"off"), (c"lock_timeout", c"100ms"), (c"datestyle", c"ISO, YMD")];

/// The samples of one part, without waiting for a lock; whether they could be read is a sample, too.
fn collect(all: &mut Vec<Sample>, collector: &str, look: impl FnOnce() -> Result<Vec<Sample>>) {
    let found = isolated(|| pinned(&SETTINGS, look));
    let success = if found.is_ok() { 1.0 } else { 0.0 };
    all.push(Sample::labelled("groundskeeper_collector_success", "collector", collector, success));
    all.extend(found.into_iter().flatten());
}

/// What a query says of names, labels and values.
fn ask(query: &str, args: &[Argument]) -> Result<Vec<Sample>> {
    let query = format!(
        "SELECT s.name, s.labels::text, s.value::double precision FROM ({query}) s (name, labels, value)"
    );
    sql::rows(&query, args, |row| {
        let labels = row.get::<String>(2)?.and_then(|labels| serde_json::from_str(&labels).ok());
        Ok(Sample { name: required(row, 1)?, labels: labels.unwrap_or_default(), value: required(row, 3)? })
    })
}

fn about() -> Result<Vec<Sample>> {
    let server = sql::first("SELECT pg_catalog.current_setting('server_version')", &[], |row| {
        required::<String>(row, 1)
    })?;
    let mut labels: Map<String, Value> = Map::new();
    labels.insert("version".to_owned(), LIBRARY.into());
    labels.insert("server_version".to_owned(), server.unwrap_or_default().into());
    let is = |fact: bool| if fact { 1.0 } else { 0.0 };
    Ok(vec![
        Sample { name: "groundskeeper_build_info".to_owned(), labels, value: 1.0 },
        Sample::plain("groundskeeper_in_recovery", is(backend::is_in_recovery())),
        Sample::plain("groundskeeper_library_preloaded", is(latency::is_preloaded())),
    ])
}

/// The tables that the plan is about, schemas and names.
fn tables(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let items = plan.items.iter().map(|item| &item.relation);
    let mut all: Vec<_> =
        items.chain(&plan.statistics).map(|name| (name.schema.clone(), name.name.clone())).collect();
    all.sort();
    all.dedup();
    all.into_iter().unzip()
}

/// What this server has counted of calls since it was started; nothing where the library is not preloaded.
fn counted() -> Vec<Sample> {
    let mut samples = Vec::new();
    for (scope, calls) in latency::since_start() {
        match scope {
            "transactions" => samples.extend(of_histogram(
                "groundskeeper_transaction_duration_seconds",
                "scope",
                "all",
                &calls,
            )),
            // Who adds up all scopes asks what clients waited for the server, as the KPI does.
            "maintenance" | "client_wait" => {}
            statements => samples.extend(of_statements(statements, &calls)),
        }
    }
    samples
}

fn of_statements(scope: &str, calls: &Histogram) -> Vec<Sample> {
    let mut samples = of_histogram("groundskeeper_statement_duration_seconds", "scope", scope, calls);
    let counter = |name: &str, count: u64| Sample::labelled(name, "scope", scope, count as f64);
    samples.push(counter("groundskeeper_statements_failed_total", calls.failed));
    samples.push(counter("groundskeeper_statements_over_objective_total", calls.over_objective()));
    samples
}
