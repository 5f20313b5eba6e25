//! What stands between the application and the server.

use std::str::FromStr;

/// A pool of the server's connections that clients share by transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooler {
    /// PgBouncer, of whichever release.
    PgBouncer,
}

impl Pooler {
    /// As it is named.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PgBouncer => "pgbouncer",
        }
    }
}

impl FromStr for Pooler {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "pgbouncer" => Ok(Self::PgBouncer),
            _ => Err("The pooler is pgbouncer, or NULL where there is none.".to_owned()),
        }
    }
}

/// Why nothing is prepared through a pooler. From PgBouncer 1.21 on it could be, with `max_prepared_statements`; what
/// holds before holds then, too.
pub const PREPARES_NOTHING: &str = "through PgBouncer a transaction may come to another connection than the one before: what was prepared \
     there is not here, or is another client's";

/// What to say where there is no pooler.
pub const DIRECTLY: &str = "for the server itself; through PgBouncer take what pooler => 'pgbouncer' renders";
