"""What changed between kernels: the same operation asked of each, and which rule of the model makes the difference.

The rule is found by trying: the older kernel with one rule of the newer one, or the newer one with one of the older's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from p2plab.mm.ask import Effect, Row, ask
from p2plab.mm.kernel import LINUX_6_1, LINUX_6_12, LINUX_7_3, Kernel, KernelRule

#: the kernels that are compared with recordings, oldest first
RECORDED = (LINUX_6_1, LINUX_6_12, LINUX_7_3)


@dataclass(frozen=True, slots=True)
class EffectChange:
    """One operation on one kind of memory whose answer differs between kernels: each answer, and the rules behind it.

    ``rules``: for each kernel but the first, those that changed the answer since the one before it.
    """

    operation: str
    kind: str
    answers: tuple[Effect, ...]
    rules: tuple[tuple[KernelRule, ...], ...]


def change(operation: str, kind: str, kernels: Sequence[Kernel] = RECORDED) -> EffectChange | None:
    """How the kernels differ, oldest first; None if all answer the same. BadInput for unknown names.

    >>> [rule.name for rule in change("madvise_dontneed", "anon").rules[1]]
    ['madvise_vma_lock']
    >>> change("fork", "device") is None
    True
    """
    answers = tuple(ask(operation, kind, kernel) for kernel in kernels)
    said = [seen(answer) for answer in answers]
    if len(set(said)) == 1:
        return None
    rules = [
        _responsible(operation, kind, kernels[at], kernels[at + 1]) if said[at] != said[at + 1] else ()
        for at in range(len(kernels) - 1)
    ]
    return EffectChange(operation, kind, answers, tuple(rules))


def seen(answer: Effect) -> tuple[tuple[Row, ...], str]:
    """What is compared: the calls, and the operation's return value without its sentence."""
    return answer.rows, answer.returned.split(":")[0]


def _responsible(operation: str, kind: str, old: Kernel, new: Kernel) -> tuple[KernelRule, ...]:
    """The rules each of which alone, adopted or reverted, changes the answer."""
    rules = old.changes_to(new)
    for kernel, other in ((old, new), (new, old)):
        before = seen(ask(operation, kind, kernel))
        found = tuple(
            rule
            for rule in rules
            if seen(ask(operation, kind, replace(kernel, **{rule.name: getattr(other, rule.name)}))) != before
        )
        if found:
            return found
    return rules
