//! Event triggers of others, since 17 also on REINDEX and on logins: the first hear of what jobs do, and may refuse
//! it; a worker is nobody who logs in.

use groundskeeper_tests::sql::{text, texts};
use groundskeeper_tests::{Template, TestDb, older_than};
use postgres::Client;

use super::{invalid_indexes, prepare, until_state};

fn reindex(client: &mut Client) -> i64 {
    client.query_one("SELECT groundskeeper.reindex('staging.moneylines_pkey')", &[]).unwrap().get(0)
}

#[test]
fn one_on_reindex_hears_of_a_job_and_may_refuse_it() {
    if older_than(17) {
        return;
    }
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let hear = "
        CREATE TABLE public.heard (command text, event text);
        CREATE FUNCTION public.hear() RETURNS event_trigger LANGUAGE plpgsql AS
            $$BEGIN INSERT INTO public.heard VALUES (tg_tag, tg_event); END$$;
        CREATE EVENT TRIGGER hear ON ddl_command_end WHEN TAG IN ('REINDEX') EXECUTE FUNCTION public.hear()";
    client.batch_execute(hear).unwrap();
    let id = reindex(&mut client);
    until_state(&mut client, id, "succeeded");
    let heard = "SELECT DISTINCT command || ' ' || event FROM public.heard";
    assert_eq!(texts(&mut client, heard).unwrap(), ["REINDEX ddl_command_end"]);

    let refuse = "
        CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'not on a Monday'; END$$;
        CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('REINDEX') EXECUTE FUNCTION public.refuse()";
    client.batch_execute(refuse).unwrap();
    let id = reindex(&mut client);
    let failed = until_state(&mut client, id, "failed");
    assert!(failed.error.contains("not on a Monday"), "{failed:?}");
    assert_eq!(invalid_indexes(&mut client), [""; 0]);
    let twins = "SELECT count(*) FROM pg_class WHERE relname ~ '_cc(new|old)'";
    assert_eq!(text(&mut client, twins).unwrap(), "0");
}

#[test]
fn one_that_lets_nobody_log_in_stops_no_job() {
    if older_than(17) {
        return;
    }
    let db = TestDb::new(Template::ShapeA).unwrap();
    let mut client = prepare(&db);
    let nobody = "
        CREATE FUNCTION public.nobody() RETURNS event_trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE EXCEPTION 'nobody logs in'; END$$;
        CREATE EVENT TRIGGER nobody ON login EXECUTE FUNCTION public.nobody()";
    client.batch_execute(nobody).unwrap();
    assert!(db.client().is_err(), "sessions are refused");
    let id = reindex(&mut client);
    until_state(&mut client, id, "succeeded");
    client.batch_execute("DROP EVENT TRIGGER nobody").unwrap();
}
