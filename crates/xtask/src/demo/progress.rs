//! Progress bars, drawn on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for one step.
pub struct Bar(ProgressBar);

impl Bar {
    /// For so many rows.
    pub fn rows(rows: u64) -> Self {
        Self::new(rows, "    {bar:30} {human_pos}/{human_len} rows, {per_sec}")
    }

    /// For a share of 100.
    pub fn percent() -> Self {
        Self::new(100, "    {bar:30} {percent} % {msg}")
    }

    fn new(length: u64, template: &str) -> Self {
        let bar = ProgressBar::new(length);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// More is done.
    pub fn add(&self, more: u64) {
        self.0.inc(more);
    }

    /// So much is done, and this is at work.
    pub fn set(&self, done: u64, message: String) {
        self.0.set_position(done);
        self.0.set_message(message);
    }

    /// All is done; the bar goes, what matters is printed instead.
    pub fn done(self) {
        self.0.finish_and_clear();
    }
}
