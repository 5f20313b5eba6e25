-- The plan as its users have extended it. Both tables are written by functions only: an item is carried out with the rights
-- of the role that it says, so nobody may say another.

CREATE TABLE groundskeeper.plan_item (
    item text PRIMARY KEY,
    definition jsonb NOT NULL,
    added_by text NOT NULL,
    added_by_oid oid NOT NULL,
    home text NOT NULL,
    added_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE groundskeeper.plan_item IS 'Items that users have added to the plan; groundskeeper.plan_items shows all';
COMMENT ON COLUMN groundskeeper.plan_item.item IS 'Its id';
COMMENT ON COLUMN groundskeeper.plan_item.definition IS 'Its fields, as those of the plan file';
COMMENT ON COLUMN groundskeeper.plan_item.added_by IS 'The role that has added it, with whose rights it is applied and taken back; by this name in a copy of the database';
COMMENT ON COLUMN groundskeeper.plan_item.added_by_oid IS 'The same role at home, whatever its name is by now';
COMMENT ON COLUMN groundskeeper.plan_item.home IS 'The cluster and database that it was added in';
COMMENT ON COLUMN groundskeeper.plan_item.added_at IS 'When';

CREATE TABLE groundskeeper.plan_decline (
    item text PRIMARY KEY,
    reason text NOT NULL,
    declined_by text NOT NULL,
    declined_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE groundskeeper.plan_decline IS 'Items that apply_plan() is to leave out; see groundskeeper.decline()';
COMMENT ON COLUMN groundskeeper.plan_decline.item IS 'The item';
COMMENT ON COLUMN groundskeeper.plan_decline.reason IS 'Why it is not wanted';
COMMENT ON COLUMN groundskeeper.plan_decline.declined_by IS 'Who has said so';
COMMENT ON COLUMN groundskeeper.plan_decline.declined_at IS 'When';

CREATE TABLE groundskeeper.plan_wanted (
    item text PRIMARY KEY
);
COMMENT ON TABLE groundskeeper.plan_wanted IS 'Items that were asked for while a conversion was in their way, and are queued by the job that ends it';
COMMENT ON COLUMN groundskeeper.plan_wanted.item IS 'The item';

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.plan_item', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.plan_decline', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.plan_wanted', '');

CREATE VIEW groundskeeper.plan_items AS
SELECT item, section, definition::pg_catalog.jsonb AS definition, origin, added_by, added_at, declined_reason
  FROM groundskeeper_internal.plan_items();
COMMENT ON VIEW groundskeeper.plan_items IS 'Each item of the plan as it is stated, built in or added, by whom, and why it is not wanted where somebody has said so';
COMMENT ON COLUMN groundskeeper.plan_items.origin IS 'built-in or own';
COMMENT ON COLUMN groundskeeper.plan_items.added_by IS 'The role with whose rights it is applied and taken back; NULL for what is built in, which takes the caller''s';
COMMENT ON COLUMN groundskeeper.plan_items.declined_reason IS 'Why apply_plan() leaves it out; NULL where it does not';

COMMENT ON FUNCTION groundskeeper_internal.plan_items() IS 'What groundskeeper.plan_items shows';
COMMENT ON FUNCTION groundskeeper.add_plan_item(jsonb) IS 'Adds an item to the plan, with the fields of the plan file, and returns its id; it is applied and taken back with the rights of the role that adds it';
COMMENT ON FUNCTION groundskeeper.drop_plan_item(text) IS 'Takes an item off the plan that was added to it and is not applied';
COMMENT ON FUNCTION groundskeeper.export_plan() IS 'The items that were added to the plan, in the TOML of the plan file';
COMMENT ON FUNCTION groundskeeper.import_plan(text, boolean) IS 'Adds the items of a plan file that are not there; action is add, keep (it is there) or conflict (with another definition). A dry run only says which';
COMMENT ON FUNCTION groundskeeper.decline(text, text) IS 'Has apply_plan() leave an item out that is not applied; a NULL reason has it take the item up again';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.plan_items(), groundskeeper.export_plan() TO pg_monitor;
GRANT SELECT ON groundskeeper.plan_items TO pg_monitor;
