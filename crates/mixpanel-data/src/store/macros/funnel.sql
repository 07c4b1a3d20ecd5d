SELECT step::INTEGER AS step, steps[step] AS event_name, users,
  round(100e0 * users / nullif(first_value(users) OVER (ORDER BY step), 0), 2) AS pct_of_first,
  round(100e0 * users / nullif(coalesce(lag(users) OVER (ORDER BY step), users), 0), 2) AS pct_of_previous
FROM (
  SELECT step, coalesce(sum(users) FILTER (reached >= step), 0)::BIGINT AS users
  FROM (
  SELECT unnest(CASE WHEN steps IS NULL THEN error('steps must be a list of event names')
    WHEN coalesce("within"::INTERVAL < INTERVAL 0 DAY, true) THEN error('within must be an interval of at least 0')
    WHEN coalesce(grace::INTERVAL < INTERVAL 0 DAY, true) THEN error('grace must be an interval of at least 0')
    ELSE range(1, len(steps) + 1) END) AS step
)
  LEFT JOIN (
    SELECT reached, count(*) AS users
    FROM (
-- Each step takes the first event that no earlier step has taken. `time` is NULL after the first step without one.
      SELECT list_reduce(
        list_concat(
          [{step: 1::BIGINT, name: 1, time: entered_at,
            taken: [list_filter(events, lambda e: e.name = 1 AND e.time = entered_at)[1].number]}],
          list_transform(range(2, len(steps) + 1), lambda k:
            {step: k, name: list_position(steps, steps[k]), time: NULL::TIMESTAMP, taken: NULL::BIGINT[]})
        ),
        lambda walk, next: CASE WHEN walk.time IS NULL THEN walk ELSE
          list_transform(
            [list_filter(events, lambda e: e.name = next.name AND e.time >= walk.time - grace::INTERVAL
               AND NOT list_contains(walk.taken, e.number))[1]],
            lambda e: CASE WHEN e IS NULL
              THEN {step: walk.step, name: walk.name, time: NULL, taken: walk.taken}
              ELSE {step: next.step, name: next.name, time: e.time, taken: list_concat(walk.taken, [e.number])} END
          )[1] END
      ).step AS reached
      FROM (
        SELECT entered_at, list_transform(events, lambda e, i: {time: e.time, name: e.name, number: i}) AS events
        FROM (
-- The events of the steps that could belong to the funnel of each user. `name` is the first step with this event name.
          SELECT any_value(entered_at) AS entered_at,
            list_sort(list({time: event_time, name: list_position(steps, event_name)})) AS events
          FROM query_table(source) AS e
          JOIN (
            SELECT distinct_id, min(event_time) AS entered_at
            FROM query_table(source)
            WHERE event_name = steps[1] AND distinct_id <> ''
              AND (from_date IS NULL OR event_time >= from_date::DATE)
              AND (to_date IS NULL OR event_time < to_date::DATE + INTERVAL 1 DAY)
            GROUP BY distinct_id
          ) AS entry ON entry.distinct_id = e.distinct_id
          WHERE list_contains(steps, event_name) AND event_time >= entered_at - grace::INTERVAL * len(steps)
            AND event_time <= entered_at + "within"::INTERVAL
          GROUP BY entry.distinct_id
        )
      )
    )
    GROUP BY reached
  ) ON true
  GROUP BY step
)
ORDER BY step
