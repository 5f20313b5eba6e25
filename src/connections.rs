//! What connections depend on that only the server knows: its slots, its address, its machine.

use crate::error::{Failure, Result};
use crate::settings;
use crate::sql::{self, required};
use groundskeeper_core::connections::{
    Address, Format, Load, PoolSettings, Pooler, Recommendation, ServerSettings, cache_size_for, recommend,
    render,
};
use groundskeeper_core::plan::role::Pair;
use pgrx::PgSqlErrorCode;
use sysinfo::{MemoryRefreshKind, RefreshKind, System};

/// The plan's server settings, in the plan's time zone and, where asked, for this machine.
fn server_settings(planned: &PoolSettings) -> ServerSettings {
    let cache = settings::scale_to_machine().then(|| cache_size_for(memory_bytes()));
    planned.server_settings.of(&settings::timezone(), cache.as_deref())
}

/// The same as pairs.
pub fn server_setting_pairs(planned: &PoolSettings) -> Vec<Pair> {
    server_settings(planned).iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Memory that the server may use: the machine's, or its container's share of it.
fn memory_bytes() -> u64 {
    let memory = RefreshKind::nothing().with_memory(MemoryRefreshKind::nothing().with_ram());
    let system = System::new_with_specifics(memory);
    system.cgroup_limits().map_or(system.total_memory(), |limits| limits.total_memory)
}

/// Cores that the server may use; the backend shares its limits.
fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| u32::try_from(cores.get()).unwrap_or(u32::MAX))
}

/// Connections that clients may have, and how that comes about.
fn usable_slots() -> Result<(u32, String)> {
    let slots = sql::first(
        "SELECT m - s - r, pg_catalog.format(
                    'max_connections is %s, of which %s are reserved for superusers%s, so %s are usable.',
                    m, s, CASE WHEN r > 0 THEN pg_catalog.format(' and %s for others', r) END, m - s - r)
           FROM (SELECT pg_catalog.current_setting('max_connections')::integer,
                        pg_catalog.current_setting('superuser_reserved_connections')::integer,
                        COALESCE(pg_catalog.current_setting('reserved_connections', true), '0')::integer) AS slots (m, s, r)",
        &[],
        |row| Ok((required::<i32>(row, 1)?, required::<String>(row, 2)?)),
    )?;
    let (usable, words) = slots.ok_or_else(|| Failure::internal("the server has no slots"))?;
    Ok((u32::try_from(usable).unwrap_or(0), words))
}

/// The settings of a pool of that size, for who is to read them.
pub fn pool_config(
    planned: &PoolSettings,
    format: &str,
    pool_size: Option<i32>,
    pooler: Option<&str>,
) -> Result<String> {
    let wrong = |message: String| Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, message);
    let format: Format =
        format.parse().map_err(|known| wrong(format!("unknown format \"{format}\"")).detail(known))?;
    let pooler: Option<Pooler> = pooler
        .map(|name| {
            name.parse().map_err(|known: String| wrong(format!("unknown pooler \"{name}\"")).detail(known))
        })
        .transpose()?;
    let size = match pool_size {
        None => settings::pool_size().unwrap_or(planned.max_connections),
        Some(size) => u32::try_from(size).unwrap_or(0),
    };
    if size == 0 {
        return Err(wrong(format!("a pool of {} connections serves nobody", pool_size.unwrap_or(0)))
            .hint("Pass at least 1; SELECT * FROM groundskeeper.recommend_pool_size() says what fits."));
    }
    let (usable, arithmetic) = usable_slots()?;
    if size > usable {
        return Err(wrong(format!("a pool of {size} connections exceeds the {usable} usable slots"))
            .detail(arithmetic)
            .hint("Pass a smaller pool_size, or raise max_connections."));
    }
    let pool = planned.of(size, server_settings(planned));
    render(format, &pool, pooler, &address()?).map_err(|unfit| wrong(unfit.to_string()))
}

/// The way to this database that the caller has come: a host's address, or a socket's directory where the caller
/// may know it.
fn address() -> Result<Address> {
    let address = sql::first(
        "SELECT COALESCE(pg_catalog.host(pg_catalog.inet_server_addr()),
                         (SELECT pg_catalog.btrim(pg_catalog.split_part(setting, ',', 1), ' \"') FROM pg_catalog.pg_settings
                           WHERE name = 'unix_socket_directories')),
                COALESCE(pg_catalog.inet_server_port(), pg_catalog.current_setting('port')::integer),
                pg_catalog.current_database()::text",
        &[],
        |row| {
            Ok(Address {
                host: row.get::<String>(1)?.filter(|host| !host.is_empty()),
                port: u16::try_from(required::<i32>(row, 2)?).unwrap_or(5432),
                database: required(row, 3)?,
            })
        },
    )?;
    address.ok_or_else(|| Failure::internal("there is no current database"))
}

/// A recommendation and the facts that it rests on.
pub struct Sizing {
    /// The facts.
    pub load: Load,
    /// What follows.
    pub recommendation: Recommendation,
}

/// How large the pools of this database should be together; an error where the server cannot serve that.
pub fn recommend_pool_size(planned: &PoolSettings) -> Result<Sizing> {
    let load = load()?;
    let recommendation = recommend(&load, planned).map_err(|too_large| {
        Failure::new(
            PgSqlErrorCode::ERRCODE_CONFIGURATION_LIMIT_EXCEEDED,
            format!(
                "a pool of {} connections is needed and {} slots are available",
                too_large.needed, too_large.available
            ),
        )
        .detail(format!("{}.", too_large.reasoning))
        .hint(
            "Raise max_connections, shrink the pools of other databases, or shorten transactions, which keep \
             connections busy.",
        )
    })?;
    Ok(Sizing { load, recommendation })
}

fn load() -> Result<Load> {
    let (usable_slots, _) = usable_slots()?;
    let counted = |count: i32| u32::try_from(count).unwrap_or(0);
    let facts = sql::first(
        "SELECT groundskeeper_internal.slots_of_other_databases(), groundskeeper_internal.peak_busy()",
        &[],
        |row| Ok((required::<i32>(row, 1)?, row.get::<i32>(2)?)),
    )?;
    let (elsewhere, peak) = facts.ok_or_else(|| Failure::internal("no connection is counted"))?;
    Ok(Load {
        cores: cores(),
        usable_slots,
        taken_elsewhere: counted(elsewhere),
        peak_busy: peak.map(counted),
        configured: settings::pool_size(),
    })
}
