//! Alerts: when one fires, when it clears, and what listeners are told of it.

mod rule;
mod state;

pub use rule::{METRICS, Metric, Rule, Unfit, Watch, check, check_window, thresholds, watch_named};
pub use state::{Observation, Phase, RESOLVED_SHOWN, State, announce, step};

#[cfg(test)]
mod tests;
