"""Which kernel is on: what its p2pdma core trusts, what its boot options do, how deep /proc/iomem is printed.

One field for each difference that the model knows, with the function that makes it. 6.12 and 7.3 are checked against
recordings; 6.1 and ``rfc2019`` (v5.0) are read from the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from p2plab.core import kernels

INTEL, NVIDIA, GOOGLE = 0x8086, 0x10DE, 0x1AE0
#: Any device of a vendor (``PCI_ANY_ID``).
ANY = -1
#: ``pci_p2pdma_whitelist``: (vendor, device) to "only below the same host bridge" (``REQ_SAME_HOST_BRIDGE``).
HostBridges = Mapping[tuple[int, int], bool]

_UNTIL_6_12: dict[tuple[int, int], bool] = {
    **{(INTEL, device): True for device in (0x3C00, 0x3C01, 0x2F00, 0x2F01)},  # Xeon E5, E7 v3
    **{(INTEL, device): False for device in (0x2030, 0x2031, 0x2032, 0x2033, 0x2020, 0x09A2)},  # Skylake-E, Ice Lake
}
_SINCE: dict[tuple[int, int], bool] = {
    (INTEL, 0x0B25): False,  # DSA_SPR0
    (INTEL, 0x0CFE): False,  # IAX_SPR0
    (INTEL, 0x11FB): False,  # DSA_GNRD
    (INTEL, 0x1212): False,  # DSA_DMR
    (INTEL, 0x1216): False,  # IAA_DMR
    (INTEL, 0x4940): False,  # QAT_4XXX
    (INTEL, 0x4942): False,  # QAT_401XX
    (INTEL, 0x4944): False,  # QAT_402XX
    (INTEL, 0x4946): False,  # QAT_420XX
    (INTEL, 0x4948): False,  # QAT_6XXX
    (GOOGLE, ANY): False,
    **{(NVIDIA, device): False for device in (0x2F95, 0x2F96, 0x2F97, 0x2F98)},  # Nvidia CPUs
}


@dataclass(frozen=True)
class PciKernel:
    """A kernel version, for :mod:`p2plab.pci`."""

    name: str
    #: drivers/pci/p2pdma.c, pci_p2pdma_whitelist. None: there is no list, and no CPU is trusted; without a common
    #: bridge nothing is reachable (v5.0; list since 5.2, with map types since 5.4)
    host_bridges: HostBridges | None = field(
        default_factory=lambda: MappingProxyType(_UNTIL_6_12 | _SINCE), repr=False, hash=False
    )
    #: kernel/resource.c, MAX_IORES_LEVEL: /proc/iomem indents no deeper
    iomem_levels: int = 8
    #: drivers/pci/pci.c, pci_enable_acs: an option for a port starts again from the firmware's value, so that
    #: ``disable_acs_redir`` also drops what the IOMMU had set; and there is ``pci=config_acs`` (since 6.11)
    config_acs: bool = True
    #: drivers/pci/setup-bus.c, pci_resource_is_optional, pbus_size_mem, __assign_resources_sorted: VF BARs and disabled ROMs
    #: are optional; memory windows grow in steps of 1 MiB and are aligned by calculate_head_align; what must be assigned is
    #: tried again, alone, when not everything fits (7.3; not in 6.12)
    optional_resources: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def today(self) -> bool:
        """The newest kernel that was recorded."""
        return self.name == kernels.TODAY

    @property
    def title(self) -> str:
        """``2019 (v5.0)``, ``Linux 6.12``, ``today (7.3)``: a heading."""
        if self.name == "rfc2019":
            return "2019 (v5.0)"
        return f"today ({self.name})" if self.today else f"Linux {self.name}"


LINUX_7_3 = PciKernel("7.3")
LINUX_6_12 = PciKernel("6.12", host_bridges=MappingProxyType(_UNTIL_6_12), iomem_levels=5, optional_resources=False)
LINUX_6_1 = replace(LINUX_6_12, name="6.1", config_acs=False)
RFC2019 = replace(LINUX_6_1, name="rfc2019", host_bridges=None)

KERNELS = {kernel.name: kernel for kernel in (RFC2019, LINUX_6_1, LINUX_6_12, LINUX_7_3)}
TODAY = KERNELS[kernels.TODAY]


def kernel_named(name: str) -> PciKernel:
    """The kernel of that name; :exc:`BadInput` lists the names."""
    return kernels.named(KERNELS, name)
