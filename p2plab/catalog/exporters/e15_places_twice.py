"""E15: the GPU's slot allocator gives one slot to two objects."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import DMA, PAGES, case
from p2plab.core.events import emit
from p2plab.p2p.aperture import Aperture
from p2plab.p2p.events import SlotTaken


class DoubleBooking(Aperture):
    """Has a bug in its free list: the first slot of a run counts as free."""

    def take(self, slot: int, frame: int) -> None:
        """Does not look whether the slot is free."""
        self.shows[slot] = frame
        emit(SlotTaken(self.exporter, slot, self.memory.who(frame)[0], self.address(slot)))

    def free_runs(self) -> list[tuple[int, int]]:
        """Every run begins one slot too early."""
        return [(max(0, first - 1), length + min(1, first)) for first, length in super().free_runs()]


CASE = case(
    "E15",
    "places-twice",
    "the GPU gives one slot to two objects",
    rule="no-overlap",
    about="""The slot allocator is off by one at the start of a hole. The next object is placed over the last page of the
    one before. Both owners have an address that they believe to be theirs.""",
    sees="Two objects at one address; the one that was there first is no longer reached.",
    broken=Plan(aperture=DoubleBooking),
    knobs=(PAGES, DMA),
)
