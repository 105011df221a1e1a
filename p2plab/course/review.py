"""The review of January 2019 as claims, each with the run that tests it. ``said()`` lists them, ``evidence(key)`` runs one.

A claim is put in this project's own words; the link leads to the mail. ``stated`` is False where the claim
was inferred from the posted code and nobody said it in the thread. Addresses of mails are formed from their Message-IDs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from p2plab.core.errors import BadInput
from p2plab.course import claim_runs as run

LORE = "https://lore.kernel.org/linux-mm/{}/"


@dataclass(frozen=True)
class Claim:
    """Who claimed what and when, and the run of the model that tests it: ``test`` gives its text."""

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
        return f"{self.date}, {self.author} ({how}): {self.claim}\n{self.link}\n\n{self.test()}"


_JG, _LG, _JGG, _HCH = "Jérôme Glisse", "Logan Gunthorpe", "Jason Gunthorpe", "Christoph Hellwig"
_POSTED = "20190129174728.6430-{}-jglisse@redhat.com"
_LIST = (
    Claim("two-rules", "29 Jan", _JG, _POSTED.format(4), "importers obey the notifier, so exporters may move", run.two_rules),
    Claim("only-false", "29 Jan", _LG, "f66ba584-9c4a-f6cd-c647-9b32a93be807@deltatee.com",
          "the function of 1/5 only returns false", run.only_false),
    Claim("same-engine", "29 Jan", _LG, "83acb590-25a5-f8ae-1616-bdb8b069fa0f@deltatee.com",
          "the upstream p2pdma code tests this already", run.same_engine),
    Claim("test-more", "29 Jan", "Alex Deucher", "CADnq5_N8QLA_80j+iCtMHvSZhc-WFpzdZhpk6jR9yhoNoUDFZA@mail.gmail.com",
          "earlier patches tested more than a common bridge", run.more_tests),
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
          "zapping is enough to tell everybody, also where the CPU has no entry", run.zap_tells),
    Claim("no-gup", "30 Jan", _HCH, "20190130080006.GB29665@lst.de",
          "without pages, nothing that uses get_user_pages works", run.no_gup),
    Claim("pins-fragment", "30 Jan", _JG, "20190130155543.GC3177@redhat.com",
          "pins in the BAR fragment it", run.pins_fragment),
    Claim("split-only", "30 Jan", _JG, "20190130214525.GG5061@redhat.com",
          "device mappings never merge, they only split", run.split_only),
    Claim("page-cost", "31 Jan", _JG, "20190131153737.GD4619@redhat.com",
          "64 bytes of struct page for each page of device memory are a waste", run.page_cost),
    Claim("vma-life", "31 Jan", _JGG, "20190131190202.GC7548@mellanox.com",
          "how long may the vma pointer be used after the notifier?", run.vma_life),
    Claim("pin-until-unmap", "31 Jan", _JG, "20190131193513.GC16593@redhat.com",
          "somebody who pins acts on UNMAP only", run.pin_until_unmap),
    Claim("loop-skips", "29 Jan", "read in patch 4/5", _POSTED.format(5),
          "the posted loop skips a page after each run of device pages", run.loop_skips, stated=False),
)  # fmt: skip
CLAIMS: dict[str, Claim] = {claim.key: claim for claim in _LIST}


def said() -> str:
    """One line a claim: key, date, author, what."""
    return "\n".join(f"{claim.key:<16} {claim.date}  {claim.author}: {claim.claim}" for claim in CLAIMS.values())


def evidence(key: str) -> str:
    """The claim of that key, and what the run that tests it says. BadInput names the keys."""
    if key not in CLAIMS:
        raise BadInput(f"there is no claim {key[:40]!r}; there are {', '.join(CLAIMS)}")
    return CLAIMS[key].text()
