//! What is asked of the queue.

use super::Task;
use crate::names::Qualified;

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The item that it carries out.
    pub item: Option<String>,
    /// The relation it works on.
    pub relation: Qualified,
    /// What it is to bring about.
    pub task: Task,
}
