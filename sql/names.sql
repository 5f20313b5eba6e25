-- What this deployment calls clubs and sportsbooks, for the operator to say. The built-in names need no rows.

CREATE TABLE groundskeeper.club_names (
  name text PRIMARY KEY,
  club text NOT NULL,
  CONSTRAINT club_names_valid CHECK (groundskeeper_internal.check_naming(
    pg_catalog.jsonb_build_object('clubs', pg_catalog.jsonb_build_object(name, club))))
);

CREATE TABLE groundskeeper.club_codes (
  club text PRIMARY KEY,
  code text NOT NULL,
  CONSTRAINT club_codes_valid CHECK (groundskeeper_internal.check_naming(
    pg_catalog.jsonb_build_object('codes', pg_catalog.jsonb_build_object(club, code))))
);

CREATE TABLE groundskeeper.sportsbook_names (
  name text PRIMARY KEY,
  sportsbook text NOT NULL,
  CONSTRAINT sportsbook_names_valid CHECK (groundskeeper_internal.check_naming(
    pg_catalog.jsonb_build_object('books', pg_catalog.jsonb_build_object(name, sportsbook))))
);

CREATE FUNCTION groundskeeper.naming() RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT pg_catalog.jsonb_build_object(
           'clubs', (SELECT COALESCE(pg_catalog.jsonb_object_agg(n.name, n.club), '{}'::pg_catalog.jsonb)
                       FROM groundskeeper.club_names n),
           'codes', (SELECT COALESCE(pg_catalog.jsonb_object_agg(c.club, c.code), '{}'::pg_catalog.jsonb)
                       FROM groundskeeper.club_codes c),
           'books', (SELECT COALESCE(pg_catalog.jsonb_object_agg(b.name, b.sportsbook), '{}'::pg_catalog.jsonb)
                       FROM groundskeeper.sportsbook_names b))
$$;

-- Rows that are right one by one may contradict each other. The lock lets one transaction after the other find out,
-- each with what those before it have committed; whoever only reads does not wait for it. It takes rights that who
-- may write one of the tables may not have.
CREATE FUNCTION groundskeeper_internal.check_names() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  LOCK TABLE groundskeeper.club_names IN SHARE UPDATE EXCLUSIVE MODE;
  PERFORM groundskeeper_internal.check_naming(groundskeeper.naming());
  RETURN NULL;
END $$;

CREATE TRIGGER check_names AFTER INSERT OR UPDATE ON groundskeeper.club_names
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.check_names();
CREATE TRIGGER check_names AFTER INSERT OR UPDATE ON groundskeeper.club_codes
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.check_names();
CREATE TRIGGER check_names AFTER INSERT OR UPDATE ON groundskeeper.sportsbook_names
  FOR EACH STATEMENT EXECUTE FUNCTION groundskeeper_internal.check_names();

SELECT pg_catalog.pg_extension_config_dump('groundskeeper.club_names', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.club_codes', '');
SELECT pg_catalog.pg_extension_config_dump('groundskeeper.sportsbook_names', '');

REVOKE ALL ON groundskeeper.club_names, groundskeeper.club_codes, groundskeeper.sportsbook_names FROM PUBLIC;
GRANT SELECT ON groundskeeper.club_names, groundskeeper.club_codes, groundskeeper.sportsbook_names TO pg_monitor;
-- These only compute.
GRANT EXECUTE ON FUNCTION groundskeeper.club_code, groundskeeper.sportsbook, groundskeeper_internal.check_naming TO PUBLIC;

COMMENT ON TABLE groundskeeper.club_names IS
  'Names that sources write for clubs, beside and before those that are built in';
COMMENT ON COLUMN groundskeeper.club_names.name IS
  'The name; case, blanks and punctuation do not matter, nor does the game of a doubleheader behind it';
COMMENT ON COLUMN groundskeeper.club_names.club IS 'Built-in code of the club that it means, like NYM';
COMMENT ON CONSTRAINT club_names_valid ON groundskeeper.club_names IS
  'There is a name and such a club; raises an error that says what is wrong';
COMMENT ON TRIGGER check_names ON groundskeeper.club_names IS
  'The rows of the tables of names do not contradict each other; raises an error that names the two that do';

COMMENT ON TABLE groundskeeper.club_codes IS
  'Codes that are written for clubs instead of those that are built in; each is understood as a name of its club, too';
COMMENT ON COLUMN groundskeeper.club_codes.club IS 'Built-in code of the club, like ATH';
COMMENT ON COLUMN groundskeeper.club_codes.code IS
  'The code in its place, like OAK: at most 10 bytes, and no name of another club';
COMMENT ON CONSTRAINT club_codes_valid ON groundskeeper.club_codes IS
  'There is such a club and the code can stand for it; raises an error that says what is wrong';
COMMENT ON TRIGGER check_names ON groundskeeper.club_codes IS
  'The rows of the tables of names do not contradict each other; raises an error that names the two that do';

COMMENT ON TABLE groundskeeper.sportsbook_names IS
  'How names that sources write for sportsbooks are spelled; a name of a built-in sportsbook has all of its names spelled so';
COMMENT ON COLUMN groundskeeper.sportsbook_names.name IS
  'The name; case, blanks and punctuation do not matter, nor does the word "Sportsbook" behind it';
COMMENT ON COLUMN groundskeeper.sportsbook_names.sportsbook IS 'The one spelling of the sportsbook that it means';
COMMENT ON CONSTRAINT sportsbook_names_valid ON groundskeeper.sportsbook_names IS
  'There is a name and a spelling; raises an error that says what is wrong';
COMMENT ON TRIGGER check_names ON groundskeeper.sportsbook_names IS
  'The rows of the tables of names do not contradict each other; raises an error that names the two that do';

COMMENT ON FUNCTION groundskeeper.naming() IS
  'The tables of names as one object with clubs, codes and books: what club_code() and sportsbook() take';
COMMENT ON FUNCTION groundskeeper_internal.check_names() IS 'Trigger: the tables of names make sense together';
COMMENT ON FUNCTION groundskeeper.club_code IS
  'Code in use for the club that the name means; NULL where it is no club''s. A NULL naming means the built-in names and codes';
COMMENT ON FUNCTION groundskeeper.sportsbook IS
  'The one spelling of a sportsbook''s name: its own where it is known, else in lower case; NULL for a blank name. A NULL naming means the built-in names';
COMMENT ON FUNCTION groundskeeper_internal.check_naming IS
  'True for a naming that club_code() and sportsbook() would accept; raises an error that says what is wrong otherwise';
