"""Device-private pages for RDMA: ``dev_pagemap_ops.get_dma_pfn_for_device``, asked by HMM (2024 and 2025, not merged).

Source: 20250718115112.3881129-2-ymaman@nvidia.com (v2). The exporter answers with a page frame of its BAR for an importer that
it serves; otherwise the fault migrates the page to main memory, which was patch 4/5's fallback in 2019. Objections in the
thread: an addressable page has its own frame (aHpXXKTaqp8FUhmq@casper.infradead.org); its alias is looked up in a second way
(aH3lPnIUGn29HJFo@infradead.org).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from p2plab.core.calls import called
from p2plab.core.events import emit
from p2plab.core.scenario import Role
from p2plab.designs import drm_pagemap, sources
from p2plab.designs.design import GPU, GUEST, KERNEL, NVME, ODP, STOPS, Answer, Fate
from p2plab.designs.drm_pagemap import DrmPagemap, PagemapGpu, SilentPagemap, SvmMirror
from p2plab.designs.hmm_interval import KeepsMirror, NoRetry, NoZapMirror
from p2plab.p2p.contract import Peer
from p2plab.p2p.events import TopologyChecked
from p2plab.pci import MapType


class PfnGpu(PagemapGpu):
    """The exporter: it answers HMM, or does not."""

    def get_dma_pfn_for_device(self, peer: Peer) -> bool:
        """Whether there is a frame of the BAR for the peer."""
        kind = self.map_type(peer)
        emit(TopologyChecked("get_dma_pfn_for_device", peer.name, str(kind)))
        return kind is not MapType.NOT_SUPPORTED and not self.gone


class SilentPfn(SilentPagemap, PfnGpu):
    """Evicts without the notifier."""


class OdpMirror(SvmMirror):
    """umem_odp with HMM_PFN_ALLOW_P2P: HMM asks the exporter while it faults, and hmm_dma_map_pfn maps the answer."""

    mapped_by = ("hmm_dma_map_pfn", "dma")

    async def map(self, start: int, end: int) -> None:
        """As any mirror; before that HMM asks, and migrates to main memory where the exporter does not answer."""
        if not self.exporter.buffer.ram_frames and not self.closed:
            detail = f"{self.name}"
            with called(self.exporter.name, "get_dma_pfn_for_device", detail, caller="hmm") as call:
                answers = self.exporter.get_dma_pfn_for_device(self.peer)
                call.result = "" if answers else "-EOPNOTSUPP"
            if not answers:
                await self.exporter.move(self.exporter.file)
        await super().map(start, end)


class NoZapOdp(NoZapMirror, OdpMirror):  # type: ignore[misc]
    """Does not wait for the beat that is under way."""


class NoRetryOdp(NoRetry, OdpMirror):  # type: ignore[misc]
    """Does not ask ``read_retry``."""


class KeepsOdp(KeepsMirror, OdpMirror):  # type: ignore[misc]
    """Cannot stop its device."""


class DevicePrivateRdma(DrmPagemap):
    """The step list with pages that HMM asks about."""

    roles: ClassVar[Mapping[str, Role]] = {
        "importer": Role({"ODP mirror": OdpMirror}, knob="importer"),
        "exporter": Role({"pagemap exporter": PfnGpu}, knob="exporter"),
    }
    importers: ClassVar[dict[str, type[Any]]] = {
        "good": OdpMirror,
        "cannot-stop": KeepsOdp,
        "keeps": KeepsOdp,
        "broken": NoZapOdp,
        "no-retry": NoRetryOdp,
    }
    exporters: ClassVar[dict[str, type[Any]]] = {"good": PfnGpu, "broken": SilentPfn}

    def offer(self) -> None:
        """The device's file, which the exporter evicts for a fault."""
        super().offer()
        self.gpu.file = self.pages


_LANDED = drm_pagemap.DESIGN
DESIGN = replace(
    _LANDED,
    name="device-private-rdma",
    title="device-private pages for RDMA",
    since="July 2025",
    kernels=("7.3",),
    posted=sources.MAMAN,
    play=DevicePrivateRdma,
    source=f"{sources.MAMAN}; mm/hmm.c",
    simplified="as drm-pagemap; HMM asks once a map, for all pages.",
    answers={
        **{
            name: replace(answer, source=f"{answer.source}; {sources.MAMAN}")
            for name, answer in _LANDED.answers.items()
        },
        "exporter object": Answer("device-private page, dev_pagemap_ops", sources.MAMAN),
        "importer handle": Answer("hmm_range, hmm_dma_map", sources.MAMAN),
        "exporter may refuse": Answer("no answer: the fault migrates to main memory", sources.MAMAN),
        "where failure shows": Answer(
            "nowhere but in where it is", sources.MAMAN, "only where there is no memory at all"
        ),
        "topology check": Answer("the exporter, when HMM asks", sources.MAMAN),
    },
    fates={
        **_LANDED.fates,
        ODP: Fate("move", "mlx5's ODP, for which it was written", sources.MAMAN),
        STOPS: Fate("cannot-stop", "its region is pinned", sources.UMEM),
        GPU: Fate("move", "any user of HMM", sources.MAMAN),
        NVME: _LANDED.fates[NVME],
        GUEST: _LANDED.fates[GUEST],
        KERNEL: _LANDED.fates[KERNEL],
    },
)
