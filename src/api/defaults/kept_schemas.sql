-- The schemas with a relation that is managed or maintained.
SELECT DISTINCT (parse_ident(r.relation, false))[1]
  FROM (SELECT parent FROM groundskeeper.managed_tables
        UNION ALL SELECT relation FROM groundskeeper.maintained_relations) r (relation)
 ORDER BY 1
