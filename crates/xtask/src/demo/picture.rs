//! A picture of the report, as a browser shows it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::{announce, run_quietly, target_dir};

/// The program, which Debian calls as its package.
const BROWSER: &str = "chromium";
/// What is seen of the page, and how large a README shows it.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 1460;
const SCALE: f32 = 0.75;
/// It is loaded with the README.
const MOST_BYTES: u64 = 200_000;

/// Takes it, and says where it is.
pub fn take(page: &Path) -> Result<PathBuf> {
    announce("a picture of the report");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.png");
    let profile = target_dir().join("browser");
    let mut browser = Command::new(BROWSER);
    // Root has no sandbox, and the page has nothing that could leave it.
    browser.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    browser.arg(format!("--user-data-dir={}", profile.display()));
    browser.arg(format!("--window-size={WIDTH},{HEIGHT}"));
    browser.arg(format!("--force-device-scale-factor={SCALE}"));
    browser.arg(format!("--screenshot={}", path.display()));
    run_quietly(browser.arg(format!("file://{}", page.display())))?;
    fs::remove_dir_all(&profile).context("the browser's profile")?;
    let bytes = fs::metadata(&path).context("the browser took no picture")?.len();
    ensure!(bytes < MOST_BYTES, "the picture has {bytes} bytes, and may have {MOST_BYTES}");
    Ok(path)
}
