//! No code of a table's owner runs in a session that fires no triggers: others' foreign keys and audits would not hold.

use groundskeeper_tests::sql::text;

use super::{counted, ended, installed, number, until};

/// Says with which role of replication it runs, by counting.
const SPY: &str = "
    CREATE SEQUENCE public.replica; CREATE SEQUENCE public.origin;
    GRANT USAGE ON SEQUENCE public.replica, public.origin TO PUBLIC;
    CREATE FUNCTION public.spy(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
    BEGIN
        PERFORM pg_catalog.nextval('public.' || pg_catalog.current_setting('session_replication_role'));
        RETURN $1;
    END $$;
    CREATE FUNCTION public.spying() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM public.spy(1); RETURN COALESCE(NEW, OLD); END $$;";

const EVENTS: &str = "
    CREATE TABLE app.events (id bigint, at date NOT NULL) PARTITION BY RANGE (at);
    CREATE TABLE app.events_default PARTITION OF app.events DEFAULT;
    ALTER TABLE app.events_default ADD PRIMARY KEY (id);
    INSERT INTO app.events SELECT g, now()::date FROM generate_series(1, 100) g;
    SELECT groundskeeper.adopt_partitioned_table('app.events');
    -- by a constant, as the planner evaluates it
    CREATE INDEX ON app.events_default ((id + public.spy(1)));
    ALTER TABLE app.events_default ADD CHECK (public.spy(id) = id)";

#[test]
fn draining_runs_nothing_of_the_owner_as_a_replica() {
    let (mut db, mut client) = installed();
    let owner = db.role("owner").unwrap();
    client
        .batch_execute(&format!(
            "{SPY} CREATE SCHEMA app AUTHORIZATION {owner};
             GRANT EXECUTE ON FUNCTION groundskeeper.adopt_partitioned_table, groundskeeper.drain_default TO {owner}"
        ))
        .unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();
    as_owner.batch_execute(EVENTS).unwrap();
    // triggers of every state are as they were afterwards, and none has fired for rows that were not deleted
    as_owner
        .batch_execute(
            "CREATE TRIGGER off BEFORE DELETE ON app.events_default FOR EACH ROW EXECUTE FUNCTION public.spying();
             ALTER TABLE app.events_default DISABLE TRIGGER off;
             CREATE TRIGGER plain AFTER DELETE ON app.events_default FOR EACH STATEMENT EXECUTE FUNCTION public.spying()",
        )
        .unwrap();
    let states = "SELECT string_agg(tgname || ' ' || tgenabled::text, ', ' ORDER BY tgname) FROM pg_trigger
                   WHERE tgrelid = 'app.events_default'::regclass";
    let before = text(&mut client, states).unwrap();
    let job = number(&mut as_owner, "groundskeeper.drain_default('app.events')");
    assert_eq!(ended(&mut client, job), "succeeded");
    assert_eq!(text(&mut client, "SELECT count(*) FROM app.events").unwrap(), "100");
    assert_eq!(text(&mut client, "SELECT count(*) FROM app.events_default").unwrap(), "0");
    assert_eq!(text(&mut client, states).unwrap(), before);
    assert!(counted(&mut client, "public.origin") > 0);
    assert_eq!(counted(&mut client, "public.replica"), 0);
}

#[test]
fn what_comes_into_the_way_meanwhile_is_seen_under_the_lock() {
    let (mut db, mut client) = installed();
    let owner = db.role("owner").unwrap();
    client
        .batch_execute(&format!(
            "{SPY} CREATE SCHEMA app AUTHORIZATION {owner};
             GRANT EXECUTE ON FUNCTION groundskeeper.adopt_partitioned_table, groundskeeper.drain_default TO {owner}"
        ))
        .unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();
    as_owner.batch_execute(EVENTS).unwrap();
    // a reader keeps the exchange from its lock, until the trigger is there
    let mut reader = db.client_as(&owner).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM app.events").unwrap();
    let job = number(&mut as_owner, "groundskeeper.drain_default('app.events')");
    until(&mut client, "SELECT count(*) > 0 FROM pg_class WHERE relname ~ '^events_\\d{4}_\\d{2}$'", "true");
    let copied = "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper job' AND wait_event_type = 'Lock'";
    until(&mut client, copied, "true");
    reader
        .batch_execute(
            "ROLLBACK; BEGIN; SET LOCAL lock_timeout = '20s';
             CREATE TRIGGER steal BEFORE DELETE ON app.events_default FOR EACH ROW EXECUTE FUNCTION public.spying();
             ALTER TABLE app.events_default ENABLE ALWAYS TRIGGER steal; COMMIT",
        )
        .unwrap();
    let how = ended(&mut client, job);
    // the exchange came first, or it saw what had come
    assert!(how.starts_with("succeeded") || how.contains("cannot be drained"), "{how}");
    assert_eq!(counted(&mut client, "public.replica"), 0);
    assert_eq!(text(&mut client, "SELECT count(*) FROM app.events").unwrap(), "100");
}

#[test]
fn an_owner_who_tampers_with_the_copies_has_them_made_again() {
    let (mut db, mut client) = installed();
    let (owner, other) = (db.role("owner").unwrap(), db.role("other").unwrap());
    client
        .batch_execute(&format!(
            "{SPY} CREATE SCHEMA app AUTHORIZATION {owner}; CREATE SCHEMA others AUTHORIZATION {other};
             GRANT EXECUTE ON FUNCTION groundskeeper.adopt_partitioned_table, groundskeeper.drain_default TO {owner}"
        ))
        .unwrap();
    let mut as_owner = db.client_as(&owner).unwrap();
    as_owner.batch_execute(EVENTS).unwrap();
    let mut reader = db.client_as(&owner).unwrap();
    reader.batch_execute("BEGIN; SELECT count(*) FROM app.events").unwrap();
    let job = number(&mut as_owner, "groundskeeper.drain_default('app.events')");
    let filled = "SELECT count(*) > 0 FROM pg_trigger WHERE tgname = 'groundskeeper_watch'";
    until(&mut client, filled, "true");
    let copied = "SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pg_groundskeeper job' AND wait_event_type = 'Lock'";
    until(&mut client, copied, "true");
    // the storage would be read as what it is not
    as_owner
        .batch_execute(
            "SET lock_timeout = '20s'; ALTER TABLE app.events_default_partitioned ALTER COLUMN id TYPE integer",
        )
        .unwrap();
    reader.batch_execute("ROLLBACK").unwrap();
    assert_eq!(ended(&mut client, job), "succeeded");
    assert_eq!(text(&mut client, "SELECT sum(id) || ' ' || count(*) FROM app.events").unwrap(), "5050 100");
    // a stranger's rows rely on more than the owner's word
    as_owner
        .batch_execute(&format!(
            "ALTER TABLE app.events ADD UNIQUE (id, at); GRANT USAGE ON SCHEMA app TO {other};
             GRANT REFERENCES ON app.events TO {other}; INSERT INTO app.events VALUES (-1, '2024-05-05')"
        ))
        .unwrap();
    db.client_as(&other)
        .unwrap()
        .batch_execute("CREATE TABLE others.note (id bigint, at date, FOREIGN KEY (id, at) REFERENCES app.events (id, at))")
        .unwrap();
    let job = number(&mut as_owner, "groundskeeper.drain_default('app.events')");
    let how = ended(&mut client, job);
    assert!(how.starts_with("failed") && how.contains("others.note is another role's"), "{how}");
}
