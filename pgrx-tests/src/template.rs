//! Databases that tests get a copy of.

use anyhow::Result;
use groundskeeper_sandbox::server::{SUPERUSER, Server, quote_ident};
use groundskeeper_sandbox::shape;

/// What a test's database has in it before the extension comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Template {
    /// Nothing.
    Empty,
    /// The tables that the plan assumes.
    ShapeA,
    /// The later variant of the tables.
    ShapeB,
    /// Shape A with the plan half applied by hand.
    HalfApplied,
    /// Shape A with views, grants and comments on the columns that the plan widens.
    ShapeAWithDependents,
}

impl Template {
    fn name(self) -> &'static str {
        match self {
            Self::Empty => "template0",
            Self::ShapeA => "sandbox_shape_a",
            Self::ShapeB => "sandbox_shape_b",
            Self::HalfApplied => "sandbox_half_applied",
            Self::ShapeAWithDependents => "sandbox_dependents",
        }
    }

    fn sql(self) -> &'static [&'static str] {
        match self {
            Self::Empty => &[],
            Self::ShapeA => &[shape::SHAPE_A],
            Self::ShapeB => shape::SHAPE_B,
            Self::HalfApplied => &[shape::SHAPE_A, shape::HALF_APPLIED],
            Self::ShapeAWithDependents => &[shape::SHAPE_A, shape::DEPENDENTS],
        }
    }

    /// The template database's name; the first test on a server to ask makes it.
    pub(crate) fn on(self, server: &Server) -> Result<&'static str> {
        let name = self.name();
        let mut client = server.connect("postgres", SUPERUSER)?;
        // Tests run in several threads and processes. The lock goes with the session.
        client.execute("SELECT pg_advisory_lock(hashtext($1))", &[&name])?;
        if client.query_opt("SELECT FROM pg_database WHERE datname = $1", &[&name])?.is_none() {
            // It gets its name when it is complete, so what a killed run left behind is never used.
            let draft = format!("{name}_draft");
            server.drop_database(&draft)?;
            server.create_database(&draft, "template0")?;
            let mut inside = server.connect(&draft, SUPERUSER)?;
            for sql in self.sql() {
                inside.batch_execute(sql)?;
            }
            inside.close()?;
            let rename = format!("ALTER DATABASE {} RENAME TO {}", quote_ident(&draft), quote_ident(name));
            client.batch_execute(&rename)?;
        }
        Ok(name)
    }
}
