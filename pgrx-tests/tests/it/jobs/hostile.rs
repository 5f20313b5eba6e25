//! Code of a table's owner that a superuser's installation, or a job, comes across.

use groundskeeper_sandbox::server::quote_ident;
use groundskeeper_tests::sample::fill;
use groundskeeper_tests::sql::texts;
use groundskeeper_tests::{Template, TestDb};
use postgres::Client;
use serde_json::json;

use super::{prepare, queue_task, until_state};

/// A function that writes down with whose rights it was called, and tries to keep them.
const ATTACK: &str = r"
    CREATE SCHEMA evil AUTHORIZATION :owner;
    ALTER TABLE staging.moneylines OWNER TO :owner;
    GRANT CREATE ON SCHEMA staging TO :owner;
    SET ROLE :owner;
    CREATE TABLE evil.seen (called_by text, superuser text);
    CREATE FUNCTION evil.attack() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        BEGIN EXECUTE 'RESET ROLE'; EXCEPTION WHEN OTHERS THEN END;
        BEGIN EXECUTE 'RESET SESSION AUTHORIZATION'; EXCEPTION WHEN OTHERS THEN END;
        BEGIN EXECUTE 'ALTER ROLE :owner SUPERUSER'; EXCEPTION WHEN OTHERS THEN END;
        INSERT INTO evil.seen
        SELECT current_user, rolsuper FROM pg_catalog.pg_roles
         WHERE rolname OPERATOR(pg_catalog.=) current_user;
        RETURN true;
    END $$;
    CREATE DOMAIN evil.score AS numeric CHECK (evil.attack());
    RESET ROLE;";

/// A database in which `staging.moneylines` is a hostile role's; the role, quoted.
fn attacked(db: &mut TestDb, client: &mut Client) -> String {
    let owner = quote_ident(&db.role("owner").unwrap());
    client.batch_execute(&ATTACK.replace(":owner", &owner)).unwrap();
    owner
}

/// Whether the attack was called at all, and that it gained nothing.
fn assert_repelled(client: &mut Client) -> bool {
    let seen = texts(client, "SELECT DISTINCT called_by || ' ' || superuser FROM evil.seen").unwrap();
    assert!(seen.iter().all(|call| call.ends_with(" false")), "{seen:?}");
    let raised = "SELECT rolname FROM pg_roles WHERE rolsuper AND rolname <> 'postgres'
                     AND rolname LIKE '%' || current_database()";
    assert_eq!(texts(client, raised).unwrap(), [""; 0]);
    !seen.is_empty()
}

/// Installs with the default limit and, rolled back, with every longer step as a job.
fn install_both_ways(db: &TestDb, client: &mut Client) {
    db.install().unwrap();
    db.settle().unwrap();
    client.batch_execute("SELECT FROM groundskeeper.rollback_plan()").unwrap();
    db.settle().unwrap();
    client
        .batch_execute("SET groundskeeper.inline_build_limit = 0; SELECT FROM groundskeeper.apply_plan()")
        .unwrap();
    db.settle().unwrap();
}

#[test]
fn a_check_through_a_hostile_domain_gains_nothing() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let owner = attacked(&mut db, &mut client);
    // by the owner's own hand: in a superuser's session the attack would succeed here already
    db.client_as(owner.trim_matches('"'))
        .unwrap()
        .batch_execute(
            "ALTER TABLE staging.moneylines ADD CONSTRAINT trap
                   CHECK (data_quality_score::evil.score IS NULL OR data_quality_score >= 0);
             TRUNCATE evil.seen",
        )
        .unwrap();
    install_both_ways(&db, &mut client);
    assert_repelled(&mut client);
}

#[test]
fn a_hostile_view_in_place_of_a_table_gains_nothing() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = db.client().unwrap();
    fill(&mut client, 40).unwrap();
    let owner = attacked(&mut db, &mut client);
    client
        .batch_execute(&format!(
            "SET ROLE {owner};
             ALTER TABLE staging.moneylines RENAME TO moneylines_kept;
             CREATE VIEW staging.moneylines AS SELECT * FROM staging.moneylines_kept WHERE evil.attack();
             RESET ROLE"
        ))
        .unwrap();
    install_both_ways(&db, &mut client);
    assert_repelled(&mut client);
}

/// What a constraint's function can do to the session that validates it: leave operators and types there by the
/// names of PostgreSQL's own, for whatever the session does next with more rights.
const TRAPS: &str = r"
    SET ROLE :owner;
    CREATE FUNCTION evil.equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql
        AS 'BEGIN PERFORM evil.attack(); RETURN $1 OPERATOR(pg_catalog.=) $2; END';
    CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = bigint, RIGHTARG = bigint);
    CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE plpgsql
        AS 'BEGIN PERFORM evil.attack(); RETURN $1 OPERATOR(pg_catalog.=) $2; END';
    CREATE OPERATOR evil.= (FUNCTION = evil.equal, LEFTARG = text, RIGHTARG = text);
    CREATE FUNCTION evil.plus(integer, integer) RETURNS integer LANGUAGE plpgsql
        AS 'BEGIN PERFORM evil.attack(); RETURN $1 OPERATOR(pg_catalog.+) $2; END';
    CREATE OPERATOR evil.+ (FUNCTION = evil.plus, LEFTARG = integer, RIGHTARG = integer);
    CREATE FUNCTION evil.bend() RETURNS boolean LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_catalog.set_config('search_path', 'evil, pg_catalog', false);
        IF pg_catalog.to_regtype('pg_temp.text') IS NULL THEN
            CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (evil.attack());
        END IF;
        RETURN evil.attack();
    END $$;
    ALTER TABLE staging.moneylines ADD CONSTRAINT trap CHECK (evil.bend()) NOT VALID;
    RESET ROLE";

#[test]
fn a_job_is_not_bent_by_what_it_calls() {
    let mut db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let owner = attacked(&mut db, &mut client);
    client.batch_execute(&TRAPS.replace(":owner", &owner)).unwrap();
    let task = json!({
        "kind": "validate_constraint", "table": {"schema": "staging", "name": "moneylines"},
        "constraint": "trap", "expression": "evil.bend()"
    });
    let id = queue_task(&mut client, "staging.moneylines", owner.trim_matches('"'), &task);
    until_state(&mut client, id, "succeeded");
    assert!(assert_repelled(&mut client), "the constraint was validated");
}
