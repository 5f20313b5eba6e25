//! Python with the libraries that applications connect with, as `cargo xtask setup` installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The interpreter, in the environment below the target directory; `scratch` is cargo's directory for tests in there.
pub fn interpreter(scratch: &str) -> Result<PathBuf> {
    let python = Path::new(scratch).with_file_name("python").join("bin/python");
    ensure!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    Ok(python)
}

/// Runs a program with arguments and returns what it prints, read as JSON.
pub fn run(interpreter: &Path, program: &str, args: &[&str]) -> Result<serde_json::Value> {
    let output = Command::new(interpreter).args(["-I", "-c", program]).args(args).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "python failed ({}):\n{}", output.status, said.trim());
    let text = String::from_utf8(output.stdout)?;
    serde_json::from_str(&text).with_context(|| format!("python printed no JSON: {text}\n{}", said.trim()))
}
