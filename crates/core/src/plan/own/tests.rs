//! Items as users write them.

use super::*;
use crate::plan::Plan;
use proptest::prelude::*;

fn unfit(value: &Value) -> String {
    read(value).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named() {
    let check = json!({"relation": "app.t", "kind": "check_constraint", "name": "c", "expression": "a > 0"});
    assert_eq!(read(&check).unwrap().id(), "own.app.t.c");
    let with = |field: &str, value: Value| {
        let mut item = check.clone();
        item[field] = value;
        unfit(&item)
    };
    assert_eq!(unfit(&json!([1])), "field \"item\" is no object");
    assert!(unfit(&json!({"relation": "app.t"})).starts_with("field \"kind\" is missing"));
    assert!(with("kind", json!("role_setting")).contains("apply_server_settings()"));
    assert!(with("kind", json!("magic")).contains("not one of widen_numeric"));
    assert!(
        with("colour", json!("red")).starts_with("field \"colour\" is none of the kind check_constraint")
    );
    assert_eq!(with("expression", json!("  ")), "field \"expression\" is empty");
    assert_eq!(
        with("expression", json!(null)),
        "field \"expression\" is missing: the kind check_constraint must have it"
    );
    assert_eq!(with("name", json!(7)), "field \"name\" is no text");
    assert_eq!(with("name", json!("x".repeat(64))), "field \"name\" is a name of more than 63 bytes");
    assert!(with("relation", json!("t")).contains("schema.relation"));
    assert!(with("relation", json!({"schema": "a"})).contains("no name"));
    assert_eq!(with("needs", json!(["a", 1])), "field \"needs\" has an element that is no text");
    assert!(with("section", json!("a\nb")).contains("control character"));
}

#[test]
fn numbers_and_widths_make_sense() {
    let widen = |precision: i64, scale: i64| json!({"relation": "a.b", "kind": "widen_numeric", "column": "c", "precision": precision, "scale": scale});
    assert!(read(&widen(5, 2)).is_ok());
    assert!(unfit(&widen(0, 0)).contains("precision"));
    assert!(unfit(&widen(5, 6)).contains("scale"));
    assert!(unfit(&widen(1 << 40, 6)).contains("no whole number"));
    let table = |interval: Value| json!({"relation": "a.b", "kind": "partitioned_table", "key": "d", "interval": interval});
    assert!(read(&table(json!(null))).is_ok());
    assert!(unfit(&table(json!("fortnight"))).contains("interval"));
    assert!(unfit(&json!({"relation": "a.b", "kind": "index", "name": "i"})).contains("keys"));
}

#[test]
fn a_word_of_the_statistics_is_an_item() {
    for value in [
        json!({"statistics": "a.b"}),
        json!({"statistics": ["a.b"]}),
        json!({"kind": "statistics", "relation": "a.b"}),
    ] {
        assert_eq!(read(&value).unwrap().id(), "own.a.b.statistics");
    }
    assert!(unfit(&json!({"statistics": ["a.b", "a.c"]})).contains("an item of its own"));
}

#[test]
fn a_name_with_a_dot_is_a_pair() {
    let item = read(&json!({"statistics": {"schema": "a.b", "name": "c"}})).unwrap();
    assert_eq!(definition(&item).unwrap()["relation"], json!({"schema": "a.b", "name": "c"}));
    assert_eq!(import(&export(std::slice::from_ref(&item)).unwrap()).unwrap(), [item]);
}

#[test]
fn the_built_in_plan_is_written_and_read_again() {
    let added = |item: &&Item| fields_of(item.action.kind()).is_ok();
    let items: Vec<Item> = Plan::built_in().unwrap().items.iter().filter(added).cloned().collect();
    assert!(items.len() > 30);
    assert_eq!(import(&export(&items).unwrap()).unwrap(), items);
}

#[test]
fn a_file_that_says_more_is_refused() {
    assert!(import("x").unwrap_err().to_string().contains("no TOML"));
    assert!(import("[pool]\nmin_connections = 5").unwrap_err().to_string().contains("pool"));
    assert!(import("schemas = [\"a\"]").unwrap_err().to_string().contains("\"schemas\" is none of a plan"));
    let unfit = import("[[items]]\nkind = \"view\"\nrelation = \"a.b\"").unwrap_err();
    assert_eq!(unfit.field, "items[1].query");
    assert!(import("statistics = [\"a.b\", \"a.b\"]").unwrap_err().to_string().contains("twice"));
    assert_eq!(import("").unwrap(), []);
}

/// Fields of an item of any kind, with whatever texts and names.
fn fields() -> impl Strategy<Value = Value> {
    let text = || "\\PC{1,12}|[ -~\n\r\t]{1,12}|[a-z.: \"'\\\\]{1,8}";
    let name = || prop_oneof!["[a-z]{1,6}", "\\PC{1,8}", "[a-z.\"' ]{1,8}"];
    let relation = (name(), name()).prop_map(|(schema, name)| json!({"schema": schema, "name": name}));
    let needs = prop::collection::vec(
        prop_oneof![
            "[a-z]{1,4}",
            "[a-z]{1,4}: (number|string|datetime)",
            "[a-z]{1,3}\\.[a-z]{1,3}\\.[a-z]{1,3}: number"
        ],
        0..3,
    );
    let own = (0..8usize, text(), prop::collection::vec(text(), 1..3), any::<bool>(), 1..1000i32, name());
    (relation, name(), prop::option::of(text()), needs, own).prop_map(
        |(relation, name, section, needs, own)| {
            let (kind, text, texts, flag, number, other) = own;
            let mut item = match kind {
                0 => json!({"column": name, "precision": number, "scale": number / 2}),
                1 => json!({"name": name, "expression": text}),
                2 if flag => {
                    json!({"name": name, "references": {"schema": other, "name": name}, "or_first_of": texts})
                }
                2 => json!({"name": name, "keys": texts, "predicate": text, "unless_served": true}),
                3 => json!({"name": name, "keys": texts, "unique": flag}),
                4 => json!({"query": text, "options": other, "accepts": texts}),
                5 => json!({"query": text, "accepts": texts}),
                6 => json!({"key": name, "interval": if flag { "week" } else { "year" }}),
                _ => json!({}),
            };
            item["kind"] = json!(KINDS[kind].0);
            item["relation"] = relation;
            item["needs"] = json!(needs);
            item["section"] = json!(section);
            item
        },
    )
}

proptest! {
    #[test]
    fn whatever_is_read_is_written_and_read_again(items in prop::collection::vec(fields(), 1..6)) {
        let mut items: Vec<Item> = items.iter().filter_map(|item| read(item).ok()).collect();
        items.sort_by_key(Item::id);
        items.dedup_by_key(|item| item.id());
        for item in &items {
            prop_assert_eq!(&read(&definition(item).unwrap()).unwrap(), item);
        }
        let mut again = import(&export(&items).unwrap()).unwrap();
        again.sort_by_key(Item::id);
        prop_assert_eq!(again, items);
    }
}

#[test]
fn what_statistics_need_is_written_too() {
    let item = read(&json!({"statistics": "a.b", "needs": ["c: number"]})).unwrap();
    assert_eq!(import(&export(std::slice::from_ref(&item)).unwrap()).unwrap(), [item]);
}
