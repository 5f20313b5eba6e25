//! Users at random, for as long as is asked, against a plain table.

use anyhow::{Result, bail};

use crate::setup::Choice;
use crate::tally::Tally;
use crate::{install, test};

/// Options of `cargo xtask torture`.
#[derive(clap::Args)]
pub struct Options {
    /// For how long
    #[arg(long, default_value_t = 5)]
    minutes: u64,
    /// The seed of the first round; each that follows has the next one
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    choice: Choice,
}

/// `cargo xtask torture`
pub fn run(options: &Options) -> Result<()> {
    let installation = options.choice.for_tests()?;
    install::run(&installation, install::Profile::Checked)?;
    let settings = [
        ("GROUNDSKEEPER_TORTURE_MINUTES", options.minutes.to_string()),
        ("GROUNDSKEEPER_TORTURE_SEED", options.seed.to_string()),
    ];
    let mut tally = Tally::default();
    test::client(&installation, &settings, &["torture::", "--nocapture"], &mut tally)?;
    println!("{tally}");
    if tally.failed > 0 {
        bail!("not all is well");
    }
    Ok(())
}
