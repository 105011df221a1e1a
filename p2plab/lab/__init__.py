"""The explorers for a notebook, and the only room with widget callbacks.

``Lab("workbench")`` runs a scene step by step, ``CompareLab()`` two side by side,
``MachineLab("q35_switch2")`` shows a machine, ``MemoryLab("munmap")`` who is
told when memory changes.
"""

from p2plab.lab.compare import CompareLab
from p2plab.lab.designs import DesignsLab
from p2plab.lab.lab import Lab
from p2plab.lab.machine import MachineLab
from p2plab.lab.memory import MemoryLab

__all__ = ["CompareLab", "DesignsLab", "Lab", "MachineLab", "MemoryLab"]
