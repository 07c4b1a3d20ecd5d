"""Reads the data source in a process of its own, because Spark keeps the environment that it was started with.

Arguments: the engine (`spark` or `sail`), the options as JSON, a filter or nothing, and the Parquet file to write.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from typing import Any


def session(engine: str, stack: ExitStack) -> Any:
    """Starts a session that runs four tasks at a time."""
    from pyspark.sql import SparkSession

    if engine == "spark":
        spark = (
            SparkSession.builder.master("local[4]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.session.timeZone", "America/New_York")
            .config("spark.sql.python.filterPushdown.enabled", "true")
            .getOrCreate()
        )
    else:
        from pysail.spark import SparkConnectServer

        server = SparkConnectServer()
        server.start(background=True)
        stack.callback(server.stop)
        spark = SparkSession.builder.remote(f"sc://localhost:{server.listening_address[1]}").getOrCreate()
    # Before the server: a client without a server retries for minutes.
    stack.callback(spark.stop)
    return spark


def main() -> None:
    """Writes what was read, and prints what the plans show."""
    import pyarrow.parquet
    from mixpanel_data.spark import MixpanelDataSource

    engine, options, condition, file = sys.argv[1:]
    with ExitStack() as stack:
        spark = session(engine, stack)
        spark.dataSource.register(MixpanelDataSource)
        frame = spark.read.format("mixpanel").options(**json.loads(options)).load()
        if condition:
            frame = frame.filter(condition)
        frame.explain(True)
        print(frame.schema.simpleString())
        pyarrow.parquet.write_table(frame.toArrow(), file)


if __name__ == "__main__":
    main()
