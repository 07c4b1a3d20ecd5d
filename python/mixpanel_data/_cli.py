"""The command `mp`."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Runs the command line in this process, as the binary does.

    Python's handler for Ctrl-C is removed first: `mp` has its own. A signal that is ignored, as under `nohup` or in the
    background, stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from . import _core

    code = _core.main([program_name(sys.argv[0]), *sys.argv[1:]])
    # Without running Python's own clean-up, which could fail if standard output is closed.
    os._exit(code)


def program_name(path: str) -> str:
    """Returns what suggested commands begin with: the name alone if a shell would find this program by it.

    The system passes scripts their path even if they were started by name.
    """
    name = os.path.basename(path)
    if not os.path.exists(path):
        return name
    for directory in os.get_exec_path():
        found = os.path.join(directory, name)
        if os.path.isfile(found) and os.access(found, os.X_OK):
            return name if os.path.samefile(found, path) else path
    return path


if __name__ == "__main__":
    main()
