//! Prometheus and what stands around it: programs with an HTTP address of their own, ended when dropped.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// Waits until that is so; what was wrong last is told where it never is.
pub fn until(what: &str, mut look: impl FnMut() -> Result<bool>) -> Result<()> {
    let began = Instant::now();
    let mut last = String::new();
    while began.elapsed() < PATIENCE {
        match look() {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error) => last = format!("{error:#}"),
        }
        sleep(Duration::from_millis(100));
    }
    anyhow::bail!("not within {PATIENCE:?}: {what}; {last}")
}

/// A program that listens.
pub struct Running {
    process: Child,
    port: u16,
    log: PathBuf,
}

impl Running {
    /// Starts a program; what it is told is made with the port that it has.
    pub fn start(directory: &Path, program: &str, told: impl FnOnce(u16, &mut Command)) -> Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let log = directory.join(format!("{program}-{port}.log"));
        let file = File::create(&log)?;
        let mut command = Command::new(program);
        command.current_dir(directory).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        told(port, &mut command);
        let process = command.spawn().with_context(|| program.to_owned())?;
        let running = Self { process, port, log };
        until(program, || Ok(TcpStream::connect(("127.0.0.1", port)).is_ok()))
            .with_context(|| running.log())?;
        Ok(running)
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What it answers for a path.
    pub fn get(&self, path: &str) -> Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        ensure!(head.lines().next().is_some_and(|line| line.contains(" 200 ")), "{path}: {head}\n{body}");
        Ok(body.to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has gone already is as good as ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A Prometheus that scrapes every few seconds.
pub struct Prometheus(Running);

impl Prometheus {
    /// Starts one in a directory. `settings` is its configuration besides how often it does what; `rules.yml` beside it is
    /// read if there is one.
    pub fn start(directory: &Path, settings: &str) -> Result<Self> {
        let head = "global: {scrape_interval: 3s, scrape_timeout: 3s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n";
        fs::write(directory.join("prometheus.yml"), format!("{head}{settings}"))?;
        let running = Running::start(directory, "prometheus", |port, command| {
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command.args(["--config.file=prometheus.yml", "--storage.tsdb.path=stored", "--log.level=warn"]);
        })?;
        let ready = until("Prometheus is ready", || running.get("/-/ready").map(|_| true));
        ready.with_context(|| running.log())?;
        Ok(Self(running))
    }

    /// What it finds for an expression now: the labels of each series, and its value.
    pub fn query(&self, expression: &str) -> Result<Vec<(Value, f64)>> {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer: Value = serde_json::from_str(&self.0.get(&format!("/api/v1/query?query={encoded}"))?)?;
        ensure!(answer["status"] == "success", "{expression}: {answer}");
        let found = answer["data"]["result"].as_array().with_context(|| format!("{expression}: {answer}"))?;
        found
            .iter()
            .map(|series| {
                let value = series["value"][1].as_str().context("no value")?;
                Ok((series["metric"].clone(), value.parse()?))
            })
            .collect()
    }

    /// Which of its alerts fire.
    pub fn firing(&self) -> Result<Vec<String>> {
        let mut firing: Vec<String> = self
            .query("ALERTS{alertstate=\"firing\"}")?
            .iter()
            .filter_map(|(labels, _)| Some(labels["alertname"].as_str()?.to_owned()))
            .collect();
        firing.sort();
        firing.dedup();
        Ok(firing)
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
