//! Whose rights it takes.

use groundskeeper_tests::Template;
use groundskeeper_tests::sql::{refusal, text, texts};

use super::{assert_complete, count, installed, listening, simulate};

const GRANT: &str =
    "GRANT EXECUTE ON ROUTINE groundskeeper.migrate_to_staging, groundskeeper_internal.start_migration,
                           groundskeeper_internal.migration_step, groundskeeper_internal.fail_migration TO";
const CALL: &str = "CALL groundskeeper.migrate_to_staging()";

#[test]
fn an_application_role_migrates_with_its_own_rights() {
    let (mut db, mut client) = installed(Template::ShapeA);
    let application = db.role("application").unwrap();
    simulate(&mut client, 3_000);
    let (mut as_application, warnings) = listening(&db, &application);
    assert_eq!(refusal(&mut as_application, CALL).unwrap().code, "42501");
    client
        .batch_execute(&format!(
            "{GRANT} {application}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA staging TO {application};
             -- a function by the name of one of PostgreSQL's, and a trigger that says who it runs as
             CREATE SCHEMA trap; GRANT USAGE ON SCHEMA trap TO PUBLIC;
             CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1999-01-01'::timestamptz $$;
             CREATE FUNCTION trap.min(bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT -1::bigint $$;
             CREATE TABLE public.seen (who text);
             GRANT INSERT ON public.seen TO PUBLIC;
             CREATE FUNCTION public.who() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NEW; END $$;
             CREATE TRIGGER who BEFORE INSERT ON staging.games FOR EACH ROW EXECUTE FUNCTION public.who()"
        ))
        .unwrap();
    as_application.batch_execute("SET search_path = trap, pg_catalog, public").unwrap();
    as_application.batch_execute(CALL).unwrap();
    // It may not write the pipeline's log, which is said once.
    let said: Vec<String> = warnings.try_iter().collect();
    assert_eq!(
        said,
        ["public.pipeline_execution_log could not be written; groundskeeper.migration_runs has the run"]
    );
    let why = "SELECT DISTINCT metadata ->> 'not_logged' FROM groundskeeper.migration_runs";
    let why = texts(&mut client, why).unwrap();
    assert_eq!(why, ["permission denied for table pipeline_execution_log"]);
    assert_complete(&mut client);
    assert_eq!(texts(&mut client, "SELECT DISTINCT who FROM public.seen").unwrap(), [application.as_str()]);
    assert_eq!(count(&mut client, "staging.moneylines WHERE processed_at < '2000-01-01'"), 0);
    // Our own table has the run alone.
    assert_eq!(count(&mut client, "public.pipeline_execution_log"), 0);
    assert_eq!(count(&mut client, "groundskeeper.migration_runs WHERE state = 'completed'"), 3);
    for statement in [
        "TABLE groundskeeper.migration_failures",
        "DELETE FROM groundskeeper.migration_progress",
        "UPDATE groundskeeper.migration_runs SET failed = 0",
        "SELECT groundskeeper.rescore('staging.totals')",
    ] {
        assert_eq!(refusal(&mut as_application, statement).unwrap().code, "42501", "{statement}");
    }
    // Nobody goes on with a run of somebody else's.
    let run = text(&mut client, "SELECT max(run_id) FROM groundskeeper.migration_runs").unwrap();
    client
        .batch_execute(&format!(
            "UPDATE groundskeeper.migration_runs SET state = 'running' WHERE run_id = {run}"
        ))
        .unwrap();
    let step = format!("SELECT groundskeeper_internal.migration_step({run}, 0)");
    assert_eq!(text(&mut db.client_as(&application).unwrap(), &step).unwrap(), "done");
    assert_eq!(count(&mut client, "groundskeeper.migration_runs WHERE state = 'running'"), 1);
}

#[test]
fn without_a_right_on_a_table_it_ends_with_that_error() {
    let (mut db, mut client) = installed(Template::ShapeA);
    let application = db.role("application").unwrap();
    simulate(&mut client, 1_000);
    client
        .batch_execute(&format!(
            "{GRANT} {application}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA staging TO {application};
             REVOKE INSERT ON staging.spreads FROM PUBLIC"
        ))
        .unwrap();
    let mut as_application = db.client_as(&application).unwrap();
    let refused = refusal(&mut as_application, CALL).unwrap();
    assert_eq!(
        (refused.code.as_str(), refused.message.as_str()),
        ("42501", "permission denied for table spreads")
    );
    assert_eq!(count(&mut client, "groundskeeper.migration_failures"), 0);
    let states = "SELECT string_agg(state, ' ' ORDER BY run_id) FROM groundskeeper.migration_runs";
    assert_eq!(text(&mut client, states).unwrap(), "completed failed failed");
}

#[test]
fn policies_that_hide_rows_are_an_error_and_no_duplicates() {
    let (mut db, mut client) = installed(Template::ShapeA);
    let application = db.role("application").unwrap();
    simulate(&mut client, 1_000);
    client
        .batch_execute(&format!(
            "{GRANT} {application}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA staging TO {application};
             ALTER TABLE staging.moneylines ENABLE ROW LEVEL SECURITY;
             CREATE POLICY writes ON staging.moneylines FOR INSERT WITH CHECK (true)"
        ))
        .unwrap();
    let refused = refusal(&mut db.client_as(&application).unwrap(), CALL).unwrap();
    assert_eq!(refused.code, "42501", "{refused:?}");
    assert!(refused.message.contains("row-level security"), "{refused:?}");
    assert_eq!(count(&mut client, "staging.moneylines"), 0);
}
