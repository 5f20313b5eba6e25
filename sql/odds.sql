-- These only compute.
GRANT EXECUTE ON FUNCTION
  groundskeeper.american_to_decimal,
  groundskeeper.american_to_probability,
  groundskeeper.decimal_to_american,
  groundskeeper.probability_to_american,
  groundskeeper.market_hold,
  groundskeeper.no_vig_probability
TO PUBLIC;

COMMENT ON FUNCTION groundskeeper.american_to_decimal IS
  'Decimal price of American odds: what a stake of 1 returns, to 28 digits';
COMMENT ON FUNCTION groundskeeper.american_to_probability IS
  'Probability that American odds imply: stake / (stake + win), to 28 digits';
COMMENT ON FUNCTION groundskeeper.decimal_to_american IS
  'American odds nearest to a decimal price; 2 is +100';
COMMENT ON FUNCTION groundskeeper.probability_to_american IS
  'American odds nearest to a probability; 0.5 is +100';
COMMENT ON FUNCTION groundskeeper.market_hold IS
  'Overround of a two-way market: the sum of its implied probabilities less 1';
COMMENT ON FUNCTION groundskeeper.no_vig_probability IS
  'Probability of the first side of a two-way market, the overround taken out in proportion';
