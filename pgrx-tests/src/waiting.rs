//! Waiting for what must come, however busy the machine is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a test waits for what must come. What does not come fails late, and what comes late on a busy machine does
/// not fail.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Sets a flag at the end of a scope, also where a test fails there: the threads that look at it end. A scope of threads
/// waits for them, for ever where nobody tells them.
#[derive(Debug)]
pub struct SetAtEnd<'a>(pub &'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
