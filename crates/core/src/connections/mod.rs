//! Connections: what an application's pool and the sessions behind it should be set to (the plan's section 5.1),
//! how large a pool should be, and the same settings in the words of those who read them.
//!
//! The plan states its settings as a Python dictionary that fits no library, and some of them do harm. Here each
//! is given to what understands it, and what was changed on the way says why.

mod elsewhere;
mod libraries;
mod pgbouncer;
mod pooler;
mod python;
mod render;
mod settings;
mod sizing;

pub use pgbouncer::{Address, Unfit};
pub use pooler::Pooler;
pub use render::{Format, render};
pub use settings::{PoolSettings, ServerSettings, cache_size_for};
pub use sizing::{Load, Recommendation, TARGET_PERCENT, TooLarge, recommend};
