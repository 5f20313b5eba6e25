//! A private PgBouncer before a private server.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::server::Server;
use postgres::{Client, Config, NoTls};

/// Where Debian puts the program, which is on no ordinary user's path.
pub(crate) const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// The password of every role that connects through it.
pub const PASSWORD: &str = "open, sesame";

/// A running PgBouncer, stopped when dropped.
pub struct PgBouncer {
    process: Child,
    base: PathBuf,
    port: u16,
}

impl PgBouncer {
    /// The release, as in `1.18`.
    pub fn version(server: &Server) -> Result<(u32, u32)> {
        let output = server.installation().server_program(PROGRAM)?.arg("--version").output();
        let output = output.with_context(|| format!("cannot run {PROGRAM}"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut parts = text.split_whitespace().nth(1).unwrap_or_default().split('.').map(str::parse);
        match (parts.next(), parts.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
            _ => anyhow::bail!("cannot read a version from {text:?}"),
        }
    }

    /// Starts one with a rendered file, of which only what depends on the machine is another: its own port and
    /// socket, the list of roles, and a console for the first of them.
    pub fn start(server: &Server, ini: &str, roles: &[&str]) -> Result<Self> {
        let base = server.base().join(format!("pgbouncer_{}", free_port()?));
        fs::create_dir(&base)?;
        let port = free_port()?;
        let users = base.join("userlist.txt");
        let line = |role: &&str| format!("\"{}\" \"{PASSWORD}\"\n", role.replace('"', "\"\""));
        fs::write(&users, roles.iter().map(line).collect::<String>())?;
        let auth_file = format!("auth_file = {}", users.display());
        let ini = replaced(ini, "auth_file = /etc/pgbouncer/userlist.txt", &auth_file)?;
        let ini = replaced(&ini, "listen_port = 6432", &format!("listen_port = {port}"))?;
        let ini = format!(
            "{ini}\nunix_socket_dir = {}\nadmin_users = {}\nlogfile = {}\n",
            base.display(),
            roles.first().context("no role")?,
            base.join("log").display()
        );
        fs::write(base.join("pgbouncer.ini"), ini)?;
        // It runs as the server's OS user, as it refuses to be root.
        let owner = fs::metadata(server.base().join("data"))?;
        chown(&base, Some(owner.uid()), Some(owner.gid()))?;
        let mut command = server.installation().server_program(PROGRAM)?;
        command.arg(base.join("pgbouncer.ini")).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().with_context(|| format!("cannot run {PROGRAM}"))?;
        let bouncer = Self { process, base, port };
        bouncer.wait()?;
        Ok(bouncer)
    }

    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.socket().exists() {
            ensure!(Instant::now() < deadline, "PgBouncer did not start; its log:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn socket(&self) -> PathBuf {
        self.base.join(format!(".s.PGSQL.{}", self.port))
    }

    /// The directory with its socket.
    pub fn socket_dir(&self) -> &Path {
        &self.base
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// All that it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.base.join("log")).unwrap_or_default()
    }

    /// A connection through it.
    pub fn connect(&self, database: &str, role: &str) -> Result<Client> {
        let mut config = Config::new();
        config.host_path(&self.base).port(self.port).dbname(database).user(role).password(PASSWORD);
        config.connect(NoTls).with_context(|| format!("through PgBouncer; its log:\n{}", self.log()))
    }

    /// A row of a `SHOW` of its console, as column names and values: the first that has `value` in `column`.
    pub fn show(&self, role: &str, what: &str, column: &str, value: &str) -> Result<Vec<(String, String)>> {
        let mut console = self.connect("pgbouncer", role)?;
        for message in console.simple_query(&format!("SHOW {what}"))? {
            if let postgres::SimpleQueryMessage::Row(row) = message
                && row.get(column) == Some(value)
            {
                let names = row.columns().iter().map(|c| c.name().to_owned());
                return Ok(names
                    .enumerate()
                    .map(|(i, n)| (n, row.get(i).unwrap_or_default().to_owned()))
                    .collect());
            }
        }
        anyhow::bail!("SHOW {what} has no row with {column} {value}")
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // One that has gone already is as good as stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn replaced(text: &str, line: &str, by: &str) -> Result<String> {
    ensure!(text.contains(line), "the rendered file has no line {line:?}:\n{text}");
    Ok(text.replace(line, by))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
