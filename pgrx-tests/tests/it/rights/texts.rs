//! Texts that somebody may run say what they say, whatever things are called.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::text;

use super::{installed, list};

const NAMES: [&str; 5] = [
    "x\nALTER ROLE victim SUPERUSER; --",
    "x\rALTER ROLE victim SUPERUSER; --",
    "x\n\\! touch pwned",
    "x; SELECT 1 \\gexec",
    "x$$; SELECT 1; $$",
];

#[test]
fn a_script_of_the_log_has_no_line_that_a_name_has_begun() {
    let (db, mut client) = installed();
    for (number, name) in NAMES.iter().enumerate() {
        let role = format!("{}{name}{number}", db.name());
        client.batch_execute(&format!("CREATE ROLE {} LOGIN", quote_ident(&role))).unwrap();
        client
            .execute(
                "SELECT groundskeeper.apply_server_settings(oid::regrole) FROM pg_roles WHERE rolname = $1",
                &[&role],
            )
            .unwrap();
    }
    // an index and a table of such names, as a change that is taken back has them
    client
        .batch_execute(
            "INSERT INTO groundskeeper.change (item, applied_by, forward_sql, inverse_sql, prior_definition)
             VALUES (E'beyond.s.t\\nDROP ROLE x; --', E'me\\rDROP ROLE x;', '', 'SELECT 1;', E'CREATE INDEX \"a\\vDROP\\f\\n\\\\! id\"')",
        )
        .unwrap();
    let script = text(&mut client, "SELECT groundskeeper.rollback_script()").unwrap();
    let planted = ["ALTER ROLE victim", "DROP ROLE x", "\\!", "SELECT 1 \\gexec", "DROP\u{c}"];
    let mut inside = false;
    for line in script.split(['\n', '\r']) {
        let begins_in_a_name = inside;
        if !line.starts_with("--") {
            inside ^= line.matches(['"']).count() % 2 == 1;
        }
        let begun = planted.iter().find(|text| line.trim_start().starts_with(**text));
        assert!(begun.is_none() || begins_in_a_name, "{line:?} in\n{script}");
    }
    // run as it is, it does what it says and no more
    for statement in list(&mut client, "SELECT inverse_sql FROM groundskeeper.change_log") {
        client.batch_execute(&statement).unwrap();
    }
    client.batch_execute(&script).unwrap();
    for (number, name) in NAMES.iter().enumerate() {
        let role = quote_ident(&format!("{}{name}{number}", db.name()));
        client.batch_execute(&format!("DROP ROLE {role}")).unwrap();
    }
}
