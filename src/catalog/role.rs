//! Roles: what they are, what they are set to in this database, and what maintenance needs of them.

use crate::error::{Failure, Result};
use crate::sql::{self, quote_identifier, required};
use groundskeeper_core::plan::role::Pair;
use pgrx::pg_sys::Oid;

/// A role.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its OID.
    pub oid: Oid,
    /// Its name.
    pub name: String,
    /// The same, quoted.
    pub quoted: String,
    /// Whether it is a superuser.
    pub superuser: bool,
    /// Whether it may log in.
    pub can_login: bool,
    /// What `ALTER ROLE ... IN DATABASE` has given it here.
    pub settings: Vec<Pair>,
}

/// The query for roles that satisfy a condition.
macro_rules! roles {
    ($condition:literal) => {
        concat!(
            "
    SELECT r.oid, r.rolname::text, pg_catalog.quote_ident(r.rolname), r.rolsuper, r.rolcanlogin,
           COALESCE(s.setconfig, '{}')
      FROM pg_catalog.pg_roles r
      LEFT JOIN pg_catalog.pg_db_role_setting s
        ON s.setrole = r.oid
       AND s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
     WHERE ",
            $condition
        )
    };
}

fn read(row: &crate::sql::Tuple) -> Result<Role> {
    let settings: Vec<String> = required(row, 6)?;
    let pair =
        |setting: String| setting.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Role {
        oid: required(row, 1)?,
        name: required(row, 2)?,
        quoted: required(row, 3)?,
        superuser: required(row, 4)?,
        can_login: required(row, 5)?,
        settings: settings.into_iter().filter_map(pair).collect(),
    })
}

/// The role with that OID, if it is still there.
pub fn role_by_oid(oid: Oid) -> Result<Option<Role>> {
    sql::kept_first(roles!("r.oid = $1"), &[oid.into()], read)
}

/// The role of that name, if there is one.
pub fn role(name: &str) -> Result<Option<Role>> {
    sql::kept_first(roles!("r.rolname = $1"), &[name.into()], read)
}

/// Refuses a relation that is not the current role's, directly or as a member of the owner.
pub fn must_own(relation: Oid, quoted: &str) -> Result<()> {
    let owns =
        "SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE') FROM pg_catalog.pg_class c WHERE c.oid = $1";
    match sql::kept_first(owns, &[relation.into()], |row| required::<bool>(row, 1))? {
        Some(true) => Ok(()),
        _ => Err(Failure::not_owner(quoted)),
    }
}

/// Refuses a relation that the current role may not maintain: until 16 that is for who must own it, since 17 a privilege.
pub fn must_maintain(relation: Oid, quoted: &str) -> Result<()> {
    let may = "SELECT CASE WHEN pg_catalog.current_setting('server_version_num')::integer < 170000 THEN false
                           ELSE pg_catalog.has_table_privilege(c.oid, 'MAINTAIN') END
                 FROM pg_catalog.pg_class c WHERE c.oid = $1";
    match sql::kept_first(may, &[relation.into()], |row| required::<bool>(row, 1))? {
        Some(true) => Ok(()),
        _ => must_own(relation, quoted),
    }
}

/// That a worker can connect as role `r`, in SQL.
pub const CAN_CONNECT: &str =
    "(r.rolcanlogin AND pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CONNECT'))";

/// Whether a worker can connect as a role.
#[derive(Debug, Clone)]
pub enum Login {
    /// It can, by this OID.
    As(Oid),
    /// It cannot.
    Refused {
        /// What the role may not.
        why: &'static str,
        /// The statement that lets it.
        remedy: String,
    },
}

/// Whether a worker can connect as the role of that name; `None` where there is no such role.
pub fn login(role: &str) -> Result<Option<Login>> {
    let query = format!(
        "SELECT r.oid, {CAN_CONNECT}, r.rolcanlogin, pg_catalog.current_database()::text
           FROM pg_catalog.pg_roles r WHERE r.rolname = $1"
    );
    sql::first(&query, &[role.into()], |row| {
        let (role, database) = (quote_identifier(role), quote_identifier(required::<String>(row, 4)?));
        Ok(if required::<bool>(row, 2)? {
            Login::As(required(row, 1)?)
        } else if required::<bool>(row, 3)? {
            let remedy = format!("GRANT CONNECT ON DATABASE {database} TO {role}");
            Login::Refused { why: "may not connect", remedy }
        } else {
            Login::Refused { why: "may not log in", remedy: format!("ALTER ROLE {role} LOGIN") }
        })
    })
}

/// The members of a role that may log in.
pub fn login_members(role: Oid) -> Result<Vec<String>> {
    sql::kept_texts(
        "SELECT rolname::text FROM pg_catalog.pg_roles
          WHERE rolcanlogin AND NOT rolsuper AND oid <> $1 AND pg_catalog.pg_has_role(oid, $1, 'MEMBER')
          ORDER BY rolname",
        &[role.into()],
    )
}

/// What maintenance runs as this role, if anything does: jobs connect as the owner of what they work on in these schemas.
pub fn maintenance_as(role: &Role, schemas: &[String]) -> Result<Vec<String>> {
    let mut out = sql::kept_texts(
        "SELECT 'it owns the extension' FROM pg_catalog.pg_extension
          WHERE extname = 'pg_groundskeeper' AND extowner = $1
         UNION ALL
         SELECT pg_catalog.format('it owns %s and %s more of the plan''s relations, which jobs work on as their owner',
                                  pg_catalog.min(c.oid::pg_catalog.regclass::text), pg_catalog.count(*) - 1)
           FROM pg_catalog.pg_class c
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = ANY ($2) AND c.relkind IN ('r', 'p', 'm') AND c.relowner = $1
         HAVING pg_catalog.count(*) > 0",
        &[role.oid.into(), schemas.to_vec().into()],
    )?;
    out.extend(scheduled_as(role)?);
    Ok(out)
}

/// What `pg_cron` runs as this role. Its table is read only if it is that extension's own: whoever reads a
/// stranger's view runs the stranger's code.
fn scheduled_as(role: &Role) -> Result<Vec<String>> {
    let readable = sql::kept_first(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_class c
                          JOIN pg_catalog.pg_depend d
                            ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid
                           AND d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND d.deptype = 'e'
                          JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid AND e.extname = 'pg_cron'
                         WHERE c.oid = pg_catalog.to_regclass('cron.job') AND c.relkind = 'r'
                           AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
                           AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))",
        &[],
        |row| required::<bool>(row, 1),
    )?;
    if readable != Some(true) {
        return Ok(Vec::new());
    }
    sql::kept_texts(
        "SELECT pg_catalog.format('pg_cron runs %s of its jobs here', pg_catalog.count(*)) FROM cron.job
          WHERE username = $1 AND database = pg_catalog.current_database() HAVING pg_catalog.count(*) > 0",
        &[role.name.as_str().into()],
    )
}
