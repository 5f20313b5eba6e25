//! The plan as a client sees it.

use std::collections::BTreeMap;

use anyhow::Result;
use postgres::Client;

/// How an item stands: a row of `plan_status()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: String,
    /// The reason; empty where there is none.
    pub detail: String,
}

/// What was done with an item, or would be: a row of `apply_plan()` or `rollback_plan()`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The item's id.
    pub item: String,
    /// `apply`, `revert`, `queue` or `skip`.
    pub action: String,
    /// Its state.
    pub state: String,
    /// The reason; empty where there is none.
    pub detail: String,
    /// The statements; empty where there are none.
    pub sql: String,
}

/// How every item of the plan stands, by id.
pub fn plan_states(client: &mut Client) -> Result<BTreeMap<String, Standing>> {
    let status = "SELECT item, state, coalesce(detail, '') FROM groundskeeper.plan_status()";
    let rows = client.query(status, &[])?;
    Ok(rows.iter().map(|row| (row.get(0), Standing { state: row.get(1), detail: row.get(2) })).collect())
}

/// Calls `apply_plan` or `rollback_plan` as it is written, without the schema: `rollback_plan(true)`.
pub fn carry_out(client: &mut Client, call: &str) -> Result<Vec<Outcome>> {
    let sql = format!(
        "SELECT item, action, state, coalesce(detail, ''), coalesce(sql, '') FROM groundskeeper.{call}"
    );
    let outcome = |row: &postgres::Row| Outcome {
        item: row.get(0),
        action: row.get(1),
        state: row.get(2),
        detail: row.get(3),
        sql: row.get(4),
    };
    Ok(client.query(&sql, &[])?.iter().map(outcome).collect())
}
