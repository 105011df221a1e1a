"""The PCI tree below which a run happens, with the way between its exporter and its first importer."""

from __future__ import annotations

from p2plab.p2p.things import things_of
from p2plab.pci import Machine
from p2plab.views.pci_tree import tree_html, tree_words
from p2plab.views.picture import Look, Picture, RunPicture


def _pair(at: Look) -> tuple[Machine, str, str, dict[str, str]]:
    """The machine, the exporter's function and the first importer's, and the names of all drivers by their functions."""
    things = things_of(at.run.world)
    provider = things.exporters[0].bdf
    client = things.importers[0].peer.bdf if things.importers else provider
    names = {importer.peer.bdf: importer.name for importer in reversed(things.importers)}
    return things.machine, provider, client, names | {provider: things.exporters[0].name}


PICTURE = RunPicture(
    "pci-tree",
    "PCI tree",
    lambda at: Picture(tree_words(*_pair(at)[:3])),
    table=lambda at: tree_html(*_pair(at)),
)
