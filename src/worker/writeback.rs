//! Has the kernel write an index while it is being built.
//!
//! PostgreSQL appends the pages of a new index and makes sure of them in the end, with one fsync: whoever commits then
//! waits until the disk has taken in all that the kernel had put by, half a second for an index of some 300 MB. A thread
//! of the worker tells the kernel every few milliseconds to begin to write what was appended, so that little is left.
//!
//! The thread calls nothing of PostgreSQL's and takes none of its signals; that it is there changes nothing but when
//! bytes are written. The hook is the worker's alone.

use crate::compat;
use groundskeeper_core::growth::{Growth, Piece};
use nix::sys::signal::{SigSet, SigmaskHow};
use pgrx::pg_guard;
use pgrx::pg_sys;
use std::ffi::{c_char, c_int, c_void};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Between two looks: the disk takes what is appended meanwhile without a commit that comes behind it being felt.
const PAUSE: Duration = Duration::from_millis(20);
/// An index that has not grown for so long is done.
const DONE: Duration = Duration::from_secs(10);

/// Where the thread is told of indexes; none where it could not be started.
static CREATED: OnceLock<Option<Sender<PathBuf>>> = OnceLock::new();
/// The hook that was there before ours.
static NEXT: OnceLock<pg_sys::object_access_hook_type> = OnceLock::new();

/// Looks after the indexes that this worker is going to create.
pub fn begin() {
    // SAFETY: a worker has one thread as yet, and the hook's variable is its own. Ours has the signature that PostgreSQL
    // calls, and lives as long as the library.
    unsafe {
        if NEXT.set(pg_sys::object_access_hook).is_ok() {
            pg_sys::object_access_hook = Some(created);
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn created(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    column: c_int,
    argument: *mut c_void,
) {
    #[expect(
        ffi_unwind_calls,
        reason = "called through pg_guard_ffi_boundary only, which catches PostgreSQL's errors"
    )]
    if let Some(next) = NEXT.get().copied().flatten() {
        // SAFETY: the hook that was there, with what PostgreSQL passed to us.
        let call = || unsafe { next(access, class, object, column, argument) };
        // SAFETY: an error goes on from here as one of PostgreSQL's, and nothing is left undone by it.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(call) };
    }
    let is_relation = class == pg_sys::RelationRelationId && column == 0;
    if access == pg_sys::ObjectAccessType::OAT_POST_CREATE && is_relation {
        // SAFETY: PostgreSQL calls the hook in a transaction, right after it has made the relation.
        let path = unsafe { path_of_index(object) };
        if let (Some(path), Some(thread)) = (path, CREATED.get_or_init(start)) {
            let _ = thread.send(path);
        }
    }
}

/// The first file of an index, from the data directory, where every process of the server is; none of what is no index.
///
/// # Safety
/// In a transaction.
unsafe fn path_of_index(oid: pg_sys::Oid) -> Option<PathBuf> {
    // SAFETY: in a transaction, as the caller says. The relation is open until it is closed here, and the entry points
    // to its row of pg_class.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(oid);
        let entry = relation.as_ref()?;
        let is_index =
            entry.rd_rel.as_ref().is_some_and(|row| row.relkind == pg_sys::RELKIND_INDEX as c_char);
        let path = is_index.then(|| compat::main_file(entry));
        pg_sys::RelationClose(relation);
        path
    }
}

/// The thread. All signals are PostgreSQL's, whose handlers must run in its own thread.
fn start() -> Option<Sender<PathBuf>> {
    let (created, indexes) = channel();
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK).ok()?;
    // It begins with the mask of the thread that starts it, and ends with the worker.
    let thread = thread::Builder::new().name("write-back".to_owned()).spawn(move || write_back(&indexes));
    let restored = before.thread_set_mask();
    (thread.is_ok() && restored.is_ok()).then_some(created)
}

fn write_back(created: &Receiver<PathBuf>) {
    let mut building: Vec<Building> = Vec::new();
    loop {
        let next = match building.as_slice() {
            [] => created.recv().map_err(RecvTimeoutError::from),
            _ => created.recv_timeout(PAUSE),
        };
        match next {
            Ok(path) => building.push(Building { path, growth: Growth::default(), grew: Instant::now() }),
            Err(RecvTimeoutError::Timeout) => building.retain_mut(Building::goes_on),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// An index that is being built.
struct Building {
    path: PathBuf,
    growth: Growth,
    grew: Instant,
}

impl Building {
    /// Has what was appended written; false once nothing was for long.
    fn goes_on(&mut self) -> bool {
        let path = &self.path;
        let size = |number| fs::metadata(segment(path, number)).ok().map(|file| file.len());
        let appended = self.growth.look(size);
        if !appended.is_empty() {
            self.grew = Instant::now();
        }
        for piece in &appended {
            begin_to_write(&segment(path, piece.segment), piece);
        }
        !self.growth.has_begun() || self.grew.elapsed() < DONE
    }
}

/// The file of a segment.
fn segment(first: &Path, number: u32) -> PathBuf {
    let mut path = first.as_os_str().to_owned();
    if number > 0 {
        path.push(format!(".{number}"));
    }
    path.into()
}

/// Only begins: it waits for no byte to be written, and leaves it to PostgreSQL's fsync to learn of what goes wrong.
fn begin_to_write(path: &Path, piece: &Piece) {
    let Ok(file) = File::open(path) else { return };
    let (Ok(from), Ok(length)) = (i64::try_from(piece.from), i64::try_from(piece.length)) else { return };
    #[cfg(target_os = "linux")]
    {
        use nix::libc::{SYNC_FILE_RANGE_WRITE, sync_file_range};
        use std::os::fd::AsRawFd as _;
        // SAFETY: a file that is open during the call, of which no byte is changed.
        unsafe { sync_file_range(file.as_raw_fd(), from, length, SYNC_FILE_RANGE_WRITE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, from, length);
}
