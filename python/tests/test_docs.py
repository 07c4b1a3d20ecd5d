"""Runs the code of the documentation against a simulator, and checks its links."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
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


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables of a newcomer: an empty home directory and no settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MP_", "JUPYTER"))}
    return {**kept, "HOME": str(tmp_path), "IPYTHONDIR": str(tmp_path / "ipython"), "PYTHONIOENCODING": "utf-8"}


def simulated(words: list[str], environment: dict[str, str], directory: Path) -> str:
    """Runs a command with a simulator and returns its output."""
    simulator = shutil.which("mp")
    if simulator is None:
        pytest.skip("`mp` is not in PATH")
    # The data depends on the day alone, and does not change while a test runs.
    command = [simulator, "simulate", "--active", "0", "--", *words]
    done = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True, timeout=LONGEST)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_run_as_printed(page: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    program = python_program(page.read_text("utf-8"))
    assert program.strip(), "no code to run"
    script = tmp_path / f"{page.stem}.py"
    script.write_text(program, "utf-8")
    simulated([sys.executable, str(script)], environment, tmp_path)


def test_examples_in_docstrings_run(tmp_path: Path, environment: dict[str, str]) -> None:
    found = dict(docstrings())
    assert any("Workspace" in name for name in found)
    for name, text in found.items():
        script = tmp_path / "docstring.py"
        script.write_text(python_program(text), "utf-8")
        assert simulated([sys.executable, str(script)], environment, tmp_path) is not None, name


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


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_run(notebook: Path, tmp_path: Path, environment: dict[str, str]) -> None:
    output = simulated([sys.executable, "-c", RUN_NOTEBOOK, str(notebook)], environment, tmp_path)
    assert output.strip()


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_stored_without_outputs(notebook: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    stored = nbformat.read(notebook, as_version=4)
    nbformat.validate(stored)
    for cell in stored.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


def test_scripts_run(tmp_path: Path, environment: dict[str, str]) -> None:
    scripts = ROOT / "examples"
    words = " && ".join(
        f'"$PYTHON" "{scripts / name}" {arguments}'
        for name, arguments in (("refresh.py", ""), ("refresh.py", ""), ("to_parquet.py", "out"))
    )
    simulated(["sh", "-c", words], {**environment, "PYTHON": sys.executable}, tmp_path)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"profiles.parquet", "events.parquet"}


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
