"""Runs and machines that show themselves: their repr is the answer, in a notebook the whole report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from html import escape

from p2plab.core import kernels
from p2plab.core import run as core_run
from p2plab.core.scenario import Scenario
from p2plab.core.token import token_of
from p2plab.pci import RFC2019, ReachVerdict, kernel_named, reach_verdict
from p2plab.pci import machine as pci_machine
from p2plab.rules import Board
from p2plab.views.pci_text import headline, reach_text
from p2plab.views.text import board_of, heading, story, verdict


class ShownRun(core_run.Run):
    """A run (:class:`p2plab.core.run.Run`) whose repr is its verdict. In a notebook it shows its story."""

    def __init__(
        self, scenario: Scenario, knobs: Mapping[str, object] | None = None, schedule: Iterable[str] = ()
    ) -> None:
        """As :class:`p2plab.core.run.Run`."""
        super().__init__(scenario, knobs, schedule)

    def __repr__(self) -> str:
        return "\n".join([*heading(self), f"{len(self)} steps", *verdict(self)])

    def _repr_html_(self) -> str:
        return as_html(story(self))

    @property
    def story(self) -> str:
        """The whole report, in at most 72 columns."""
        return story(self)

    @property
    def board(self) -> Board:
        """The board of the rules that the scene watches, at the end."""
        return board_of(self)

    @property
    def token(self) -> str:
        """The run as one line of text; :func:`p2plab.replay` runs it again."""
        return token_of(self)


@dataclass(frozen=True, repr=False)
class Reach:
    """Whether ``client`` can reach memory of ``provider``, in 2019 and with a later kernel, ``later``.

    Its repr gives the reasons step by step.
    """

    machine: ShownMachine
    provider: str
    client: str
    rfc2019: ReachVerdict
    later: ReachVerdict

    @property
    def reachable(self) -> bool:
        """Whether the two can talk under the later kernel."""
        return self.later.reachable

    def __bool__(self) -> bool:
        return self.reachable

    def __repr__(self) -> str:
        return "\n".join(reach_text(self.machine, self.provider, self.client, kernel=kernel_named(self.later.kernel)))

    def _repr_html_(self) -> str:
        return as_html(repr(self))


class ShownMachine(pci_machine.Machine):
    """A machine (:class:`p2plab.pci.Machine`) that can be asked which device reaches which."""

    def __repr__(self) -> str:
        return headline(self)

    def reach(self, provider: str, client: str, kernel: str = kernels.TODAY) -> Reach:
        """Can ``client`` use memory of ``provider``, with that kernel? Both are addresses such as ``03:00.0``.

        :exc:`BadInput` for an unknown function or kernel. What the source does not show
        counts neither way: a verdict that depends on it is not known and says what is missing.
        """
        old, new = (reach_verdict(self, provider, client, rules) for rules in (RFC2019, kernel_named(kernel)))
        return Reach(self, new.provider, new.client, old, new)


def shown_machine(machine: pci_machine.Machine) -> ShownMachine:
    """The same machine as a :class:`ShownMachine`."""
    return ShownMachine(**{field.name: getattr(machine, field.name) for field in fields(machine) if field.init})


def as_html(text: str) -> str:
    """Text of 72 columns, as a notebook shows it."""
    return f'<pre style="line-height: 1.2">{escape(text)}</pre>'
