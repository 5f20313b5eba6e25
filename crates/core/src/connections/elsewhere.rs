//! Libraries of other languages.

use super::pooler::{DIRECTLY, PREPARES_NOTHING, Pooler};
use super::settings::{PoolSettings, explanation};
use serde_json::Value;

/// node-postgres: `new Pool`. It prepares a query only where that has a name.
pub fn node_postgres(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    let server = &pool.server_settings;
    let prepared = match pooler {
        Some(_) => format!("    // give no query a name: {PREPARES_NOTHING}\n"),
        None => format!("    // {DIRECTLY}\n"),
    };
    format!(
        "\
new Pool({{
    // {max_connections}
    max: {max},
    min: {min},
    connectionTimeoutMillis: {connect},
    maxLifetimeSeconds: {recycle},
    // {query_timeout}
    query_timeout: {query},
    application_name: {name},
    // {statement_timeout}
{prepared}    options: {options},
}})
",
        max_connections = explanation("max_connections"),
        max = pool.max_connections,
        min = pool.min_connections,
        connect = u64::from(pool.connection_timeout) * 1000,
        recycle = pool.pool_recycle,
        query_timeout = explanation("query_timeout"),
        query = u64::from(pool.query_timeout) * 1000,
        name = Value::from(server.get("application_name")),
        statement_timeout = explanation("statement_timeout"),
        options = Value::from(server.libpq_options()),
    )
}

/// HikariCP before PostgreSQL's JDBC driver: a file of properties.
pub fn hikaricp(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    let server = &pool.server_settings;
    let zone = format!("SET TIME ZONE '{}'", server.get("timezone").replace('\'', "''"));
    let prepared = match pooler {
        Some(_) => format!("# {PREPARES_NOTHING}\ndataSource.prepareThreshold=0\n"),
        None => format!("# {DIRECTLY}\n"),
    };
    format!(
        "\
# For new HikariConfig(\"hikari.properties\"); jdbcUrl, username and password are yours to add.
# {max_connections}
maximumPoolSize={max}
minimumIdle={min}
connectionTimeout={connect}
maxLifetime={recycle}
# What a connection has not committed when it is returned is rolled back, with autoCommit=false.
# The driver sends the zone of the Java machine, which wins over options.
connectionInitSql={zone}
dataSource.ApplicationName={name}
dataSource.connectTimeout={timeout}
# {statement_timeout}
dataSource.options={options}
{prepared}",
        max_connections = explanation("max_connections"),
        max = pool.max_connections,
        min = pool.min_connections,
        connect = u64::from(pool.connection_timeout) * 1000,
        recycle = u64::from(pool.pool_recycle) * 1000,
        zone = property(&zone),
        name = property(server.get("application_name")),
        timeout = pool.connection_timeout,
        statement_timeout = explanation("statement_timeout"),
        options = property(&server.libpq_options()),
    )
}

/// A value as a file of properties holds it.
fn property(value: &str) -> String {
    let mut out = String::new();
    for unit in value.encode_utf16() {
        match u8::try_from(unit) {
            Ok(b'\\') => out.push_str("\\\\"),
            Ok(ascii @ b' '..=b'~') => out.push(char::from(ascii)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

/// pgx: what `pgxpool` reads behind the address.
pub fn pgx(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    let server = &pool.server_settings;
    let (said, mode) = match pooler {
        Some(_) => (PREPARES_NOTHING, "\n    default_query_exec_mode=exec"),
        None => (DIRECTLY, ""),
    };
    format!(
        "\
// Settings of pgxpool; address is yours: \"host=... port=... dbname=... user=... \"
// {max_connections}
// {statement_timeout}
// {said}
pgxpool.ParseConfig(address + `
    pool_max_conns={max}
    pool_min_conns={min}
    pool_max_conn_lifetime={recycle}s
    connect_timeout={connect}
    application_name={name}
    options={options}{mode}
`)
",
        max_connections = explanation("max_connections"),
        statement_timeout = explanation("statement_timeout"),
        max = pool.max_connections,
        min = pool.min_connections,
        recycle = pool.pool_recycle,
        connect = pool.connection_timeout,
        name = keyword_value(server.get("application_name")),
        options = keyword_value(&server.libpq_options()),
    )
}

/// A value as a connection string of keywords holds it; a backquote would end Go's literal.
fn keyword_value(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'").replace('`', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_their_readers_read_them() {
        assert_eq!(property("a\\ b é"), "a\\\\ b \\u00e9");
        assert_eq!(keyword_value("it's a\\ b`"), "'it\\'s a\\\\ b'");
    }
}
