-- What an owner can write into a table, all of which says who it runs as. Run as that owner, who is called :owner.
CREATE SEQUENCE trap.as_owner;
CREATE SEQUENCE trap.as_another;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA trap TO PUBLIC;
-- Sequences keep what is rolled back. Whoever can get out of the owner's role does.
CREATE FUNCTION trap.spring(hook text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        EXECUTE 'RESET ROLE';
    EXCEPTION WHEN OTHERS THEN
        NULL;
    END;
    IF current_user = ':owner' THEN
        PERFORM pg_catalog.nextval('trap.as_owner');
    ELSE
        RAISE LOG 'trap % sprung as %', hook, current_user;
        PERFORM pg_catalog.nextval('trap.as_another');
    END IF;
END $$;
-- IMMUTABLE, so that the planner evaluates them where their argument is a constant
CREATE FUNCTION trap.int(i integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM trap.spring('expression'); RETURN i; END $$;
CREATE FUNCTION trap.ok(i integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM trap.spring('condition'); RETURN true; END $$;
CREATE FUNCTION trap.fire() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM trap.spring(TG_NAME || ' on ' || TG_RELID::regclass); RETURN COALESCE(NEW, OLD); END $$;
CREATE FUNCTION trap.before(partition regclass) RETURNS void LANGUAGE plpgsql AS
    $$ BEGIN PERFORM trap.spring('before ' || partition); END $$;
CREATE DOMAIN trap.checked AS integer CHECK (trap.ok(VALUE));
CREATE TYPE trap.pair AS (a integer, b integer);
CREATE FUNCTION trap.same(trap.pair, trap.pair) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM trap.spring('operator'); RETURN ($1).a = ($2).a; END $$;
CREATE OPERATOR trap.= (LEFTARG = trap.pair, RIGHTARG = trap.pair, FUNCTION = trap.same);
CREATE FUNCTION trap.as_text(trap.pair) RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    $$ BEGIN PERFORM trap.spring('cast'); RETURN 'pair'; END $$;
CREATE CAST (trap.pair AS text) WITH FUNCTION trap.as_text(trap.pair) AS IMPLICIT;

CREATE FUNCTION trap.arm(relation regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ADD COLUMN trap_a integer DEFAULT trap.int(1), ADD COLUMN trap_b trap.checked DEFAULT 1,
                        ADD COLUMN trap_c integer GENERATED ALWAYS AS (trap.int(1)) STORED, ADD COLUMN trap_d trap.pair DEFAULT ROW (1, 2)::trap.pair,
                        ADD CONSTRAINT trap_constant CHECK (trap.ok(1)), ADD CONSTRAINT trap_rows CHECK (trap.ok(trap_a))', relation);
    EXECUTE format('CREATE INDEX ON %s ((trap_a + trap.int(1)))', relation);
    EXECUTE format('CREATE INDEX ON %s (trap_a) WHERE trap.ok(1)', relation);
    EXECUTE format('CREATE STATISTICS trap.statistics_%s ON (trap_a + trap.int(1)), trap_b FROM %s', relation::oid, relation);
    EXECUTE format('CREATE TRIGGER trap_before BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION trap.fire()', relation);
    EXECUTE format('CREATE TRIGGER trap_after AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION trap.fire()', relation);
    EXECUTE format('CREATE TRIGGER trap_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION trap.fire()', relation);
    EXECUTE format('CREATE TRIGGER trap_end AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s FOR EACH STATEMENT EXECUTE FUNCTION trap.fire()', relation);
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', relation);
    EXECUTE format('CREATE POLICY trap ON %s USING (trap.ok(1)) WITH CHECK (trap.ok(1))', relation);
    EXECUTE format('CREATE VIEW trap.view_%s AS SELECT trap.int(trap_a) AS a, trap.int(1) AS b FROM %s WHERE trap.ok(1)', relation::oid, relation);
END $$;
