SELECT cohort, size, period::INTEGER AS period, users, round(100e0 * users / size, 2) AS pct,
  users_on_or_after, round(100e0 * users_on_or_after / size, 2) AS pct_on_or_after,
  CASE WHEN mode = 'calendar' THEN cohort + ('1 ' || unit)::INTERVAL * (period + 1)
    ELSE cohort + ('1 ' || unit)::INTERVAL
      + INTERVAL 1 DAY * (CASE unit WHEN 'day' THEN 1 WHEN 'week' THEN 7 ELSE 30 END * (period + 1))
    END <= (SELECT max(event_time) FROM query_table(source)) AS complete
FROM (
  SELECT cohort, period,
    sum(users) FILTER (kind = 'size')::BIGINT AS size,
    coalesce(sum(users) FILTER (kind = 'on' AND k = period), 0)::BIGINT AS users,
    coalesce(sum(users) FILTER (kind = 'last' AND k >= period), 0)::BIGINT AS users_on_or_after
  FROM (
    SELECT cohort, kind, k, count(*) AS users
    FROM (
-- What each member adds to its cohort: itself, every period with a return, and its last one.
      SELECT cohort, unnest(list_concat(
        [{kind: 'size', k: 0::BIGINT}, {kind: 'last', k: list_aggregate(periods, 'max')}],
        list_transform(list_distinct(list_filter(periods, lambda k: k <= n)), lambda k: {kind: 'on', k: k})
      ), recursive := true)
      FROM (
        SELECT date_trunc(unit, born_at)::DATE AS cohort,
          list_transform(list_filter(returns, lambda r: r > 2 * epoch_us(born_at)), lambda r:
            CASE WHEN mode = 'calendar' THEN date_diff(unit, date_trunc(unit, born_at), date_trunc(unit, make_timestamp(r // 2)))
            ELSE (r // 2 - epoch_us(born_at)) // epoch_us(('1 ' || unit)::INTERVAL) END) AS periods
        FROM (
          SELECT returns, unnest(CASE WHEN cohorts = 'first' THEN births[:1] ELSE
            list_filter(births, lambda t, i: i = 1 OR date_trunc(unit, births[i - 1]) <> date_trunc(unit, t)) END
          ) AS born_at
          FROM (
-- A return is twice its time in microseconds, plus one if it counts at the time of the birth itself: any other event
-- does, the born event does not.
            SELECT
              list_sort(list(event_time) FILTER (
                (born IS NULL OR event_name = born)
                AND (from_date IS NULL OR event_time >= from_date::DATE)
                AND (to_date IS NULL OR event_time < to_date::DATE + INTERVAL 1 DAY)
              )) AS births,
              list(2 * epoch_us(event_time) + CASE WHEN born IS NULL OR event_name = born THEN 0 ELSE 1 END)
                FILTER (return_event IS NULL OR event_name = return_event) AS returns
            FROM query_table(source)
            WHERE distinct_id <> '' AND (born IS NULL OR return_event IS NULL OR event_name IN (born, return_event))
              AND CASE WHEN coalesce(unit NOT IN ('day', 'week', 'month'), true) THEN error('unit must be day, week or month')
                WHEN coalesce(mode NOT IN ('rolling', 'calendar'), true) THEN error('mode must be rolling or calendar')
                WHEN coalesce(cohorts NOT IN ('first', 'each'), true) THEN error('cohorts must be first or each')
                WHEN coalesce(n < 0, true) THEN error('n must be at least 0') ELSE true END
            GROUP BY distinct_id
          )
          WHERE births IS NOT NULL
        )
      )
    )
    GROUP BY cohort, kind, k
  )
  CROSS JOIN (SELECT unnest(range(0, n + 1)) AS period)
  GROUP BY cohort, period
)
ORDER BY cohort, period
