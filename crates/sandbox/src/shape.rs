//! The betting database's tables in the forms they are found in, as SQL.

/// What the plan assumes.
pub const SHAPE_A: &str = include_str!("../sql/shape_a.sql");

/// A later variant, also in use: Shape A with other staging tables for the three markets.
pub const SHAPE_B: &[&str] = &[SHAPE_A, include_str!("../sql/shape_b.sql")];

/// On Shape A: the plan half applied by hand, some of it under other names.
pub const HALF_APPLIED: &str = include_str!("../sql/half_applied.sql");

/// On Shape A: views, materialized views, grants and comments on the columns that the plan widens.
pub const DEPENDENTS: &str = include_str!("../sql/dependents.sql");
