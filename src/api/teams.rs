//! Team names: the club's code for any of its names.

use groundskeeper_core::quality::is_blank;
use groundskeeper_core::teams;
use pgrx::prelude::*;

use super::quality::Text;
use super::server_text::ServerText;

extension_sql_file!("../../sql/teams.sql", name = "teams", requires = [normalized_team, is_known_team]);

/// The club's code; a name that is no club's as it was given, and NULL for a blank one.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn normalized_team(name: Text<'_>) -> Option<ServerText> {
    let given = name.bytes()?;
    match teams::club(given) {
        Some(club) => Some(ServerText::new(club.code.as_bytes())),
        None => (!is_blank(given)).then(|| ServerText::new(given)),
    }
}

/// Whether the name is a club's; NULL for a blank one.
#[pg_extern(schema = "groundskeeper", immutable, parallel_safe, strict)]
fn is_known_team(name: Text<'_>) -> Option<bool> {
    let given = name.bytes()?;
    let known = teams::club(given).is_some();
    (known || !is_blank(given)).then_some(known)
}
