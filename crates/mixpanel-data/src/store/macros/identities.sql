WITH RECURSIVE raw AS (
  SELECT event_name, event_time, distinct_id,
    json_extract(properties, ['/$user_id', '/$device_id', '/$distinct_id_before_identity', '/$identified_id',
      '/$anon_id', '/alias', '/$distinct_ids']) AS ids
  FROM query_table(source)
),
grouped AS (
  SELECT distinct_id, ids[1:3] || CASE event_name WHEN '$identify' THEN [ids[4], ids[5], NULL]
      WHEN '$create_alias' THEN [NULL, NULL, ids[6]] ELSE [NULL, NULL, NULL] END AS ids,
    CASE WHEN event_name = '$merge' THEN ids[7] END AS merged,
    min(event_time) AS first_at
  FROM raw GROUP BY ALL
),
-- Only text is an id.
decoded AS (
  SELECT distinct_id, first_at,
    list_transform(ids, lambda v: CASE WHEN json_type(v) = 'VARCHAR' THEN json_extract_string(v, '$') END) AS ids,
    CASE WHEN json_type(merged) = 'ARRAY' THEN list_filter(list_transform(json_extract(merged, '$[*]'),
      lambda v: CASE WHEN json_type(v) = 'VARCHAR' THEN json_extract_string(v, '$') END), lambda v: v IS NOT NULL) END AS merged
  FROM grouped
),
evidence AS MATERIALIZED (
  SELECT distinct_id, ids[1] AS user_id, ids[2] AS device_id, nullif(ids[3], '0') AS id_before, ids[4] AS identified_id,
    ids[5] AS anon_id, ids[6] AS alias, merged, first_at
  FROM decoded
),
-- A device belongs to the first user seen on it, as in Mixpanel, so that a shared device does not merge its users.
owners AS (
  SELECT device, arg_min(owner, {time: first_at, owner: owner}) AS owner
  FROM (SELECT first_at, device_id AS device, coalesce(nullif(user_id, ''), distinct_id) AS owner FROM evidence)
  WHERE device <> '' AND owner NOT IN ('', device, '$device:' || device) GROUP BY device
),
pairs AS (
  SELECT device AS a, owner AS b FROM owners
  UNION SELECT '$device:' || device, device FROM owners
  UNION SELECT distinct_id, distinct_id[9:] FROM evidence WHERE starts_with(distinct_id, '$device:')
  UNION SELECT distinct_id, user_id FROM evidence
  UNION SELECT distinct_id, id_before FROM evidence
  UNION SELECT identified_id, anon_id FROM evidence
  UNION SELECT distinct_id, alias FROM evidence
  UNION SELECT merged[1], unnest(merged[2:]) FROM evidence
),
edges AS (
  SELECT a, b FROM pairs WHERE a <> '' AND b <> '' AND a <> b
  UNION SELECT b, a FROM pairs WHERE a <> '' AND b <> '' AND a <> b
),
components(id, label) USING KEY (id) AS (
  SELECT DISTINCT a, a FROM edges
  UNION
  SELECT edges.b, min(components.label)
  FROM components JOIN edges ON components.id = edges.a JOIN recurring.components AS known ON known.id = edges.b
  WHERE components.label < known.label GROUP BY edges.b
),
labels AS (
  SELECT id, label FROM components
  UNION ALL
  SELECT DISTINCT distinct_id, distinct_id FROM evidence
  WHERE distinct_id <> '' AND distinct_id NOT IN (SELECT id FROM components)
),
users AS (
  SELECT user_id AS id FROM evidence WHERE user_id <> '' UNION SELECT identified_id FROM evidence WHERE identified_id <> ''
)
SELECT id AS distinct_id,
  coalesce(min(id) FILTER (id IN (SELECT id FROM users)) OVER (PARTITION BY label), label) AS person_id
FROM labels
