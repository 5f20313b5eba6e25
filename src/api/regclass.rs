//! Arguments of type `regclass` and `regprocedure`.

use super::given;
use crate::catalog;
use crate::error::{Failure, Result};
use pgrx::callconv::{Arg, ArgAbi};
use pgrx::nullable::Nullable;
use pgrx::pg_sys::{self, Oid};
use pgrx::pgrx_sql_entity_graph::metadata::{
    ArgumentError, ReturnsError, ReturnsRef, SqlMappingRef, SqlTranslatable, TypeOrigin,
};
use pgrx::{FromDatum, PgSqlErrorCode};

/// A relation as it was named, which may not be there: `0::regclass` is one too. pgrx's own type opens and locks it
/// before anything is known of it, and has an internal error for one that is gone.
pub struct Regclass(Oid);

/// A function as it was named, which may not be there either.
pub struct Regprocedure(Oid);

impl Regprocedure {
    /// Its OID.
    pub fn oid(&self) -> Oid {
        self.0
    }
}

/// The OID of a relation that there is.
pub fn existing(relation: Option<Regclass>, argument: &str) -> Result<Oid> {
    let Regclass(oid) = given(relation, argument)?;
    if catalog::relation_by_oid(oid)?.is_some() {
        return Ok(oid);
    }
    let missing = format!("relation with OID {} does not exist", u32::from(oid));
    Err(Failure::new(PgSqlErrorCode::ERRCODE_UNDEFINED_TABLE, missing))
}

/// Has a type be read from what is an OID by another name.
macro_rules! oid_argument {
    ($type:ident, $sql:literal) => {
        impl FromDatum for $type {
            unsafe fn from_polymorphic_datum(datum: pg_sys::Datum, is_null: bool, _: Oid) -> Option<Self> {
                // SAFETY: an OID by another name, as the caller says that the datum is.
                unsafe { Oid::from_datum(datum, is_null) }.map(Self)
            }
        }

        // SAFETY: the SQL type is the one whose datums `from_polymorphic_datum` reads.
        unsafe impl SqlTranslatable for $type {
            const TYPE_IDENT: &'static str = pgrx::pgrx_resolved_type!($type);
            const TYPE_ORIGIN: TypeOrigin = TypeOrigin::External;
            const ARGUMENT_SQL: std::result::Result<SqlMappingRef, ArgumentError> =
                Ok(SqlMappingRef::literal($sql));
            const RETURN_SQL: std::result::Result<ReturnsRef, ReturnsError> =
                Ok(ReturnsRef::One(SqlMappingRef::literal($sql)));
        }

        // SAFETY: the argument is read as the SQL type says; NULL is never read as an OID.
        unsafe impl<'fcx> ArgAbi<'fcx> for $type {
            unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
                // SAFETY: the caller's. Every function takes an Option, so NULL does not come here.
                Self(unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(pg_sys::InvalidOid))
            }

            unsafe fn unbox_nullable_arg(arg: Arg<'_, 'fcx>) -> Nullable<Self> {
                // SAFETY: the caller's.
                unsafe { arg.unbox_arg_using_from_datum::<Self>() }.into()
            }
        }
    };
}

oid_argument!(Regclass, "regclass");
oid_argument!(Regprocedure, "regprocedure");
