//! The schedule calls the extension's functions, whatever else has their names.

use groundskeeper_tests::sql::text;

use super::installed;

#[test]
fn planted_overloads_neither_win_nor_stop_maintenance() {
    let (mut db, mut client) = installed();
    let attacker = db.role("attacker").unwrap();
    client.batch_execute(&format!("GRANT CREATE ON SCHEMA public TO {attacker}; CREATE TABLE public.ran (what text); GRANT INSERT ON public.ran TO PUBLIC")).unwrap();
    let plant = |arguments: &str, name: &str| {
        format!(
            "CREATE FUNCTION public.{name}({arguments}) RETURNS integer LANGUAGE sql
                AS $$ INSERT INTO public.ran VALUES ('{name}({arguments})') RETURNING 1 $$;"
        )
    };
    let planted: String = ["update_table_statistics", "create_monthly_partitions"]
        .iter()
        .flat_map(|name| {
            [
                "",
                "bigint DEFAULT 3",
                "text DEFAULT ''",
                "VARIADIC integer[]",
                "integer, text DEFAULT ''",
                "boolean, text DEFAULT ''",
            ]
            .map(|arguments| plant(arguments, name))
        })
        .collect();
    db.client_as(&attacker).unwrap().batch_execute(&planted).unwrap();
    let commands = "SELECT string_agg(command, ';') FROM groundskeeper.schedule WHERE job_name IN ('statistics', 'partitions')";
    let commands = text(&mut client, commands).unwrap();
    assert_eq!(commands.matches("SELECT groundskeeper.").count(), 2, "{commands}");
    client.batch_execute(&commands).unwrap();
    assert_eq!(text(&mut client, "SELECT string_agg(what, ', ') FROM public.ran").unwrap(), "");
}
