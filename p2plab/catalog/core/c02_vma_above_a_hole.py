"""C2: find_vma answers with the vma above a hole, and p2p_map is asked for pages below it."""

from collections.abc import Mapping
from typing import Any

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.catalog.hmms import Hmms


class Hole(Hmms):
    """The range begins below the device vma, in a hole."""

    def prepare(self, settings: Mapping[str, Any]) -> None:
        """A hole of one page, then two pages of the device."""
        super().prepare({**settings, "fault": "9"})
        self.word = "_PP"


CASE = case(
    "C2",
    "vma-above-a-hole",
    "find_vma finds the vma above a hole",
    rule="inside-one-vma",
    about="""The importer's range begins in a hole below the device's vma. find_vma answers with the first vma that ends
    above the address, and it need not contain it. p2p_map is asked for pages that this vma does not have.""",
    sees="A request with start < vm_start; the twin looks at vm_start and answers -EFAULT.",
    broken=Plan(app=("lay_out",), gpu=()),
    good=Plan(app=("lay_out",), gpu=()),
    story="app nic ...",
    bench=Hole,
    knobs=(),
    goals=(),
    takes=(),
)
