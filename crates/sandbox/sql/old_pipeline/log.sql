INSERT INTO public.pipeline_execution_log (
  pipeline_stage, source_table, target_table, records_processed, records_successful, records_failed,
  start_time, end_time, status
)
VALUES ('staging', $1, $2, $3, $3::integer - $4::integer, $4, now(), now(), 'completed')
