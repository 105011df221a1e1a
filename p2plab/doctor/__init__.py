"""What is wrong with *this* installation, and what to do about it, on one screen: ``doctor()``, or ``p2plab doctor``.

Every check is independent: it needs little more than Python, changes nothing, and does not stop the others if it fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from p2plab.doctor import front_end, machine, software
from p2plab.doctor.check import BAD, Check, InstallationReport
from p2plab.doctor.software import terminal_only

#: In the order of the screen.
LOOKS: tuple[Callable[[], Check | Iterable[Check]], ...] = (
    software.python,
    software.itself,
    machine.place,
    software.packages,
    front_end.front_ends,
    front_end.kernels,
    software.bokehjs,
    software.recordings,
    software.trial,
    machine.journal,
    machine.memory,
    machine.limits,
    machine.browser,
)


def doctor(looks: Iterable[Callable[[], Check | Iterable[Check]]] = LOOKS) -> InstallationReport:
    """All checks; a notebook's cell that ends with this shows the screen."""
    checks: list[Check] = []
    for look in looks:
        try:
            found = look()
            checks += [found] if isinstance(found, Check) else list(found)
        except Exception as error:  # noqa: BLE001  a look that fails is a finding, and the others still count
            said = f"could not be judged: {type(error).__name__}: {str(error)[:120]}"
            checks.append(Check(look.__name__.replace("_", " "), BAD, said, "send this line to the project"))
    return InstallationReport(tuple(checks), terminal_only())


__all__ = ["Check", "InstallationReport", "doctor"]
