//! Names as a deployment writes them: the code of a club, the spelling of a sportsbook.

use groundskeeper_core::naming::Naming;
use pgrx::PgMemoryContexts;
use pgrx::pg_sys::panic::{ErrorReport, ErrorReportable};
use pgrx::prelude::*;

use super::quality::{JsonbArgument, Text, last_argument_is_constant};
use super::server_text::{KeptTexts, ServerText};
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
    let site = unsafe { Site::of(fcinfo) };
    let (naming, kept) = site.in_force(naming);
    naming.team(name.bytes()?).map(|code| kept.text(code))
}

/// The one spelling of the sportsbook's name; NULL for a blank one.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe)]
fn sportsbook(
    name: Text<'_>,
    naming: default!(Option<JsonbArgument<'_>>, "NULL"),
    fcinfo: pg_sys::FunctionCallInfo,
) -> Option<ServerText> {
    // SAFETY: the function manager called us with it, and nothing else in this call asks for its call site.
    let site = unsafe { Site::of(fcinfo) };
    let (naming, kept) = site.in_force(naming);
    naming.book(name.bytes()?).map(|spelling| kept.text(&spelling))
}

/// True, or an error that says what is wrong with it: for CHECK constraints and triggers.
#[pg_extern(schema = "groundskeeper_internal", immutable, parallel_safe)]
fn check_naming(naming: Option<JsonbArgument<'_>>) -> bool {
    if let Some(image) = naming.and_then(JsonbArgument::image) {
        read_or_raise(image);
    }
    true
}

/// What a function keeps from one call to the next at the same place of the same statement.
struct Site {
    /// The naming last read, and what it was read from: reading it takes longer than a row.
    naming: Option<(Box<[u8]>, Naming)>,
    /// Whether it is the same constant in each call, and need not be compared.
    is_constant: bool,
    texts: KeptTexts,
}

impl Site {
    /// What was kept at this place; nothing at first.
    ///
    /// # Safety
    /// `fcinfo` is what the function manager called us with, and nothing else of this call holds its call site.
    unsafe fn of<'a>(fcinfo: pg_sys::FunctionCallInfo) -> &'a mut Self {
        // SAFETY: the function manager always passes a valid FmgrInfo. Its `fn_extra` is ours alone, and the memory
        // context that frees what we store there is the one in which the FmgrInfo itself lives.
        unsafe {
            let place = &mut *(*fcinfo).flinfo;
            if place.fn_extra.is_null() {
                let new = Self {
                    naming: None,
                    is_constant: last_argument_is_constant(place),
                    texts: KeptTexts::new(place.fn_mcxt),
                };
                place.fn_extra = PgMemoryContexts::For(place.fn_mcxt).leak_and_drop_on_delete(new).cast();
            }
            &mut *place.fn_extra.cast()
        }
    }

    /// The naming to apply, the built-in one for NULL, and the texts made so far. Raises an error for what is no naming.
    fn in_force(&mut self, argument: Option<JsonbArgument<'_>>) -> (&Naming, &mut KeptTexts) {
        let image = argument.and_then(JsonbArgument::image);
        let kept = self.naming.as_ref().map(|(kept, _)| &**kept);
        if !(self.is_constant && kept.is_some()) && kept != image {
            self.naming = image.map(|image| (image.into(), read_or_raise(image)));
        }
        (self.naming.as_ref().map_or(Naming::built_in(), |(_, naming)| naming), &mut self.texts)
    }
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
