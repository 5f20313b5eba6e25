//! Other programs, run so that a person can follow.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use indicatif::ProgressBar;

/// Says in one line what is being done.
pub fn announce(what: impl AsRef<str>) {
    println!("==> {}", what.as_ref());
}

/// Runs a command to its end, its output going where ours goes.
pub fn execute(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        bail!("{} failed ({status})", line(command));
    }
    Ok(())
}

/// Runs a command beside others: each line that it prints begins with whose it is. Those that it prints as results are
/// handed on. Whether it succeeded.
pub fn relay(command: &mut Command, whose: &str, mut heed: impl FnMut(&str)) -> Result<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", line(command)))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        scope.spawn(|| {
            for line in stderr.into_iter().flat_map(lines) {
                eprintln!("{whose} | {line}");
            }
        });
        for line in stdout.into_iter().flat_map(lines) {
            println!("{whose} | {line}");
            heed(&line);
        }
    });
    Ok(child.wait()?.success())
}

/// All lines to the end, whatever bytes they have: who writes them must not find that nobody reads.
fn lines(output: impl Read) -> impl Iterator<Item = String> {
    let lines = BufReader::new(output).split(b'\n').map_while(Result::ok);
    lines.map(|line| String::from_utf8_lossy(&line).into_owned())
}

/// Runs a long command behind a spinner that shows the line it last printed. What it had to say is
/// shown in full when it fails.
pub fn follow(command: &mut Command) -> Result<()> {
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", line(command)))?;
    let spinner = ProgressBar::new_spinner();
    spinner.enable_steady_tick(Duration::from_millis(100));
    let mut said = String::new();
    for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines()) {
        let line = line?;
        spinner.set_message(line.trim().to_owned());
        said.push_str(&line);
        said.push('\n');
    }
    spinner.finish_and_clear();
    let status = child.wait()?;
    if !status.success() {
        bail!("{} failed ({status}):\n{}", line(command), said.trim_end());
    }
    Ok(())
}

/// Runs a command that has much to say, which is shown when it fails.
pub fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {}", line(command)))?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim());
    }
    Ok(())
}

/// What a command prints; nothing when it fails or is not there.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Cargo, in the repository.
pub fn cargo(args: &[&str]) -> Command {
    // The toolchain's own cargo set this for us; the one on the path may be another.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(args).current_dir(repository());
    command
}

/// The repository's root.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new(".")).to_owned()
}

/// Where builds go, and what else is not for keeping.
pub fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
