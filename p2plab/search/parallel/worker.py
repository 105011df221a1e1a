"""A worker process of this machine: ``python -m p2plab.search.parallel.worker``. It ends when its input does."""

from __future__ import annotations

import os
import signal
import sys

from p2plab.search.parallel.part import Part
from p2plab.search.parallel.wire import Ended, fetch, leave, receive, send


def main(boxes: list[int]) -> None:
    """Answer messages on standard input, one by one. ``boxes``: the files for arrays."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    target = os.fdopen(os.dup(1), "wb", buffering=1 << 16)
    os.dup2(2, 1)  # a library's output must not get between the messages
    part = Part()
    try:
        while True:
            message = receive(source)
            kind = str(message.pop("kind"))
            for other, place in dict(message.pop("mail", [])).items():
                message[f"words{other}"] = fetch(boxes[other], place)
            answer = part.answer(kind, message)
            if kind == "expand" and "ask" not in answer:
                answer["mail"] = leave(boxes[part.number], part.outbox)
            send(target, answer)
    except Ended:
        sys.exit(0)


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]])
