//! The plan's settings, corrected.

use serde::{Deserialize, Serialize, Serializer};

/// What a pool is set to: the plan's keys, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PoolSettings {
    /// Connections that are kept open.
    pub min_connections: u32,
    /// Connections that are never exceeded.
    pub max_connections: u32,
    /// How many seconds may pass until a connection is there.
    pub connection_timeout: u32,
    /// How many seconds a client waits for a statement.
    pub query_timeout: u32,
    /// After how many seconds a connection is replaced.
    pub pool_recycle: u32,
    /// Whether a connection is tried before it is handed out.
    pub pool_pre_ping: bool,
    /// What ends a transaction that the borrower of a connection left open.
    pub pool_reset_on_return: String,
    /// Whether every statement is logged by the client.
    pub echo: bool,
    /// What the sessions are set to.
    pub server_settings: ServerSettings,
}

impl PoolSettings {
    /// The same for a pool of at most that many connections, with these settings of its sessions.
    #[must_use]
    pub fn of(&self, max_connections: u32, server_settings: ServerSettings) -> Self {
        let min_connections = self.min_connections.min(max_connections);
        Self { min_connections, max_connections, server_settings, ..self.clone() }
    }
}

/// Where a setting is not what the plan says, or means something else than it may seem to: the setting and why.
pub(super) const EXPLANATIONS: [(&str, &str); 5] = [
    (
        "max_connections",
        "a limit that nothing overflows: a connection beyond it would be opened and closed for every request",
    ),
    (
        "query_timeout",
        "how long the client waits; the server's statement_timeout ends the statement itself, whoever waits for it",
    ),
    (
        "pool_reset_on_return",
        "the plan says commit: that would commit what a failed or forgotten piece of work left behind",
    ),
    (
        "statement_timeout",
        "for the sessions of the application alone: set for a whole database it also ends index builds, \
         dumps and maintenance",
    ),
    (
        "effective_cache_size",
        "a hint for the planner that reserves nothing; the plan's figure unless groundskeeper.scale_to_machine is on",
    ),
];

/// Why a setting is as it is, where that needs saying.
pub(super) fn explanation(setting: &str) -> &'static str {
    EXPLANATIONS.iter().find(|(name, _)| *name == setting).map_or("", |(_, why)| why)
}

/// What the application's sessions are set to: parameters of PostgreSQL and their values, in the plan's order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerSettings(Vec<(String, String)>);

impl ServerSettings {
    /// The same for sessions in that time zone; `cache_size` replaces the plan's figure.
    #[must_use]
    pub fn of(&self, timezone: &str, cache_size: Option<&str>) -> Self {
        let value = |name: &str, planned: &str| match (name, cache_size) {
            ("timezone", _) => timezone.to_owned(),
            ("effective_cache_size", Some(size)) => size.to_owned(),
            _ => planned.to_owned(),
        };
        Self(self.0.iter().map(|(name, planned)| (name.clone(), value(name, planned))).collect())
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one of them.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        self.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value)
    }

    /// All but the application's name, which clients state by itself, as libpq's `options` takes them: blanks and
    /// backslashes are escaped there.
    #[must_use]
    pub fn libpq_options(&self) -> String {
        let escape = |value: &str| value.replace('\\', "\\\\").replace(' ', "\\ ");
        let option = |(name, value): (&str, &str)| format!("-c {name}={}", escape(value));
        let stated_here = self.iter().filter(|(name, _)| *name != "application_name");
        stated_here.map(option).collect::<Vec<_>>().join(" ")
    }
}

impl Serialize for ServerSettings {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

/// `effective_cache_size` for a machine with that much memory: three quarters of it, which is about what
/// PostgreSQL and the system's own cache hold together on a machine that does little else.
#[must_use]
pub fn cache_size_for(memory_bytes: u64) -> String {
    format!("{}MB", (memory_bytes / 4 * 3 / (1024 * 1024)).max(1))
}

/// The plan's settings, for tests.
#[cfg(test)]
pub(super) fn planned(size: u32, timezone: &str, cache_size: Option<&str>) -> PoolSettings {
    let plan = crate::plan::Plan::built_in().unwrap().pool;
    plan.of(size, plan.server_settings.of(timezone, cache_size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_pool_keeps_no_more_open_than_it_may() {
        assert_eq!(planned(3, "UTC", None).min_connections, 3);
        assert_eq!(planned(25, "UTC", None).min_connections, 5);
    }

    #[test]
    fn nothing_is_committed_that_was_left_behind() {
        assert_eq!(planned(25, "UTC", None).pool_reset_on_return, "rollback");
        assert!(explanation("pool_reset_on_return").contains("commit"));
    }

    #[test]
    fn options_escape_what_libpq_would_split() {
        let options = planned(25, "a b\\c", None).server_settings.libpq_options();
        assert!(options.starts_with("-c timezone=a\\ b\\\\c -c statement_timeout=300000 "), "{options}");
        assert!(!options.contains("application_name"));
    }

    #[test]
    fn the_cache_follows_the_machine() {
        assert_eq!(cache_size_for(16 << 30), "12288MB");
        assert_eq!(cache_size_for(0), "1MB");
    }
}
