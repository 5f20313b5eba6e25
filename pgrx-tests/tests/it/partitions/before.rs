//! The function that is called before a partition retires: as whom, when, and what keeps the partition.

use std::thread;
use std::time::{Duration, Instant};

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sql::{refusal, text, texts};
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;

/// Three months of 2025 with a row each, and a function that writes down what it was called with.
const OLD: &str = "
    CREATE TABLE public.old (id bigint, day date NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE public.old_2025_01 PARTITION OF public.old FOR VALUES FROM ('2025-01-01') TO ('2025-02-01');
    CREATE TABLE public.old_2025_02 PARTITION OF public.old FOR VALUES FROM ('2025-02-01') TO ('2025-03-01');
    CREATE TABLE public.old_2025_03 PARTITION OF public.old FOR VALUES FROM ('2025-03-01') TO ('2025-04-01');
    INSERT INTO public.old VALUES (1, '2025-01-31'), (2, '2025-02-01'), (3, '2025-03-15');
    CREATE TABLE public.called (partition text, as_role name, rows bigint, path text);
    CREATE FUNCTION public.export(partition regclass) RETURNS void LANGUAGE plpgsql AS $$
    DECLARE
        rows bigint;
    BEGIN
        EXECUTE format('SELECT count(*) FROM %s', partition) INTO rows;
        INSERT INTO public.called VALUES (partition, current_user, rows, current_setting('search_path'));
        PERFORM set_config('search_path', 'nowhere', false), set_config('groundskeeper.lock_timeout', '59s', false);
    END
    $$;
    SELECT groundskeeper.adopt_partitioned_table('public.old');";

fn old() -> (TestDb, Client) {
    let db = TestDb::installed(Template::Empty).unwrap();
    let mut client = db.client().unwrap();
    client.batch_execute(OLD).unwrap();
    (db, client)
}

fn policy(client: &mut Client, before: &str) {
    let set = format!("SELECT groundskeeper.set_retention('public.old', '1 month', 'drop', {before})");
    client.batch_execute(&set).unwrap();
}

fn apply(client: &mut Client, arguments: &str) -> Vec<String> {
    let query = format!(
        "SELECT concat_ws(' ', partition, action, detail) FROM groundskeeper.apply_retention({arguments}) ORDER BY 1"
    );
    texts(client, &query).unwrap()
}

fn called(client: &mut Client) -> Vec<String> {
    let query = "SELECT concat_ws(' ', partition, as_role, rows, path) FROM public.called ORDER BY 1";
    texts(client, query).unwrap()
}

#[test]
fn it_is_called_as_the_owner_before_each() {
    let (mut db, mut client) = old();
    let owner = db.role("owner").unwrap();
    client
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO {0}; ALTER FUNCTION export OWNER TO {0}; ALTER TABLE called OWNER TO {0};
             DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER TABLE %s OWNER TO %I', relid::regclass, '{owner}'), ';')
                                    FROM pg_partition_tree('public.old')); END $$",
            quote_ident(&owner)
        ))
        .unwrap();
    policy(&mut client, "'export(regclass)'");
    let known = "SELECT retention_before FROM groundskeeper.managed_tables";
    assert_eq!(text(&mut client, known).unwrap(), "public.export(regclass)");
    let would = apply(&mut client, "true");
    assert!(would.len() == 3 && would.iter().all(|said| said.ends_with("would drop")), "{would:?}");
    assert_eq!(called(&mut client), [""; 0], "a dry run calls nothing");
    let said = apply(&mut client, "");
    assert_eq!(said, [1, 2, 3].map(|n| format!("public.old_2025_0{n} dropped")));
    assert_eq!(
        called(&mut client),
        [1, 2, 3]
            .map(|n| format!("old_2025_0{n} {owner} 1 pg_catalog, pg_temp"))
            .map(|s| s.replace("old_", "public.old_"))
    );
}

#[test]
fn an_error_keeps_the_partition_and_it_is_called_again() {
    let (_db, mut client) = old();
    client
        .batch_execute(
            "CREATE FUNCTION picky(partition regclass) RETURNS boolean LANGUAGE plpgsql AS $$
             BEGIN
                 IF partition::text ~ '02$' AND NOT EXISTS (SELECT FROM public.called) THEN
                     INSERT INTO public.called VALUES ('taken back');
                     RAISE EXCEPTION 'no room' USING DETAIL = 'the disk is full', ERRCODE = 'lock_not_available';
                 END IF;
                 RETURN NULL;
             END $$",
        )
        .unwrap();
    policy(&mut client, "'picky(regclass)'");
    assert_eq!(
        apply(&mut client, ""),
        [
            "public.old_2025_01 dropped",
            "public.old_2025_02 kept public.picky(regclass) failed: no room: the disk is full",
            "public.old_2025_03 dropped"
        ]
    );
    assert_eq!(called(&mut client), [""; 0]);
    client.batch_execute("INSERT INTO public.called VALUES ('room')").unwrap();
    assert_eq!(apply(&mut client, ""), ["public.old_2025_02 dropped"]);
}

#[test]
fn null_takes_it_off_and_so_does_an_older_call() {
    let (_db, mut client) = old();
    policy(&mut client, "'export(regclass)'");
    policy(&mut client, "NULL");
    assert_eq!(apply(&mut client, "").len(), 3);
    assert_eq!(called(&mut client), [""; 0]);
    policy(&mut client, "'export(regclass)'");
    client.batch_execute("SELECT groundskeeper.set_retention('public.old', '1 month')").unwrap();
    assert_eq!(text(&mut client, "SELECT retention_before FROM groundskeeper.managed_tables").unwrap(), "");
}

#[test]
fn one_that_is_gone_or_changed_keeps_all() {
    let (mut db, mut client) = old();
    let other = quote_ident(&db.role("other").unwrap());
    policy(&mut client, "'export(regclass)'");
    let keeps = |client: &mut Client, why: &str| {
        for arguments in ["true", ""] {
            let said = apply(client, arguments);
            assert!(said.len() == 3 && said.iter().all(|said| said.contains(why)), "{why}: {said:?}");
        }
    };
    client.batch_execute("ALTER FUNCTION export RENAME TO elsewhere").unwrap();
    keeps(&mut client, "kept public.export(regclass), which is to be called before, does not exist");
    // another by its name, of a role that would like the owner's rights
    client
        .batch_execute(&format!(
            "CREATE FUNCTION export(partition regclass) RETURNS void LANGUAGE sql AS 'ALTER ROLE {other} SUPERUSER';
             ALTER FUNCTION export OWNER TO {other}; CREATE FUNCTION export(a text) RETURNS void LANGUAGE sql AS ''"
        ))
        .unwrap();
    keeps(&mut client, "who could have it do anything as");
    client.batch_execute("DROP FUNCTION export(regclass)").unwrap();
    keeps(&mut client, "kept public.export(regclass) cannot be called");
    client.batch_execute("DROP FUNCTION export(text); ALTER FUNCTION elsewhere RENAME TO export").unwrap();
    // nor may the role that a table is given to have less than what the function may
    client
        .batch_execute(&format!(
            "ALTER TABLE old OWNER TO {other}; REVOKE EXECUTE ON FUNCTION export FROM PUBLIC"
        ))
        .unwrap();
    keeps(&mut client, "kept permission denied for function public.export(regclass)");
    assert_eq!(called(&mut client), [""; 0]);
    let supers = "SELECT count(*) FROM pg_roles WHERE rolsuper AND rolname ~ 'other'";
    assert_eq!(text(&mut client, supers).unwrap(), "0");
}

#[test]
fn functions_that_cannot_be_called_are_refused() {
    let (mut db, mut client) = old();
    let [owner, other] = ["owner", "other"].map(|stem| db.role(stem).unwrap());
    client
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO {0}; ALTER TABLE old OWNER TO {0};
             GRANT EXECUTE ON FUNCTION groundskeeper.set_retention TO {0};
             CREATE FUNCTION pg_temp.passing(r regclass) RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION a_set(r regclass) RETURNS SETOF int LANGUAGE sql AS 'SELECT 1';
             CREATE FUNCTION two(r regclass, n int DEFAULT 1) RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION of_oid(r oid) RETURNS void LANGUAGE sql AS '';
             CREATE FUNCTION many(VARIADIC r regclass[]) RETURNS void LANGUAGE sql AS '';
             CREATE PROCEDURE proc(r regclass) LANGUAGE sql AS '';
             CREATE FUNCTION theirs(r regclass) RETURNS void LANGUAGE sql AS ''; ALTER FUNCTION theirs OWNER TO {1};
             CREATE FUNCTION closed(r regclass) RETURNS void LANGUAGE sql AS ''; REVOKE EXECUTE ON FUNCTION closed FROM PUBLIC",
            quote_ident(&owner),
            quote_ident(&other)
        ))
        .unwrap();
    for (before, code) in [
        ("'pg_temp.passing(regclass)'", "22023"),
        ("'a_set(regclass)'", "22023"),
        ("'two(regclass, int)'", "22023"),
        ("'of_oid(oid)'", "22023"),
        ("'many(regclass[])'", "22023"),
        ("'proc(regclass)'", "22023"),
        ("'theirs(regclass)'", "42501"),
        ("'closed(regclass)'", "42501"),
        ("0", "42883"),
    ] {
        let call = format!("SELECT groundskeeper.set_retention('public.old', '1 month', 'drop', {before})");
        let refused = refusal(&mut client, &call).unwrap();
        assert_eq!(refused.code, code, "{before}: {refused:?}");
    }
    // its own owner may, and nobody else
    let call = "SELECT groundskeeper.set_retention('public.old', '1 month', 'drop', 'export(regclass)')";
    db.client_as(&owner).unwrap().batch_execute(call).unwrap();
    client
        .batch_execute(&format!(
            "GRANT EXECUTE ON FUNCTION groundskeeper.set_retention TO {}",
            quote_ident(&other)
        ))
        .unwrap();
    assert_eq!(refusal(&mut db.client_as(&other).unwrap(), call).unwrap().code, "42501");
}

#[test]
fn writers_do_not_wait_for_it() {
    let (db, mut client) = old();
    client
        .batch_execute(
            "CREATE FUNCTION slow(r regclass) RETURNS void LANGUAGE sql AS 'SELECT pg_sleep(1.5)';
             ALTER TABLE old DETACH PARTITION old_2025_02; ALTER TABLE old DETACH PARTITION old_2025_03",
        )
        .unwrap();
    policy(&mut client, "'slow(regclass)'");
    let mut caller = db.client().unwrap();
    let retired = thread::spawn(move || apply(&mut caller, ""));
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
                  WHERE backend_type = 'pg_groundskeeper retention' AND wait_event = 'PgSleep'";
    while text(&mut client, waits).unwrap() != "true" {
        thread::sleep(Duration::from_millis(5));
    }
    let begun = Instant::now();
    client.batch_execute("INSERT INTO old VALUES (9, '2025-01-05')").unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(retired.join().unwrap(), ["public.old_2025_01 dropped"]);
}
