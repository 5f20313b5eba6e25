-- What is past its time ($1 minutes), or of a clock that was ahead.
DELETE FROM groundskeeper.wait_sample
 WHERE sampled_hour < now() - make_interval(mins => $1) OR sampled_hour > clock_timestamp()
