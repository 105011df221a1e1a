"""A scene is run here and now, and its token replayed: the model works, and how fast."""

from __future__ import annotations

import time

from p2plab.doctor.check import BAD, NOTE, OK, Check

SCENE = "defrag-obedient"
#: Seconds; an ordinary machine needs a twentieth of one, Python in a browser some tenths.
SLOW = 3.0


def trial(scene: str = SCENE) -> Check:
    """Run, replay, compare the logs."""
    began = time.perf_counter()
    try:
        from p2plab.core.run import Run
        from p2plab.core.schedule import by_text
        from p2plab.core.token import open_token, token_of
        from p2plab.everything import find

        run = Run(find(scene)).driven(by_text(find(scene).story))
        again = open_token(token_of(run), find)
    except Exception as error:  # noqa: BLE001  whatever it is, the person has to see it, and the other checks too
        cure = "install p2plab again; if that does not help, send this line to the project"
        return Check("a scene runs", BAD, f"{scene}: {type(error).__name__}: {str(error)[:200]}", cure)
    seconds = time.perf_counter() - began
    found = f"{scene}, {len(run)} steps and its token, {seconds:.2f} s"
    if again.log != run.log:
        return Check("a scene runs", BAD, f"{scene}: its token replays another run", "install p2plab again")
    if seconds > SLOW:
        return Check("a scene runs", NOTE, found, "slow: the machine is busy or small; the lab will lag")
    return Check("a scene runs", OK, found)
