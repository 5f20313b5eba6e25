//! The only readers of the system catalogs. They return facts; what facts mean is decided in `groundskeeper-core`.

mod canonical;
mod constraint;
mod dependents;
mod index;
mod made;
mod relation;
mod role;
mod view;
mod zone;

pub use canonical::relations_in;
pub use constraint::{Check, check_named, checks, checks_on_column, rows_violating};
pub use dependents::{Dependents, definition, depend_on, dependents_of_column, forget_default_acls};
pub use index::{
    Build, WantedIndex, index_named, indexes, name_taken_by, partitions_without, reindex_leftovers,
    statement as index_statement,
};
pub use made::{Thing, function_left, is_edited, made, made_now, signature, triggers};
pub use relation::{
    Relation, column_fact, column_number, columns_of, default_grants, first_column, foreign_key_columns,
    numeric_column, owner_of_schema, parent_of_partition, partition_key, relation, relation_by_oid,
    relation_bytes, relation_named, rows_beyond, table_of_index,
};
pub use role::{
    CAN_CONNECT, Login, Role, login, login_members, maintenance_as, must_maintain, must_own, role,
    role_by_oid,
};
pub use view::{View, views};
pub use zone::time_zone;
