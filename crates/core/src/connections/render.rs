//! The settings in the words of what reads them.

use super::pgbouncer::{self, Address, Unfit};
use super::python::{Argument, call};
use super::settings::{EXPLANATIONS, PoolSettings, ServerSettings, explanation};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::str::FromStr;

/// Who is to read the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Anything.
    Json,
    /// SQLAlchemy with a driver on libpq: psycopg, psycopg2.
    SqlAlchemy,
    /// asyncpg.
    Asyncpg,
    /// PgBouncer.
    PgBouncer,
    /// A shell, a container or a service, and libpq behind it.
    Env,
}

impl Format {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("json", Self::Json),
        ("sqlalchemy", Self::SqlAlchemy),
        ("asyncpg", Self::Asyncpg),
        ("pgbouncer", Self::PgBouncer),
        ("env", Self::Env),
    ];
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
        known.ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("The formats are {}.", names.join(", "))
        })
    }
}

/// Renders the settings. The address is PgBouncer's way to the database; the other formats hold none.
///
/// # Errors
/// Where `pgbouncer.ini` cannot name the database.
pub fn render(format: Format, pool: &PoolSettings, address: &Address) -> Result<String, Unfit> {
    match format {
        Format::Json => Ok(json(pool)),
        Format::SqlAlchemy => Ok(sqlalchemy(pool)),
        Format::Asyncpg => Ok(asyncpg(pool)),
        Format::PgBouncer => pgbouncer::ini(pool, address),
        Format::Env => Ok(env(pool)),
    }
}

/// The settings and what is to be said of them.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    pool: &'a PoolSettings,
    #[serde(serialize_with = "as_map")]
    explanations: &'a [(&'a str, &'a str)],
}

fn as_map<S: Serializer>(pairs: &[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

fn json(pool: &PoolSettings) -> String {
    let document = Document { pool, explanations: &EXPLANATIONS };
    // Maps with names for keys cannot fail to serialize.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

/// `create_engine`. What the server is to know travels in libpq's `options`.
fn sqlalchemy(pool: &PoolSettings) -> String {
    let server = &pool.server_settings;
    let connect_args = serde_json::json!({
        "application_name": server.get("application_name"),
        "connect_timeout": pool.connection_timeout,
        "options": server.libpq_options(),
    });
    call(
        "create_engine",
        &[
            Argument::new("pool_size", pool.max_connections).because(explanation("max_connections")),
            Argument::new("max_overflow", 0),
            Argument::new("pool_timeout", pool.connection_timeout),
            Argument::new("pool_recycle", pool.pool_recycle),
            Argument::new("pool_pre_ping", pool.pool_pre_ping),
            Argument::new("pool_reset_on_return", pool.pool_reset_on_return.as_str())
                .because(explanation("pool_reset_on_return")),
            Argument::new("echo", pool.echo),
            Argument::new("connect_args", connect_args).because(explanation("statement_timeout")),
        ],
    )
}

/// Seconds that asyncpg keeps a connection nobody uses: it neither recycles by age nor tries a connection before
/// it hands it out, and this, its default, does the work of both.
const ASYNCPG_IDLE_SECONDS: u32 = 300;

/// `create_pool`.
fn asyncpg(pool: &PoolSettings) -> String {
    call(
        "create_pool",
        &[
            Argument::new("min_size", pool.min_connections),
            Argument::new("max_size", pool.max_connections),
            Argument::new("timeout", pool.connection_timeout),
            Argument::new("command_timeout", pool.query_timeout).because(explanation("query_timeout")),
            Argument::new("max_inactive_connection_lifetime", ASYNCPG_IDLE_SECONDS).because(
                "asyncpg knows neither pool_recycle nor pool_pre_ping: closing idle connections early does for both",
            ),
            Argument::new("server_settings", entries(&pool.server_settings))
                .because(explanation("statement_timeout")),
        ],
    )
}

fn entries(settings: &ServerSettings) -> Map<String, Value> {
    settings.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// Lines for a shell, a container or a service: the pool under the plan's name for it, the rest as libpq reads it.
fn env(pool: &PoolSettings) -> String {
    let server = &pool.server_settings;
    let mut lines = vec![
        ("PGAPPNAME".to_owned(), server.get("application_name").to_owned()),
        ("PGCONNECT_TIMEOUT".to_owned(), pool.connection_timeout.to_string()),
        ("PGOPTIONS".to_owned(), server.libpq_options()),
    ];
    if let Ok(Value::Object(settings)) = serde_json::to_value(pool) {
        for (name, value) in settings {
            let value = match value {
                Value::Object(_) => continue, // the server's settings are in PGOPTIONS
                Value::String(text) => text,
                other => other.to_string(),
            };
            lines.push((format!("DATABASE_POOL_{}", name.trim_start_matches("pool_").to_uppercase()), value));
        }
    }
    lines.iter().map(|(name, value)| format!("{name}={}\n", shell_word(value))).collect()
}

/// A word of the shell's, quoted only where it must be: not every reader of such files knows quotes.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+./:,@%=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::settings::planned;

    fn rendered(format: Format, size: u32) -> String {
        let pool = planned(size, "America/New_York", None);
        let address = Address { host: None, port: 5432, database: "betting".into() };
        render(format, &pool, &address).unwrap()
    }

    #[test]
    fn json_has_the_plans_keys_in_the_plans_order() {
        let text = rendered(Format::Json, 25);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["max_connections"], 25);
        assert_eq!(value["server_settings"]["work_mem"], "32MB");
        assert!(value["explanations"]["pool_reset_on_return"].is_string());
        assert!(
            text.find("min_connections") < text.find("echo") && text.find("echo") < text.find("server_s")
        );
    }

    #[test]
    fn every_explanation_is_of_a_setting() {
        let value: Value = serde_json::from_str(&rendered(Format::Json, 25)).unwrap();
        for (name, _) in EXPLANATIONS {
            let known = value.get(name).or_else(|| value["server_settings"].get(name));
            assert!(known.is_some(), "{name}");
        }
    }

    #[test]
    fn the_size_is_the_maximum_everywhere() {
        for (format, maximum) in [
            (Format::Json, "\"max_connections\": 9,"),
            (Format::SqlAlchemy, "\n    pool_size=9,\n    max_overflow=0,\n"),
            (Format::Asyncpg, "\n    max_size=9,\n"),
            (Format::PgBouncer, "\nmax_db_connections = 9\n"),
            (Format::Env, "\nDATABASE_POOL_MAX_CONNECTIONS=9\n"),
        ] {
            let text = rendered(format, 9);
            assert!(text.contains(maximum), "{text}");
        }
    }

    #[test]
    fn words_of_the_shell_are_quoted_where_they_must_be() {
        assert_eq!(shell_word("32MB"), "32MB");
        assert_eq!(shell_word("-c a=b -c c=it's"), "'-c a=b -c c=it'\\''s'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn formats_are_known_by_name() {
        assert_eq!("asyncpg".parse(), Ok(Format::Asyncpg));
        let refused = "yaml".parse::<Format>().unwrap_err();
        assert_eq!(refused, "The formats are json, sqlalchemy, asyncpg, pgbouncer, env.");
    }
}
