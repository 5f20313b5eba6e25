//! What stands on a column: views to be saved and recreated, and what cannot be.

use crate::error::Result;
use crate::extension::as_owner;
use crate::sql::{self, required};
use groundskeeper_core::deparsed::read_back_same;
use pgrx::pg_sys::Oid;

/// The views and materialized views on a column, and what rules out changing the column's type.
#[derive(Debug, Clone, Default)]
pub struct Dependents {
    /// DROP statements, the outermost view first.
    pub drops: Vec<String>,
    /// The statements that make them again, the innermost view first.
    pub recreates: Vec<String>,
    /// Objects that are in the way, as PostgreSQL describes them.
    pub obstacles: Vec<String>,
    /// Populated materialized views, which recreating would compute again.
    pub refill: Vec<Oid>,
    /// Partial and expression indexes, which PostgreSQL builds again when the type changes.
    pub rebuilt: Vec<String>,
}

/// Looks up all that depends on a column, directly or through views.
pub fn dependents_of_column(relation: Oid, attnum: i16) -> Result<Dependents> {
    let views: Vec<Oid> =
        sql::kept(include_str!("dependents.sql"), &[relation.into(), i32::from(attnum).into()], |row| {
            required(row, 1)
        })?;
    let obstacles = sql::kept_texts(
        include_str!("obstacles.sql"),
        &[relation.into(), i32::from(attnum).into(), views.clone().into()],
    )?;
    let rebuilt = sql::kept_texts(
        "SELECT c.relname::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
          WHERE i.indrelid = $1 AND (i.indpred IS NOT NULL OR i.indexprs IS NOT NULL)
            AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = i.indexrelid
                           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                           AND d.refobjid = $1 AND d.refobjsubid = $2)
          ORDER BY 1",
        &[relation.into(), i32::from(attnum).into()],
    )?;
    let mut out = Dependents { obstacles, rebuilt, ..Dependents::default() };
    for view in &views {
        let Some(found) = super::relation_by_oid(*view)? else { continue };
        let what = if found.kind == 'm' { "MATERIALIZED VIEW" } else { "VIEW" };
        out.drops.insert(0, format!("DROP {what} {}", found.quoted));
        out.recreates.extend(definition(*view)?);
        if found.kind == 'm' && found.populated {
            out.refill.push(*view);
        }
    }
    Ok(out)
}

/// The statements that make a view again exactly as it is.
pub fn definition(view: Oid) -> Result<Vec<String>> {
    let creator = creator_without_default_privileges(view)?;
    let statements = sql::kept_texts(include_str!("relation_ddl.sql"), &[view.into(), creator.into()])?;
    Ok(statements.iter().map(|statement| read_back_same(statement)).collect())
}

/// What depends on a relation, or on the rows' type that comes with it, and would be dropped with it: as PostgreSQL
/// describes it, but for relations that are to be dropped as well.
pub fn depend_on(relation: Oid, but_for: &[Oid]) -> Result<Vec<String>> {
    sql::kept_texts(
        "SELECT DISTINCT CASE WHEN w.ev_class IS NULL THEN pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
                     ELSE pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0) END
           FROM pg_catalog.pg_class c
           LEFT JOIN pg_catalog.pg_type t ON t.oid = c.reltype
           JOIN pg_catalog.pg_depend d
             ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid
             OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (t.oid, t.typarray)
           LEFT JOIN pg_catalog.pg_rewrite w
             ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid
          WHERE c.oid = $1 AND d.deptype = 'n' AND w.ev_class IS DISTINCT FROM c.oid
            AND (w.ev_class IS NULL OR NOT w.ev_class = ANY ($2))
          ORDER BY 1",
        &[relation.into(), but_for.to_vec().into()],
    )
}

/// Of these relations, those that have the privileges of who has none: they have none again, as before they were made
/// again by a role with default privileges. What anybody may do stays the same.
pub fn forget_default_acls(statements: &[String]) -> Result<()> {
    let granted = |statement: &String| {
        let (relation, _) = statement.strip_prefix("GRANT ALL ON ")?.rsplit_once(" TO ")?;
        Some(relation.to_owned())
    };
    let relations: Vec<String> = statements.iter().filter_map(granted).collect();
    if relations.is_empty() {
        return Ok(());
    }
    let update = "UPDATE pg_catalog.pg_class c SET relacl = NULL
                   WHERE c.oid IN (SELECT pg_catalog.to_regclass(r) FROM pg_catalog.unnest($1::text[]) r)
                     AND c.relkind IN ('v', 'm') AND c.relacl = pg_catalog.acldefault('r', c.relowner)";
    as_owner(|| sql::run(update, &[relations.into()]))
}

/// Who must create the view so that its ACL stays NULL: default privileges of the creating role would fill it.
/// `None` where the current role will do, or where nobody else may.
fn creator_without_default_privileges(view: Oid) -> Result<Option<String>> {
    sql::kept_first(
        "WITH defaults AS (
             SELECT d.defaclrole FROM pg_catalog.pg_default_acl d, pg_catalog.pg_class c
              WHERE c.oid = $1 AND d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, c.relnamespace))
         SELECT a.rolname::text
           FROM pg_catalog.pg_class c, pg_catalog.pg_roles a
          WHERE c.oid = $1 AND c.relacl IS NULL
            AND EXISTS (SELECT FROM defaults JOIN pg_catalog.pg_roles me ON me.oid = defaclrole
                         WHERE me.rolname = CURRENT_USER)
            AND a.oid NOT IN (SELECT defaclrole FROM defaults)
            AND pg_catalog.pg_has_role(a.oid, 'MEMBER')
            -- a list of privileges would ask for any of them
            AND pg_catalog.has_schema_privilege(a.oid, c.relnamespace, 'USAGE')
            AND pg_catalog.has_schema_privilege(a.oid, c.relnamespace, 'CREATE')
          ORDER BY a.oid <> c.relowner, a.oid LIMIT 1",
        &[view.into()],
        |row| required::<String>(row, 1),
    )
}
