//! Managed tables that are let go of, dropped or renamed.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb, difference};
use postgres::Client;

use super::make;

fn managed(client: &mut Client) -> Vec<String> {
    texts(client, "SELECT parent FROM groundskeeper.managed_tables ORDER BY 1").unwrap()
}

/// Adopts a table of that name, which may be quoted and qualified.
fn adopted(client: &mut Client, name: &str) {
    client
        .batch_execute(&format!(
            "CREATE TABLE {name} (id int, day date NOT NULL) PARTITION BY RANGE (day);
             SELECT groundskeeper.adopt_partitioned_table('{name}')"
        ))
        .unwrap();
}

fn with(names: &[&str]) -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute("CREATE SCHEMA \"A b\"; SET search_path = public, \"A b\"").unwrap();
    names.iter().for_each(|name| adopted(&mut client, name));
    (db, client)
}

#[test]
fn a_table_is_let_go_of_as_it_is() {
    let (db, mut client) = with(&["public.t", "public.u", "\"A b\".u"]);
    make(&mut client, "");
    let before = db.dump().unwrap();
    client.batch_execute("SELECT groundskeeper.set_retention('t', '1 year')").unwrap();
    client.batch_execute("SELECT groundskeeper.stop_managing('t')").unwrap();
    assert_eq!(managed(&mut client), ["\"A b\".u", "public.u"]);
    assert!(make(&mut client, "").iter().all(|said| !said.contains("public.t")));
    assert_eq!(
        text(&mut client, "SELECT count(*) FROM monitoring.partition_health WHERE parent = 'public.t'")
            .unwrap(),
        "0"
    );
    // and taken over again
    client.batch_execute("SELECT groundskeeper.adopt_partitioned_table('t')").unwrap();
    let plain =
        |dump: &str| dump.lines().filter(|l| !l.contains("\tday\tmonth\t")).collect::<Vec<_>>().join("\n");
    let changed = difference(&plain(&before), &plain(&db.dump().unwrap()));
    assert!(changed.is_empty(), "{changed}");
    for (named, code, said) in [
        ("'u'", "22023", "several"),
        ("'public.nothing'", "55000", "not managed"),
        ("'not a name'", "22023", ""),
        ("'a.b.c'", "55000", "not managed"),
        ("''", "22023", ""),
    ] {
        let refused = refusal(&mut client, &format!("SELECT groundskeeper.stop_managing({named})")).unwrap();
        assert_eq!(refused.code, code, "{named}: {refused:?}");
        assert!(refused.message.contains(said), "{named}: {refused:?}");
    }
    client.batch_execute("SELECT groundskeeper.stop_managing('\"A b\".\"u\"')").unwrap();
    client.batch_execute("SELECT groundskeeper.stop_managing('U')").unwrap();
    assert_eq!(managed(&mut client), ["public.t"]);
}

#[test]
fn it_takes_the_owner_or_where_there_is_none_a_superuser() {
    let (mut db, mut client) = with(&["public.t"]);
    let [owner, other] = ["owner", "other"].map(|stem| db.role(stem).unwrap());
    client
        .batch_execute(&format!(
            "ALTER TABLE t OWNER TO {};
             GRANT EXECUTE ON FUNCTION groundskeeper.stop_managing TO {0}, {};
             INSERT INTO groundskeeper.managed_tables (parent, partition_key, \"interval\", timezone, premake)
                 VALUES ('public.gone', 'day', 'month', 'UTC', 3)",
            quote_ident(&owner),
            quote_ident(&other)
        ))
        .unwrap();
    let [mut owner, mut other] = [owner, other].map(|role| db.client_as(&role).unwrap());
    for (is_owner, name) in [(false, "public.t"), (false, "public.gone"), (true, "public.gone")] {
        let client = if is_owner { &mut owner } else { &mut other };
        let refused = refusal(client, &format!("SELECT groundskeeper.stop_managing('{name}')")).unwrap();
        assert_eq!(refused.code, "42501", "{name}: {refused:?}");
    }
    owner.batch_execute("SELECT groundskeeper.stop_managing('public.t')").unwrap();
    client.batch_execute("SELECT groundskeeper.stop_managing('gone')").unwrap();
    assert_eq!(managed(&mut client), [""; 0]);
}

#[test]
fn what_is_dropped_is_struck_off() {
    let (mut db, mut client) = with(&["public.t", "\"A b\".\"W x\"\"y\"", "public.stays", "public.back"]);
    let role = db.role("somebody").unwrap();
    let owner = quote_ident(&role);
    adopted(&mut client, "public.owned");
    client
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO {owner}; ALTER TABLE owned OWNER TO {owner};
             CREATE TABLE stays_1 PARTITION OF stays FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
             CREATE TABLE other (id int); CREATE TEMP TABLE stays (id int)"
        ))
        .unwrap();
    client.batch_execute("DROP TABLE stays_1, other, pg_temp.stays").unwrap();
    client.batch_execute("BEGIN; DROP TABLE back; ROLLBACK").unwrap();
    assert_eq!(managed(&mut client).len(), 5);
    client
        .batch_execute("SET quote_all_identifiers = on; DROP TABLE t; RESET quote_all_identifiers")
        .unwrap();
    client.batch_execute("DROP SCHEMA \"A b\" CASCADE").unwrap();
    db.client_as(&role).unwrap().batch_execute(&format!("DROP OWNED BY {owner}")).unwrap();
    assert_eq!(managed(&mut client), ["public.back", "public.stays"]);
    let said = make(&mut client, "");
    assert!(said.iter().all(|said| said.ends_with("created")) && said.len() == 6, "{said:?}");
}

#[test]
fn dropping_goes_on_whatever_is_wrong_with_the_list() {
    let (_db, mut client) = with(&["public.t", "public.u"]);
    client.batch_execute("ALTER TABLE groundskeeper.managed_tables RENAME TO elsewhere").unwrap();
    client.batch_execute("ALTER TABLE public.t RENAME TO t2; DROP TABLE public.t2").unwrap();
    client.batch_execute("ALTER TABLE groundskeeper.elsewhere RENAME TO managed_tables").unwrap();
    client.batch_execute("SELECT groundskeeper.stop_managing('public.t')").unwrap();
    assert_eq!(managed(&mut client), ["public.u"]);
}

#[test]
fn a_row_that_somebody_writes_keeps_nobody_from_dropping() {
    let (db, mut client) = with(&["public.t"]);
    let mut busy = db.client().unwrap();
    let mut open = busy.transaction().unwrap();
    open.batch_execute("UPDATE groundskeeper.managed_tables SET premake = 4").unwrap();
    let begun = std::time::Instant::now();
    client.batch_execute("DROP TABLE t").unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
    open.commit().unwrap();
}

#[test]
fn a_row_follows_its_table() {
    let (_db, mut client) = with(&["public.t", "public.u", "\"A b\".w"]);
    client.batch_execute("SELECT groundskeeper.set_retention('t', '7 years', 'drop')").unwrap();
    client.batch_execute("ALTER TABLE t RENAME TO \"T; new\"").unwrap();
    client.batch_execute("ALTER TABLE u SET SCHEMA \"A b\"").unwrap();
    client.batch_execute("ALTER SCHEMA \"A b\" RENAME TO \"c.d\"").unwrap();
    client.batch_execute("BEGIN; ALTER TABLE \"T; new\" RENAME TO x; ROLLBACK").unwrap();
    assert_eq!(managed(&mut client), ["\"c.d\".u", "\"c.d\".w", "public.\"T; new\""]);
    let said = make(&mut client, "");
    assert!(said.iter().all(|said| said.ends_with("created")) && said.len() == 9, "{said:?}");
    let kept = "SELECT retention || ' ' || retention_action FROM groundskeeper.managed_tables WHERE retention IS NOT NULL";
    assert_eq!(text(&mut client, kept).unwrap(), "7 years drop");
    // as a deployment does that puts a new table in the place of the old one
    client
        .batch_execute(
            "CREATE TABLE n (id int, day date) PARTITION BY RANGE (day);
             SELECT groundskeeper.adopt_partitioned_table('n');
             SELECT groundskeeper.set_retention('n', '8 years');
             ALTER TABLE \"T; new\" RENAME TO o; ALTER TABLE n RENAME TO \"T; new\"",
        )
        .unwrap();
    let query = "SELECT parent || ' ' || retention FROM groundskeeper.managed_tables WHERE retention IS NOT NULL ORDER BY 1";
    assert_eq!(texts(&mut client, query).unwrap(), ["public.\"T; new\" 8 years", "public.o 7 years"]);
}
