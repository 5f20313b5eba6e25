//! A database for one test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::server::{SUPERUSER, Server, quote_ident};
use postgres::Client;

use crate::{PATIENCE, Template};

/// A database of a test's own, dropped at its end together with the roles made for it.
pub struct TestDb {
    server: Server,
    name: String,
    roles: Vec<String>,
}

impl TestDb {
    /// A copy of the template on the shared server, without the extension.
    pub fn new(template: Template) -> Result<Self> {
        Self::on(crate::server()?, template)
    }

    /// A copy of the template on the shared server with the extension installed. What the install
    /// queued may still be running: see [`TestDb::settle`].
    ///
    /// The extension is installed into the copy, as a copy of an installation is by design quiet.
    pub fn installed(template: Template) -> Result<Self> {
        let db = Self::new(template)?;
        db.install()?;
        Ok(db)
    }

    /// A copy of the template on a server of the test's own, obtained by [`Server::attach`] so that
    /// the test keeps the server.
    pub fn on(server: Server, template: Template) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let db = Self { name: format!("test_{}_{number}", std::process::id()), server, roles: Vec::new() };
        let template = template.on(&db.server)?;
        db.server.create_database(&db.name, template)?;
        Ok(db)
    }

    /// The same database where `pg_upgrade` has put it, obtained by [`Server::attach`] as above.
    pub fn move_to(&mut self, server: Server) {
        self.server = server;
    }

    /// An empty database in an encoding of its own on the shared server, with the extension installed.
    pub fn encoded(encoding: &str) -> Result<Self> {
        let db = Self::new(Template::Empty)?;
        db.server.drop_database(&db.name)?;
        let create = format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'",
            quote_ident(&db.name)
        );
        db.server.connect("postgres", SUPERUSER)?.batch_execute(&create)?;
        db.install()?;
        Ok(db)
    }

    /// Installs the extension.
    pub fn install(&self) -> Result<()> {
        Ok(self.client()?.batch_execute("CREATE EXTENSION pg_groundskeeper")?)
    }

    /// The database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server it is on.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// A superuser's connection.
    pub fn client(&self) -> Result<Client> {
        self.client_as(SUPERUSER)
    }

    /// A role's connection.
    pub fn client_as(&self, role: &str) -> Result<Client> {
        self.server.connect(&self.name, role)
    }

    /// Creates a role that may log in and returns its name, which begins with `stem`.
    pub fn role(&mut self, stem: &str) -> Result<String> {
        let role = format!("{stem}_{}", self.name);
        self.client()?.batch_execute(&format!("CREATE ROLE {} LOGIN", quote_ident(&role)))?;
        self.roles.push(role.clone());
        Ok(role)
    }

    /// `pg_dump --schema-only`.
    pub fn dump_schema(&self) -> Result<String> {
        self.server.dump(&self.name, &["--schema-only"])
    }

    /// `pg_dump`, data included.
    pub fn dump(&self) -> Result<String> {
        self.server.dump(&self.name, &[])
    }

    /// Waits until no job is queued, running or waiting any more.
    pub fn settle(&self) -> Result<()> {
        let mut client = self.client()?;
        let open = "SELECT count(*), string_agg(format('%s %s %s: %s', kind, target, state, detail), E'\n')
                    FROM groundskeeper.jobs WHERE state IN ('queued', 'running', 'waiting')";
        let deadline = Instant::now() + PATIENCE;
        loop {
            let row = client.query_one(open, &[])?;
            if row.get::<_, i64>(0) == 0 {
                return Ok(());
            }
            let jobs: Option<String> = row.get(1);
            ensure!(
                Instant::now() < deadline,
                "still open after {PATIENCE:?}:\n{}",
                jobs.unwrap_or_default()
            );
            sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for TestDb {
    fn drop(&mut self) {
        let cleared = self.server.drop_database(&self.name).and_then(|()| {
            let mut client = self.server.connect("postgres", SUPERUSER)?;
            for role in &self.roles {
                let drop_role = format!("DROP ROLE IF EXISTS {}", quote_ident(role));
                client.batch_execute(&drop_role).with_context(|| format!("role {role}"))?;
            }
            Ok(())
        });
        if let Err(error) = cleared {
            eprintln!("left behind: {error:#}");
        }
    }
}

/// The lines in which two texts differ, for a message; empty when they are equal.
///
/// Dumps are long, so a failed comparison of two should show these instead of both.
pub fn difference(before: &str, after: &str) -> String {
    diff::lines(before, after)
        .into_iter()
        .filter_map(|line| match line {
            diff::Result::Left(line) => Some(format!("- {line}\n")),
            diff::Result::Right(line) => Some(format!("+ {line}\n")),
            diff::Result::Both(..) => None,
        })
        .collect()
}
