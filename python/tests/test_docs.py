"""Runs the code of the documentation against a simulator, and checks its links."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python/mixpanel_data"
PAGES = [ROOT / "docs/python.md", ROOT / "python/README.md", ROOT / "README.md"]
LINKED = [*PAGES, ROOT / "docs/python-migration.md", ROOT / "docs/decisions/0017-python.md", ROOT / "ARCHITECTURE.md"]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
LONGEST = 170
"""Seconds that a page or notebook may take."""

NOT_RUN = re.compile(r"<!-- not run: (?!python/tests/test_docs.py runs it).+ -->")
"""A reason in a comment before a block. The exception is for the test of the commands in the README."""

FENCE = re.compile(r"^\s*```(\w*)$")


@dataclass(frozen=True)
class Block:
    """A code block, and the line before its first one."""

    language: str
    line: int
    code: str
    is_run: bool


def blocks(text: str) -> Iterator[Block]:
    """Yields the code blocks of a page."""
    lines = iter(enumerate(text.splitlines(), 1))
    is_run = True
    for number, line in lines:
        fence = FENCE.match(line)
        if fence is None:
            is_run = not NOT_RUN.fullmatch(line)
            continue
        indent = len(line) - len(line.lstrip())
        code = []
        for _, inner in lines:
            if FENCE.match(inner):
                break
            code.append(inner[indent:])
        yield Block(fence[1], number, "\n".join(code) + "\n", is_run)
        is_run = True


def python_program(text: str) -> str:
    """Returns the Python blocks of a page as one program that keeps the page's line numbers."""
    program: list[str] = []
    for block in blocks(text):
        if block.language == "python" and block.is_run:
            program += [""] * (block.line - len(program))
            program += block.code.splitlines()
    return "\n".join(program) + "\n"


def docstrings() -> Iterator[tuple[str, str]]:
    """Yields the name and text of every docstring that has a Python block."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                text = ast.get_docstring(node) or ""
                if "```python" in text:
                    yield f"{path.name}:{getattr(node, 'name', 'module')}", text


def environment(directory: Path) -> dict[str, str]:
    """Returns the variables of a newcomer: an empty home directory and no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "JUPYTER"))}
    return {**kept, "HOME": str(directory), "IPYTHONDIR": str(directory / "ipython"), "PYTHONIOENCODING": "utf-8"}


def simulated(words: list[str], directory: Path) -> str:
    """Runs a command with a simulator and returns its output."""
    simulator = shutil.which("mp")
    assert simulator is not None, "the command mp is not in PATH"
    # The data depends on the day alone, and does not change while a test runs. It has as many pages as the default of
    # 10,000 profiles, and as few records as they need.
    command = [simulator, "simulate", "--active", "0", "--profiles", "1000", "--page-size", "100", "--", *words]
    done = subprocess.run(
        command, env=environment(directory), cwd=directory, capture_output=True, text=True, timeout=LONGEST
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def run_page(page: Path, directory: Path) -> None:
    """Runs the code of a page."""
    program = python_program(page.read_text("utf-8"))
    assert program.strip(), "no code to run"
    script = directory / f"{page.stem}.py"
    script.write_text(program, "utf-8")
    simulated([sys.executable, str(script)], directory)


RUN_NOTEBOOK = """
import sys
import nbclient
import nbformat

notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
for cell in notebook.cells:
    for output in cell.get("outputs", []):
        assert output.output_type != "error"
        print(output.get("text") or output.get("data", {}).get("text/plain", ""))
"""


def run_notebook(notebook: Path, directory: Path) -> None:
    """Runs the cells of a notebook."""
    assert simulated([sys.executable, "-c", RUN_NOTEBOOK, str(notebook)], directory).strip()


def run_scripts(scripts: Path, directory: Path) -> None:
    """Runs the scripts in the directory of examples."""
    words = " && ".join(
        f'"{sys.executable}" "{scripts / name}" {arguments}'
        for name, arguments in (("refresh.py", ""), ("refresh.py", ""), ("to_parquet.py", "out"))
    )
    simulated(["sh", "-c", words], directory)
    assert {path.name for path in (directory / "out").iterdir()} == {"profiles.parquet", "events.parquet"}


def run_docstrings(_package: Path, directory: Path) -> None:
    """Runs the examples in docstrings, each with a simulator of its own."""
    found = dict(docstrings())
    assert any("Workspace" in name for name in found)
    for text in found.values():
        script = directory / "docstring.py"
        script.write_text(python_program(text), "utf-8")
        simulated([sys.executable, str(script)], directory)


RUNNERS: dict[Path, Callable[[Path, Path], None]] = {
    ROOT / "examples": run_scripts,
    **dict.fromkeys(PAGES, run_page),
    **dict.fromkeys(NOTEBOOKS, run_notebook),
    PACKAGE: run_docstrings,
}
"""What runs the code of these paths; the slowest ones are started first."""


@pytest.fixture(scope="module")
def runs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[Path, Future[None]]]:
    """The runs of the collected tests, several at a time: they wait for the limit of exports per second mostly."""
    tests = [item for item in request.session.items if isinstance(item, pytest.Function) and hasattr(item, "callspec")]
    wanted = {item.callspec.params.get("documented") for item in tests}
    with ThreadPoolExecutor(4) as pool:
        yield {
            path: pool.submit(run, path, tmp_path_factory.mktemp("documented"))
            for path, run in RUNNERS.items()
            if path in wanted
        }


@pytest.mark.parametrize("documented", RUNNERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documented_code_runs_as_printed(documented: Path, runs: dict[Path, Future[None]]) -> None:
    runs[documented].result(LONGEST)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(notebook: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    stored = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    for cell in stored.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_every_example_is_tested() -> None:
    names = {path.name for path in (ROOT / "examples").iterdir()} - {"README.md", ".ipynb_checkpoints"}
    assert names == {*(path.name for path in NOTEBOOKS), "refresh.py", "to_parquet.py"}


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{page.name} links to {link}, which has no such heading"
