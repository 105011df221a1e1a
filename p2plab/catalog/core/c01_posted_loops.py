"""C1: the loops of the series as posted, and as they were meant."""

from p2plab.catalog.bench import Plan
from p2plab.catalog.case import case
from p2plab.catalog.hmms import LOOPS, Hmms
from p2plab.core.scenario import Knob

FAULT = Knob("fault", "all", "which of the posted loops' faults is on", choices=("all", *LOOPS))
RANGE = Knob(
    "range",
    "shortest",
    "the pages: R in main memory, D device-private, P of a device vma",
    choices=("shortest", "RRDDRR", "DDDDRRRR", "RRPPPPRR", "PPPPRRRR"),
)
CASE = case(
    "C1",
    "posted-loops",
    "HMM's two loops as posted, with their faults",
    rule="hmm-complete",
    about="""An importer maps a range over ordinary and device memory with one call. The posted loop skips a page after
    each run of device pages and writes a run into the wrong slots. The unmap loop then leaves pages behind.""",
    sees="Pages without an address, pages counted that are not there, pages never unmapped; the knob `fault` takes one "
    "at a time, on the shortest range that shows it.",
    broken=Plan(app=("lay_out",), gpu=(), pages=4, slots=8),
    good=Plan(app=("lay_out",), gpu=(), pages=4, slots=8),
    story="app nic ...",
    bench=Hmms,
    knobs=(FAULT, RANGE),
    goals=(),
    takes=(),
)
