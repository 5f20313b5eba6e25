//! Queries of which a test wants the text.

use anyhow::{Context as _, Result, ensure};
use postgres::Client;

/// The first column of a query's rows, as text; empty for NULL.
pub fn texts(client: &mut Client, query: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT coalesce(q.c::text, '') FROM ({query}) q (c)");
    let rows = client.query(&sql, &[]).with_context(|| query.to_owned())?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The one value that a query returns, as text; empty for NULL.
pub fn text(client: &mut Client, query: &str) -> Result<String> {
    let mut rows = texts(client, query)?;
    ensure!(rows.len() == 1, "{} rows instead of one: {query}", rows.len());
    Ok(rows.swap_remove(0))
}

/// The error that the server raised; empty fields where it was none of the server's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE.
    pub code: String,
    /// The message.
    pub message: String,
    /// The detail.
    pub detail: String,
    /// The hint.
    pub hint: String,
}

/// Runs a script that the server is to refuse, and returns how it did.
pub fn refusal(client: &mut Client, sql: &str) -> Result<Refusal> {
    let Err(error) = client.batch_execute(sql) else { anyhow::bail!("not refused: {sql}") };
    let error = error.as_db_error().with_context(|| format!("no error of the server's: {error}"))?;
    Ok(Refusal {
        code: error.code().code().to_owned(),
        message: error.message().to_owned(),
        detail: error.detail().unwrap_or_default().to_owned(),
        hint: error.hint().unwrap_or_default().to_owned(),
    })
}
