DROP TRIGGER set_schedule ON groundskeeper.schedule;
ALTER TABLE groundskeeper.schedule DROP CONSTRAINT schedule_valid;
-- A command that stands as the plan had it is as the plan has it now; one that somebody has edited stays.
UPDATE groundskeeper.schedule s SET command = d.command
  FROM (VALUES ('statistics', 'SELECT @extschema@.update_table_statistics()', 'SELECT groundskeeper.update_table_statistics(false)'),
               ('partitions', 'SELECT @extschema@.create_monthly_partitions()', 'SELECT groundskeeper.create_monthly_partitions(3)')
       ) d (job_name, before, command)
 WHERE s.job_name = d.job_name AND s.command = d.before;
ALTER TABLE groundskeeper.schedule
    ADD CONSTRAINT schedule_valid CHECK (groundskeeper_internal.check_schedule(schedule, timezone)),
    ADD CONSTRAINT schedule_command CHECK (groundskeeper_internal.check_command(command));
