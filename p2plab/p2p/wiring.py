"""Who sets the two callbacks and who calls them: the question of the review, as a knob.

Logan Gunthorpe, 29 January 2019 (<ae928aa5-a659-74d5-9734-15dfefafd3ea>): nobody sets them, only HMM calls them; he
would have expected core VMA code to call and HMM to set. Jérôme Glisse's answer (<20190129191120.GE3176@redhat.com>):
the exporter's driver sets them in its ``mmap``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from p2plab.core.calls import called
from p2plab.core.events import emit
from p2plab.mm import Vma, VmOperations
from p2plab.p2p.events import OpsSet

#: What each choice of the knob means.
WIRINGS = {
    "series-alone": "the five patches and nothing else: no driver of the kernel sets the callbacks",
    "as-posted": "the exporter sets them in its mmap, only HMM calls them, and the posted loops have their faults",
    "as-intended": "the exporter sets them in its mmap, only HMM calls them, and the loops do what they were meant to",
    "as-reviewer-expected": "HMM sets them for its drivers' vmas, and core VMA code calls them",
}
CALLBACKS = ("p2p_map", "p2p_unmap")


def set_ops(vma: Vma, exporter: VmOperations, exporter_name: str, wiring: str) -> None:
    """Let the vma have the exporter's ``vm_ops``, set by whoever sets them in this wiring."""
    have = tuple(name for name in CALLBACKS if exporter.has(name))
    file = vma.vm_file.name if vma.vm_file is not None else ""
    if wiring == "series-alone":
        vma.vm_ops = VmOperations()
        emit(OpsSet("nobody", file, CALLBACKS))
        return
    vma.vm_ops = exporter
    emit(OpsSet("hmm" if wiring == "as-reviewer-expected" else exporter_name, file, have))


@contextmanager
def call_chain(exporter: VmOperations, importer: str, function: str, detail: str) -> Iterator[called]:
    """Log the calls that lead to one of the exporter's callbacks, outermost first; yields the innermost."""
    name = str(getattr(exporter, "name", "exporter"))
    with ExitStack() as stack:
        stack.enter_context(called("hmm", _HMM[function], detail.partition(", ")[2], caller=importer))
        if getattr(exporter, "wiring", "") == "as-reviewer-expected":
            stack.enter_context(called("mm", f"vma_{function}", "", caller="hmm"))
            stack.enter_context(called("hmm", function, "", caller="mm"))
        yield stack.enter_context(called(name, function, detail, caller="hmm"))


_HMM = {"p2p_map": "hmm_range_dma_map", "p2p_unmap": "hmm_range_dma_unmap"}
