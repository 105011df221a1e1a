"""Many runs at once: what the contract costs, with its spread over seeds. Durations and sizes are illustrative."""

from collections.abc import Callable

from p2plab.sweeps.compact import Compaction, compact, plan
from p2plab.sweeps.fragmentation import fragmentation
from p2plab.sweeps.latency import latency
from p2plab.sweeps.refusals import refusals
from p2plab.sweeps.table import Point, Progress, Sweep

#: Every sweep by its name.
SWEEPS: dict[str, Callable[..., Sweep]] = {"fragmentation": fragmentation, "refusals": refusals, "latency": latency}

__all__ = [
    "SWEEPS",
    "Compaction",
    "Point",
    "Progress",
    "Sweep",
    "compact",
    "fragmentation",
    "latency",
    "plan",
    "refusals",
]
