//! When scheduled maintenance is due: by the wall clock of a time zone, whatever the server's clock, its restarts
//! and the work's failures do.

mod agenda;
mod timing;

pub use agenda::{Agenda, Clock, Entry, Past, SystemClock, backoff, due_at};
pub use timing::{Invalid, Timing};

#[cfg(test)]
mod tests;
