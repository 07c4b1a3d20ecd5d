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
    closed = replace_closed_streams()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        from . import _core
    except ImportError as error:
        print(f"error: cannot load the program: {error}", file=sys.stderr)
        # What the dynamic loader returns for the binary.
        sys.exit(127)
    code = _core.main([program_name(sys.argv[0]), *sys.argv[1:]], closed)
    # Without running Python's own clean-up, which could fail if standard output is closed.
    os._exit(code)


def replace_closed_streams() -> list[int]:
    """Opens the null device in place of closed standard streams, and returns their numbers.

    Otherwise the next file that is opened, such as the database, would be the standard output.
    """
    closed = []
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Gets the lowest free number, which is this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
            closed.append(number)
    return closed


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
