//! A private server: own data directory, own socket, gone when dropped.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postgres::{Client, Config, NoTls};

use crate::installation::{Installation, run, server_user};

/// The superuser of every server.
pub const SUPERUSER: &str = "postgres";

/// What a server is started with.
#[derive(Debug, Clone, Default)]
pub struct Options {
    installation: Option<Installation>,
    preload: Vec<String>,
    settings: Vec<(String, String)>,
}

impl Options {
    /// Takes the programs of an installation instead of those that [`Installation::find`] finds.
    #[must_use]
    pub fn of(mut self, installation: &Installation) -> Self {
        self.installation = Some(installation.clone());
        self
    }

    /// Adds a library to `shared_preload_libraries`.
    #[must_use]
    pub fn preload(mut self, library: &str) -> Self {
        self.preload.push(library.to_owned());
        self
    }

    /// Adds a line to `postgresql.conf`; it overrides what the sandbox sets by itself.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts a server with these options.
    pub fn start(&self) -> Result<Server> {
        Server::start(self)
    }
}

/// How to stop a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Waits for the clients to leave.
    Smart,
    /// Ends the clients, then shuts down in order.
    Fast,
    /// No checkpoint: the next start recovers.
    Immediate,
}

/// A private server. Dropping it stops it and removes its directory, unless [`Server::keep`] or
/// [`Server::attach`] made it somebody else's to end.
#[derive(Debug)]
pub struct Server {
    installation: Installation,
    base: PathBuf,
    port: u16,
    owned: bool,
}

impl Server {
    /// Creates a data directory below the temporary directory and starts a server on it.
    pub fn start(options: &Options) -> Result<Self> {
        let installation = options.installation.clone().map_or_else(Installation::find, Ok)?;
        let base = tempfile::Builder::new().prefix("groundskeeper-").tempdir()?.keep();
        if let Some(user) = server_user()? {
            std::os::unix::fs::chown(&base, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
        }
        // From here on dropping the server removes the directory, whatever fails.
        let server = Self { installation, base, port: free_port()?, owned: true };
        server.init(options)?;
        server.up()?;
        Ok(server)
    }

    /// The server running in `base`, which stays as it is when this handle is dropped.
    pub fn attach(base: &Path) -> Result<Self> {
        let pid_file = base.join("data/postmaster.pid");
        let text = fs::read_to_string(&pid_file)
            .with_context(|| format!("no server is running in {}", base.display()))?;
        let port = text.lines().nth(3).and_then(|line| line.trim().parse().ok());
        let port = port.with_context(|| format!("cannot read a port from {}", pid_file.display()))?;
        let installation = Installation::of_server(&base.join("data"))?;
        Ok(Self { installation, base: base.to_owned(), port, owned: false })
    }

    /// Lets the server outlive this handle; [`Server::attach`] finds it again by its directory.
    pub fn keep(mut self) -> PathBuf {
        self.owned = false;
        self.base.clone()
    }

    /// Ends a server for good, whoever started it.
    pub fn destroy(mut self) {
        self.owned = true;
    }

    /// The directory with everything of the server's in it.
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Its data directory.
    pub fn data(&self) -> PathBuf {
        self.base.join("data")
    }

    /// The port: the suffix of the socket's name, and the TCP port where `listen_addresses` is set.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the server's socket is.
    pub fn socket_dir(&self) -> &Path {
        &self.base
    }

    /// The installation the server runs from.
    pub fn installation(&self) -> &Installation {
        &self.installation
    }

    /// Starts a server that was stopped or killed.
    pub fn up(&self) -> Result<()> {
        let log = self.log_file();
        let mut command = self.pg_ctl("start")?;
        command.arg("--log").arg(&log).args(["--wait", "--timeout=60"]);
        // A text that would have a backtrace in it shows it.
        command.env("RUST_BACKTRACE", "1");
        // The server inherits these; a pipe would keep the caller waiting for it to end.
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        ensure!(status.success(), "the server did not start; its log:\n{}", self.log());
        Ok(())
    }

    /// Stops the server and keeps its data.
    pub fn stop(&self, mode: StopMode) -> Result<()> {
        let mode = match mode {
            StopMode::Smart => "smart",
            StopMode::Fast => "fast",
            StopMode::Immediate => "immediate",
        };
        run(self.pg_ctl("stop")?.args(["--wait", "--mode", mode])).map(drop)
    }

    /// Stops the server in order and starts it again.
    pub fn restart(&self) -> Result<()> {
        self.stop(StopMode::Fast)?;
        self.up()
    }

    /// Kills the postmaster and all its children at once, as a power failure would.
    pub fn kill_9(&self) -> Result<()> {
        let postmaster = self.postmaster()?;
        // Stopped, it starts no new child while they are being listed.
        kill(postmaster, Signal::SIGSTOP)?;
        let listing = Command::new("pgrep").args(["-P", &postmaster.to_string()]).output()?;
        let children = String::from_utf8_lossy(&listing.stdout).into_owned();
        let children = children.lines().filter_map(|line| line.trim().parse().ok()).map(Pid::from_raw);
        let doomed: Vec<Pid> = std::iter::once(postmaster).chain(children).collect();
        for pid in &doomed {
            match kill(*pid, Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while doomed.iter().any(|pid| kill(*pid, None) != Err(Errno::ESRCH)) {
            ensure!(Instant::now() < deadline, "killed, but not gone: {doomed:?}");
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The postmaster's process id.
    pub fn postmaster(&self) -> Result<Pid> {
        let text = fs::read_to_string(self.base.join("data/postmaster.pid")).context("not running")?;
        let pid = text.lines().next().and_then(|line| line.trim().parse().ok());
        pid.map(Pid::from_raw).context("postmaster.pid holds no process id")
    }

    /// A connection over the server's socket.
    pub fn connect(&self, database: &str, user: &str) -> Result<Client> {
        self.config(database, user)
            .connect(NoTls)
            .with_context(|| format!("cannot connect to database {database} as {user}"))
    }

    /// What it takes to connect, for a caller with settings of its own to add.
    pub fn config(&self, database: &str, user: &str) -> Config {
        let mut config = Config::new();
        config.host_path(self.socket_dir()).port(self.port).dbname(database).user(user);
        config
    }

    /// The line for a terminal that opens a session.
    pub fn psql_line(&self, database: &str) -> String {
        format!("psql -h {} -p {} -U {SUPERUSER} {database}", self.socket_dir().display(), self.port)
    }

    /// All that the server has logged.
    pub fn log(&self) -> String {
        fs::read(self.log_file())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Creates a database as a copy of a template.
    pub fn create_database(&self, name: &str, template: &str) -> Result<()> {
        let sql = format!("CREATE DATABASE {} TEMPLATE {}", quote_ident(name), quote_ident(template));
        Ok(self.connect("postgres", SUPERUSER)?.batch_execute(&sql)?)
    }

    /// Drops a database, its sessions ended.
    pub fn drop_database(&self, name: &str) -> Result<()> {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quote_ident(name));
        Ok(self.connect("postgres", SUPERUSER)?.batch_execute(&sql)?)
    }

    /// What `pg_dump` prints with these arguments, without the token it draws for each run.
    pub fn dump(&self, database: &str, args: &[&str]) -> Result<String> {
        let dump = run(self.client_program("pg_dump", database).args(args))?;
        let token = |line: &&str| !line.starts_with("\\restrict ") && !line.starts_with("\\unrestrict ");
        Ok(dump.lines().filter(token).flat_map(|line| [line, "\n"]).collect())
    }

    /// Runs SQL or a plain dump through `psql`, to the first error.
    pub fn restore(&self, database: &str, sql: &str) -> Result<()> {
        let mut command = self.client_program("psql", database);
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]);
        let mut psql = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = psql.stdin.take() {
            // An early exit shows as a broken pipe here; psql's own message below says why.
            let _ = stdin.write_all(sql.as_bytes());
        }
        let output = psql.wait_with_output()?;
        if !output.status.success() {
            bail!("psql stopped: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// One of the client programs, set to connect here as the superuser.
    pub fn client_program(&self, name: &str, database: &str) -> Command {
        let mut command = self.installation.program(name);
        command.arg("--host").arg(self.socket_dir());
        command.args(["--port", &self.port.to_string(), "--username", SUPERUSER, "--dbname", database]);
        command
    }

    fn init(&self, options: &Options) -> Result<()> {
        let mut initdb = self.installation.server_program("initdb")?;
        initdb.arg("--pgdata").arg(self.data()).args(["--username", SUPERUSER, "--auth=trust", "--no-sync"]);
        run(initdb.args(["--encoding=UTF8", "--locale=C", "--no-instructions"]))?;
        let mut conf = fs::OpenOptions::new().append(true).open(self.data().join("postgresql.conf"))?;
        for (name, value) in self.settings(options) {
            writeln!(conf, "{name} = '{}'", value.replace('\'', "''"))?;
        }
        Ok(())
    }

    /// Trust is safe as only the server's own OS user and root reach the socket's directory. Without
    /// fsync a killed server still recovers; only a crash of the machine would not be survived.
    fn settings(&self, options: &Options) -> Vec<(String, String)> {
        let own = [
            ("listen_addresses", String::new()),
            ("unix_socket_directories", self.socket_dir().display().to_string()),
            ("port", self.port.to_string()),
            ("fsync", "off".to_owned()),
            ("shared_preload_libraries", options.preload.join(",")),
        ];
        own.map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .chain(options.settings.clone())
            .collect()
    }

    fn pg_ctl(&self, action: &str) -> Result<Command> {
        let mut command = self.installation.server_program("pg_ctl")?;
        command.arg(action).arg("--silent").arg("--pgdata").arg(self.data());
        Ok(command)
    }

    fn log_file(&self) -> PathBuf {
        self.base.join("log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.owned {
            // A server that is already down is as good as stopped.
            let _ = self.stop(StopMode::Immediate);
            let _ = fs::remove_dir_all(&self.base);
        }
    }
}

/// Quotes an identifier.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
