SELECT period, events, active AS active_users, new AS new_users,
  (sum(new) OVER (ORDER BY period))::BIGINT AS total_users,
  round(100e0 * (active - lag(active) OVER (ORDER BY period)) / nullif(lag(active) OVER (ORDER BY period), 0), 2)
    AS change_pct,
  round(comes::DOUBLE / nullif(dormant, 0), 2) AS quick_ratio
FROM (
  SELECT period, sum(events)::BIGINT AS events, sum(active)::BIGINT AS active, sum(new)::BIGINT AS new,
    sum(comes)::BIGINT AS comes, sum(dormant)::BIGINT AS dormant
  FROM (
    SELECT unnest(list_concat(
      [{period: period, events: 0, active: users, new: CASE WHEN is_new THEN users ELSE 0 END,
        comes: CASE WHEN comes THEN users ELSE 0 END, dormant: 0}],
      CASE WHEN stays THEN [] ELSE [{period: (period + ('1 ' || unit)::INTERVAL)::DATE, events: 0, active: 0, new: 0,
        comes: 0, dormant: users}] END
    ), recursive := true)
    FROM (
      SELECT period, is_new, comes, stays, count(*) AS users
      FROM (
        SELECT unnest(list_transform(periods, lambda p, i: {
          period: p, is_new: i = 1, comes: coalesce(periods[i - 1] + ('1 ' || unit)::INTERVAL <> p, true),
          stays: coalesce(periods[i + 1] = p + ('1 ' || unit)::INTERVAL, false)}), recursive := true)
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
    UNION ALL SELECT date_trunc(unit, event_time)::DATE, count(*), 0, 0, 0, 0 FROM query_table(source) GROUP BY 1
    UNION ALL SELECT unnest(generate_series(date_trunc(unit, min(event_time)), max(event_time),
      ('1 ' || unit)::INTERVAL))::DATE, 0, 0, 0, 0, 0 FROM query_table(source)
  )
  GROUP BY period
)
WHERE period <= (SELECT max(event_time) FROM query_table(source))
ORDER BY period
