//! pg_cron: one for the whole cluster, in one database of it, by a clock of its own.

use super::tidy::{self, Wanted};
use super::worker;
use super::{Row, Scheduled, call, now};
use crate::backend;
use crate::error::{Failure, Result};
use crate::extension::as_owner;
use crate::sql::{self, quote_literal, required};
use crate::subtransaction::isolated;
use chrono_tz::Tz;
use groundskeeper_core::schedule::Timing;
use pgrx::prelude::*;

/// A pg_cron that runs.
pub struct Cron {
    /// The database that its jobs are kept in.
    pub database: String,
    /// That database, if it is not this one.
    elsewhere: Option<pg_sys::Oid>,
    /// This database.
    here: String,
    /// Whose clock it follows.
    zone: Tz,
}

/// One of its jobs.
pub struct Job {
    name: String,
    schedule: String,
    command: String,
    /// Whether it is run beside pg_cron, and not in this database.
    looks_on: bool,
}

/// pg_cron, if it is preloaded; in this database it must be installed, too.
pub fn find() -> Result<Option<Cron>> {
    let found = as_owner(|| {
        sql::first(
            "SELECT s.setting, pg_catalog.current_database()::text, d.oid,
                    EXISTS (SELECT FROM pg_catalog.pg_extension WHERE extname = 'pg_cron'),
                    (SELECT z.setting FROM pg_catalog.pg_settings z WHERE z.name = 'cron.timezone')
               FROM pg_catalog.pg_settings s JOIN pg_catalog.pg_database d ON d.datname = s.setting
              WHERE s.name = 'cron.database_name'",
            &[],
            |row| {
                let (database, here): (String, String) = (required(row, 1)?, required(row, 2)?);
                let elsewhere = (database != here).then_some(required::<pg_sys::Oid>(row, 3)?);
                let installed: bool = required(row, 4)?;
                // Before 1.5 it had no setting, and lived by GMT.
                let zone = row.get::<String>(5)?.and_then(|zone| zone.parse().ok()).unwrap_or(Tz::UTC);
                Ok((elsewhere.is_some() || installed).then_some(Cron { database, elsewhere, here, zone }))
            },
        )
    })?;
    Ok(found.flatten())
}

impl Cron {
    /// The jobs for these entries; the one that makes up for what pg_cron misses: it does nothing for the time
    /// that the server was down, and does not repeat what failed; and the one that takes them all away with the database.
    pub fn jobs(&self, rows: &[Row], timings: &[Timing]) -> Vec<Job> {
        let job = |(row, timing): (&Row, &Timing)| Job {
            name: self.name(&row.job_name),
            schedule: timing.on_clock_of(self.zone, now()),
            command: call(&row.job_name),
            looks_on: false,
        };
        let make_up = Job {
            name: self.name("make up"),
            schedule: "*/5 * * * *".to_owned(),
            command: "CALL groundskeeper.run_overdue()".to_owned(),
            looks_on: false,
        };
        let tidy = self.elsewhere.map(|_| Job {
            name: self.name("tidy"),
            schedule: "*/2 * * * *".to_owned(),
            command: tidy::command(&self.here, backend::database()),
            looks_on: true,
        });
        rows.iter().zip(timings).map(job).chain([make_up]).chain(tidy).collect()
    }

    fn name(&self, entry: &str) -> String {
        format!("{}{entry}", tidy::prefix(&self.here))
    }

    /// Makes these the only jobs of ours that there are for this database; why not, where that fails. The caller must be
    /// able to enter them; what is not wanted any more goes by whoever's it is.
    pub fn register(&self, jobs: &[Job], role: &str) -> Result<std::result::Result<(), String>> {
        let entered = self.enter(jobs, role)?;
        let names = jobs.iter().map(|job| job.name.clone()).collect();
        let wanted = Wanted { database: self.here.clone(), role: Some(role.to_owned()), names };
        if let Err(why) = self.tidy(wanted)? {
            let left = "pg_cron's jobs that are not wanted any more could not be removed";
            Failure::new(PgSqlErrorCode::ERRCODE_WARNING, format!("{left}: {why}")).say(PgLogLevel::WARNING);
        }
        Ok(entered)
    }

    /// Removes all jobs of ours for this database; why not, where that fails.
    pub fn remove(&self) -> Result<std::result::Result<(), String>> {
        self.tidy(Wanted { database: self.here.clone(), role: None, names: Vec::new() })
    }

    fn enter(&self, jobs: &[Job], role: &str) -> Result<std::result::Result<(), String>> {
        let statements: Vec<String> = jobs.iter().map(|job| self.statement(job, Some(role))).collect();
        if let Some(database) = self.elsewhere {
            return worker::run_in(database, &statements);
        }
        let allowed = "SELECT pg_catalog.has_function_privilege(p.oid, 'EXECUTE') FROM pg_catalog.pg_proc p
                         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
                        WHERE n.nspname = 'cron' AND p.proname = 'schedule_in_database'";
        let allowed = sql::first(allowed, &[], |row| required::<bool>(row, 1))? == Some(true);
        let plain = |job: &Job| {
            let [name, schedule, command] = [&job.name, &job.schedule, &job.command].map(quote_literal);
            format!("SELECT cron.schedule({name}, {schedule}, {command})")
        };
        let statements = if allowed { statements } else { jobs.iter().map(plain).collect() };
        let result = isolated(|| statements.iter().try_for_each(|statement| sql::run(statement, &[])));
        Ok(result.map_err(|failure: Failure| failure.one_line()))
    }

    fn tidy(&self, wanted: Wanted) -> Result<std::result::Result<(), String>> {
        match self.elsewhere {
            Some(database) => tidy::by_worker(database, &wanted),
            // What this transaction has entered, no other could see.
            None => Ok(isolated(|| as_owner(|| tidy::tidy(&wanted).map(drop)))
                .map_err(|failure: Failure| failure.one_line())),
        }
    }

    /// Who is to run a job that only looks on is whoever enters it, as it works where pg_cron is.
    fn statement(&self, job: &Job, role: Option<&str>) -> String {
        let [name, schedule, command] = [&job.name, &job.schedule, &job.command].map(quote_literal);
        let database = quote_literal(if job.looks_on { &self.database } else { &self.here });
        let role = role.filter(|_| !job.looks_on).map_or_else(|| "NULL".to_owned(), quote_literal);
        format!("SELECT cron.schedule_in_database({name}, {schedule}, {command}, {database}, {role})")
    }

    /// What removes them by hand.
    pub fn removal(&self) -> String {
        format!(
            "SELECT cron.unschedule(jobid) FROM cron.job WHERE (database = {here} OR jobname = {tidy}) \
             AND pg_catalog.starts_with(jobname::text, {prefix})",
            here = quote_literal(&self.here),
            tidy = quote_literal(self.name("tidy")),
            prefix = quote_literal(tidy::prefix(&self.here))
        )
    }

    /// The database that its jobs are kept in.
    pub fn home(&self) -> pg_sys::Oid {
        self.elsewhere.unwrap_or_else(backend::database)
    }

    /// What has been scheduled.
    pub fn scheduled(&self, jobs: Vec<Job>) -> Vec<Scheduled> {
        let row = |job: Job| Scheduled {
            job_name: job.name,
            schedule: job.schedule,
            command: job.command,
            scheduler: "pg_cron",
        };
        jobs.into_iter().map(row).collect()
    }

    /// What somebody who may has to run in pg_cron's database.
    pub fn by_hand(&self, jobs: Vec<Job>, role: &str) -> Vec<Scheduled> {
        let row = |job: Job| Scheduled {
            command: format!("{};", self.statement(&job, Some(role))),
            job_name: job.name,
            schedule: job.schedule,
            scheduler: "none",
        };
        jobs.into_iter().map(row).collect()
    }
}
