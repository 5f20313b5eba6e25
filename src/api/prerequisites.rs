//! `prerequisites`, and what it asks the library.

use crate::extension::LIBRARY;
use pgrx::prelude::*;

extension_sql_file!(
    "../../sql/prerequisites.sql",
    name = "prerequisites",
    requires = ["defaults", library_version]
);

/// The version of the library that this session has loaded.
#[pg_extern(schema = "groundskeeper_internal", stable, parallel_safe)]
fn library_version() -> &'static str {
    LIBRARY
}
