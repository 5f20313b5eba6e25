//! What the catalogs' facts mean for an item: the states of `plan_status()`.

use super::item::{Action, ColumnNeed, Family};
use crate::names::Qualified;

pub use super::budget::Budget;

/// The state of an item, as `plan_status()` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// What the item wants is there.
    Applied,
    /// It fits and is not there yet.
    Pending,
    /// A job has it.
    Queued,
    /// An object is missing or unfit; the detail names it.
    Blocked,
    /// The name is taken by something with another definition.
    Conflict,
    /// Not needed here; the detail says why.
    NotApplicable,
    /// What was made has been changed since; the detail says how.
    Drifted,
    /// Not wanted, says an operator.
    Declined,
}

impl State {
    /// The word in `plan_status()`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Blocked => "blocked",
            Self::Conflict => "conflict",
            Self::NotApplicable => "not_applicable",
            Self::Drifted => "drifted",
            Self::Declined => "declined",
        }
    }
}

/// A state and, where there is something to say, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The state.
    pub state: State,
    /// The reason or circumstance, for a person to act on.
    pub detail: Option<String>,
    /// The relation that is what the item wants, where it has another name.
    pub found_as: Option<Qualified>,
}

impl Verdict {
    /// A state that needs no words.
    #[must_use]
    pub fn plain(state: State) -> Self {
        Self { state, detail: None, found_as: None }
    }

    /// A state and its reason.
    #[must_use]
    pub fn because(state: State, detail: impl Into<String>) -> Self {
        Self { state, detail: Some(detail.into()), found_as: None }
    }
}

/// What the catalog says of a column that an item needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ColumnFact {
    /// The relation does not exist.
    NoRelation,
    /// The relation has no such column.
    NoColumn,
    /// The column's type, as PostgreSQL writes it, and its category.
    Type(String, char),
}

/// Why a needed column does not fit, if it does not.
#[must_use]
pub fn unmet_need(need: &ColumnNeed, own: &Qualified, fact: &ColumnFact) -> Option<String> {
    let relation = need.relation.as_ref().unwrap_or(own);
    match fact {
        ColumnFact::NoRelation => Some(format!("relation {relation} does not exist")),
        ColumnFact::NoColumn => Some(format!("relation {relation} has no column {}", need.column)),
        ColumnFact::Type(type_name, category) => {
            let family: Family = need.family?;
            (*category != family.category()).then(|| {
                format!("column {relation}.{} is {type_name}, {} is needed", need.column, family.noun())
            })
        }
    }
}

/// Why what stands in the place of an item's relation cannot be what the item is about, if so. `kind` is
/// `pg_class.relkind`.
#[must_use]
pub fn unfit_relation(action: &Action, relation: &Qualified, kind: char) -> Option<String> {
    let fits = match action {
        Action::WidenNumeric { .. }
        | Action::CheckConstraint { .. }
        | Action::PartitionedTable { .. }
        | Action::Migration => matches!(kind, 'r' | 'p'),
        Action::Index(_) | Action::ExpressionIndex(_) | Action::Statistics => matches!(kind, 'r' | 'p' | 'm'),
        // what has the name of a view is judged by its definition; the rest is about no relation
        Action::View { .. }
        | Action::MaterializedView { .. }
        | Action::MonitoringView
        | Action::RoleSetting { .. }
        | Action::DroppedIndex { .. } => true,
    };
    let article = if matches!(kind, 'i' | 'I') { "an" } else { "a" };
    (!fits).then(|| format!("{relation} is {article} {}, a table is needed", noun(kind)))
}

/// What a message calls a relation of that `pg_class.relkind`.
#[must_use]
pub fn noun(kind: char) -> &'static str {
    match kind {
        'v' => "view",
        'm' => "materialized view",
        'r' | 'p' => "table",
        'i' | 'I' => "index",
        'S' => "sequence",
        'f' => "foreign table",
        _ => "relation",
    }
}

/// A numeric column's declared digits; `None` where it is declared without.
pub type Digits = Option<(i32, i32)>;

/// Whether a numeric column is wide enough, can be widened without a rewrite, or neither.
#[must_use]
pub fn widening(column: &str, digits: Digits, precision: i32, scale: i32) -> Verdict {
    let wanted = format!("numeric({precision},{scale})");
    match digits {
        None => Verdict::because(
            State::NotApplicable,
            format!("{column} is numeric without limits, wider than the plan asks"),
        ),
        Some((p, s)) if s == scale && p >= precision => Verdict::plain(State::Applied),
        Some((_, s)) if s == scale => Verdict::plain(State::Pending),
        Some((p, s)) if s > scale => Verdict::because(
            State::Blocked,
            format!(
                "{column} is numeric({p},{s}): as {wanted} it would lose {} of its {s} decimals by rounding; \
                 widen it by hand to numeric({},{s}) if scores above {} are to fit",
                s - scale,
                precision - scale + s,
                highest(p, s),
            ),
        ),
        Some((p, s)) => Verdict::because(
            State::Blocked,
            format!(
                "{column} is numeric({p},{s}): {wanted} has another scale, so the table would be rewritten \
                 under ACCESS EXCLUSIVE; alter it by hand in a maintenance window"
            ),
        ),
    }
}

/// The highest value that `numeric(precision, scale)` holds, in decimal notation.
fn highest(precision: i32, scale: i32) -> String {
    let nines = |n: i32| "9".repeat(usize::try_from(n).unwrap_or(0));
    let whole = if precision > scale { nines(precision - scale) } else { "0".to_owned() };
    if scale > 0 { format!("{whole}.{}", nines(scale)) } else { whole }
}

/// A CHECK constraint found on the item's table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckFact {
    /// Its name.
    pub name: String,
    /// Whether it says what the item says.
    pub same_definition: bool,
    /// Whether it has been validated.
    pub validated: bool,
}

/// How far a CHECK constraint of the plan is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckProgress {
    /// Nothing left to do, or nothing that can be done.
    Settled(Verdict),
    /// It is to be added.
    Absent,
    /// It exists under that name, enforced for new rows only.
    NotValid(String),
}

/// Judges the CHECK constraints of a table against the wanted one.
#[must_use]
pub fn check(name: &str, found: &[CheckFact]) -> CheckProgress {
    let same = found.iter().filter(|c| c.same_definition);
    if let Some(valid) = same.clone().filter(|c| c.validated).min_by_key(|c| c.name != name) {
        return CheckProgress::Settled(applied_as(name, &valid.name));
    }
    if let Some(not_valid) = same.clone().next() {
        return CheckProgress::NotValid(not_valid.name.clone());
    }
    if found.iter().any(|c| c.name == name) {
        let detail = format!("constraint {name} exists with another definition and is left as it is");
        return CheckProgress::Settled(Verdict::because(State::Conflict, detail));
    }
    CheckProgress::Absent
}

/// An index found on the item's relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFact {
    /// Its name.
    pub name: String,
    /// Whether it has the wanted keys, predicate, method and uniqueness.
    pub same_definition: bool,
    /// Whether it begins with the wanted keys and holds every row.
    pub serves: bool,
    /// Whether queries may use it: valid, ready and live.
    pub valid: bool,
}

/// Judges the indexes of a relation against the wanted one. `name_taken` is what else has its name in the
/// schema, such as `index staging.x on staging.y`; `prefix_will_do` as in [`super::item::Index`].
#[must_use]
pub fn index(name: &str, prefix_will_do: bool, found: &[IndexFact], name_taken: Option<&str>) -> Verdict {
    let same = |i: &&IndexFact| i.same_definition && i.valid;
    if let Some(valid) = found.iter().filter(same).min_by_key(|i| i.name != name) {
        return applied_as(name, &valid.name);
    }
    if prefix_will_do && let Some(other) = found.iter().find(|i| i.serves && i.valid) {
        let detail = format!("index {} begins with the same keys and serves", other.name);
        return Verdict::because(State::NotApplicable, detail);
    }
    if let Some(taken) = name_taken {
        return Verdict::because(
            State::Conflict,
            format!("the name is taken by {taken}, which is left as it is"),
        );
    }
    match found.iter().find(|i| i.name == name) {
        Some(leftover) if leftover.same_definition => Verdict::because(
            State::Pending,
            "an INVALID index of this name, left by a failed build, is to be dropped and built again",
        ),
        Some(_) => Verdict::because(
            State::Conflict,
            format!("index {name} exists with another definition and is left as it is"),
        ),
        None => Verdict::plain(State::Pending),
    }
}

/// A view or materialized view found in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewFact {
    /// Its name.
    pub name: Qualified,
    /// What it is, as a message names it: `view`, `table`, ...
    pub what: &'static str,
    /// Whether it is of the wanted kind and its query says what the item says.
    pub same_definition: bool,
}

/// Judges relations against the wanted view: the one of its name, and those that say the same.
#[must_use]
pub fn view(name: &Qualified, found: &[ViewFact]) -> Verdict {
    let own_name_first = |v: &&ViewFact| v.name != *name;
    if let Some(same) = found.iter().filter(|v| v.same_definition).min_by_key(own_name_first) {
        let verdict = applied_as(&name.to_string(), &same.name.to_string());
        return Verdict { found_as: (same.name != *name).then(|| same.name.clone()), ..verdict };
    }
    match found.iter().find(|v| v.name == *name) {
        Some(other) => Verdict::because(
            State::Conflict,
            format!("a {} of this name exists with another definition and is left as it is", other.what),
        ),
        None => Verdict::plain(State::Pending),
    }
}

fn applied_as(wanted: &str, found: &str) -> Verdict {
    if wanted == found {
        Verdict::plain(State::Applied)
    } else {
        Verdict::because(State::Applied, format!("as {found}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn an_index(name: &str, same: bool, valid: bool) -> IndexFact {
        IndexFact { name: name.into(), same_definition: same, serves: same, valid }
    }

    #[test]
    fn widening_knows_what_rewrites_and_what_rounds() {
        assert_eq!(widening("c", Some((3, 2)), 5, 2).state, State::Pending);
        assert_eq!(widening("c", Some((5, 2)), 5, 2).state, State::Applied);
        assert_eq!(widening("c", Some((7, 2)), 5, 2).state, State::Applied);
        assert_eq!(widening("c", None, 5, 2).state, State::NotApplicable);
        let rounds = widening("c", Some((4, 3)), 5, 2);
        assert_eq!(rounds.state, State::Blocked);
        assert!(rounds.detail.unwrap().contains("lose 1 of its 3 decimals"));
        assert_eq!(widening("c", Some((5, 1)), 5, 2).state, State::Blocked);
    }

    proptest! {
        #[test]
        fn widening_never_narrows_nor_rounds(p in 1..20i32, s in 0..10i32) {
            prop_assume!(s <= p);
            if widening("c", Some((p, s)), 5, 2).state == State::Pending {
                prop_assert!(s == 2 && p < 5);
            }
        }

        #[test]
        fn an_invalid_index_is_never_applied(valid: bool, same: bool, other_valid: bool) {
            let found = [an_index("i", same, valid), an_index("j", false, other_valid)];
            let applied = index("i", false, &found, None).state == State::Applied;
            prop_assert_eq!(applied, same && valid);
        }
    }

    #[test]
    fn an_equivalent_index_counts_whatever_its_name() {
        let verdict = index("i", false, &[an_index("by_hand", true, true)], None);
        assert_eq!(verdict, Verdict::because(State::Applied, "as by_hand"));
        assert_eq!(index("i", false, &[an_index("i", false, true)], None).state, State::Conflict);
        assert_eq!(index("i", false, &[], Some("table s.i")).state, State::Conflict);
        assert_eq!(index("i", false, &[an_index("i", true, false)], None).state, State::Pending);
    }

    #[test]
    fn a_serving_prefix_is_enough_only_where_the_item_says_so() {
        let serves = IndexFact { name: "wide".into(), same_definition: false, serves: true, valid: true };
        assert_eq!(index("i", true, std::slice::from_ref(&serves), None).state, State::NotApplicable);
        assert_eq!(index("i", false, &[serves], None).state, State::Pending);
    }

    #[test]
    fn a_view_under_another_name_is_told_where_it_is() {
        let name = |text: &str| Qualified::try_from(text.to_owned()).unwrap();
        let fact = |text: &str, same| ViewFact { name: name(text), what: "view", same_definition: same };
        let wanted = name("s.v");
        assert_eq!(view(&wanted, &[]).state, State::Pending);
        assert_eq!(view(&wanted, &[fact("s.v", false)]).state, State::Conflict);
        assert_eq!(view(&wanted, &[fact("s.a", true), fact("s.v", true)]), Verdict::plain(State::Applied));
        assert_eq!(view(&wanted, &[fact("s.a", true)]).found_as, Some(name("s.a")));
    }

    #[test]
    fn checks_are_told_apart_by_definition_and_validity() {
        let fact =
            |name: &str, same, validated| CheckFact { name: name.into(), same_definition: same, validated };
        assert_eq!(check("c", &[]), CheckProgress::Absent);
        assert_eq!(check("c", &[fact("d", true, false)]), CheckProgress::NotValid("d".into()));
        let settled = |found: &[CheckFact]| match check("c", found) {
            CheckProgress::Settled(verdict) => verdict.state,
            other => panic!("{other:?}"),
        };
        assert_eq!(settled(&[fact("d", true, false), fact("e", true, true)]), State::Applied);
        assert_eq!(settled(&[fact("c", false, true)]), State::Conflict);
    }

    #[test]
    fn what_is_no_table_has_no_columns_to_be_changed() {
        let name = Qualified::try_from("staging.games".to_owned()).unwrap();
        let widen = Action::WidenNumeric { column: "c".into(), precision: 5, scale: 2 };
        assert_eq!(unfit_relation(&widen, &name, 'p'), None);
        let unfit = unfit_relation(&widen, &name, 'f').unwrap();
        assert_eq!(unfit, "staging.games is a foreign table, a table is needed");
        assert!(unfit_relation(&Action::Statistics, &name, 'v').is_some());
        assert_eq!(unfit_relation(&Action::Statistics, &name, 'm'), None);
    }

    #[test]
    fn needs_name_what_is_missing() {
        let own = Qualified::try_from("staging.moneylines".to_owned()).unwrap();
        let need = ColumnNeed::try_from("game_id: number".to_owned()).unwrap();
        let says = |fact| unmet_need(&need, &own, &fact);
        assert_eq!(says(ColumnFact::Type("integer".into(), 'N')), None);
        assert_eq!(says(ColumnFact::NoRelation).unwrap(), "relation staging.moneylines does not exist");
        assert_eq!(says(ColumnFact::NoColumn).unwrap(), "relation staging.moneylines has no column game_id");
        assert_eq!(
            says(ColumnFact::Type("character varying(255)".into(), 'S')).unwrap(),
            "column staging.moneylines.game_id is character varying(255), a number is needed"
        );
    }
}
