//! A complete `pgbouncer.ini`. No crate writes its dialect: values with doubled apostrophes, keys of few characters,
//! comments on lines of their own.

use super::settings::PoolSettings;
use std::fmt;

/// Where PgBouncer finds the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A host's name or address, or the directory of a socket; none for PgBouncer's default socket.
    pub host: Option<String>,
    /// The port.
    pub port: u16,
    /// The database.
    pub database: String,
}

/// Why a database cannot be named in `pgbouncer.ini`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// The name is that of PgBouncer's own console.
    Reserved,
    /// A line of the file cannot hold it.
    ControlCharacter,
    /// What a new connection is to be told does not fit.
    TooLong,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reserved => "\"pgbouncer\" is the name of PgBouncer's own console",
            Self::ControlCharacter => "a line of pgbouncer.ini holds no control characters",
            Self::TooLong => "PgBouncer sends no more than 500 bytes to a new connection",
        })
    }
}

/// Bytes of the message that PgBouncer builds of `connect_query`, less its frame.
const CONNECT_QUERY_LIMIT: usize = 500;

/// Clients that may be connected for each connection to the server.
const CLIENTS_PER_CONNECTION: u32 = 20;
/// ... and at least that many.
const CLIENTS_AT_LEAST: u32 = 500;

/// The file.
pub fn ini(pool: &PoolSettings, address: &Address) -> Result<String, Unfit> {
    if address.database == "pgbouncer" {
        return Err(Unfit::Reserved);
    }
    let timezone = pool.server_settings.get("timezone");
    let on_connect = connect_query(pool);
    if on_connect.len() > CONNECT_QUERY_LIMIT {
        return Err(Unfit::TooLong);
    }
    let key = key(&address.database);
    let mut database = format!("{key} =");
    if let Some(host) = &address.host {
        database.push_str(&format!(" host={}", value(host)));
    }
    database.push_str(&format!(
        " port={} dbname={} timezone={} connect_query={}",
        address.port,
        value(&address.database),
        value(timezone),
        value(&on_connect)
    ));
    if database.contains(|c: char| c.is_control()) {
        return Err(Unfit::ControlCharacter);
    }
    let clients = pool.max_connections.saturating_mul(CLIENTS_PER_CONNECTION).max(CLIENTS_AT_LEAST);
    Ok(format!(
        "\
;; Settings of the optimization plan for PgBouncer 1.18 and later.
[databases]
;; connect_query gives each server connection the plan's settings, until a client says RESET ALL, as asyncpg does
;; whenever it returns one. What groundskeeper.apply_server_settings() gave the role holds whatever a client says.
{alias}{database}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = 6432
auth_type = scram-sha-256
;; One line per role: \"name\" \"password or SCRAM secret\"
auth_file = /etc/pgbouncer/userlist.txt

;; A connection is a client's for one transaction. What a session keeps beyond that (SET, LISTEN, advisory locks,
;; temporary tables) does not work through such a pool.
pool_mode = transaction
;; Prepared statements fail here, or are another client's: what connection_pool_config(..., pooler => 'pgbouncer') renders
;; for an application prepares none, with any release. From 1.21 on this line lets others prepare theirs; older ones do
;; not know it.
;max_prepared_statements = 200

;; max_connections: a pool is per role and database; the database's limit holds for all roles together
default_pool_size = {max}
max_db_connections = {max}
min_pool_size = {min}
reserve_pool_size = 0
max_client_conn = {clients}

;; connection_timeout: to connect to the server, and to wait for a free connection
server_connect_timeout = {connection_timeout}
query_wait_timeout = {connection_timeout}
;; query_timeout: the server's statement_timeout ends a statement in order; PgBouncer would cut the connection
query_timeout = 0
;; pool_recycle
server_lifetime = {recycle}
;; pool_pre_ping
server_check_query = select 1
server_check_delay = 30

;; What clients may send along, and need not: connect_query has set it.
ignore_startup_parameters = {ignored}
",
        alias = if key == address.database {
            String::new()
        } else {
            format!(";; Clients ask for {key}: the database's own name has characters that this file does not take.\n")
        },
        max = pool.max_connections,
        min = pool.min_connections,
        connection_timeout = pool.connection_timeout,
        recycle = pool.pool_recycle,
        ignored = ignored(pool),
    ))
}

/// What PgBouncer keeps track of per client by itself: not to be set on a connection that clients share.
const TRACKED: [&str; 2] = ["application_name", "timezone"];

fn connect_query(pool: &PoolSettings) -> String {
    let shared = pool.server_settings.iter().filter(|(name, _)| !TRACKED.contains(name));
    shared.map(|(name, value)| format!("SET {name}='{}'", doubled(value))).collect::<Vec<_>>().join(";")
}

/// The settings that a client may send in its first message, directly or as libpq's `options`.
fn ignored(pool: &PoolSettings) -> String {
    let names = pool.server_settings.iter().map(|(name, _)| name).filter(|name| !TRACKED.contains(name));
    ["extra_float_digits", "options"].into_iter().chain(names).collect::<Vec<_>>().join(", ")
}

/// A database's name as a key, which takes no other characters, and no quotes in 1.18.
fn key(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' }).collect()
}

fn value(text: &str) -> String {
    format!("'{}'", doubled(text))
}

fn doubled(text: &str) -> String {
    text.replace('\'', "''")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connections::settings::planned;

    fn rendered(host: Option<&str>, database: &str) -> Result<String, Unfit> {
        let pool = planned(7, "Etc/UTC", None);
        ini(&pool, &Address { host: host.map(str::to_owned), port: 5433, database: database.to_owned() })
    }

    #[test]
    fn the_pool_is_the_limit_of_the_whole_database() {
        let text = rendered(Some("db.example"), "betting").unwrap();
        assert!(text.contains("\nbetting = host='db.example' port=5433 dbname='betting' "), "{text}");
        for line in ["default_pool_size = 7", "max_db_connections = 7", "min_pool_size = 5"] {
            assert!(text.lines().any(|found| found == line), "{line}: {text}");
        }
    }

    #[test]
    fn names_are_quoted_or_refused() {
        let text = rendered(None, "it's \"odd\"").unwrap();
        assert!(text.contains("\nit_s__odd_ = port=5433 dbname='it''s \"odd\"' "), "{text}");
        assert!(text.contains("Clients ask for it_s__odd_:"), "{text}");
        assert!(!rendered(None, "betting").unwrap().contains("Clients ask for"));
        assert_eq!(rendered(None, "two\nlines"), Err(Unfit::ControlCharacter));
        assert_eq!(rendered(None, "pgbouncer"), Err(Unfit::Reserved));
    }

    #[test]
    fn what_a_new_connection_is_told_fits_into_pgbouncers_message() {
        let pool = planned(7, "UTC", Some(&"9".repeat(300)));
        let address = Address { host: None, port: 1, database: "d".into() };
        assert_eq!(ini(&pool, &address), Err(Unfit::TooLong));
    }
}
