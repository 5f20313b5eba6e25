-- The columns of the user's own tables, under views of the plan's and of anybody's.

COMMENT ON FUNCTION groundskeeper.alter_column_type(regclass, name, text) IS 'Changes the type of a column, with the views, materialized views and constraints on it saved and made again; the number of the job where the table is too large to be rewritten at once, or the lock is not to be had, else NULL';
