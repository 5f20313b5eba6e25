-- How much of each sequence is left. PostgreSQL tells where a sequence stands to whom it is granted; here its watchers
-- learn of it, and of nothing else, which is why the function runs as its owner. It reads catalogs and sequences only.
CREATE FUNCTION groundskeeper_internal.sequence_usage()
RETURNS TABLE (
  schemaname name,
  sequencename name,
  last_value bigint,
  limit_value bigint,
  used_percent numeric,
  column_name text,
  status text
)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET lock_timeout = '100ms'  -- for a lock that is taken between our look and our use
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  locked oid[] := ARRAY(SELECT groundskeeper_internal.relations_locked_by_others());
  start bigint;
  reason text;
  s record;
BEGIN
  FOR s IN
    WITH RECURSIVE base (type, base, typmod) AS (
      SELECT t.oid, t.typbasetype, t.typtypmod FROM pg_type t WHERE t.typtype = 'd'
      UNION ALL
      SELECT b.type, t.typbasetype, CASE WHEN t.typtypmod <> -1 THEN t.typtypmod ELSE b.typmod END
        FROM base b JOIN pg_type t ON t.oid = b.base WHERE t.typtype = 'd'
    ),
    -- What takes its numbers from a sequence: by owning it, by being its identity, or by a default.
    fed (sequence, relation, attnum, owned) AS (
      SELECT d.objid, d.refobjid, d.refobjsubid::smallint, true
        FROM pg_depend d
       WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
         AND d.deptype IN ('a', 'i')
      UNION
      SELECT d.refobjid, f.adrelid, f.adnum, false
        FROM pg_depend d JOIN pg_attrdef f ON f.oid = d.objid
       WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'n'
    ),
    -- The values that the column's type has room for.
    fits AS (
      SELECT f.sequence, f.owned, format('%I.%I.%I', n.nspname, c.relname, a.attname) AS name, r.lowest, r.highest
        FROM fed f
        JOIN pg_class c ON c.oid = f.relation
        JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = f.relation AND a.attnum = f.attnum AND NOT a.attisdropped
        LEFT JOIN LATERAL (
             SELECT b.base, b.typmod FROM base b JOIN pg_type t ON t.oid = b.base
              WHERE b.type = a.atttypid AND t.typtype <> 'd') d ON true
       CROSS JOIN LATERAL (SELECT coalesce(d.base, a.atttypid) AS type, coalesce(d.typmod, a.atttypmod) AS typmod) y
       CROSS JOIN LATERAL (
             SELECT CASE y.type WHEN 'int2'::regtype THEN -32768 WHEN 'int4'::regtype THEN -2147483648
                                WHEN 'numeric'::regtype THEN - x.most ELSE -9223372036854775808 END AS lowest,
                    CASE y.type WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647
                                WHEN 'numeric'::regtype THEN x.most ELSE 9223372036854775807 END AS highest
               FROM (SELECT CASE WHEN y.typmod < 4 OR p.digits > 18 THEN 9223372036854775807
                                 ELSE 10 ^ greatest(p.digits, 0)::numeric - 1 END AS most
                       FROM (SELECT ((y.typmod - 4) >> 16 & 65535) - ((y.typmod - 4 & 2047) # 1024) + 1024 AS digits) p) x) r
    )
    SELECT n.nspname, c.relname, c.oid, c.relpersistence, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle,
           f.name, greatest(q.seqmin, f.lowest) AS lowest, least(q.seqmax, f.highest) AS highest
      FROM pg_sequence q
      JOIN pg_class c ON c.oid = q.seqrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      LEFT JOIN LATERAL (
           SELECT f.name, f.lowest, f.highest FROM fits f WHERE f.sequence = c.oid
            ORDER BY f.highest, f.owned DESC, f.name LIMIT 1) f ON true
     WHERE c.relpersistence <> 't'
       AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'groundskeeper', 'groundskeeper_internal')
  LOOP
    schemaname := s.nspname;
    sequencename := s.relname;
    column_name := s.name;
    limit_value := CASE WHEN s.seqincrement > 0 THEN s.highest ELSE s.lowest END;
    last_value := NULL;
    used_percent := NULL;
    reason := CASE
      WHEN s.oid = ANY (locked) THEN 'locked by another session'
      WHEN s.relpersistence = 'u' AND pg_is_in_recovery() THEN 'an unlogged sequence has no content on a standby'
    END;
    IF reason IS NULL THEN
      BEGIN
        -- NULL before the first number.
        last_value := pg_sequence_last_value(s.oid);
        start := CASE WHEN s.seqincrement > 0 THEN s.seqmin ELSE s.seqmax END;
        used_percent := CASE
          WHEN last_value IS NULL THEN 0
          WHEN limit_value = start THEN 100
          ELSE least(round(100 * (last_value::numeric - start) / (limit_value::numeric - start), 2), 100) END;
      EXCEPTION
        WHEN lock_not_available THEN
          reason := 'locked by another session';
        WHEN OTHERS THEN  -- one that was dropped meanwhile costs its own figure, not the others'
          reason := SQLERRM;
      END;
    END IF;
    status := CASE
      WHEN reason IS NOT NULL THEN 'unknown: ' || reason
      -- It begins anew, unless the column is full before that.
      WHEN s.seqcycle AND limit_value = CASE WHEN s.seqincrement > 0 THEN s.seqmax ELSE s.seqmin END THEN 'ok'
      WHEN used_percent >= 90 THEN 'critical'
      WHEN used_percent >= 75 THEN 'warning'
      ELSE 'ok' END;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION groundskeeper_internal.sequence_usage() IS
  'The rows of monitoring.sequences: where sequences stand, also those that the caller has no right on';


CREATE VIEW monitoring.sequences WITH (security_invoker) AS
SELECT schemaname, sequencename, last_value, limit_value, used_percent, column_name, status
FROM groundskeeper_internal.sequence_usage()
ORDER BY used_percent DESC NULLS FIRST, schemaname, sequencename;

COMMENT ON VIEW monitoring.sequences IS
  'How much of each sequence of the current database is used, or of the column that takes its numbers where that is narrower';
COMMENT ON COLUMN monitoring.sequences.last_value IS 'The last number that it gave, numbers that sessions cache included; NULL before the first';
COMMENT ON COLUMN monitoring.sequences.limit_value IS 'Where it ends, or the column''s type does: whichever comes first';
COMMENT ON COLUMN monitoring.sequences.used_percent IS
  'How far it has come between its bounds, in its direction; NULL where that is not known';
COMMENT ON COLUMN monitoring.sequences.column_name IS
  'The column that takes its numbers, with schema and table; of several the narrowest, NULL where none is known';
COMMENT ON COLUMN monitoring.sequences.status IS
  'ok, warning from 75 %, critical from 90 %; ok for a sequence that begins anew at its end; unknown with the reason';

GRANT EXECUTE ON FUNCTION groundskeeper_internal.sequence_usage() TO pg_monitor;
GRANT SELECT ON monitoring.sequences TO pg_monitor;
