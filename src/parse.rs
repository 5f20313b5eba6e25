//! PostgreSQL's own parser, for texts of one statement.

use crate::encoding::to_server_cstring;
use crate::error::{Failure, Result};
use crate::guc::as_written;
use crate::subtransaction::isolated;
use pgrx::is_a;
use pgrx::pg_sys::{self, NodeTag};
use std::ffi::CStr;

/// The parse trees of a text, read as it will be run: with backslashes in literals that mean nothing. NULL for none.
///
/// # Safety
/// Raises PostgreSQL's errors: the caller runs in a transaction, inside what catches them.
unsafe fn parsed(text: &CStr) -> *mut pg_sys::List {
    // SAFETY: a NUL-terminated text.
    as_written(|| unsafe { pg_sys::raw_parser(text.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT) })
}

/// The parse tree of exactly one statement, in the current memory context.
///
/// # Safety
/// As of [`parsed`].
pub unsafe fn one_statement(text: &CStr) -> Result<*mut pg_sys::RawStmt> {
    // SAFETY: the caller's; a list of one element has that element first, and each is a RawStmt.
    unsafe {
        let parsed = parsed(text);
        if parsed.is_null() || (*parsed).length != 1 {
            return Err(Failure::internal("exactly one statement is expected"));
        }
        Ok((*(*parsed).elements).ptr_value.cast())
    }
}

/// How many statements a text has; PostgreSQL's own error for what it cannot parse.
pub fn statements(text: &str) -> Result<usize> {
    let text = to_server_cstring(text).ok_or_else(|| Failure::internal("a statement contains a NUL byte"))?;
    isolated(|| {
        // SAFETY: in a subtransaction, which catches errors.
        let parsed = unsafe { parsed(&text).as_ref() };
        Ok(parsed.map_or(0, |list| usize::try_from(list.length).unwrap_or(0)))
    })
}

/// Whether a text is one expression, and stays that wherever it is put between parentheses.
pub fn is_expression(text: &str) -> bool {
    // in parentheses, so that no comment swallows what follows it; without, so that it closes none of ours
    [format!("SELECT {text}"), format!("SELECT ({text})")].iter().all(|query| {
        is_statement(query, |statement| {
            // SAFETY: a SELECT's parse tree, whose lists and nodes are what the grammar makes of them.
            unsafe {
                if !is_a(statement, NodeTag::T_SelectStmt) {
                    return false;
                }
                let select = statement.cast::<pg_sys::SelectStmt>();
                if !is_plain_select(select) || !(*select).fromClause.is_null() {
                    return false;
                }
                let targets = (*select).targetList;
                if targets.is_null() || (*targets).length != 1 {
                    return false;
                }
                let target = (*(*targets).elements).ptr_value.cast::<pg_sys::ResTarget>();
                (*target).name.is_null() && (*target).indirection.is_null()
            }
        })
    })
}

/// Whether a SELECT has nothing but its target list and FROM.
///
/// # Safety
/// A SELECT's parse tree.
unsafe fn is_plain_select(select: *mut pg_sys::SelectStmt) -> bool {
    // SAFETY: the caller's.
    let select = unsafe { &*select };
    select.op == pg_sys::SetOperation::SETOP_NONE
        && [
            select.distinctClause,
            select.groupClause,
            select.windowClause,
            select.valuesLists,
            select.sortClause,
            select.lockingClause,
        ]
        .iter()
        .all(|list| list.is_null())
        && [select.whereClause, select.havingClause, select.limitOffset, select.limitCount]
            .iter()
            .all(|node| node.is_null())
        && select.intoClause.is_null()
        && select.withClause.is_null()
}

/// Whether a text is one query that a view can have: a SELECT, VALUES or TABLE that makes no table.
pub fn is_query(text: &str) -> bool {
    let is_select = |statement: *mut pg_sys::Node| {
        // SAFETY: a statement's parse tree, cast to what its tag says that it is.
        unsafe {
            is_a(statement, NodeTag::T_SelectStmt)
                && (*statement.cast::<pg_sys::SelectStmt>()).intoClause.is_null()
        }
    };
    let is_view = |statement: *mut pg_sys::Node| {
        // SAFETY: as above.
        unsafe { is_a(statement, NodeTag::T_CreateTableAsStmt) }
    };
    // behind the query stands what a comment at its end must not swallow
    is_statement(text, is_select)
        && is_statement(&format!("CREATE MATERIALIZED VIEW a.b AS\n{}\nWITH NO DATA", text.trim()), is_view)
        && is_statement(&format!("SELECT FROM ({text}) q"), is_select)
}

/// Whether a text is one key of an index: a column, or an expression in parentheses, and DESC or nothing behind it.
pub fn is_index_key(key: &str) -> bool {
    let behind = |rest: &str| {
        is_statement(&format!("CREATE INDEX i ON a.b USING btree ({key}{rest}) WHERE true"), |statement| {
            // SAFETY: as in is_query(); the parameters of an index are IndexElems.
            unsafe {
                if !is_a(statement, NodeTag::T_IndexStmt) {
                    return false;
                }
                let parameters = (*statement.cast::<pg_sys::IndexStmt>()).indexParams;
                // one more where one more was written
                if parameters.is_null() || (*parameters).length != 1 + i32::from(!rest.is_empty()) {
                    return false;
                }
                let element = &*(*(*parameters).elements).ptr_value.cast::<pg_sys::IndexElem>();
                let descends = element.ordering == pg_sys::SortByDir::SORTBY_DESC;
                let stated = element.ordering == pg_sys::SortByDir::SORTBY_DEFAULT || descends;
                stated
                    && descends == key.ends_with(" DESC")
                    && element.nulls_ordering == pg_sys::SortByNulls::SORTBY_NULLS_DEFAULT
                    && [element.collation, element.opclass, element.opclassopts]
                        .iter()
                        .all(|list| list.is_null())
                    && (*statement.cast::<pg_sys::IndexStmt>()).indexIncludingParams.is_null()
            }
        })
    };
    behind("") && behind(", c")
}

/// Whether a text is a list of options of a view.
pub fn is_view_options(options: &str) -> bool {
    // a comment could swallow what stands behind it
    let is_bare = !options.contains("--") && !options.contains("/*");
    is_bare
        && is_statement(&format!("CREATE VIEW a.b WITH ({options}) AS SELECT 1"), |statement| {
            // SAFETY: as in is_query().
            unsafe {
                if !is_a(statement, NodeTag::T_ViewStmt) {
                    return false;
                }
                let view = &*statement.cast::<pg_sys::ViewStmt>();
                let query = view.query.cast::<pg_sys::SelectStmt>();
                view.withCheckOption == pg_sys::ViewCheckOption::NO_CHECK_OPTION
                    && is_plain_select(query)
                    && (*query).fromClause.is_null()
            }
        })
}

/// Whether a text is a type's name, with what stands behind it in parentheses.
pub fn is_type(text: &str) -> bool {
    let cast = format!("SELECT NULL::{text}");
    is_expression(&format!("NULL::{text}"))
        && is_statement(&cast, |statement| {
            // SAFETY: as in is_expression(), which has looked at the same text.
            unsafe {
                let targets = (*statement.cast::<pg_sys::SelectStmt>()).targetList;
                let target = (*(*targets).elements).ptr_value.cast::<pg_sys::ResTarget>();
                let value = (*target).val;
                if !is_a(value, NodeTag::T_TypeCast) {
                    return false;
                }
                let argument = (*value.cast::<pg_sys::TypeCast>()).arg;
                is_a(argument, NodeTag::T_A_Const)
            }
        })
}

/// Whether a text is one statement that is as it should be; what cannot be parsed is none.
fn is_statement(text: &str, is_so: impl FnOnce(*mut pg_sys::Node) -> bool) -> bool {
    let Some(text) = to_server_cstring(text) else { return false };
    // SAFETY: in a subtransaction, which catches errors; a RawStmt has a statement.
    isolated(|| unsafe { Ok(is_so((*one_statement(&text)?).stmt)) }).unwrap_or(false)
}

/// Whether a text is one `CALL`; what cannot be parsed is none.
pub fn is_call(text: &str) -> bool {
    // SAFETY: a statement's parse tree.
    is_statement(text, |statement| unsafe { is_a(statement, NodeTag::T_CallStmt) })
}
