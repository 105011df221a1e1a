"""Access Control Services: the bits of a port that decide whether peer-to-peer requests turn around below it."""

from __future__ import annotations

from dataclasses import dataclass

# include/uapi/linux/pci_regs.h
PCI_ACS_SV, PCI_ACS_TB, PCI_ACS_RR, PCI_ACS_CR, PCI_ACS_UF, PCI_ACS_EC, PCI_ACS_DT = (1 << bit for bit in range(7))

#: The bits that send a peer-to-peer request up to the host bridge (drivers/pci/p2pdma.c, pci_bridge_has_acs_redir).
REDIRECT = PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_EC

#: Each bit with the kernel's short name and the word ``lspci -vvv`` prints.
BITS = (
    (PCI_ACS_SV, "SV", "SrcValid"),
    (PCI_ACS_TB, "TB", "TransBlk"),
    (PCI_ACS_RR, "RR", "ReqRedir"),
    (PCI_ACS_CR, "CR", "CmpltRedir"),
    (PCI_ACS_UF, "UF", "UpstreamFwd"),
    (PCI_ACS_EC, "EC", "EgressCtrl"),
    (PCI_ACS_DT, "DT", "DirectTrans"),
)


@dataclass(frozen=True)
class Acs:
    """The ACS capability of one function: what it offers (``cap``) and what is switched on (``ctrl``)."""

    cap: int
    ctrl: int

    @property
    def redirects(self) -> bool:
        """Request redirect, completion redirect or egress control is on: a request does not turn around here."""
        return bool(self.ctrl & REDIRECT)

    def __str__(self) -> str:
        return names(self.ctrl) or "none"


def names(bits: int) -> str:
    """The short names of the bits set, joined with a plus.

    >>> names(0x1d)
    'SV+RR+CR+UF'
    """
    return "+".join(short for bit, short, _ in BITS if bits & bit)
