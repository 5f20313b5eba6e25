//! Python's libraries, each in one call.

use super::pooler::{DIRECTLY, PREPARES_NOTHING, Pooler};
use super::python::{Argument, Python, call};
use super::settings::{PoolSettings, ServerSettings, explanation};
use serde_json::{Map, Value};

/// What SQLAlchemy connects by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// psycopg 3.
    Psycopg,
    /// psycopg2, which prepares nothing.
    Psycopg2,
    /// asyncpg.
    Asyncpg,
}

/// `create_engine`, or its sister for asyncpg.
pub fn sqlalchemy(pool: &PoolSettings, driver: Driver, pooler: Option<Pooler>) -> String {
    let arguments = match driver {
        Driver::Psycopg => of_psycopg(pool, pooler),
        Driver::Psycopg2 => of_libpq(pool),
        Driver::Asyncpg => of_asyncpg(pool, pooler),
    };
    let connect_args = Argument::new("connect_args", Python::Dictionary(arguments))
        .because(explanation("statement_timeout"))
        .because(said_of(pooler));
    let function = if driver == Driver::Asyncpg { "create_async_engine" } else { "create_engine" };
    call(
        function,
        &[
            Argument::new("pool_size", pool.max_connections).because(explanation("max_connections")),
            Argument::new("max_overflow", 0),
            Argument::new("pool_timeout", pool.connection_timeout),
            Argument::new("pool_recycle", pool.pool_recycle),
            Argument::new("pool_pre_ping", pool.pool_pre_ping),
            Argument::new("pool_reset_on_return", pool.pool_reset_on_return.as_str())
                .because(explanation("pool_reset_on_return")),
            Argument::new("echo", pool.echo),
            connect_args,
        ],
    )
}

fn said_of(pooler: Option<Pooler>) -> &'static str {
    pooler.map_or(DIRECTLY, |_| PREPARES_NOTHING)
}

/// What the server is to know travels in libpq's `options`.
fn of_libpq(pool: &PoolSettings) -> Vec<(&'static str, Python)> {
    let server = &pool.server_settings;
    vec![
        ("application_name", server.get("application_name").into()),
        ("connect_timeout", pool.connection_timeout.into()),
        ("options", server.libpq_options().into()),
    ]
}

fn of_psycopg(pool: &PoolSettings, pooler: Option<Pooler>) -> Vec<(&'static str, Python)> {
    let unprepared = pooler.map(|_| ("prepare_threshold", Value::Null.into()));
    of_libpq(pool).into_iter().chain(unprepared).collect()
}

/// SQLAlchemy prepares each statement by a name that a function gives it: one without a name is not left behind.
fn of_asyncpg(pool: &PoolSettings, pooler: Option<Pooler>) -> Vec<(&'static str, Python)> {
    let mut arguments: Vec<(&'static str, Python)> = vec![
        ("timeout", pool.connection_timeout.into()),
        ("command_timeout", pool.query_timeout.into()),
        ("server_settings", entries(&pool.server_settings).into()),
    ];
    if pooler.is_some() {
        arguments.extend([
            ("statement_cache_size", 0.into()),
            ("prepared_statement_cache_size", 0.into()),
            ("prepared_statement_name_func", Python::Name("str")),
        ]);
    }
    arguments
}

/// Seconds that asyncpg keeps a connection nobody uses: it neither recycles by age nor tries a connection before
/// it hands it out, and this, its default, does the work of both.
const ASYNCPG_IDLE_SECONDS: u32 = 300;

/// `create_pool`.
pub fn asyncpg(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    let mut arguments = vec![
        Argument::new("min_size", pool.min_connections),
        Argument::new("max_size", pool.max_connections),
        Argument::new("timeout", pool.connection_timeout),
        Argument::new("command_timeout", pool.query_timeout).because(explanation("query_timeout")),
        Argument::new("max_inactive_connection_lifetime", ASYNCPG_IDLE_SECONDS).because(
            "asyncpg knows neither pool_recycle nor pool_pre_ping: closing idle connections early does for both",
        ),
    ];
    if pooler.is_some() {
        arguments.push(
            Argument::new("statement_cache_size", 0)
                .because(PREPARES_NOTHING)
                .because("asyncpg says RESET ALL when a connection is returned: groundskeeper.apply_server_settings() gives the role what that goes back to"),
        );
    }
    let settings = Argument::new("server_settings", entries(&pool.server_settings));
    let settings = settings.because(explanation("statement_timeout"));
    arguments.push(if pooler.is_some() { settings } else { settings.because(DIRECTLY) });
    call("create_pool", &arguments)
}

fn entries(settings: &ServerSettings) -> Map<String, Value> {
    settings.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// psycopg's own pool.
pub fn psycopg_pool(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    call(
        "ConnectionPool",
        &[
            Argument::new("min_size", pool.min_connections),
            Argument::new("max_size", pool.max_connections).because(explanation("max_connections")),
            Argument::new("timeout", pool.connection_timeout),
            Argument::new("max_lifetime", pool.pool_recycle),
            Argument::new("check", Python::Name("ConnectionPool.check_connection"))
                .because("pool_pre_ping; AsyncConnectionPool has its own"),
            Argument::new("open", true),
            Argument::new("kwargs", Python::Dictionary(of_psycopg(pool, pooler)))
                .because(explanation("statement_timeout"))
                .because(said_of(pooler)),
        ],
    )
}

/// What a project's settings are to say of its database, beside where it is. Django keeps psycopg's pool since 5.1.
pub fn django(pool: &PoolSettings, pooler: Option<Pooler>) -> String {
    let size = Python::Dictionary(vec![
        ("min_size", pool.min_connections.into()),
        ("max_size", pool.max_connections.into()),
        ("timeout", pool.connection_timeout.into()),
        ("max_lifetime", pool.pool_recycle.into()),
    ]);
    let options = of_psycopg(pool, pooler).into_iter().chain([("pool", size)]).collect();
    let mut arguments = vec![
        Argument::new("ENGINE", "django.db.backends.postgresql"),
        Argument::new("TIME_ZONE", pool.server_settings.get("timezone"))
            .because("Django sets the zone of each session by itself; without USE_TZ leave this out"),
        Argument::new("CONN_MAX_AGE", 0)
            .because("the pool keeps connections, each process one of its own: max_size is for one"),
        Argument::new("CONN_HEALTH_CHECKS", pool.pool_pre_ping),
    ];
    if pooler.is_some() {
        arguments.push(
            Argument::new("DISABLE_SERVER_SIDE_CURSORS", true).because(
                "a cursor of iterator() ends with its transaction, and autocommit ends that at once",
            ),
        );
    }
    arguments.push(
        Argument::new("OPTIONS", Python::Dictionary(options))
            .because(explanation("statement_timeout"))
            .because(said_of(pooler)),
    );
    call("DATABASES[\"default\"].update", &arguments)
}
