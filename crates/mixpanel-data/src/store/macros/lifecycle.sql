SELECT period,
  CASE WHEN period = changed_on THEN new + retained + resurrected ELSE 0 END AS active,
  CASE WHEN period = changed_on THEN new ELSE 0 END AS new,
  CASE WHEN period = changed_on THEN retained ELSE 0 END AS retained,
  CASE WHEN period = changed_on THEN resurrected ELSE 0 END AS resurrected,
  CASE WHEN period = changed_on THEN dormant ELSE 0 END AS dormant
FROM (
-- A period without a change has no users.
  SELECT *, unnest(generate_series(changed_on,
    coalesce(next_on - INTERVAL 1 DAY, changed_on), ('1 ' || unit)::INTERVAL))::DATE AS period
  FROM (
    SELECT *, lead(changed_on) OVER (ORDER BY changed_on) AS next_on,
      max(changed_on) FILTER (new + retained + resurrected > 0) OVER () AS last_period
    FROM (
      SELECT period AS changed_on,
        coalesce(sum(users) FILTER (kind = 'new'), 0)::BIGINT AS new,
        coalesce(sum(users) FILTER (kind = 'retained'), 0)::BIGINT AS retained,
        coalesce(sum(users) FILTER (kind = 'resurrected'), 0)::BIGINT AS resurrected,
        coalesce(sum(users) FILTER (kind = 'dormant'), 0)::BIGINT AS dormant
      FROM (
        SELECT users, unnest(list_concat([{period: period, kind: kind}], CASE WHEN stays THEN [] ELSE
          [{period: (period + ('1 ' || unit)::INTERVAL)::DATE, kind: 'dormant'}] END), recursive := true)
        FROM (
          SELECT period,
            CASE WHEN previous IS NULL THEN 'new' WHEN previous + ('1 ' || unit)::INTERVAL = period THEN 'retained'
              ELSE 'resurrected' END AS kind,
            coalesce(next = period + ('1 ' || unit)::INTERVAL, false) AS stays,
            count(*) AS users
          FROM (
            SELECT unnest(list_transform(periods, lambda p, i:
              {period: p, previous: periods[i - 1], next: periods[i + 1]}), recursive := true)
            FROM (
              SELECT list_sort(list_distinct(list(date_trunc(unit, event_time)::DATE))) AS periods
              FROM query_table(source)
              WHERE distinct_id <> '' AND CASE WHEN unit IN ('day', 'week', 'month') THEN true
                ELSE error('unit must be day, week or month') END
              GROUP BY distinct_id
            )
          )
          GROUP BY ALL
        )
      )
      GROUP BY period
    )
  )
)
WHERE period <= last_period
ORDER BY period
