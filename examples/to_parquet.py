"""Writes profiles and the events of a week to Parquet files, without keeping a database.

    python to_parquet.py DIRECTORY

Needs polars.
"""

import sys
from pathlib import Path

import mixpanel_data as mp


def main(directory: Path) -> None:
    """Writes `profiles.parquet` and `events.parquet`."""
    directory.mkdir(parents=True, exist_ok=True)
    with mp.Workspace.ephemeral() as ws:
        ws.fetch_profiles(parallel=True)
        ws.fetch_events(from_date="7d", to_date="yesterday", parallel=True)
        for table in ("profiles", "events"):
            frame = ws.query(f"FROM {table}_typed").pl()
            frame.write_parquet(directory / f"{table}.parquet")
            print(f"{table}: {frame.height:,} rows, {frame.width} columns")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
