-- These only compute.
GRANT EXECUTE ON FUNCTION groundskeeper.normalized_team, groundskeeper.is_known_team TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.normalized_team IS
  'Code of the club that the name means, by any of its codes, names and variants; a name that is no club''s as it was given';
COMMENT ON FUNCTION groundskeeper.is_known_team IS
  'Whether the name is one of the thirty clubs''; NULL for a blank name';
