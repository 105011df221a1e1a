"""The one-page handout, made from the rules and from the model's answers, so that it cannot say anything else."""

from __future__ import annotations

from p2plab.mm.ask import ask
from p2plab.rules import RULES
from p2plab.views.mm_text import locks_text

_IMPORTER = (
    *("obedience", "no-stale-dma", "balanced-unmap", "programs-only-valid", "own-address", "stays-out-of-mm"),
    *("never-sleeps", "vma-alive", "lock-order"),
)
_EXPORTER = (
    *("predictability", "told-before-moved", "no-map-while-moving", "right-when-given", "asked-each-time"),
    *("refusal-keeps-nothing", "gone-means-nobody", "inside-one-vma"),
)
_OPERATIONS = (
    *("munmap", "munmap_part", "mremap_move", "mmap_fixed", "zap_vma_ptes", "unmap_mapping_range", "mprotect_r"),
    *("mprotect_unpopulated", "fork", "madvise_dontneed", "oom_reaper", "exit"),
)
_HEAD = """# Handout: who promises what, and who is told

The importer's loop: wait until valid · `mmap_lock` for reading · `p2p_map` · own lock · still valid? · program the device, or
give back and go round. Its callback: own lock · clear · drain · `p2p_unmap` · return. An exporter's move: no new maps ·
tell everybody · move · maps again.
"""
_FOOT = """
Sources: a rule marked *stated* is written in a mail or in the kernel, *inferred* is read from it; `p2plab.rules.RULES` names
the place of each. Events: Linux 7.3, 16 pages of shared device memory, computed by `p2plab events`. Left out: PCIe
ordering, ATS and PRI, IOTLB timing, caches, NUMA, power management.
"""


def handout() -> str:
    """The page as Markdown."""
    lines = [_HEAD, "| importer | promise | |", "|---|---|---|", *(_rule(name) for name in _IMPORTER), ""]
    lines += ["| exporter and its callers | promise | |", "|---|---|---|", *(_rule(name) for name in _EXPORTER), ""]
    lines += [
        "| of device memory | tells | pages | locks held (r, w) |",
        "|---|---|---|---|",
        *map(_event, _OPERATIONS),
    ]
    return "\n".join(lines) + "\n" + _FOOT


def _rule(name: str) -> str:
    rule = RULES[name]
    return f"| **{name}** | {rule.promise} | {rule.basis()} |"


def _event(operation: str) -> str:
    answer = ask(operation, "device")
    rows = list(answer.rows)
    if not rows:
        said = "" if answer.returned in ("0", "reaped") else f" ({answer.returned.partition(':')[0]})"
        return f"| {answer.what} (`{operation}`) | nobody{said} | | |"
    names = ", then ".join(row.event for row in rows)
    pages = ", then ".join(dict.fromkeys("all" if row.start is None else f"{row.start}–{row.end}" for row in rows))
    locks = ", then ".join(dict.fromkeys(locks_text(row) for row in rows))
    return f"| {answer.what} (`{operation}`) | {names} | {pages} | {locks} |"
