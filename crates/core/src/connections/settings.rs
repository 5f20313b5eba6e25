//! The plan's settings, corrected.

use serde::{Serialize, Serializer};

/// The plan's largest number of connections.
pub const PLANNED_POOL_SIZE: u32 = 25;

/// The plan's smallest number of connections.
pub(super) const PLANNED_MINIMUM: u32 = 5;

/// What a pool is set to: the plan's keys, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
    pub pool_reset_on_return: &'static str,
    /// Whether every statement is logged by the client.
    pub echo: bool,
    /// What the sessions are set to.
    pub server_settings: ServerSettings,
}

impl PoolSettings {
    /// The plan's settings for a pool of at most that many connections.
    #[must_use]
    pub fn planned(max_connections: u32, server_settings: ServerSettings) -> Self {
        Self {
            min_connections: PLANNED_MINIMUM.min(max_connections),
            max_connections,
            connection_timeout: 30,
            query_timeout: 300,
            pool_recycle: 3600,
            pool_pre_ping: true,
            pool_reset_on_return: "rollback",
            echo: false,
            server_settings,
        }
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSettings(Vec<(&'static str, String)>);

impl ServerSettings {
    /// The plan's settings for sessions in that time zone; `cache_size` replaces the plan's figure.
    #[must_use]
    pub fn planned(timezone: &str, cache_size: Option<String>) -> Self {
        Self(vec![
            ("application_name", "mlb_betting_migration".to_owned()),
            ("timezone", timezone.to_owned()),
            ("statement_timeout", "300000".to_owned()),
            ("idle_in_transaction_session_timeout", "600000".to_owned()),
            ("work_mem", "32MB".to_owned()),
            ("maintenance_work_mem", "256MB".to_owned()),
            ("effective_cache_size", cache_size.unwrap_or_else(|| "4GB".to_owned())),
            ("random_page_cost", "1.1".to_owned()),
            ("seq_page_cost", "1.0".to_owned()),
        ])
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.iter().map(|(name, value)| (*name, value.as_str()))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_pool_keeps_no_more_open_than_it_may() {
        let server = ServerSettings::planned("UTC", None);
        assert_eq!(PoolSettings::planned(3, server.clone()).min_connections, 3);
        assert_eq!(PoolSettings::planned(PLANNED_POOL_SIZE, server).min_connections, 5);
    }

    #[test]
    fn nothing_is_committed_that_was_left_behind() {
        let pool = PoolSettings::planned(25, ServerSettings::planned("UTC", None));
        assert_eq!(pool.pool_reset_on_return, "rollback");
        assert!(explanation("pool_reset_on_return").contains("commit"));
    }

    #[test]
    fn options_escape_what_libpq_would_split() {
        let options = ServerSettings::planned("a b\\c", None).libpq_options();
        assert!(options.starts_with("-c timezone=a\\ b\\\\c -c statement_timeout=300000 "), "{options}");
        assert!(!options.contains("application_name"));
    }

    #[test]
    fn the_cache_follows_the_machine() {
        assert_eq!(cache_size_for(16 << 30), "12288MB");
        assert_eq!(cache_size_for(0), "1MB");
    }
}
