//! One bad row costs one row: what fails together is tried in halves.

use crate::error::{Failure, Result, sqlstate};
use crate::subtransaction::isolated;
use groundskeeper_core::migration;

/// Whether the error is one record's, so that the others can go on without it.
pub fn is_of_a_record(failure: &Failure) -> bool {
    migration::is_of_a_record(&sqlstate(failure.code))
}

/// Writes all of them, but for those that cannot be written: `failed` is told of each. `write` either writes all
/// that it is given or fails, and has then written nothing; `is_of_some` tells an error of some of them from one that
/// any would meet.
pub fn each<T>(
    all: &[T],
    is_of_some: &dyn Fn(&Failure) -> bool,
    write: &mut dyn FnMut(&[T]) -> Result<()>,
    failed: &mut dyn FnMut(&T, Failure),
) -> Result<()> {
    let (one, other) = match all {
        [] => return Ok(()),
        _ => match isolated(|| write(all)) {
            Ok(()) => return Ok(()),
            Err(failure) if !is_of_some(&failure) => return Err(failure),
            Err(failure) => match all {
                [only] => {
                    failed(only, failure);
                    return Ok(());
                }
                _ => all.split_at(all.len() / 2),
            },
        },
    };
    each(one, is_of_some, write, failed)?;
    each(other, is_of_some, write, failed)
}
