//! Tables as applications have them: nearly all are converted and come back as they were, and what is refused names what
//! helps.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::text;
use groundskeeper_tests::{TestDb, difference};
use postgres::Client;

use super::{ended, undo, with};

const KINDS: &str = include_str!("forty.sql");

/// A table, and the call that partitions it.
struct Kind {
    quoted: String,
    key: String,
    call: String,
    remedy: Option<String>,
}

fn quote_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn kinds(client: &mut Client) -> Vec<Kind> {
    let rows =
        client.query("SELECT kind, key, arguments, remedy FROM public.kinds ORDER BY kind", &[]).unwrap();
    rows.iter()
        .map(|row| {
            let (kind, key, arguments): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            let quoted = format!("{0}.{0}", quote_ident(&kind));
            let call =
                format!("partition_table({}, {}{arguments}", quote_literal(&quoted), quote_literal(&key));
            Kind { quoted, key, call, remedy: row.get(3) }
        })
        .collect()
}

/// Partitions a table, with all that has to be acknowledged; or why that is refused.
fn partition(client: &mut Client, kind: &Kind) -> Result<(), String> {
    let asked = |client: &mut Client, rest: &str| {
        let row = client.query_one(&format!("SELECT groundskeeper.{}{rest})", kind.call), &[]);
        row.map(|row| row.get::<_, i64>(0)).map_err(|e| Box::new(e.as_db_error().unwrap().clone()))
    };
    let refused = |e: Box<postgres::error::DbError>| format!("{} {:?}", e.message(), e.detail());
    let job = match asked(client, "") {
        Ok(job) => job,
        Err(error) => match error.hint().unwrap_or_default().split_once("pass accept => ") {
            Some((_, names)) => {
                asked(client, &format!(", accept => {}", names.trim_end_matches('.'))).map_err(refused)?
            }
            None => return Err(refused(error)),
        },
    };
    let (state, error) = ended(client, job);
    if state == "succeeded" { Ok(()) } else { Err(error) }
}

fn count(client: &mut Client, table: &str) -> String {
    text(
        client,
        &format!("SELECT concat_ws(' ', count(*), sum(pg_catalog.hashtext(x::text)::bigint)) FROM {table} x"),
    )
    .unwrap()
}

/// There and back: nothing is to be seen of it in a dump.
fn goes_there_and_back(db: &TestDb, client: &mut Client, kind: &Kind) {
    let (dump, rows) = (db.dump_schema().unwrap(), count(client, &kind.quoted));
    partition(client, kind).unwrap_or_else(|why| panic!("{}: {why}", kind.quoted));
    let is_partitioned =
        format!("SELECT relkind FROM pg_class WHERE oid = {}::regclass", quote_literal(&kind.quoted));
    assert_eq!(text(client, &is_partitioned).unwrap(), "p", "{}", kind.quoted);
    assert_eq!(count(client, &kind.quoted), rows, "{}", kind.quoted);
    undo(client, &kind.quoted.replace('\'', "''"));
    assert_eq!(count(client, &kind.quoted), rows, "{}", kind.quoted);
    let changed = difference(&dump, &db.dump_schema().unwrap());
    assert!(changed.is_empty(), "{}: {changed}", kind.quoted);
    let known = "SELECT count(*) FROM groundskeeper.conversion, groundskeeper.managed_tables";
    assert_eq!(text(client, known).unwrap(), "0", "{}", kind.quoted);
}

#[test]
fn nine_of_ten_tables_are_converted_and_come_back() {
    let (db, mut client) = with(KINDS);
    let kinds = kinds(&mut client);
    let mut converted = 0;
    for kind in &kinds {
        let Some(remedy) = &kind.remedy else {
            goes_there_and_back(&db, &mut client, kind);
            converted += 1;
            continue;
        };
        let why = partition(&mut client, kind).expect_err(&kind.quoted);
        let named = "SELECT count(*) FROM groundskeeper.partition_preflight($1::text::regclass, $2::text::name) WHERE severity = 'blocker' AND remedy IS NULL";
        let without: i64 = client.query_one(named, &[&kind.quoted, &kind.key]).unwrap().get(0);
        assert_eq!(without, 0, "{}: {why}", kind.quoted);
        client.batch_execute(remedy).unwrap();
        goes_there_and_back(&db, &mut client, kind);
    }
    assert!(kinds.len() >= 40, "{}", kinds.len());
    assert!(converted * 10 >= kinds.len() * 9, "{converted} of {}", kinds.len());
}
