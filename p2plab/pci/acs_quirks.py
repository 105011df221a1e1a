"""Parts without an ACS capability, or with a wrong one, for which the kernel knows better: ``pci_dev_acs_enabled``.

drivers/pci/quirks.c, v6.12.117, asked before the capability (``pci_acs_enabled``, drivers/pci/pci.c). Ids are those of that
table; of what each function asks, only what can be seen from outside is decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from p2plab.pci.device import Device, FunctionKind
from p2plab.pci.kernel import INTEL

ATI, AMD, SOLARFLARE, CAVIUM, ZHAOXIN, WANGXUN = 0x1002, 0x1022, 0x1924, 0x177D, 0x1D17, 0x8088
QCOM, HXT, AMCC, AMPERE, BROADCOM, LOONGSON, ANNAPURNA, NXP = (
    0x17CB,
    0x1DBF,
    0x10E8,
    0x1DEF,
    0x14E4,
    0x0014,
    0x1C36,
    0x1957,
)
EMULEX = (0x19A2, 0x10DF)
#: How pci.ids names those vendors: a part with another name, or another id, has no quirk.
_NAMES = (
    *("Intel", "Advanced Micro Devices", "AMD", "ATI", "Solarflare", "Cavium", "Zhaoxin", "Beijing Wangxun", "Wangxun"),
    *(
        "Qualcomm",
        "HXT",
        "Guizhou Huaxintong",
        "Applied Micro",
        "Ampere",
        "Broadcom",
        "Loongson",
        "Amazon",
        "Annapurna",
    ),
    *("NXP", "Freescale", "Emulex", "Device", "Unknown"),
)
#: Of them, those with a quirk that may say no of an endpoint.
_DENIES = ("Beijing Wangxun", "Wangxun", "Device", "Unknown")

_PORTS = (FunctionKind.ROOT_PORT, FunctionKind.DOWNSTREAM)
_ENDPOINTS = (FunctionKind.ENDPOINT, FunctionKind.LEGACY_ENDPOINT, FunctionKind.RC_ENDPOINT)

#: ``pci_quirk_mf_endpoint_acs``: functions of one part that do not talk to each other, as its vendor has verified.
_MF_ENDPOINT = {
    SOLARFLARE: (0x0903, 0x0923, 0x0A03),
    INTEL: (
        *(0x10C6, 0x10DB, 0x10DD, 0x10E1, 0x10F1, 0x10F7, 0x10F8, 0x10F9, 0x10FA, 0x10FB, 0x10FC),
        *(0x1507, 0x1514, 0x151C, 0x1529, 0x152A, 0x154D, 0x154F, 0x1551, 0x1558),
        *(0x1509, 0x150E, 0x150F, 0x1510, 0x1511, 0x1516, 0x1527),  # 82580
        *(0x10C9, 0x10E6, 0x10E7, 0x10E8, 0x150A, 0x150D, 0x1518, 0x1526),  # 82576
        *(0x10A7, 0x10A9, 0x10D6),  # 82575
        *(0x1521, 0x1522, 0x1523, 0x1524),  # I350
        *(0x105E, 0x105F, 0x1060, 0x10D9),  # 82571
        *(0x15B7, 0x15B8),  # I219
    ),
    EMULEX[0]: (0x0710,),
    EMULEX[1]: (0x0720,),
    CAVIUM: (0xA026, 0xA059, 0xA060),
    BROADCOM: (0x16D7, 0x1750, 0x1751, 0x1752, 0x1760, 0x1761, 0x1762, 0x1763),
    ZHAOXIN: (0x3038, 0x3104, 0x9083),
}
#: Root ports that pass nothing between them, whatever their registers say, by the kernel function that says so.
_ISOLATED: dict[str, dict[int, tuple[int, ...]]] = {
    "pci_quirk_qcom_rp_acs": {QCOM: (0x0400, 0x0401, 0x0115, 0x0111, 0x0120), HXT: (0x0401,)},
    "pci_quirk_xgene_acs": {AMCC: (0xE004,), AMPERE: tuple(range(0xE005, 0xE00D))},
    "pci_quirk_brcm_acs": {BROADCOM: (0xD714,)},
    "pci_quirk_loongson_acs": {
        LOONGSON: (0x3C09, 0x3C19, 0x3C29, 0x7A09, 0x7A19, 0x7A29, 0x7A39, 0x7A49, 0x7A59, 0x7A69)
    },
    "pci_quirk_nxp_rp_acs": {
        NXP: (
            *(base + low for base in (0x8D80, 0x8D88, 0x8D90, 0x8D98) for low in range(4)),
            *(base + low for base in (0x8DA0, 0x8DA8, 0x8DB0, 0x8DB8) for low in range(2)),
        )
    },
}
#: Southbridges of AMD: ``pci_quirk_amd_sb_acs``.
_SOUTHBRIDGE = {ATI: (0x4385, 0x439C, 0x4383, 0x439D, 0x4384, 0x4399), AMD: (0x780F, 0x7809)}
#: ``pci_quirk_intel_pch_acs_ids``, ``pci_quirk_intel_spt_pch_acs_match``, as ranges.
_PCH = (
    *((0x3B42, 0x3B51), (0x1C10, 0x1C1F), (0x1E10, 0x1E1F), (0x8C10, 0x8C1F), (0x9C10, 0x9C1B), (0x9C90, 0x9C9B)),
    *((number, number) for number in range(0x1D10, 0x1D20, 2)),
    (0x8D10, 0x8D1E),
    *((number, number) for number in range(0x8C90, 0x8CA0, 2)),
)
_SPT_PCH = ((0xA110, 0xA11F), (0xA167, 0xA16A), (0xA290, 0xA29F), (0xA2E7, 0xA2EE), (0x9D10, 0x9D1B))
_CAVIUM_PORTS = ((0xA000, 0xA7FF), (0xAF84, 0xAF84), (0xB884, 0xB884))
_ZHAOXIN_PORTS = ((0x0710, 0x071E), (0x0721, 0x0721), (0x0723, 0x0752))
_WANGXUN = ((0x0100, 0x010F), *((n, n) for n in (0x1001, 0x2001, 0x5010, 0x5025, 0x5040, 0x5110, 0x5125, 0x5140)))
#: What the kernel prints of a port of an Intel PCH.
_WORKAROUND, _FAILED = "Intel PCH root port ACS workaround enabled", "Failed to enable Intel PCH ACS quirk"


@dataclass(frozen=True)
class Quirk:
    """What a function of the table says of a part: ``apart`` is ``None`` where ``missing`` decides."""

    function: str
    apart: bool | None
    missing: str = ""


def acs_quirk(
    device: Device, multifunction: bool, on_root_bus: bool, requested: bool | None = None, boot: Iterable[str] = ()
) -> Quirk | None:
    """``pci_dev_specific_acs_enabled`` for what keeps groups apart (``REQ_ACS_FLAGS``); ``None``: no quirk applies.

    ``requested``: an IOMMU asked for ACS at boot; ``boot``: the kernel's messages, which decide for the ports of some chipsets.
    """
    if device.vendor is None or device.device is None:
        return _without_ids(device, multifunction)
    return next(_all(device, multifunction, on_root_bus, requested, tuple(boot)), None)


def _without_ids(device: Device, multifunction: bool) -> Quirk | None:
    if device.name.startswith("Intel") and device.kind is FunctionKind.RC_ENDPOINT:
        return Quirk("pci_quirk_rciep_acs", True)
    if device.name and not device.name.startswith(_NAMES):
        return None
    if device.name and not device.name.startswith(_DENIES) and device.kind in _ENDPOINTS and not multifunction:
        return None  # a single endpoint is kept apart anyhow, and no quirk of these says that it is not
    return Quirk(
        "pci_dev_acs_enabled", None, f"the ids of {device.bdf}, by which the kernel knows parts with quirks: -nn"
    )


def _all(
    device: Device, multifunction: bool, on_root_bus: bool, requested: bool | None, boot: tuple[str, ...]
) -> Iterator[Quirk]:
    """In the order of the table; a function that answers -ENOTTY or -ENODEV says nothing."""
    vendor, kind = device.vendor, device.kind
    if _is(device, _SOUTHBRIDGE) and multifunction and on_root_bus:
        yield Quirk(
            "pci_quirk_amd_sb_acs", True
        )  # a group means an IOMMU, and that of these is AMD's: there is an IVRS
    if _is(device, _MF_ENDPOINT):
        yield Quirk("pci_quirk_mf_endpoint_acs", True)
    if vendor == INTEL and kind is FunctionKind.RC_ENDPOINT:
        yield Quirk("pci_quirk_rciep_acs", True)
    for function, parts in _ISOLATED.items():
        if _is(device, parts):
            yield Quirk(function, True)
    if vendor == INTEL and kind is FunctionKind.ROOT_PORT and _within(device, _PCH):
        yield _intel_pch(device, requested, boot)
    if vendor == INTEL and kind is FunctionKind.ROOT_PORT and _within(device, _SPT_PCH):
        yield from _intel_spt_pch(device)
    if vendor == CAVIUM and kind is FunctionKind.ROOT_PORT and _within(device, _CAVIUM_PORTS):
        yield Quirk("pci_quirk_cavium_acs", True)
    if vendor == ANNAPURNA and device.device == 0x0031 and kind is FunctionKind.ROOT_PORT:
        yield Quirk("pci_quirk_al_acs", True)
    if vendor == ZHAOXIN and kind in _PORTS:
        yield Quirk("pci_quirk_zhaoxin_pcie_ports_acs", _within(device, _ZHAOXIN_PORTS))
    if vendor == WANGXUN:
        yield Quirk("pci_quirk_wangxun_nic_acs", _within(device, _WANGXUN))


def _intel_pch(device: Device, requested: bool | None, boot: tuple[str, ...]) -> Quirk:
    """``pci_quirk_intel_pch_acs``: yes, if ``pci_quirk_enable_intel_pch_acs`` could switch peer decodes off at boot."""
    function = "pci_quirk_intel_pch_acs"
    said = [line for line in boot if f"{device.bdf}: " in line]
    if any(_WORKAROUND in line for line in said):
        return Quirk(function, True)
    if requested is False or any(_FAILED in line for line in said):
        return Quirk(function, False)
    what = f"whether the kernel enabled its workaround for the PCH at {device.bdf}"
    return Quirk(function, None, f"{what}: boot messages with “{_WORKAROUND}”, or its IOMMU group in sysfs")


def _intel_spt_pch(device: Device) -> Iterator[Quirk]:
    """``pci_quirk_intel_spt_pch_acs``: the registers are 32 bits wide, at other places than those that lspci reads."""
    function = "pci_quirk_intel_spt_pch_acs"
    if device.acs is not None or not device.acs_shown:
        what = f"the ACS registers of {device.bdf}, which are laid out in this chipset's own way"
        yield Quirk(function, None, f"{what}: its IOMMU group in sysfs")


def _is(device: Device, parts: dict[int, tuple[int, ...]]) -> bool:
    return device.vendor is not None and device.device in parts.get(device.vendor, ())


def _within(device: Device, ranges: Iterable[tuple[int, int]]) -> bool:
    return device.device is not None and any(first <= device.device <= last for first, last in ranges)
