//! Names that somebody might give to a table so that whoever opens the page does something else.

use super::*;

const NAMES: [&str; 4] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "x\r\n'); DROP TABLE y; --\n\\gexec",
    "\u{202e}gnp.exe\u{2066} http://example.org/",
];

#[test]
fn names_stay_names() {
    let db = TestDb::installed(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    for name in NAMES {
        let name = quote_ident(name);
        run_sql(
            &mut client,
            &format!(
                "CREATE TABLE staging.{name} (day date NOT NULL, {name} integer) PARTITION BY RANGE (day);
                 CREATE INDEX ON staging.{name} ({name}); CREATE INDEX ON staging.{name} ({name});
                 INSERT INTO groundskeeper.alert_rules (rule, metric, comparison, fire_threshold)
                 VALUES ($n${name}$n$, 'failed_jobs', '>', 0);
                 INSERT INTO groundskeeper.migration_failures (raw_table, raw_id, reason, detail, failed_at)
                 VALUES ($n${name}$n$, 1, $n${name}$n$, $n${name}$n$, now())"
            ),
        );
        run_sql(&mut client, &format!("SELECT groundskeeper.adopt_partitioned_table($n$staging.{name}$n$)"));
    }
    run_sql(&mut client, "SELECT groundskeeper.check_alerts()");
    let page = page(&mut client);
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "it is shown, and does nothing");
    for forbidden in ["onerror=alert(1)>", "\u{202e}", "\u{2066}"] {
        assert!(!page.contains(forbidden), "{forbidden:?}");
    }
    assert!(page.contains("&lt;U+202E&gt;"));
    // A statement that would read otherwise than it is is not shown: it would be about another table.
    assert!(!page.contains("<code>DROP INDEX CONCURRENTLY staging.&quot;x"));
    report(&mut client);
}

#[test]
fn in_an_encoding_without_our_signs_the_page_is_the_same() {
    let db = TestDb::encoded("LATIN1").unwrap();
    let mut client = db.client().unwrap();
    run_sql(
        &mut client,
        "CREATE SCHEMA staging; CREATE TABLE staging.\"Übersicht\" (a integer); CREATE INDEX \"größe\" ON staging.\"Übersicht\" (a); CREATE INDEX ON staging.\"Übersicht\" (a)",
    );
    assert!(page(&mut client).contains("Übersicht"));
    assert!(report(&mut client)["indexes"].to_string().contains("größe"));
}
