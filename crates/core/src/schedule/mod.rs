//! When scheduled maintenance is due: by the wall clock of a time zone, whatever the server's clock, its restarts
//! and the work's failures do.

mod agenda;
mod timing;
mod turns;

pub use agenda::{Agenda, Clock, Entry, Past, SystemClock, backoff, due_at};
pub use timing::{Invalid, Timing};
pub use turns::{Turns, is_watcher, looks_at_once, patience, room_for_long_runs};

#[cfg(test)]
mod tests;
