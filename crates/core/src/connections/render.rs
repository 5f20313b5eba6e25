//! The settings in the words of what reads them.

use super::libraries::{self, Driver};
use super::pgbouncer::{self, Address, Unfit};
use super::pooler::Pooler;
use super::settings::{EXPLANATIONS, PoolSettings};
use super::{elsewhere, pooler};
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::str::FromStr;

/// Who is to read the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Anything.
    Json,
    /// SQLAlchemy, by one of its drivers.
    SqlAlchemy(Driver),
    /// asyncpg.
    Asyncpg,
    /// psycopg's pool.
    PsycopgPool,
    /// Django.
    Django,
    /// node-postgres.
    NodePostgres,
    /// HikariCP and PostgreSQL's JDBC driver.
    HikariCp,
    /// pgx.
    Pgx,
    /// PgBouncer.
    PgBouncer,
    /// A shell, a container or a service, and libpq behind it.
    Env,
}

impl Format {
    /// All of them, by name.
    pub const NAMES: [(&'static str, Self); 12] = [
        ("json", Self::Json),
        ("sqlalchemy", Self::SqlAlchemy(Driver::Psycopg)),
        ("sqlalchemy+psycopg2", Self::SqlAlchemy(Driver::Psycopg2)),
        ("sqlalchemy+asyncpg", Self::SqlAlchemy(Driver::Asyncpg)),
        ("asyncpg", Self::Asyncpg),
        ("psycopg_pool", Self::PsycopgPool),
        ("django", Self::Django),
        ("node-postgres", Self::NodePostgres),
        ("hikaricp", Self::HikariCp),
        ("pgx", Self::Pgx),
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
pub fn render(
    format: Format,
    pool: &PoolSettings,
    pooler: Option<Pooler>,
    address: &Address,
) -> Result<String, Unfit> {
    Ok(match format {
        Format::Json => json(pool, pooler),
        Format::SqlAlchemy(driver) => libraries::sqlalchemy(pool, driver, pooler),
        Format::Asyncpg => libraries::asyncpg(pool, pooler),
        Format::PsycopgPool => libraries::psycopg_pool(pool, pooler),
        Format::Django => libraries::django(pool, pooler),
        Format::NodePostgres => elsewhere::node_postgres(pool, pooler),
        Format::HikariCp => elsewhere::hikaricp(pool, pooler),
        Format::Pgx => elsewhere::pgx(pool, pooler),
        Format::PgBouncer => return pgbouncer::ini(pool, address),
        Format::Env => env(pool),
    })
}

/// The settings and what is to be said of them.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    pool: &'a PoolSettings,
    #[serde(skip_serializing_if = "Option::is_none")]
    pooler: Option<&'static str>,
    /// Whether a client may prepare statements, where that is not as it likes.
    #[serde(skip_serializing_if = "Option::is_none")]
    prepared_statements: Option<bool>,
    #[serde(serialize_with = "as_map")]
    explanations: Vec<(&'a str, &'a str)>,
}

fn as_map<S: Serializer>(pairs: &[(&str, &str)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().copied())
}

fn json(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    let why = pooler.map(|_| ("prepared_statements", pooler::PREPARES_NOTHING));
    let document = Document {
        pool,
        pooler: pooler.map(Pooler::as_str),
        prepared_statements: pooler.map(|_| false),
        explanations: EXPLANATIONS.into_iter().chain(why).collect(),
    };
    // Maps with names for keys cannot fail to serialize.
    serde_json::to_string_pretty(&document).unwrap_or_default()
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
        through(None, format, size)
    }

    fn through(pooler: Option<Pooler>, format: Format, size: u32) -> String {
        let pool = planned(size, "America/New_York", None);
        let address = Address { host: None, port: 5432, database: "betting".into() };
        render(format, &pool, pooler, &address).unwrap()
    }

    #[test]
    fn nothing_is_prepared_through_a_pooler() {
        for (format, setting) in [
            ("json", "\"prepared_statements\": false"),
            ("sqlalchemy", "\"prepare_threshold\": None"),
            ("sqlalchemy+asyncpg", "\"prepared_statement_name_func\": str"),
            ("asyncpg", "statement_cache_size=0"),
            ("psycopg_pool", "\"prepare_threshold\": None"),
            ("django", "\"prepare_threshold\": None"),
            ("node-postgres", "give no query a name"),
            ("hikaricp", "dataSource.prepareThreshold=0"),
            ("pgx", "default_query_exec_mode=exec"),
        ] {
            let parsed: Format = format.parse().unwrap();
            assert!(through(Some(Pooler::PgBouncer), parsed, 9).contains(setting), "{format}");
            let directly = rendered(parsed, 9);
            assert!(!directly.contains(setting), "{format}");
            assert!(format == "json" || directly.contains("pooler => 'pgbouncer'"), "{format}");
        }
        assert_eq!("pgbouncer".parse(), Ok(Pooler::PgBouncer));
        assert!("odyssey".parse::<Pooler>().is_err());
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
            (Format::SqlAlchemy(Driver::Psycopg), "\n    pool_size=9,\n    max_overflow=0,\n"),
            (Format::SqlAlchemy(Driver::Asyncpg), "\n    pool_size=9,\n    max_overflow=0,\n"),
            (Format::Asyncpg, "\n    max_size=9,\n"),
            (Format::PsycopgPool, "\n    max_size=9,\n"),
            (Format::Django, "\"max_size\": 9,\n"),
            (Format::NodePostgres, "\n    max: 9,\n"),
            (Format::HikariCp, "\nmaximumPoolSize=9\n"),
            (Format::Pgx, "\n    pool_max_conns=9\n"),
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
        assert_eq!(
            refused,
            "The formats are json, sqlalchemy, sqlalchemy+psycopg2, sqlalchemy+asyncpg, asyncpg, psycopg_pool, django, \
             node-postgres, hikaricp, pgx, pgbouncer, env."
        );
    }
}
