"""What happens without the optional libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "missing"),
    [("dlt", "dlt"), ("dlt", "pyarrow"), ("spark", "pyspark"), ("spark", "pyarrow")],
)
def test_an_import_names_the_extra(module: str, missing: str) -> None:
    script = f"import sys; sys.path[:0] = {sys.path!r}; sys.modules[{missing!r}] = None; import mixpanel_data.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: ") and f"pip install 'mixpanel-data[{module}]'" in last
