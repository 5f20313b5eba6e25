//! What counting latency costs, beside what pg_stat_statements costs: `pgbench -S` against servers that differ only
//! in what they preload, in turns, so that whatever else the machine does meets them all.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use groundskeeper_sandbox::installation::Installation;
use groundskeeper_sandbox::server::{Options, SUPERUSER, Server, StopMode};

use super::Effort;
use super::figures::{Findings, Role};
use xtask::process::{announce, ask};

/// What is compared; the first is what the others are compared with.
const VARIANTS: [(&str, &[&str]); 4] = [
    ("off", &[]),
    ("ours", &["pg_groundskeeper"]),
    ("pg_stat_statements", &["pg_stat_statements"]),
    ("both", &["pg_stat_statements", "pg_groundskeeper"]),
];

const DATABASE: &str = "bench";
/// A hundredth of a second, in which Linux counts the time of processes.
const TICKS_PER_SECOND: f64 = 100.0;
/// Two runs of this many transactions more differ in nothing else.
const COUNTED: u64 = 5_000;

/// One run's figures.
#[derive(Clone, Copy)]
struct Run {
    /// Transactions per second.
    rate: f64,
    /// The server's CPU time per transaction, in microseconds.
    cpu: f64,
}

/// Measures.
pub fn run(effort: &Effort) -> Result<Findings> {
    let (rounds, seconds) = effort.pick((21, 5), (3, 3));
    let servers = VARIANTS.iter().map(|(name, libraries)| Ok((*name, start(libraries)?)));
    let servers = servers.collect::<Result<Vec<_>>>()?;
    announce(format!("{rounds} rounds of {seconds} s of pgbench -S, each variant in turn"));
    let mut findings = Findings::new(format!(
        "pgbench -S of scale 10 from one client, {rounds} rounds of {seconds} s; the servers differ in what they \
         preload alone. CPU time is that of the server's processes; instructions are user instructions counted by \
         callgrind, {COUNTED} transactions more against as many less."
    ));
    for round in 0..rounds {
        for turn in 0..servers.len() {
            // Nobody always comes after the same.
            let index = (turn + round) % servers.len();
            let (name, server) = &servers[index];
            let run = measure(server, seconds)?;
            findings.add("pgbench -S", name, role(name), "us of server CPU a transaction", run.cpu);
            findings.add("pgbench -S", name, role(name), "transactions/s", run.rate);
        }
    }
    instructions(&effort.installation, &servers, &mut findings)?;
    let order = |name: &str| VARIANTS.iter().position(|(variant, _)| *variant == name);
    findings.figures.sort_by_key(|figure| (figure.case.clone(), figure.unit.clone(), order(&figure.who)));
    judge(&mut findings, "pgbench -S", "us of server CPU a transaction", "server CPU");
    judge(&mut findings, "instructions", "instructions a transaction", "user instructions");
    Ok(findings)
}

fn role(name: &str) -> Role {
    match name {
        "ours" => Role::Ours,
        "off" => Role::Limit,
        _ => Role::Alternative,
    }
}

/// Half of what pg_stat_statements costs is the bound.
fn judge(findings: &mut Findings, case: &str, unit: &str, what: &str) {
    let percent = |who| (findings.between(case, unit, who, "off") - 1.0) * 100.0;
    let (ours, theirs) = (percent("ours"), percent("pg_stat_statements"));
    if ours.is_nan() {
        return findings.note(format!("{what}: not counted, as there is no valgrind"));
    }
    findings.note(format!(
        "{what} above nothing preloaded: ours {ours:+.2} %, pg_stat_statements {theirs:+.2} %, both {:+.2} %",
        percent("both")
    ));
    findings.at_most(&format!("at most 0.5 of what pg_stat_statements adds in {what}"), ours / theirs, 0.5);
}

fn start(libraries: &[&str]) -> Result<Server> {
    let options = Options::default().set("autovacuum", "off").set("shared_buffers", "256MB");
    let server = libraries.iter().fold(options, |options, library| options.preload(library)).start()?;
    server.create_database(DATABASE, "template0")?;
    let mut client = server.connect(DATABASE, SUPERUSER)?;
    for library in libraries {
        client.batch_execute(&format!("CREATE EXTENSION {library}"))?;
    }
    pgbench(&server, &["--initialize", "--quiet", "--scale=10"])?;
    client.batch_execute("VACUUM ANALYZE")?;
    pgbench(&server, &["--select-only", "--no-vacuum", "--time=1"])?;
    Ok(server)
}

fn pgbench(server: &Server, args: &[&str]) -> Result<String> {
    let mut command = server.installation().program("pgbench");
    command.arg("--host").arg(server.socket_dir());
    command.args(["--port", &server.port().to_string(), "--username", SUPERUSER]).args(args).arg(DATABASE);
    let output = command.stderr(Stdio::piped()).output()?;
    ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn measure(server: &Server, seconds: u64) -> Result<Run> {
    let before = children_ticks(server)?;
    let said = pgbench(server, &["--select-only", "--no-vacuum", &format!("--time={seconds}")])?;
    let transactions = figure(&said, "number of transactions actually processed: ")?;
    let ticks = children_ticks(server)? - before;
    let cpu = ticks / TICKS_PER_SECOND * 1_000_000.0 / transactions;
    Ok(Run { rate: figure(&said, "tps = ")?, cpu })
}

/// The CPU time of the postmaster's children that have ended, of which the last run's backends are the only ones
/// since it was last asked.
fn children_ticks(server: &Server) -> Result<f64> {
    // A backend outlives its connection by a moment.
    std::thread::sleep(std::time::Duration::from_millis(300));
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.postmaster()?))?;
    // The program's name, in parentheses, may hold spaces.
    let fields: Vec<&str> =
        stat.rsplit(") ").next().map(|rest| rest.split(' ').collect()).unwrap_or_default();
    let field = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    field(13).zip(field(14)).map(|(user, system)| user + system).context("no times in /proc")
}

fn figure(said: &str, label: &str) -> Result<f64> {
    let rest =
        said.split(label).nth(1).with_context(|| format!("pgbench says nothing of {label:?}: {said}"))?;
    let number: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    Ok(number.parse()?)
}

/// User instructions per transaction, which are the same whatever else runs: by callgrind, where there is one.
fn instructions(
    installation: &Installation,
    servers: &[(&str, Server)],
    findings: &mut Findings,
) -> Result<()> {
    if ask(Command::new("valgrind").arg("--version")).is_none() {
        return Ok(());
    }
    announce("counting instructions");
    for (name, server) in servers {
        let count = count(installation, server).with_context(|| (*name).to_owned())?;
        findings.add("instructions", name, role(name), "instructions a transaction", count);
    }
    Ok(())
}

fn count(installation: &Installation, server: &Server) -> Result<f64> {
    server.stop(StopMode::Fast)?;
    let counts = server.base().join("callgrind");
    fs::create_dir_all(&counts)?;
    std::os::unix::fs::chown(&counts, owner(server.base())?.0, owner(server.base())?.1)?;
    let postgres = installation.directory("--bindir")?.join("postgres");
    let wrapper = server.base().join("postgres-counted");
    let script = format!(
        "#!/bin/sh\nexec valgrind --quiet --tool=callgrind --trace-children=no --callgrind-out-file={}/%p {} \"$@\"\n",
        counts.display(),
        postgres.display()
    );
    fs::write(&wrapper, script)?;
    fs::set_permissions(&wrapper, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let mut start = installation.server_program("pg_ctl")?;
    start.args(["start", "--silent", "--wait", "--timeout=120"]).arg("-p").arg(&wrapper);
    start.arg("--pgdata").arg(server.base().join("data")).arg("--log").arg(server.base().join("log"));
    ensure!(start.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success(), "{}", server.log());
    let few = backend(server, &counts, COUNTED)?;
    let many = backend(server, &counts, 2 * COUNTED)?;
    server.stop(StopMode::Immediate)?;
    Ok((many - few) / COUNTED as f64)
}

/// The instructions of the backend that served so many transactions: by far the busiest process that has ended.
fn backend(server: &Server, counts: &Path, transactions: u64) -> Result<f64> {
    for entry in fs::read_dir(counts)? {
        fs::remove_file(entry?.path())?;
    }
    // The generator's seed is the same, so the work is.
    let transactions = format!("--transactions={transactions}");
    pgbench(server, &["--select-only", "--no-vacuum", "--random-seed=1", &transactions])?;
    // It writes its count after the client has left.
    let mut last = -1.0;
    loop {
        std::thread::sleep(std::time::Duration::from_secs(4));
        let mut busiest = 0.0f64;
        for entry in fs::read_dir(counts)? {
            let text = fs::read_to_string(entry?.path())?;
            let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
            busiest = busiest.max(total.and_then(|total| total.trim().parse().ok()).unwrap_or(0.0));
        }
        if busiest > 0.0 && busiest == last {
            return Ok(busiest);
        }
        last = busiest;
    }
}

fn owner(path: &Path) -> Result<(Option<u32>, Option<u32>)> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = fs::metadata(path)?;
    Ok((Some(metadata.uid()), Some(metadata.gid())))
}
