//! Work that cannot be done in the caller's transaction: what it is, and what its next step is.
//!
//! A job is a step machine whose memory is the database itself. Each step is one transaction or one concurrent
//! command; after a crash the next run looks at what is there and goes on from that, so no step is ever
//! repeated to any harm.

mod load;
pub mod pace;
mod request;
mod retry;
mod steps;
mod task;

pub use load::{Limits, Load};
pub use request::JobRequest;
pub use retry::{MAX_ATTEMPTS, backoff, is_passing};
pub use steps::{
    DetachState, DetachStep, IndexState, IndexStep, towards_detached, towards_index, towards_no_index,
};
pub use task::{Definition, Part, Task};
