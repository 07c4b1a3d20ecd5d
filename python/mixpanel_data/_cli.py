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

    # Without its directory, because it is part of suggested commands.
    code = _core.main([os.path.basename(sys.argv[0]), *sys.argv[1:]])
    # Without running Python's own clean-up, which could fail if standard output is closed.
    os._exit(code)


if __name__ == "__main__":
    main()
