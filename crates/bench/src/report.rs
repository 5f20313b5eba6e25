//! Findings as a table for the terminal, as JSON, and as Markdown.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use chrono::{DateTime, SubsecRound as _, Utc};
use comfy_table::{CellAlignment, Table, presets};
use serde::{Deserialize, Serialize};

use super::figures::{Figure, Findings, Role, Verdict};
use super::machine::Machine;
use xtask::process::{repository, target_dir};

/// Where the raw samples of full runs are, and the report.
const SAMPLES: &str = "crates/bench/results";
const REPORT: &str = "docs/benchmarks";

/// One suite's run, as it is kept.
#[derive(Debug, Serialize, Deserialize)]
pub struct Run {
    /// The suite's name on the command line.
    pub suite: String,
    /// What it is about.
    pub about: String,
    /// Whether it was a run in minutes, for a first look.
    pub quick: bool,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// How long it took, in seconds.
    pub seconds: u64,
    /// Where it ran.
    pub machine: Machine,
    /// What it found.
    pub findings: Findings,
}

const HEADER: [&str; 5] = ["contestant", "median", "spread", "unit", "ours / it"];

impl Run {
    /// Now, at its end.
    pub fn ended(
        suite: &str,
        about: &str,
        quick: bool,
        seconds: u64,
        machine: Machine,
        mut findings: Findings,
    ) -> Self {
        let cases: Vec<String> = findings.figures.iter().map(|figure| figure.case.clone()).collect();
        findings.figures.sort_by_key(|figure| cases.iter().position(|case| *case == figure.case));
        let at = Utc::now().trunc_subsecs(0);
        Self { suite: suite.to_owned(), about: about.to_owned(), quick, at, seconds, machine, findings }
    }

    /// Shows it on the terminal.
    pub fn print(&self) {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([&["case"], HEADER.as_slice()].concat());
        for column in [2, 3, 5] {
            if let Some(column) = table.column_mut(column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut last = "";
        for figure in &self.findings.figures {
            let case = if figure.case == last { "" } else { &figure.case };
            last = &figure.case;
            table.add_row(std::iter::once(case.to_owned()).chain(self.cells(figure)));
        }
        println!("\n{table}\n");
        for verdict in &self.findings.verdicts {
            println!("  {}", outcome(verdict));
        }
        for note in &self.findings.notes {
            println!("  {note}");
        }
    }

    fn cells(&self, figure: &Figure) -> [String; 5] {
        let (least, greatest) = figure.spread();
        let spread = match figure.samples.len() {
            0 | 1 => String::new(),
            _ => format!("{} to {}", number(least), number(greatest)),
        };
        let ratio = (figure.role != Role::Ours).then(|| self.findings.ratio(figure)).flatten();
        let ratio = ratio.filter(|ratio| ratio.is_finite()).map(number).unwrap_or_default();
        [figure.who.clone(), number(figure.median()), spread, figure.unit.clone(), ratio]
    }

    fn markdown(&self) -> Result<String> {
        let mut text = format!("## {}\n\n{}\n\n{}\n", self.suite, self.about, self.findings.setting);
        let mut last = None;
        for figure in &self.findings.figures {
            if last != Some(&figure.case) {
                writeln!(
                    text,
                    "\n**{}**\n\n| {} |\n|---|---:|---:|---|---:|",
                    figure.case,
                    HEADER.join(" | ")
                )?;
                last = Some(&figure.case);
            }
            writeln!(text, "| {} |", self.cells(figure).map(|cell| cell.replace('|', "\\|")).join(" | "))?;
        }
        let lines = self.findings.verdicts.iter().map(outcome).chain(self.findings.notes.iter().cloned());
        for (index, line) in lines.enumerate() {
            writeln!(text, "{}- {line}", if index == 0 { "\n" } else { "" })?;
        }
        let machine = &self.machine;
        writeln!(
            text,
            "\nCommit {}, {}, {}, {} ({} threads, {} GB), {}; {} s, ended {}.",
            machine.commit,
            machine.postgresql,
            machine.rust,
            machine.processor,
            machine.processors,
            machine.memory,
            machine.system,
            self.seconds,
            self.at.format("%Y-%m-%d %H:%M UTC"),
        )?;
        Ok(text)
    }

    /// Keeps it, and writes the report anew over all runs that are kept.
    pub fn save(&self, order: &[String]) -> Result<PathBuf> {
        let [samples, report] = places(self.quick);
        fs::create_dir_all(&samples)?;
        fs::create_dir_all(&report)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        fs::write(samples.join(&self.suite).with_extension("json"), json)?;
        let runs = order.iter().map(|suite| load(&samples.join(suite).with_extension("json")));
        let runs: Vec<Run> = runs.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
        let report = report.join("README.md");
        fs::write(&report, whole(&runs, self.quick)?)?;
        Ok(report.canonicalize()?)
    }
}

/// Where raw samples are kept, and where the report over them. A quick run does not take a full run's place: it is
/// kept apart, and out of the repository.
fn places(quick: bool) -> [PathBuf; 2] {
    if quick {
        let apart = target_dir().join("benchmarks");
        [apart.clone(), apart]
    } else {
        [SAMPLES, REPORT].map(|place| repository().join(place))
    }
}

fn load(path: &Path) -> Result<Option<Run>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = fs::read_to_string(path)?;
    let run = serde_json::from_str(&text);
    run.map(Some).with_context(|| format!("{} is of another version; remove it", path.display()))
}

fn whole(runs: &[Run], quick: bool) -> Result<String> {
    let (how, samples) = if quick {
        ("cargo xtask bench --quick", "the JSON files beside this page")
    } else {
        ("cargo xtask bench", "`crates/bench/results`")
    };
    let mut text = format!(
        "# Benchmarks\n\nWritten by `{how}`: nothing here is typed in. Each case was run in turns on the same data, on \
         one machine; compare only within a case. `ours / it` is the median over the rounds of what ours has divided \
         by what the contestant has in the same round; spread is the least to the greatest. The raw samples are in \
         {samples}.\n"
    );
    let short: Vec<(&Run, &Verdict)> =
        runs.iter().flat_map(|run| run.findings.verdicts.iter().map(move |verdict| (run, verdict))).collect();
    let met = short.iter().filter(|(_, verdict)| verdict.met).count();
    writeln!(text, "\n{met} of {} targets are met.", short.len())?;
    if met < short.len() {
        writeln!(text, "What fell short:\n")?;
        for (run, verdict) in short.iter().filter(|(_, verdict)| !verdict.met) {
            writeln!(
                text,
                "- {}: asked {}, measured {}",
                run.suite,
                verdict.asked,
                verdict.measured.map_or_else(|| "nothing".to_owned(), number)
            )?;
        }
    }
    for run in runs {
        write!(text, "\n{}", run.markdown()?)?;
    }
    Ok(text)
}

fn outcome(verdict: &Verdict) -> String {
    let said = if verdict.met { "met" } else { "**fell short**" };
    format!(
        "{said}: asked {}, measured {}",
        verdict.asked,
        verdict.measured.map_or_else(|| "nothing".to_owned(), number)
    )
}

/// Four digits are more than any of this repeats.
fn number(value: f64) -> String {
    if !value.is_finite() {
        return "not measured".to_owned();
    }
    let digits = match value.abs() {
        0.0 => 0,
        v if v >= 1_000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 1.0 => 2,
        v if v >= 0.01 => 3,
        _ => 5,
    };
    let text = format!("{value:.digits$}");
    match text.split_once('.') {
        None => grouped(&text),
        Some(_) => text,
    }
}

fn grouped(digits: &str) -> String {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.004_567, "0.00457"),
            (0.123_45, "0.123"),
            (1.234, "1.23"),
            (123.45, "123.5"),
            (1_234.5, "1,234"),
            (1_234_567.0, "1,234,567"),
            (-1_234.0, "-1,234"),
            (f64::NAN, "not measured"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
