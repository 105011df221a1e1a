"""F12: the NIC drops a part of what it was asked for."""

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Bench, Plan
from p2plab.catalog.case import USUAL, case
from p2plab.core.scenario import Knob
from p2plab.drivers.nic import ObedientNic
from p2plab.mm import MmuNotifierRange
from p2plab.p2p.aperture import PAGE_SIZE


class DropsInPart(ObedientNic):
    """Gets the arithmetic of ranges wrong; ``part`` says how."""

    part = "first-page"

    def concerned(self, range: MmuNotifierRange) -> tuple[int, int]:
        """The wrong part of the range."""
        start, end = super().concerned(range)
        if self.part == "first-page":
            return start, start + PAGE_SIZE
        return (start - PAGE_SIZE, end - PAGE_SIZE) if self.part == "shifted" else (start, max(self.held, default=end))


class Partly(Bench):
    """With the part that the knob says."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """Tell the broken driver which part it drops."""
        nic = self.stations[0].importer
        if isinstance(nic, DropsInPart):
            nic.part = str(settings["part"])


PART = Knob("part", "first-page", "what the broken driver drops", choices=("first-page", "all-but-last", "shifted"))
CASE = case(
    "F12",
    "partial-range",
    "the NIC drops only a part of the range",
    rule="obedience",
    about="""The GPU takes two pages back. The NIC drops one of them and says that it is done. Dropping more than was
    asked for would be legal and slow; dropping less leaves stale pages.""",
    sees="One page right, one page stale: damage at the rim only.",
    broken=Plan(importer=DropsInPart),
    bench=Partly,
    knobs=(PART, *USUAL),
)
