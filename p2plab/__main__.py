"""``python -m p2plab``, and the program ``p2plab``."""

from __future__ import annotations

import os
import signal
import sys

_PROGRAM = __name__ == "__main__" or os.path.basename(sys.argv[0]) == "p2plab"


def _interrupted(_number: int, _frame: object) -> None:
    os.write(2, b"p2plab: interrupted\n")
    os._exit(130)


# Until all is imported there is nobody who could say it better. Where Ctrl-C is ignored (nohup), it stays ignored.
_LISTENS = _PROGRAM and signal.getsignal(signal.SIGINT) is signal.default_int_handler
if _LISTENS:
    signal.signal(signal.SIGINT, _interrupted)


def main() -> int:
    """As :func:`p2plab.cli.main`; a Ctrl-C while that is imported is said in a sentence too."""
    from p2plab.cli import main as run

    try:
        if _LISTENS:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:
        _interrupted(signal.SIGINT, None)
        raise


if __name__ == "__main__":
    sys.exit(main())
