"""The kernels that p2plab knows, by name. What each of them does is a value in the room that it concerns.

"Today" is the newest kernel against which the model was held: Linux 7.3 (7.3.4). ``rfc2019`` is the kernel of the
proposal of January 2019, v5.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from p2plab.core.errors import BadInput
from p2plab.core.names import unknown

NAMES = ("rfc2019", "6.1", "6.12", "7.3")
TODAY = "7.3"

KernelT = TypeVar("KernelT")


def named(kernels: Mapping[str, KernelT], name: str) -> KernelT:
    """The kernel of that name; :exc:`BadInput` lists the names."""
    if name not in kernels:
        raise BadInput(f"{unknown('kernel', name, list(kernels))} ({TODAY} is today's)")
    return kernels[name]
