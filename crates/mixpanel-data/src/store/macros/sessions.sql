SELECT distinct_id, s.session::INTEGER AS session, s.first_event.time AS started_at, s.last_event.time AS ended_at,
  epoch_us(s.last_event.time - s.first_event.time) / 1e6 AS duration_seconds, s.events::BIGINT AS events,
  s.first_event.name AS first_event, s.last_event.name AS last_event
FROM (
  SELECT distinct_id, unnest(list_transform(starts, lambda first, k: {
    session: k, first_event: events[first], last_event: events[coalesce(starts[k + 1] - 1, len(events))],
    events: coalesce(starts[k + 1] - 1, len(events)) - first + 1})) AS s
  FROM (
    SELECT distinct_id, events, list_filter(range(1, len(events) + 1), lambda i: i = 1
      OR events[i].time - events[i - 1].time >= gap::INTERVAL
      OR (at_midnight AND events[i].time::DATE <> events[i - 1].time::DATE)) AS starts
    FROM (
      SELECT distinct_id, list_sort(list({time: event_time, name: event_name})) AS events
      FROM query_table(source)
      WHERE distinct_id <> '' AND CASE
        WHEN coalesce(gap::INTERVAL < INTERVAL 0 DAY, true) THEN error('gap must be an interval of at least 0')
        WHEN at_midnight IS NULL THEN error('at_midnight must be true or false')
        WHEN excluded IS NULL THEN error('excluded must be a list of event names')
        ELSE NOT list_contains(excluded, event_name) END
      GROUP BY distinct_id
    )
  )
)
