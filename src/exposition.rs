//! Metrics for monitoring systems: cheap facts, each part by itself, so that a scrape is over in milliseconds whatever the
//! database. What is dear to measure is as the last check of alerts found it.

use crate::backend;
use crate::error::Result;
use crate::extension::{LIBRARY, as_owner};
use crate::guc::pinned;
use crate::latency;
use crate::sql::{self, Argument, required};
use crate::subtransaction::isolated;
use groundskeeper_core::exposition::{FAMILIES, Family, Part, Read, Sample, of_histogram};
use groundskeeper_core::histogram::Histogram;
use groundskeeper_core::kpi::KPIS;
use groundskeeper_core::plan::Plan;
use pgrx::PgLogLevel;
use serde_json::{Map, Value};
use std::ffi::CStr;

/// What has been read: each part when it is first asked for, and once.
pub struct Reading {
    schemas: Vec<String>,
    names: Vec<String>,
    read: Vec<(Part, Option<Read>)>,
}

impl Reading {
    /// Nothing yet.
    pub fn new(plan: &Plan) -> Self {
        let (schemas, names) = tables(plan);
        Self { schemas, names, read: Vec::new() }
    }

    /// All samples, in the order of their families.
    pub fn all(mut self) -> Result<Vec<Sample>> {
        let families: Result<Vec<_>> = FAMILIES.iter().map(|family| self.of(family)).collect();
        Ok(families?.concat())
    }

    /// The samples of one family.
    pub fn of(&mut self, family: &Family) -> Result<Vec<Sample>> {
        let read = self.part(family.part)?;
        let samples = read.into_iter().flat_map(|read| &read.samples);
        Ok(samples.filter(|sample| family.has(&sample.name)).cloned().collect())
    }

    /// A part; nothing where it could not be read.
    fn part(&mut self, part: Part) -> Result<Option<&Read>> {
        let at = match self.read.iter().position(|(known, _)| *known == part) {
            Some(at) => at,
            None => {
                let read = self.look(part)?;
                self.read.push((part, read));
                self.read.len() - 1
            }
        };
        Ok(self.read[at].1.as_ref())
    }

    fn look(&mut self, part: Part) -> Result<Option<Read>> {
        let samples = match part {
            Part::About => Some(about()?),
            Part::Reading => return self.reading().map(Some),
            Part::Latency => Some(counted()),
            // Nobody is granted the extension's own tables; what is said of them is sums.
            Part::Samples => last_sample(),
            Part::Alerts => asked_as_owner(include_str!("exposition/alerts.sql"), &[]),
            Part::Migration => asked_as_owner(include_str!("exposition/migration.sql"), &[]),
            Part::Jobs => asked_as_owner(include_str!("exposition/jobs.sql"), &[]),
            Part::Kpis => {
                let percentages = KPIS.iter().filter(|kpi| kpi.is_percentage);
                let percentages: Vec<String> = percentages.map(|kpi| kpi.name.to_owned()).collect();
                asked_as_owner(include_str!("exposition/kpis.sql"), &[percentages.into()])
            }
            Part::Maintenance => asked_as_owner(include_str!("exposition/maintenance.sql"), &[]),
            Part::Connections => asked(include_str!("exposition/connections.sql"), &[]),
            Part::Tables => {
                let named = [self.schemas.clone().into(), self.names.clone().into()];
                asked(include_str!("exposition/tables.sql"), &named)
            }
        };
        Ok(samples.map(|samples| Read::of(part, samples)))
    }

    fn reading(&mut self) -> Result<Read> {
        for part in Part::COLLECTED {
            self.part(part)?;
        }
        let collected = self.read.iter().filter(|(part, _)| Part::COLLECTED.contains(part));
        let collected: Vec<_> = collected.map(|(part, read)| (*part, read.as_ref())).collect();
        Ok(Read::of_reading(&collected))
    }
}

/// Compiling takes longer than what these queries take, no lock is waited for, and moments are written in one way.
const SETTINGS: [(&CStr, &CStr); 3] =
    [(c"jit", c"off"), (c"lock_timeout", c"100ms"), (c"datestyle", c"ISO, YMD")];

/// What a query says, without waiting for a lock; nothing where it fails, which is said by a sample of its own.
fn asked(query: &str, args: &[Argument]) -> Option<Vec<Sample>> {
    found(|| ask(query, args))
}

fn asked_as_owner(query: &str, args: &[Argument]) -> Option<Vec<Sample>> {
    found(|| as_owner(|| ask(query, args)))
}

fn found(look: impl FnOnce() -> Result<Vec<Sample>>) -> Option<Vec<Sample>> {
    match isolated(|| pinned(&SETTINGS, look)) {
        Ok(samples) => Some(samples),
        Err(failure) => {
            // Whoever asks by hand can be told why.
            failure.say(PgLogLevel::DEBUG1);
            None
        }
    }
}

/// Most have one of today, for which the partitions of a long history need not be opened.
fn last_sample() -> Option<Vec<Sample>> {
    let within =
        |time: &str| asked_as_owner(include_str!("exposition/samples.sql"), &[time.to_owned().into()]);
    let recent = within("1 day")?;
    if recent.is_empty() { within("1000 years") } else { Some(recent) }
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
