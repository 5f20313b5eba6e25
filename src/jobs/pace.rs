//! A job leaves others room, unless it is told to hurry: it works in pieces, rests after each, and waits for standbys and
//! for space.

use super::progress;
use crate::error::Result;
use crate::extension::as_owner;
use crate::settings::{self, Pace};
use crate::sql;
use crate::target;
use crate::worker::{self, Between};
use groundskeeper_core::job::pace::{self, Disk, Strain, Wait};
use pgrx::pg_sys;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Between two looks at the rest of the system.
const LOOK: Duration = Duration::from_millis(200);

/// The pace of one long piece of work.
pub struct Paced {
    began: Instant,
}

/// Begins it.
pub fn begin() -> Paced {
    Paced { began: Instant::now() }
}

/// Whether pieces are to be small.
pub fn is_considerate() -> bool {
    settings::job_pace() == Pace::Considerate
}

impl Paced {
    /// After a piece, which began when the last rest ended.
    pub fn rest(&mut self, between: &mut Between) -> Result<()> {
        worker::reread_configuration(between);
        if is_considerate() {
            sleep(between, pace::rest(self.began.elapsed()))?;
            wait(between)?;
        }
        self.began = Instant::now();
        Ok(())
    }
}

/// Before what cannot rest, as a build: until there is nothing to wait for.
pub fn wait(between: &mut Between) -> Result<()> {
    let mut shown = None;
    while is_considerate() {
        let wanting = target::unchecked(|| between.transaction(wanting))?;
        let Some(what) = wanting else { break };
        if shown != wanting {
            target::unchecked(|| between.transaction(|| progress::waits(what.as_str())))?;
            shown = wanting;
        }
        sleep(between, LOOK)?;
        worker::reread_configuration(between);
    }
    Ok(())
}

fn wanting() -> Result<Option<Wait>> {
    Ok(pace::wait(&strain()?, settings::max_replication_lag_bytes()))
}

fn strain() -> Result<Strain> {
    let lags = as_owner(|| {
        sql::first(include_str!("strain.sql"), &[], |row| Ok((row.get::<i64>(1)?, row.get::<f64>(2)?)))
    })?;
    let (bytes, seconds) = lags.unwrap_or((None, None));
    Ok(Strain {
        lag_bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        lag: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        disks: disks(),
    })
}

/// Those of the data directory and of the WAL.
fn disks() -> [Option<Disk>; 2] {
    // SAFETY: the server's own NUL-terminated global, fixed since it started.
    let data = Path::new(OsStr::from_bytes(unsafe { CStr::from_ptr(pg_sys::DataDir) }.to_bytes()));
    [data.to_owned(), data.join("pg_wal")].map(|place| {
        let disk = nix::sys::statvfs::statvfs(place.as_path()).ok()?;
        let bytes = |blocks| blocks * disk.fragment_size();
        Some(Disk { free: bytes(disk.blocks_available()), size: bytes(disk.blocks()) })
    })
}

/// Without the target's lock, which others may wait for; what has become of it is for the next step to see.
fn sleep(between: &mut Between, time: Duration) -> Result<()> {
    let pause = "SELECT pg_catalog.pg_sleep($1)";
    target::unchecked(|| between.transaction(|| sql::run(pause, &[time.as_secs_f64().into()])))
}
