//! Team names: the club's code for any of its names.

use groundskeeper_core::quality::is_blank;
use groundskeeper_core::teams;
use pgrx::prelude::*;

use super::quality::Text;

extension_sql_file!("../../sql/teams.sql", name = "teams", requires = [normalized_team, is_known_team]);

/// The club's code; a name that is no club's as it was given, and NULL for a blank one.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn normalized_team(name: Text<'_>) -> Option<TeamName<'_>> {
    let given = name.bytes()?;
    match teams::club(given) {
        Some(club) => Some(TeamName(club.code.as_bytes())),
        None => (!is_blank(given)).then_some(TeamName(given)),
    }
}

/// Whether the name is a club's; NULL for a blank one.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn is_known_team(name: Text<'_>) -> Option<bool> {
    let given = name.bytes()?;
    let known = teams::club(given).is_some();
    (known || !is_blank(given)).then_some(known)
}

/// A text in the server's encoding.
struct TeamName<'a>(&'a [u8]);

pgrx::impl_sql_translatable!(TeamName<'_>, "text");

// SAFETY: the datum is a new text in the row's memory context.
unsafe impl pgrx::callconv::BoxRet for TeamName<'_> {
    unsafe fn box_into<'fcx>(self, fcinfo: &mut pgrx::callconv::FcInfo<'fcx>) -> pgrx::datum::Datum<'fcx> {
        let length = i32::try_from(self.0.len()).unwrap_or(i32::MAX);
        // SAFETY: copies that many bytes, which are there; no text is longer than what fits an i32.
        unsafe {
            let text = pg_sys::cstring_to_text_with_len(self.0.as_ptr().cast(), length);
            fcinfo.return_raw_datum(text.into())
        }
    }
}
