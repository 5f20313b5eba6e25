//! Jobs and maintenance, as a Gantt chart, and what failed.

use super::table::{Align, Column, table};
use super::{absent, figure, known, moment, note, section, status};
use crate::report::chart::{Lane, Stretch, gantt};
use crate::report::data::{Report, Run, Work};
use crate::report::markup::Markup;
use crate::report::units::{count, milliseconds};

/// How many lanes there are.
const LANES: usize = 14;
/// How many runs a lane shows.
const STRETCHES: usize = 60;

/// All of it.
pub fn draw(out: &mut Markup, report: &Report, rows: usize) {
    section(out, "work", "What ran in the background in this time, and what is scheduled.", |out| {
        known(out, &report.work, |out, work| {
            if work.runs.is_empty() {
                absent(out, "no job and no maintenance ran in this time");
            } else {
                chart(out, report, work, rows);
                failed(out, work, rows);
            }
            tasks(out, work, rows);
        });
    });
}

fn chart(out: &mut Markup, report: &Report, work: &Work, rows: usize) {
    let (Some(begins), Some(ends)) = (report.interval.begins.seconds(), report.interval.ends.seconds())
    else {
        return;
    };
    let mut lanes: Vec<Lane> = Vec::new();
    for run in &work.runs {
        let Some(started) = run.started_at.seconds() else { continue };
        let finished = run.finished_at.as_ref().and_then(|at| at.seconds());
        let stretch = Stretch {
            begins: started,
            ends: finished.unwrap_or(ends),
            class: class(run),
            title: title(run, started, finished),
        };
        let lane = lanes.iter().position(|lane| lane.name == run.kind).unwrap_or(lanes.len());
        if lane == lanes.len() && lane < LANES.min(rows) {
            lanes.push(Lane { name: run.kind.clone(), stretches: Vec::new() });
        }
        if let Some(lane) = lanes.get_mut(lane).filter(|lane| lane.stretches.len() < STRETCHES.min(rows * 2))
        {
            lane.stretches.push(stretch);
        }
    }
    let shown: usize = lanes.iter().map(|lane| lane.stretches.len()).sum();
    figure(out, "Jobs and maintenance over time", |out| {
        out.element(
            "section",
            &[
                ("class", &"scroll wide"),
                ("tabindex", &"0"),
                ("aria-label", &"Jobs and maintenance over time"),
            ],
            |out| {
                let words = format!("Gantt chart of {} runs of {} kinds", count(shown as i64), lanes.len());
                gantt(out, &words, begins, ends, &lanes);
            },
        );
    });
    let left_out = work.left_out + (work.runs.len() - shown) as i64;
    if left_out > 0 {
        note(out, &format!("{} more, the oldest of their kinds, are not drawn.", count(left_out)));
    }
}

fn class(run: &Run) -> &'static str {
    match run.state.as_str() {
        "failed" => "run bad",
        "cancelled" => "run mute",
        _ if run.finished_at.is_none() => "run open",
        _ => "run",
    }
}

fn title(run: &Run, started: f64, finished: Option<f64>) -> String {
    let lasted =
        finished.map_or_else(|| "still running".to_owned(), |at| milliseconds((at - started).max(0.0) * 1e3));
    format!("{} {}: {}, from {}, {lasted}", run.kind, run.target, run.state, run.started_at.full())
}

fn failed(out: &mut Markup, work: &Work, rows: usize) {
    let failed: Vec<&Run> = work.runs.iter().filter(|run| run.state == "failed").collect();
    if failed.is_empty() {
        return note(out, "None of them failed.");
    }
    let columns = [
        Column("What", Align::Left),
        Column("Of", Align::Left),
        Column("Began", Align::Moment),
        Column("Why it failed", Align::Left),
    ];
    table(out, "What failed", &columns, &failed, rows, |cells, run| {
        cells.name(Some(&run.kind));
        cells.name(Some(&run.target));
        cells.text(run.started_at.full());
        cells.name(run.error.as_deref());
    });
}

fn tasks(out: &mut Markup, work: &Work, rows: usize) {
    if work.tasks.is_empty() {
        return absent(out, "the schedule has no entry");
    }
    let columns = [
        Column("Task", Align::Left),
        Column("By", Align::Left),
        Column("State", Align::Left),
        Column("Last success", Align::Moment),
        Column("Next run", Align::Moment),
        Column("Last error", Align::Left),
    ];
    table(out, "Schedule", &columns, &work.tasks, rows, |cells, task| {
        cells.name(Some(&task.task));
        cells.name(Some(&task.scheduler));
        cells.cell(|out| match (task.consecutive_failures, task.scheduler.as_str(), &task.last_success) {
            (1.., _, _) => status(out, "failed"),
            (_, "none", _) => out.said("span", &[("class", &"status mute")], "not scheduled"),
            (_, _, None) => out.said("span", &[("class", &"status mute")], "not run yet"),
            _ => status(out, "ok"),
        });
        cells.text(moment(task.last_success.as_ref()));
        cells.text(moment(task.next_run.as_ref()));
        cells.name(task.last_error.as_deref());
    });
}
