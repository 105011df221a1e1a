"""The PCI tree below which a run happens, with the way between its exporter and its first importer."""

from __future__ import annotations

from p2plab.p2p.things import things_of
from p2plab.views.pci_pictures import tree_figure, tree_picture
from p2plab.views.picture import Look, Picture, RunPicture


def _tree(at: Look) -> Picture:
    things = things_of(at.run.world)
    provider = things.exporters[0].bdf
    client = things.importers[0].peer.bdf if things.importers else provider
    return tree_picture(things.machine, provider, client)


PICTURE = RunPicture("pci-tree", "PCI tree", _tree, lambda run: tree_figure(things_of(run.world).machine))
