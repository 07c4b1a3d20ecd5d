"""What the package imports, shows and declares."""

from __future__ import annotations

import inspect
import os
import pty
import re
import statistics
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Simulate
from simulator import OPTIONS, PROFILES, child_environment, run_python

import mixpanel_data as mp
from mixpanel_data import _progress

OPTIONAL = ("pandas", "polars", "pyarrow", "tqdm", "duckdb", "numpy", "dlt", "pyspark")

BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocker())
import mixpanel_data as mp
ws = mp.Workspace(path=sys.argv[1])
"""


def test_importing_the_package_imports_no_optional_library() -> None:
    found = run_python("import sys, mixpanel_data; mixpanel_data.Workspace; print(sorted(sys.modules))")
    assert found.returncode == 0, found.stderr
    modules = set(eval(found.stdout))
    assert not modules & set(OPTIONAL)


def test_the_import_and_the_command_load_only_what_they_need() -> None:
    code = "import sys; {0}; print([name for name in sys.modules if name.startswith('mixpanel_data.')])"
    assert run_python(code.format("import mixpanel_data")).stdout == "[]\n"
    assert run_python(code.format("import mixpanel_data._cli")).stdout == "['mixpanel_data._cli']\n"


@pytest.mark.parametrize(
    "use",
    [
        "import mixpanel_data; mixpanel_data.Workspace",
        "import mixpanel_data; mixpanel_data.exceptions.QueryError; mixpanel_data.types.FetchResult",
        "import mixpanel_data; assert mixpanel_data.__version__",
        "import mixpanel_data; assert 'Workspace' in dir(mixpanel_data)",
        "from mixpanel_data import *; Workspace, QueryError, FetchResult, RunOptions",
        "from mixpanel_data import Workspace, MixpanelDataError, auth",
        "from mixpanel_data.exceptions import QueryError; import mixpanel_data as m; assert m.QueryError is QueryError",
        "import mixpanel_data; assert not hasattr(mixpanel_data, 'nonsense') and not hasattr(mixpanel_data, '_nonsense')",
    ],
)
def test_names_are_there_at_their_first_use(use: str) -> None:
    run = run_python(use)
    assert run.returncode == 0, run.stderr


@pytest.mark.optimized
@pytest.mark.parametrize("use", ["import mixpanel_data", "import mixpanel_data; mixpanel_data.Workspace"])
def test_importing_the_package_takes_less_than_100_ms(use: str) -> None:
    code = f"import time; begun = time.perf_counter(); {use}; print(time.perf_counter() - begun)"
    seconds = [float(run_python(code).stdout) for _ in range(9)]
    assert min(seconds) < 0.1, seconds
    assert statistics.median(seconds) < 0.2, seconds


@pytest.mark.usefixtures("stored")
def test_what_the_optional_libraries_are_for(ws: mp.Workspace) -> None:
    code = BLOCK + (
        "assert ws.query('SELECT 1 AS n').fetchall() == [(1,)]\n"
        "assert ws.sql_scalar('SELECT count(*) FROM profiles') > 0\n"
        "result = ws.query('SELECT 1 AS n')\n"
        "calls = {'pandas': [lambda: ws.sql('SELECT 1'), result.df, lambda: ws.sample('profiles')],\n"
        "         'polars': [result.pl], 'pyarrow': [result.arrow], 'duckdb': [lambda: ws.connection]}\n"
        "for name, all in calls.items():\n"
        "    for call in all:\n"
        "        try: call()\n"
        "        except ImportError as error: assert 'pip install' in str(error) and name in str(error), error\n"
        "        else: raise AssertionError(name)\n"
        "ws.fetch_profiles('other', parallel=True)\n"
        "print('fine')\n"
    )
    run = run_python(code, str(ws.db_path), ",".join(OPTIONAL))
    assert run.stdout == "fine\n", run.stderr


def on_a_terminal(code: str, *arguments: str) -> str:
    """Returns what a child process writes to a terminal as its standard error."""
    child, terminal = pty.fork()
    if child == 0:
        try:
            # A bar is as wide as the terminal.
            termios.tcsetwinsize(2, (24, 100))
            os.execve(sys.executable, [sys.executable, "-c", code, *arguments], child_environment())
        finally:
            os._exit(127)
    output = b""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        output += part
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    text = output.decode()
    assert os.waitstatus_to_exitcode(status) == 0, text
    return text


def test_a_terminal_without_tqdm_shows_lines(ws: mp.Workspace, tmp_path: Path) -> None:
    text = on_a_terminal(BLOCK + "ws.fetch_profiles(parallel=True)", str(tmp_path / "lines.db"), "tqdm")
    assert text.count("profiles so far") == 10
    assert f"{PROFILES:,} profiles so far" in text


def test_a_terminal_with_tqdm_shows_a_bar(ws: mp.Workspace, tmp_path: Path) -> None:
    text = on_a_terminal(BLOCK + "ws.fetch_profiles(parallel=True)", str(tmp_path / "bar.db"), "none")
    assert "profiles: " in text and "rows" in text and "100%" in text
    silent = on_a_terminal(BLOCK + "ws.fetch_profiles(progress=False)", str(tmp_path / "silent.db"), "none")
    assert silent.strip() == ""


def test_lines_of_the_log_are_not_on_the_bar(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS, "--fault", "pages=3 times=1 status=500", fresh=True)
    code = BLOCK + (
        "import logging\n"
        "logging.basicConfig(format='logged %(message)s')\n"
        "logging.getLogger('mixpanel_data').setLevel(logging.DEBUG)\n"
        "try: ws.fetch_profiles('interrupted', on_page_complete=lambda page: sys.exit(0))\n"
        "except SystemExit: pass\n"
        "ws.resume_fetch()\n"
    )
    text = on_a_terminal(code, str(tmp_path / "bar.db"), "none")
    assert "resume: " in text and "fetch: " not in text
    lines = [part for line in text.splitlines() for part in line.split("\r") if "logged" in part]
    assert lines
    assert all(line.startswith("logged") for line in lines), lines


def test_without_a_terminal_nothing_is_shown(simulate: Simulate, tmp_path: Path) -> None:
    simulate(*OPTIONS)
    run = run_python(BLOCK + "ws.fetch_profiles(parallel=True)", str(tmp_path / "test.db"), "none")
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_a_display_ignores_events_that_it_does_not_know() -> None:
    shown = _progress.display(False, "profiles")
    shown.show({"event": "of a later version"})
    shown.close()
    _progress.log({"event": "of a later version"})


MEMBERS = {
    "fetch_events": (
        "name='events', *, from_date, to_date, events=None, where=None, limit=None, progress=True, append=False, "
        "batch_size=1000, parallel=False, max_workers=None, on_batch_complete=None, chunk_days=7"
    ),
    "fetch_profiles": (
        "name='profiles', *, where=None, cohort_id=None, output_properties=None, progress=True, append=False, "
        "batch_size=1000, distinct_id=None, distinct_ids=None, group_id=None, behaviors=None, as_of_timestamp=None, "
        "include_all_users=False, parallel=False, max_workers=None, on_page_complete=None"
    ),
    "stream_events": "*, from_date, to_date, events=None, where=None, limit=None, raw=False",
    "stream_profiles": (
        "*, where=None, cohort_id=None, output_properties=None, raw=False, distinct_id=None, distinct_ids=None, "
        "group_id=None, behaviors=None, as_of_timestamp=None, include_all_users=False"
    ),
    "__init__": "account=None, project_id=None, region=None, path=None, read_only=False",
    "open": "path, *, read_only=True",
    "ephemeral": "account=None, project_id=None, region=None",
    "memory": "account=None, project_id=None, region=None",
    "close": "",
    "test_credentials": "account=None",
    "events": "",
    "sql": "query",
    "sql_scalar": "query",
    "sql_rows": "query",
    "property_distribution": "event, property, *, from_date, to_date, limit=20",
    "numeric_summary": "event, property, *, from_date, to_date, percentiles=None",
    "daily_counts": "*, from_date, to_date, events=None",
    "engagement_distribution": "*, from_date, to_date, events=None, buckets=None",
    "property_coverage": "event, properties, *, from_date, to_date",
    "top_events": "*, type='general', limit=None",
    "info": "",
    "tables": "",
    "table_schema": "table",
    "sample": "table, n=10",
    "summarize": "table",
    "event_breakdown": "table",
    "property_keys": "table, event=None",
    "column_stats": "table, column, *, top_n=10",
    "drop": "*names",
    "drop_all": "type=None",
}
"""The methods of the former package that this one has, with their parameters."""

OTHER_DEFAULTS = {
    # A range of days is optional: `since` replaces it, and statistics describe the whole table.
    ("fetch_events", "from_date"): None,
    ("fetch_events", "to_date"): None,
    **{
        (name, parameter): None
        for name in (
            "property_distribution", "numeric_summary", "daily_counts", "engagement_distribution", "property_coverage",
        )
        for parameter in ("from_date", "to_date")
    },
    # By default, as the quota and the size of the days allow.
    ("fetch_events", "chunk_days"): None,
}  # fmt: skip
"""Parameters that deliberately have another default."""

NOT_HERE = (
    "properties", "property_values", "funnels", "cohorts", "list_bookmarks", "lexicon_schemas", "lexicon_schema",
    "clear_discovery_cache", "segmentation", "funnel", "retention", "jql", "event_counts", "property_counts",
    "activity_feed", "query_saved_report", "query_flows", "frequency", "segmentation_numeric", "segmentation_sum",
    "segmentation_average", "storage", "api",
)  # fmt: skip
"""Methods of the former package that query Mixpanel's reports, which the library does not do."""


def declared(text: str) -> inspect.Signature:
    space: dict[str, Any] = {}
    exec(f"def method({text}): ...", space)
    return inspect.signature(space["method"])


@pytest.mark.parametrize("name", MEMBERS)
def test_signatures_are_those_of_the_former_package(name: str) -> None:
    function = inspect.unwrap(getattr(mp.Workspace, name))
    found = dict(inspect.signature(function).parameters)
    for parameter in ("self", "cls"):
        found.pop(parameter, None)
    expected = declared(MEMBERS[name]).parameters
    for parameter, wanted in expected.items():
        assert parameter in found, parameter
        default = OTHER_DEFAULTS.get((name, parameter), wanted.default)
        assert found[parameter].default == default, parameter
        assert found[parameter].kind == wanted.kind, parameter
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    order = [parameter for parameter, found_one in found.items() if found_one.kind == positional]
    assert order == [parameter for parameter, wanted in expected.items() if wanted.kind == positional]
    for parameter in set(found) - set(expected):
        # Additions are keywords, and none of them is required.
        kind = found[parameter].kind
        assert kind == inspect.Parameter.VAR_KEYWORD or (
            kind == inspect.Parameter.KEYWORD_ONLY and found[parameter].default is not inspect.Parameter.empty
        ), parameter


def test_reports_are_not_part_of_the_package() -> None:
    assert not [name for name in NOT_HERE if hasattr(mp.Workspace, name)]


def test_every_public_item_is_documented() -> None:
    public = [getattr(mp, name) for name in public_names()]
    items = [item for item in public if inspect.isclass(item) or inspect.isfunction(item)]
    for item in items:
        assert item.__doc__, item
    for name, member in inspect.getmembers(mp.Workspace):
        assert name.startswith("_") or inspect.getdoc(member), name


def public_names() -> list[str]:
    names: list[str] = vars(mp)["__all__"]
    return names


def test_type_checkers_know_the_public_names() -> None:
    stub = (Path(mp.__file__).parent / "__init__.pyi").read_text()
    own = re.findall(r"^from \S+ import (\w+) as \1$", stub, re.MULTILINE)
    starred = re.findall(r"^from \.(\w+) import \*$", stub, re.MULTILINE)
    listed = [name for module in starred for name in getattr(mp, module).__all__]
    assert sorted(own + listed) == sorted(public_names())


def test_public_names_are_sorted_out() -> None:
    assert len(public_names()) == len(set(public_names()))
    assert all(hasattr(mp, name) for name in public_names())
