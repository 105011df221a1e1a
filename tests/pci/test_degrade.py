"""A text that has lost something gives the whole text's answer, or "not known": never another one."""

import json
import random

import pytest

from p2plab.pci import read_lspci
from tests.pci.degrade import HARMLESS, RECORDED, contradictions

MACHINES = sorted(RECORDED.glob("*.json"))


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_what_is_lost_never_changes_an_answer(path):
    """A dozen degraded texts of every recorded machine: fewer v's, no root, wrapped, cut, grepped, with lines missing."""
    assert list(contradictions(path, 12, seed=2019)) == []


@pytest.mark.parametrize("way", HARMLESS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", ["q35_switch1", "pc_bridges"])
def test_a_text_that_only_looks_different_is_the_same_machine(name, way):
    """Wrapped, quoted, indented, coloured, from a web page or another system: every function to the last bit."""
    text = "\n".join(json.loads((RECORDED / f"{name}.json").read_text())["lspci_vvv"]) + "\n\n"
    whole = read_lspci(text)
    for seed in range(3):
        seen = read_lspci(way(random.Random(seed), text))
        assert seen.devices == whole.devices
        assert (seen.host_bridges, seen.lacks, seen.unread) == (whole.host_bridges, whole.lacks, whole.unread)
