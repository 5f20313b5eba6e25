//! Names as a deployment writes them: the code of a club, the spelling of a sportsbook.

use groundskeeper_core::naming::Naming;
use pgrx::PgMemoryContexts;
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;

use super::quality::{JsonbArgument, Text};
use super::server_text::ServerText;
use crate::error::{Failure, Result};

extension_sql_file!("../../sql/names.sql", name = "names", requires = [club_code, sportsbook, check_naming]);

const HINT: &str = "A naming is what groundskeeper.club_names, groundskeeper.club_codes and groundskeeper.sportsbook_names hold.";

/// The code in use for the club that the name means; NULL where it is no club's.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn club_code(
    name: Text<'_>,
    naming: default!(Option<JsonbArgument<'_>>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<ServerText> {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let naming = unsafe { in_force(fcinfo, naming) };
    naming.team(name.bytes()?).map(ServerText::new)
}

/// The one spelling of the sportsbook's name; NULL for a blank one.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn sportsbook(
    name: Text<'_>,
    naming: default!(Option<JsonbArgument<'_>>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<ServerText> {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let naming = unsafe { in_force(fcinfo, naming) };
    naming.book(name.bytes()?).map(|spelling| ServerText::new(&spelling))
}

/// True, or an error that says what is wrong with it: for CHECK constraints and triggers.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_naming(naming: Option<JsonbArgument<'_>>) -> bool {
    if let Some(image) = naming.and_then(JsonbArgument::image) {
        read_or_raise(image);
    }
    true
}

/// The naming last read at a place of a statement, and what it was read from: reading it takes longer than a row.
struct Kept {
    image: Box<[u8]>,
    naming: Naming,
}

/// The naming to apply: the built-in one for NULL. Raises an error for what is no naming.
///
/// # Safety
/// `fcinfo` is what the function manager called us with, and nothing else of this call holds its call site.
unsafe fn in_force<'a>(fcinfo: pg_sys::FunctionCallInfo, argument: Option<JsonbArgument<'_>>) -> &'a Naming {
    let Some(image) = argument.and_then(JsonbArgument::image) else { return Naming::built_in() };
    // SAFETY: the function manager always passes a valid FmgrInfo. Its `fn_extra` is ours alone, and the memory
    // context that frees what we store there is the one in which the FmgrInfo itself lives.
    let kept: &'a mut Option<Kept> = unsafe {
        let place = &mut *(*fcinfo).flinfo;
        if place.fn_extra.is_null() {
            let nothing: Option<Kept> = None;
            place.fn_extra = PgMemoryContexts::For(place.fn_mcxt).leak_and_drop_on_delete(nothing).cast();
        }
        &mut *place.fn_extra.cast()
    };
    if kept.as_ref().is_none_or(|kept| *kept.image != *image) {
        *kept = Some(Kept { image: image.into(), naming: read_or_raise(image) });
    }
    kept.as_ref().map_or(Naming::built_in(), |kept| &kept.naming)
}

/// The naming that the content of a jsonb holds, or the error that it deserves.
fn read_or_raise(image: &[u8]) -> Naming {
    read(image).map_err(ErrorReport::from).unwrap_or_report()
}

fn read(image: &[u8]) -> Result<Naming> {
    let text = JsonbArgument::text_of(image).unwrap_or_default();
    Naming::from_json(text.to_bytes()).map_err(|error| {
        Failure::new(PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE, error.to_string())
            .detail(error.detail())
            .hint(HINT)
    })
}
