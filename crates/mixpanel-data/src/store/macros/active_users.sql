SELECT day, CASE WHEN day = changed_on THEN dau ELSE 0 END AS dau, wau, mau,
  round(100e0 * CASE WHEN day = changed_on THEN dau ELSE 0 END / nullif(mau, 0), 2) AS stickiness_pct
FROM (
-- Days on which nothing changes have the totals of the day before.
  SELECT changed_on, dau, wau, mau, last_day,
    unnest(generate_series(changed_on, coalesce(next_on - 1, changed_on), INTERVAL 1 DAY))::DATE AS day
  FROM (
    SELECT day AS changed_on, dau::BIGINT AS dau, (sum(wau) OVER (ORDER BY day))::BIGINT AS wau,
      (sum(mau) OVER (ORDER BY day))::BIGINT AS mau, lead(day) OVER (ORDER BY day) AS next_on,
      max(day) FILTER (dau > 0) OVER () AS last_day
    FROM (
      SELECT day, sum(dau) AS dau, sum(wau) AS wau, sum(mau) AS mau
      FROM (
-- A user who is active on a day counts for that day and the 6 or 29 days after it, until the next active day at most.
-- So the totals are running sums of arrivals and departures, and each event is read once.
        SELECT unnest([
          {day: day, dau: users, wau: users, mau: users},
          {day: day + least(idle, 7)::INTEGER, dau: 0, wau: -users, mau: 0},
          {day: day + idle::INTEGER, dau: 0, wau: 0, mau: -users}
        ], recursive := true)
        FROM (
          SELECT day, idle, count(*) AS users
          FROM (
            SELECT unnest(list_filter(
              list_transform(days, lambda d, i: {day: d, idle: least(coalesce(days[i + 1] - d, 30), 30)}),
              lambda v: v.idle > 0
            ), recursive := true)
            FROM (
              SELECT list_sort(list(event_time::DATE)) AS days FROM query_table(source)
              WHERE distinct_id <> '' GROUP BY distinct_id
            )
          )
          GROUP BY day, idle
        )
      )
      GROUP BY day
    )
  )
)
WHERE day <= last_day
ORDER BY day
