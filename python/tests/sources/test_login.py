"""The credentials of the sources."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest
from .mixpanel_servers import Router, Simulator

import mixpanel_data as mp
from mixpanel_data._sources import Login

SECRET = "simulator-secret"
GIVEN = Login(project_id="1002", username="simulator", secret=SECRET)


def test_a_secret_is_seen_by_its_own_workspace_alone(
    simulate: Callable[..., Simulator], serve: Callable[..., Router], monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = simulate("--profiles", "20")
    serve(simulator, simulator)
    monkeypatch.setenv("MP_ACCOUNT", "first")
    before = dict(os.environ)
    seen: list[object] = []

    def look() -> None:
        child = [sys.executable, "-c", "import os; print(os.environ.get('MP_SECRET'))"]
        seen.append(subprocess.run(child, capture_output=True, text=True).stdout.strip())
        seen.append(mp.Workspace().info().project_id)
        seen.append(dict(os.environ) == before)

    # Inside, because some code could restore the environment afterwards.
    def call(frame: object, event: str, argument: object) -> None:
        seen.append("MP_SECRET" in os.environ)

    sys.setprofile(call)
    try:
        with GIVEN.workspace() as (workspace, project_id):
            sys.setprofile(None)
            thread = threading.Thread(target=look)
            thread.start()
            thread.join()
            assert workspace.fetch_profiles(progress=False).rows == 20
            assert SECRET not in repr(workspace) and SECRET.encode() not in pickle.dumps(workspace)
    finally:
        sys.setprofile(None)
    assert project_id == "1002"
    assert seen[-3:] == ["None", "1001", True]
    assert not any(seen[:-3])
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"username": "someone", "project_id": "1002"}, "must be given together"),
        ({"secret": SECRET, "project_id": "1002"}, "must be given together"),
        ({"username": "someone", "secret": SECRET}, "require `project_id`"),
        ({"username": "someone", "secret": SECRET, "project_id": "1", "account": "first"}, "give either"),
    ],
)
def test_parts_of_a_login_that_do_not_belong_together(parts: dict[str, str], message: str) -> None:
    login = Login(**parts)
    assert SECRET not in repr(login)
    with pytest.raises(ValueError, match=message), login.workspace():
        pass


@pytest.mark.parametrize(
    ("parts", "message"),
    [({"region": "mars"}, "mars"), ({"username": "a:b"}, "user name"), ({"project_id": "x"}, "project")],
)
def test_wrong_parts_of_a_login(serve: Callable[..., Router], parts: dict[str, str], message: str) -> None:
    login = Login(**{"project_id": "1002", "username": "simulator", "secret": SECRET, **parts})
    with pytest.raises(mp.InvalidInputError, match=message), login.workspace():
        pass
