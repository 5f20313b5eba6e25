ALTER TABLE groundskeeper.job_attempt ADD COLUMN error_detail text;
