//! What is asked of the queue.

use super::Task;
use crate::names::Qualified;
use crate::plan::Entry;

/// A job to be queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRequest {
    /// The item that it carries out.
    pub item: Option<String>,
    /// The relation it works on.
    pub relation: Qualified,
    /// What it is to bring about.
    pub task: Task,
    /// What the change log is to say once that is done; none where somebody else says it, or nobody.
    pub entry: Option<Entry>,
}

impl JobRequest {
    /// A job that carries out no item of the plan.
    #[must_use]
    pub fn plain(relation: Qualified, task: Task) -> Self {
        Self { item: None, relation, task, entry: None }
    }
}
