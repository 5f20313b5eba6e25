//! What a build appends is written while it goes on, by a thread that is nothing to PostgreSQL.

use std::fs;

use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb};

use super::{
    WRITER, in_transaction, invalid_indexes, prepare, queue_index, until_job, until_state, valid_index,
};

/// SIGINT, SIGUSR1, SIGALRM and SIGTERM.
const POSTGRESQLS: [u32; 4] = [2, 10, 14, 15];

/// The signals that a worker's thread of that name does not take, as a mask; none where there is no such thread.
fn blocked_signals(pid: &str, thread: &str) -> Option<u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let states = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap());
    let line = |state: &str, name: &str| {
        state.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    let of_thread = states.into_iter().find(|state| line(state, "Name:") == thread)?;
    Some(u64::from_str_radix(&line(&of_thread, "SigBlk:"), 16).unwrap())
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "reads /proc")]
fn a_build_has_a_thread_that_takes_no_signals_and_is_no_hindrance() {
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let (mut writer, _) = in_transaction(&db, WRITER);
    let id = queue_index(&mut client);
    // The index is there and still empty.
    until_job(&mut client, id, "waiting for the writer", |job| job.state == "waiting");
    let pid =
        text(&mut client, &format!("SELECT worker_pid FROM groundskeeper.job WHERE job_id = {id}")).unwrap();
    let blocked = blocked_signals(&pid, "write-back").expect("no thread");
    for signal in POSTGRESQLS {
        assert!(blocked & 1 << (signal - 1) != 0, "signal {signal} would be handled there");
    }
    let taken = blocked_signals(&pid, "postgres").expect("no worker");
    for signal in POSTGRESQLS {
        assert!(taken & 1 << (signal - 1) == 0, "signal {signal} is not handled any more");
    }

    text(&mut client, &format!("SELECT pg_terminate_backend({pid}, 10000)")).unwrap();
    writer.batch_execute("COMMIT").unwrap();
    until_state(&mut client, id, "succeeded");
    assert_eq!(valid_index(&mut client).len(), 1);
    assert_eq!(invalid_indexes(&mut client), [""; 0]);
}
