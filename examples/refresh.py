"""Brings the tables `profiles` and `events` up to date: a script for cron.

    17 * * * *  /home/me/venv/bin/python refresh.py

Prints nothing unless something needs attention, so that cron sends mail only then. Exits with 0 if both tables are
complete, with 1 if the next run may succeed, and with 2 if something must be corrected first.
"""

import logging
import sys

import mixpanel_data as mp

FIRST_DAY = "14d"
"""Where the table of events begins when it is created."""

MONTH = 30 * 24 * 60 * 60


def refresh() -> int:
    """Returns the exit code."""
    ws = mp.Workspace()
    results: list[mp.FetchResult | mp.ParallelProfileResult | mp.ParallelFetchResult] = [
        ws.refresh_profiles(parallel=True, full_every=MONTH, progress=False),
        ws.refresh_events(parallel=True, from_date=FIRST_DAY, progress=False),
    ]
    code = 0
    for result in results:
        # Missing pages are kept as an unfinished run, which the next refresh resumes.
        if result.has_failures:
            print(f"{result.table} is incomplete: {result.to_dict()}", file=sys.stderr)
            code = 1
    return code


def main() -> int:
    """Returns the exit code, also of a failed refresh."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return refresh()
    except (mp.ConfigError, mp.AuthenticationError, mp.InvalidInputError) as error:
        print(f"{error}\n{error.hint or ''}", file=sys.stderr)
        return 2
    except mp.MixpanelDataError as error:
        print(f"{error}\n{error.hint or ''}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
