//! The install script resolves nothing by the path.

use std::process::Command;

use groundskeeper_tests::sql::text;
use groundskeeper_tests::{Template, TestDb, python};

use super::{counted, list};

/// Better matches of every operator and of the functions that take any type, planted where the extension is to be.
const TRAPS: &str = r#"
    CREATE SEQUENCE public.sprung; GRANT USAGE ON SEQUENCE public.sprung TO PUBLIC;
    CREATE FUNCTION public.spring() RETURNS void LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_catalog.nextval('public.sprung'); END $$;
    DO $$
    DECLARE
        types text[] := '{name,text,oid,regclass,regnamespace,regprocedure,"char",bool,int2,int4,int8,float8,numeric,timestamptz,interval,date,text[],oid[],int2[],int8[],int2vector,jsonb,xid,pg_node_tree,inet}';
        l text; r text; o text; result text; n integer := 0;
    BEGIN
        FOREACH l IN ARRAY types LOOP FOREACH r IN ARRAY types LOOP
            FOREACH o IN ARRAY '{=,<>,<,>,<=,>=,||,+,-,*,/,~,~~,<@,@>}'::text[] LOOP
                CONTINUE WHEN EXISTS (SELECT FROM pg_operator WHERE oprname = o AND oprnamespace = 'pg_catalog'::regnamespace
                                         AND oprleft = l::regtype AND oprright = r::regtype);
                result := CASE WHEN o = '||' THEN 'text' WHEN o IN ('+', '-', '*', '/') THEN 'numeric' ELSE 'boolean' END;
                n := n + 1;
                EXECUTE pg_catalog.format('CREATE FUNCTION public.%I(%s, %s) RETURNS %s LANGUAGE plpgsql AS %L', 'trap_' || n::text, l, r, result,
                    pg_catalog.format('BEGIN PERFORM public.spring(); RETURN %s; END',
                           CASE result WHEN 'text' THEN '$1::text || $2::text' WHEN 'numeric' THEN '1'
                                ELSE pg_catalog.format('$1::text %s $2::text', CASE WHEN o IN ('<@', '@>') THEN '=' ELSE o END) END));
                EXECUTE pg_catalog.format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.%I)', o, l, r, 'trap_' || n::text);
            END LOOP;
        END LOOP; END LOOP;
        -- functions: exact matches where PostgreSQL's own take any type or a list
        FOR l IN SELECT unnest('{format,concat,concat_ws}'::text[]) LOOP
            FOR n IN 1..4 LOOP
                EXECUTE pg_catalog.format('CREATE FUNCTION public.%I(%s) RETURNS text LANGUAGE plpgsql AS %L', l,
                               array_to_string(array_fill('text'::text, ARRAY[n]), ', '), 'BEGIN PERFORM public.spring(); RETURN $1; END');
            END LOOP;
        END LOOP;
        FOREACH l IN ARRAY '{oid,bigint,text,name,integer}'::text[] LOOP
            EXECUTE pg_catalog.format('CREATE FUNCTION public.collect(%1$s[], %1$s) RETURNS %1$s[] LANGUAGE plpgsql AS %2$L', l,
                           'BEGIN PERFORM public.spring(); RETURN $1 || $2; END');
            EXECUTE pg_catalog.format('CREATE AGGREGATE public.array_agg(%1$s) (SFUNC = public.collect, STYPE = %1$s[])', l);
        END LOOP;
    END $$;
    -- what an installation looks at
    CREATE SCHEMA attacker;
    CREATE FUNCTION attacker.update_table_statistics() RETURNS integer LANGUAGE sql AS 'SELECT 1'"#;

/// Of the extension's objects, those that hold on to something of the target schema, and what that is.
const CAUGHT: &str = "
    WITH ours AS (
        SELECT d.classid, d.objid FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
        UNION
        SELECT 'pg_rewrite'::regclass, r.oid FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.ev_class AND d.deptype = 'e'
          JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper')
    SELECT pg_describe_object(d.classid, d.objid, 0) || ' depends on ' || pg_describe_object(d.refclassid, d.refobjid, 0)
      FROM ours JOIN pg_depend d USING (classid, objid)
      LEFT JOIN pg_proc p ON d.refclassid = 'pg_proc'::regclass AND p.oid = d.refobjid
      LEFT JOIN pg_operator o ON d.refclassid = 'pg_operator'::regclass AND o.oid = d.refobjid
     WHERE 'public'::regnamespace IN (p.pronamespace, o.oprnamespace)";

#[test]
fn planted_functions_and_operators_are_not_taken() {
    let mut db = TestDb::new(Template::Empty).unwrap();
    let attacker = db.role("attacker").unwrap();
    let mut client = db.client().unwrap();
    // its owner may create in schema public, and is no superuser; planting has sprung some of the traps
    client.batch_execute(&format!("ALTER DATABASE {} OWNER TO {attacker}", db.name())).unwrap();
    db.client_as(&attacker).unwrap().batch_execute(TRAPS).unwrap();
    client
        .batch_execute(
            "SELECT pg_catalog.setval('public.sprung', 1, false);
                        CREATE EXTENSION pg_groundskeeper SCHEMA public; SET search_path = pg_catalog",
        )
        .unwrap();
    assert_eq!(list(&mut client, CAUGHT), [""; 0]);
    let views =
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.deptype = 'e'
                   JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_groundskeeper'
                  WHERE c.relkind = 'v' ORDER BY 1";
    for view in list(&mut client, views) {
        client.batch_execute(&format!("TABLE {view}")).unwrap();
    }
    assert_eq!(counted(&mut client, "public.sprung"), 0);
    let home = "SELECT string_agg(DISTINCT p.pronamespace::regnamespace::text, ' ') FROM pg_proc p
                 WHERE proname IN ('create_monthly_partitions', 'update_table_statistics') AND pronamespace <> 'attacker'::regnamespace";
    assert_eq!(text(&mut client, home).unwrap(), "groundskeeper public");
    // the traps are ones: this is what the script would have sprung
    client
        .batch_execute(
            "RESET search_path; SELECT FROM pg_namespace n WHERE n.oid = to_regnamespace('public')",
        )
        .unwrap();
    assert!(counted(&mut client, "public.sprung") > 0);
}

#[test]
fn the_script_passes_the_checker_of_scripts() {
    let (_db, mut client) = super::installed();
    let script = "SELECT p.setting || '/extension/pg_groundskeeper--' || e.extversion || '.sql'
                    FROM pg_config p, pg_extension e WHERE p.name = 'SHAREDIR' AND e.extname = 'pg_groundskeeper'";
    let script = text(&mut client, script).unwrap();
    assert_passes_the_checker(&script, &[]);
}

/// Asserts that the checker of scripts finds nothing, but for what a script may do.
pub fn assert_passes_the_checker(script: &str, ignored: &[&str]) {
    let python = python::interpreter(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let output = Command::new(python)
        .args(["-I", "-c", CHECKER, script])
        // It looks a name of the statement up, as the caller does, and qualifies all of its own.
        .args(["--proc-without-search-path", "groundskeeper_internal.guard_detach_concurrently()"])
        .args(ignored.iter().flat_map(|code| ["--ignore", code]))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let whole = "Errors: 0 Warnings: 0 Unknown: 0";
    let died = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    assert_eq!(died.trim(), whole, "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// The checker cannot read bodies in standard SQL, whose names were bound when the script ran, nor procedures that commit,
/// which may not pin their path: every name in those is qualified, as their own tests with planted functions show.
const CHECKER: &str = "
from pgspot import cli, visitors
kind = visitors.SQLVisitor
whole = kind.visit_CreateFunctionStmt
def visit(self, ancestors, node):
    if not node.is_procedure and any(option.defname == 'as' for option in node.options):
        return whole(self, ancestors, node)
kind.visit_CreateFunctionStmt = visit
cli.run()";
