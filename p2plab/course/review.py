"""The review of January 2019 as claims, each with the run that tests it. ``said()`` lists them, ``evidence(key)`` runs one.

A claim is in this project's words; the link leads to the mail. ``stated`` is False where the claim
was inferred from the posted code and not said in the thread. Addresses of mails are formed from their Message-IDs;
dates are those of the mails' Date headers in UTC.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass

from p2plab.core.errors import BadInput
from p2plab.course import claim_runs as run

LORE = "https://lore.kernel.org/linux-mm/{}/"


@dataclass(frozen=True)
class Claim:
    """Who claimed what and when; ``test`` runs the model and returns its text."""

    key: str
    date: str
    author: str
    mail: str
    claim: str
    test: Callable[[], str]
    stated: bool = True

    @property
    def link(self) -> str:
        """Where the mail is kept."""
        return LORE.format(self.mail)

    def text(self) -> str:
        """The claim, its source, and what the run says."""
        how = "stated" if self.stated else "inferred from the posted code"
        try:
            tested = self.test()
        except ModuleNotFoundError as missing:
            if missing.name != "numpy":
                raise
            tested = "Not run here: it needs numpy, which is not installed (a browser without a network has none)."
        return f"{self.date}, {self.author} ({how}): {self.claim}\n{self.link}\n\n{tested}"


_JG, _LG, _JGG, _HCH = "Jérôme Glisse", "Logan Gunthorpe", "Jason Gunthorpe", "Christoph Hellwig"
_POSTED = "20190129174728.6430-{}-jglisse@redhat.com"
_LIST = (
    Claim("two-rules", "29 Jan", _JG, _POSTED.format(4), "importers obey the notifier, so exporters may move", run.two_rules),
    Claim("only-false", "29 Jan", _LG, "f66ba584-9c4a-f6cd-c647-9b32a93be807@deltatee.com",
          "the function of 1/5 only returns false", run.only_false),
    Claim("same-engine", "29 Jan", _LG, "83acb590-25a5-f8ae-1616-bdb8b069fa0f@deltatee.com",
          "what Christian König's two amdgpu patches test, the upstream p2pdma code tests already", run.same_engine),
    Claim("test-more", "29 Jan", "Alex Deucher", "CADnq5_N8QLA_80j+iCtMHvSZhc-WFpzdZhpk6jR9yhoNoUDFZA@mail.gmail.com",
          "Christian König's patches are a bit more thorough", run.more_tests),
    Claim("who-calls", "29 Jan", _LG, "ae928aa5-a659-74d5-9734-15dfefafd3ea@deltatee.com",
          "nobody sets the new pointers, and only HMM calls them", run.who_calls),
    Claim("set-in-mmap", "29 Jan", _JG, "20190129191120.GE3176@redhat.com",
          "the exporter sets them in its mmap", run.set_in_mmap),
    Claim("core-calls", "29 Jan", _LG, "ae928aa5-a659-74d5-9734-15dfefafd3ea@deltatee.com",
          "core VMA code was expected to call, and HMM to set", run.core_calls),
    Claim("no-pin", "29 Jan", _JG, "20190129204359.GM3176@redhat.com",
          "a mapping is not a pin: the object moves while it is mapped", run.no_pin),
    Claim("serialise", "29 Jan", _JG, "20190129204359.GM3176@redhat.com",
          "the exporter itself serialises p2p_map against its move", run.serialise),
    Claim("for-one-device", "29 Jan", _JG, "20190129205749.GN3176@redhat.com",
          "an address may mean something to one pair of devices only", run.for_one_device),
    Claim("unplug", "29 Jan", _JGG, "20190129224016.GD4713@mellanox.com",
          "zapping is good for hot-unplug; but how does a later map fail?", run.unplug),
    Claim("permission", "30 Jan", _JG, "20190130000805.GS3176@redhat.com",
          "permission may change, so it is tested at each map", run.permission),
    Claim("zap-tells", "30 Jan", _JG, "20190130154328.GA3177@redhat.com",
          "zapping the vma is enough to tell everybody", run.zap_tells),
    Claim("no-gup", "30 Jan", _HCH, "20190130080006.GB29665@lst.de",
          "without pages, nothing that uses get_user_pages works", run.no_gup),
    Claim("pins-fragment", "30 Jan", _JG, "20190130155543.GC3177@redhat.com",
          "pins in the BAR fragment it", run.pins_fragment),
    Claim("split-only", "30 Jan", _JG, "20190130214525.GG5061@redhat.com",
          "an mmap of a file never merges, it only splits", run.split_only),
    Claim("page-cost", "31 Jan", _JG, "20190131153737.GD4619@redhat.com",
          "64 bytes of struct page for each page of device memory are a waste", run.page_cost),
    Claim("vma-life", "31 Jan", _JGG, "20190131190202.GC7548@mellanox.com",
          "with a notifier the vma outlives the callback; can a user without one still call unmap?", run.vma_life),
    Claim("pin-until-unmap", "31 Jan", _JG, "20190131193513.GC16593@redhat.com",
          "an importer that asks for a pin, which the exporter may refuse, acts on UNMAP only", run.pin_until_unmap),
    Claim("map-range", "31 Jan", _JG, "20190131153737.GD4619@redhat.com",
          "a helper for every importer, vma_dma_map_range with flags to write and to pin, instead of GUP", run.map_range),
    Claim("static-bar", "29 Jan", _JGG, "20190129193250.GK10108@mellanox.com",
          "doorbell pages and whole VFIO BARs want such a map too, from a helper that sets the pointers", run.static_bar),
    Claim("cap", "29 Jan", _JG, "20190129195055.GH3176@redhat.com",
          "an exporter may lend up to a number of pages, and main memory beyond it", run.cap),
    Claim("may-be-ram", "29 Jan", _JG, "20190129204359.GM3176@redhat.com",
          "an address may be one of main memory; the importer cannot tell", run.may_be_ram),
    Claim("no-vma", "29 Jan", _LG, "2b704e96-9c7c-3024-b87f-364b9ba22208@deltatee.com",
          "users inside the kernel have no vma", run.no_vma),
    Claim("cpu-touch", "29 Jan", _JG, "20190129234752.GR3176@redhat.com",
          "the CPU looks at an object, the next job takes it away again: its usual life", run.cpu_touch),
    Claim("no-room-to-grow", "29 Jan", _JG, "20190129234752.GR3176@redhat.com",
          "resizing a BAR may fail", run.no_room_to_grow),
    Claim("only-calls-tell", "30 Jan", _JG, "20190130000805.GS3176@redhat.com",
          "left alone by its driver, a device mapping is taken back by calls on the vma only", run.only_calls_tell),
    Claim("predictable", "30 Jan", _JG, "20190130000805.GS3176@redhat.com",
          "an importer that could map once should (must?) be able to map again while the vma is valid", run.predictable),
    Claim("disasters", "30 Jan", _JG, "20190130154328.GA3177@redhat.com",
          "a hang, a suspend or killed threads may excuse a refusal, or get dummy pages", run.disasters),
    Claim("block-layer", "30 Jan", _LG, "39edda88-acd8-c8ec-a6a5-64898006b69f@deltatee.com",
          "direct I/O of an NVMe drive to a BAR is wanted, and a special vma does not help it", run.block_layer),
    Claim("edges-move", "30 Jan", _JGG, "20190130204954.GI17080@mellanox.com",
          "edges of vmas move below a memory region that faults", run.edges_move),
    Claim("when-it-fails", "30 Jan", _JG, "20190130224705.GI5061@redhat.com",
          "failures must be told apart when a region is created; later they all look alike", run.when_it_fails),
    Claim("three-uses", "31 Jan", _HCH, "20190131081355.GC26495@lst.de",
          "struct page carries an address, holds a reference, marks dirty: replace these, generically first", run.three_uses),
    Claim("loop-skips", "29 Jan", "read in patch 4/5", _POSTED.format(5),
          "the posted loop skips a page after each run of device pages", run.loop_skips, stated=False),
)  # fmt: skip
CLAIMS: dict[str, Claim] = {claim.key: claim for claim in sorted(_LIST, key=lambda claim: claim.date)}


def said() -> str:
    """One line per claim: key, date, author, what."""
    return "\n".join(
        line
        for claim in CLAIMS.values()
        for line in textwrap.wrap(
            f"{claim.key:<16} {claim.date}  {claim.author}: {claim.claim}", 100, subsequent_indent=" " * 25
        )
    )


def evidence(key: str) -> str:
    """The claim with that key and the result of the run that tests it. BadInput lists the keys."""
    if key not in CLAIMS:
        raise BadInput(f"there is no claim {key[:40]!r}; there are {', '.join(CLAIMS)}")
    return CLAIMS[key].text()
