"""The kernel's own complaints, and the model's rules that correspond to them.

A complaint that no broken rule explains is a difference. A silent kernel never is: its checkers cannot see most of what the
rules find.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from p2plab.conform.scenes_read import Complaint

#: What a complaint of the kernel means: kind, a pattern for its text, and the rules one of which must be broken.
#: A name in angle brackets is an event of the log instead.
TABLE: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("sleep", "", ("never-sleeps",)),
    ("notifier", "", ("refuses-rightly",)),
    ("warn", r"mmu_notifier\.c", ("refuses-rightly",)),
    ("warn", r"rwsem\.h", ("stays-out-of-mm",)),
    ("dma-api", "overlap|EEXIST", ("no-overlapping-map",)),
    # the importer was unbound with mappings: it did not give back, or did not do what its callback asked
    ("dma-api", "pending DMA allocations", ("balanced-unmap", "refusal-keeps-nothing", "obedience")),
    ("dma-api", "free DMA memory it has not allocated", ("balanced-unmap",)),
    ("warn", r"kernel/dma/debug\.c", ()),  # the stack of the complaint before it
    ("dmar", "", ("<IommuFault>",)),
    ("oops", "", ("vma-alive",)),
    ("lockdep", "", ("no-deadlock", "lock-order", "stays-out-of-mm")),
    ("hung", "", ("no-deadlock",)),
    ("oom", "", ()),  # asked for by the play, with sysrq-f
)


def rules_for(said: Complaint) -> tuple[str, ...] | None:
    """The rules one of which must explain a complaint; empty if it needs no explanation; None if the table lacks its kind."""
    return next((rules for kind, text, rules in TABLE if kind == said.kind and re.search(text, said.text)), None)


def unexplained(says: Iterable[Complaint], broken: Iterable[str]) -> list[str]:
    """The complaints that no broken rule explains, each with the rules that would."""
    known = set(broken)
    found = []
    for said in says:
        rules = rules_for(said)
        if rules is None:
            found.append(f"{said.kind}: {said.text[:100]} (no rule is about this)")
        elif rules and not known.intersection(rules):
            found.append(f"{said.kind} ({said.phase}): {said.text[:100]} (expected: {' or '.join(rules)})")
    return found
