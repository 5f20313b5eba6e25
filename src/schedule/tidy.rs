//! Jobs that pg_cron would run for ever in vain: of databases and roles that are gone or are called otherwise by now, and
//! of extensions that were dropped.

use super::pg_cron;
use crate::backend;
use crate::error::{Failure, Result};
use crate::sql::{self, quote_literal, required};
use crate::worker::{self, Between, Mailbox, Rights, Worker, answer};
use pgrx::prelude::*;
use pgrx::{PgXactCallbackEvent, pg_sys, register_xact_callback};
use serde::{Deserialize, Serialize};

/// The jobs that a database wants.
#[derive(Serialize, Deserialize)]
pub struct Wanted {
    /// The database.
    pub database: String,
    /// Who runs them; nobody where none is wanted.
    pub role: Option<String>,
    /// What they are called.
    pub names: Vec<String>,
}

/// With what the names of a database's jobs begin.
pub fn prefix(database: &str) -> String {
    format!("groundskeeper {database} ")
}

/// What looks on, in pg_cron's own database, whether a database is still the one whose jobs these are: where it was
/// dropped, renamed or made anew, nothing in it can take them away. Nothing in here is resolved by the path.
pub fn command(database: &str, oid: pg_sys::Oid) -> String {
    let [name, prefix, tidy] =
        [database.to_owned(), prefix(database), format!("{}tidy", prefix(database))].map(quote_literal);
    let said = quote_literal(format!(
        "pg_groundskeeper takes its jobs for database {database} off pg_cron: it was dropped, renamed or made anew"
    ));
    let body = format!(
        "/* pg_groundskeeper */ BEGIN \
         IF NOT EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.datname OPERATOR(pg_catalog.=) {name}::pg_catalog.name \
         AND d.oid OPERATOR(pg_catalog.=) {oid}::pg_catalog.oid) THEN \
         RAISE LOG USING MESSAGE = {said}; \
         PERFORM cron.unschedule(j.jobid) FROM cron.job j \
         WHERE pg_catalog.starts_with(j.jobname::pg_catalog.text, {prefix}) \
         AND (pg_catalog.starts_with(j.command, 'CALL groundskeeper.run_') \
         AND j.database::pg_catalog.text OPERATOR(pg_catalog.=) {name}::pg_catalog.text \
         OR j.jobname::pg_catalog.text OPERATOR(pg_catalog.=) {tidy}::pg_catalog.text); \
         END IF; END",
        oid = u32::from(oid)
    );
    format!("DO LANGUAGE plpgsql {}", quote_literal(body))
}

/// Deletes what is not wanted, or can never run, from pg_cron's table, which must be pg_cron's; how many jobs.
pub fn tidy(wanted: &Wanted) -> Result<i64> {
    let theirs = "SELECT EXISTS (SELECT FROM pg_catalog.pg_depend d
                                   JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_cron'
                                  WHERE d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                                    AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                    AND d.objid = pg_catalog.to_regclass('cron.job'))";
    if sql::first(theirs, &[], |row| required::<bool>(row, 1))? != Some(true) {
        return Ok(0);
    }
    let gone = sql::returned(
        include_str!("cron_jobs.sql"),
        &[wanted.database.as_str().into(), wanted.role.as_deref().into(), wanted.names.clone().into()],
        |row| Ok((required::<i64>(row, 1)?, row.get::<String>(2)?)),
    )?;
    let (count, names) = gone.unwrap_or_default();
    if let Some(names) = names {
        let removed = format!("pg_groundskeeper has taken {count} jobs off pg_cron: {names}");
        Failure::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, removed).say(PgLogLevel::LOG);
    }
    Ok(count)
}

/// The same in pg_cron's database, where the caller may have no rights; why not, where that fails.
pub fn by_worker(database: pg_sys::Oid, wanted: &Wanted) -> Result<std::result::Result<(), String>> {
    let request = serde_json::to_vec(wanted).map_err(|e| Failure::internal(e.to_string()))?;
    let Some(mailbox) = Mailbox::new(request.len().max(1024)) else {
        return Ok(Err("there is no dynamic shared memory left".to_owned()));
    };
    mailbox.put(&request);
    let (function, kind) = ("groundskeeper_cron_tidy", "pg_groundskeeper worker");
    if let Err(why) = answer::wait_for(function, kind, database, None, &mailbox, "") {
        return Ok(Err(why.to_owned()));
    }
    Ok(match mailbox.take() {
        said if said == b"ok" => Ok(()),
        said if said == request => Err("a connection there was refused".to_owned()),
        said => Err(String::from_utf8_lossy(&said).into_owned()),
    })
}

/// The entry point of the worker that does it.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_cron_tidy(argument: pg_sys::Datum) {
    let Some((mailbox, _)) = worker::told().split_once(' ') else { return };
    let Some(mailbox) = mailbox.parse().ok().and_then(Mailbox::open) else { return };
    let Some(mut between) = worker::begin(argument, Rights::Server) else { return };
    let wanted = serde_json::from_slice(&mailbox.take()).map_err(|e| Failure::internal(e.to_string()));
    match wanted.and_then(|wanted: Wanted| between.transaction(|| tidy(&wanted))) {
        Ok(_) => mailbox.put(b"ok"),
        Err(failure) => mailbox.put(failure.one_line().as_bytes()),
    }
}

/// Has the jobs of this database removed if the extension is gone when the current transaction commits: an extension that
/// was dropped cannot do it.
pub fn arrange_removal() -> Result<()> {
    let Some(cron) = pg_cron::find()? else { return Ok(()) };
    let home = cron.home();
    register_xact_callback(PgXactCallbackEvent::PreCommit, move || {
        // SAFETY: a look at the catalog, in a transaction that is about to commit.
        let left = unsafe { pg_sys::get_extension_oid(c"pg_groundskeeper".as_ptr(), true) };
        if left == pg_sys::InvalidOid && !start_removal(home) {
            Failure::new(
                PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
                "no background worker is free to take groundskeeper's jobs off pg_cron",
            )
            .detail(format!("Run there, as a role that may: {};", cron.removal()))
            .say(PgLogLevel::WARNING);
        }
    });
    Ok(())
}

fn start_removal(home: pg_sys::Oid) -> bool {
    let transaction = backend::transaction().map_or(0, pg_sys::TransactionId::into_inner);
    let name = "pg_groundskeeper worker";
    worker::start(&Worker {
        function: "groundskeeper_cron_removal",
        name,
        kind: name,
        database: home,
        role: None,
        told: &format!("{transaction} {}", u32::from(backend::database())),
        watched: false,
    })
    .is_some()
}

/// The entry point of the worker that does it, once that transaction has committed.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn groundskeeper_cron_removal(argument: pg_sys::Datum) {
    let told = worker::told().split_once(' ').and_then(|(transaction, database)| {
        Some((transaction.parse::<u32>().ok()?, database.parse::<u32>().ok()?))
    });
    let Some((transaction, database)) = told else { return };
    let Some(mut between) = worker::begin(argument, Rights::Server) else { return };
    if let Err(failure) = remove(&mut between, transaction, pg_sys::Oid::from(database)) {
        failure.say(PgLogLevel::WARNING);
    }
}

fn remove(between: &mut Between, transaction: u32, database: pg_sys::Oid) -> Result<()> {
    let transaction = pg_sys::TransactionId::from_inner(transaction);
    let committed = between.transaction(|| {
        // SAFETY: inside a transaction of our own; the one waited for is another's, and over when that returns.
        Ok(unsafe {
            pg_sys::XactLockTableWait(
                transaction,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                pg_sys::XLTW_Oper::XLTW_None,
            );
            pg_sys::TransactionIdDidCommit(transaction)
        })
    })?;
    if !committed {
        return Ok(());
    }
    between.transaction(|| {
        let name = "SELECT datname::text FROM pg_catalog.pg_database WHERE oid = $1";
        let name = sql::first(name, &[database.into()], |row| required::<String>(row, 1))?;
        let database = name.unwrap_or_default();
        tidy(&Wanted { database, role: None, names: Vec::new() }).map(drop)
    })
}
