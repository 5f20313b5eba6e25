//! A converted table is given to another role, with all that belongs to it.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::TestDb;
use groundskeeper_tests::sql::{refusal, text, texts};
use postgres::Client;

use super::{assert_keys, carry_out, convert, ended, finalize, leftovers, queue, undo, with};

const TABLE: &str = "
    CREATE TABLE public.t (id bigint PRIMARY KEY, day date, n integer);
    CREATE TABLE public.child (t_id bigint REFERENCES public.t);
    INSERT INTO t SELECT i, current_date - i, i FROM generate_series(1, 60) i;";

/// Whoever owns something that has the table's name in its own.
const OWNERS: &str = "
    SELECT DISTINCT o.owner::regrole::text
      FROM (SELECT relname, relowner FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
            UNION ALL SELECT proname, proowner FROM pg_proc WHERE pronamespace = 'public'::regnamespace) o (name, owner)
     WHERE name = 't' OR starts_with(name, 't_')";

fn converted() -> (TestDb, Client, String) {
    let (mut db, mut client) = with(TABLE);
    convert(&mut client, "t", "day");
    let role = db.role("other").unwrap();
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA public TO {}", quote_ident(&role))).unwrap();
    (db, client, role)
}

#[test]
fn all_that_belongs_to_a_table_goes_with_it() {
    for way_on in ["undo", "finalize"] {
        let (db, mut client, role) = converted();
        let owner = quote_ident(&role);
        client
            .batch_execute(&format!("ALTER TABLE t OWNER TO {owner}; ALTER TABLE child OWNER TO {owner}"))
            .unwrap();
        assert_eq!(texts(&mut client, OWNERS).unwrap().join(" "), role);
        let mut as_owner = db.client_as(&role).unwrap();
        as_owner
            .batch_execute(
                "INSERT INTO t VALUES (100, current_date, 1); UPDATE t SET id = 101, day = day - 40 WHERE id = 100;
                 DELETE FROM t WHERE id = 5; INSERT INTO child VALUES (101); INSERT INTO t VALUES (200, current_date + 100, 1)",
            )
            .unwrap();
        assert_eq!(
            refusal(&mut as_owner, "INSERT INTO t VALUES (101, current_date, 1)").unwrap().code,
            "23505"
        );
        assert_keys(&mut client, "t", "t_key", "writes of the new owner");
        carry_out(&mut client, "drain_default('t')");
        if way_on == "undo" {
            undo(&mut client, "t");
            assert_eq!(leftovers(&mut client), [""; 0]);
        } else {
            finalize(&mut client, "t");
            client.batch_execute("DELETE FROM child").unwrap();
            let oldest =
                "SELECT min(relid::text) FROM pg_partition_tree('t') WHERE isleaf AND relid::text ~ '\\d'";
            let oldest = text(&mut client, oldest).unwrap();
            carry_out(&mut client, &format!("detach_partition('{oldest}')"));
        }
        assert_eq!(texts(&mut client, OWNERS).unwrap().join(" "), role);
    }
}

#[test]
fn a_role_hands_nothing_to_one_that_it_could_not_act_as() {
    let (mut db, mut client, role) = converted();
    let other = db.role("stranger").unwrap();
    let (owner, stranger) = (quote_ident(&role), quote_ident(&other));
    client
        .batch_execute(&format!(
            "GRANT CREATE ON SCHEMA public TO {stranger}; ALTER TABLE t OWNER TO {owner}"
        ))
        .unwrap();
    let before = texts(&mut client, OWNERS).unwrap();
    // What its owner writes there would run with the rights of whoever owns the functions.
    db.client_as(&role)
        .unwrap()
        .batch_execute(
            "CREATE FUNCTION public.spring() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'sprung as %', current_user; END $$;
             CREATE TRIGGER spring BEFORE INSERT ON t_key FOR EACH ROW EXECUTE FUNCTION public.spring()",
        )
        .unwrap();
    for new_owner in ["postgres", &stranger] {
        let give = format!("ALTER TABLE t OWNER TO {new_owner}");
        let refused = refusal(&mut client, &give).unwrap();
        assert_eq!(refused.code, "42501", "{refused:?}");
        assert!(refused.hint.contains("GRANT "), "{refused:?}");
        assert_eq!(texts(&mut client, OWNERS).unwrap(), before);
    }
    // The way that the hint names.
    client
        .batch_execute(&format!(
            "GRANT {stranger} TO {owner}; ALTER TABLE t OWNER TO {stranger}; REVOKE {stranger} FROM {owner}"
        ))
        .unwrap();
    assert_eq!(texts(&mut client, OWNERS).unwrap(), [other]);
}

#[test]
fn a_conversion_that_was_not_finished_goes_with_its_table() {
    let (mut db, mut client) = with(TABLE);
    let role = db.role("other").unwrap();
    let owner = quote_ident(&role);
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA public TO {owner}")).unwrap();
    let mut reader = db.client().unwrap();
    reader.batch_execute("BEGIN; SELECT FROM t").unwrap();
    let job = queue(&mut client, "partition_table('t', 'day', accept => '{on_conflict}')");
    super::until(&mut client, "SELECT count(*) FROM pg_trigger WHERE tgname = 'groundskeeper_capture'", "1");
    client.batch_execute(&format!("SELECT groundskeeper.cancel_job({job})")).unwrap();
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(ended(&mut client, job).0, "cancelled");
    client
        .batch_execute(&format!("ALTER TABLE t OWNER TO {owner}; ALTER TABLE child OWNER TO {owner}"))
        .unwrap();
    assert_eq!(texts(&mut client, OWNERS).unwrap().join(" "), role);
    undo(&mut client, "t");
    assert_eq!(leftovers(&mut client), [""; 0]);
    convert(&mut client, "t", "day");
    assert_eq!(texts(&mut client, OWNERS).unwrap().join(" "), role);
}

#[test]
fn what_else_is_altered_is_no_matter_of_owners() {
    let (mut db, mut client, role) = converted();
    let (owner, stranger) = (quote_ident(&role), quote_ident(&db.role("stranger").unwrap()));
    for statement in [
        &format!("ALTER TABLE t OWNER TO {owner}"),
        "ALTER EVENT TRIGGER groundskeeper_follow_owner DISABLE",
        &format!("ALTER TABLE t OWNER TO {stranger}"),
        "ALTER EVENT TRIGGER groundskeeper_follow_owner ENABLE",
        "ALTER TABLE t ALTER n SET STATISTICS 10",
    ] {
        client.batch_execute(statement).unwrap();
    }
}
