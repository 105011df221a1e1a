"""Every scene on a machine of one's own: roles by address, a name that says so, and no guess where something is not shown."""

import json

import pytest

import p2plab
from p2plab.catalog.rig import importers_of
from p2plab.core.errors import BadInput, NotKnown
from p2plab.everything import SCENES
from p2plab.p2p.things import things_of
from p2plab.pci import read_lspci
from tests.pci.build import RECORDED
from tests.pci.test_cli_pci import run

IMPORTERS = ("04:00.0", "05:00.0")


@pytest.fixture(scope="module")
def mine():
    """A machine read from what lspci printed."""
    lines = json.loads((RECORDED / "q35_switch1.json").read_text())["lspci_vvv"]
    return read_lspci("\n".join(lines) + "\n\n", "mine")


@pytest.mark.parametrize("name", [name for name, scene in SCENES.items() if importers_of(scene)][::6])
def test_scenes_are_played_on_a_machine_from_lspci(name, mine):
    """The exporter's memory is where its BAR is there."""
    importers = IMPORTERS[: importers_of(SCENES[name])]
    played = p2plab.run(name, machine=mine, exporter_at="03:00.0", importer_at=importers)
    things = things_of(played.world)
    assert things.machine.name != "q35_switch2"
    assert things.importers[0].peer.bdf == "0000:04:00.0"
    assert len(played) > 0
    assert played.scenario.name.endswith("-elsewhere")


def test_who_cannot_be_reached_there_is_refused_there():
    """Below another root port: the exporter says no, as it would on that machine."""
    mine = p2plab.machine("q35_switch1")
    at = {"machine": mine, "exporter_at": "03:00.0"}
    below, apart = (p2plab.run("defrag-obedient", importer_at=bdf, **at) for bdf in ("04:00.0", "07:00.0"))
    assert len(apart) < len(below)


@pytest.mark.parametrize(
    ("exporter", "importer", "sentence"),
    [
        ("03:00.0", "03:00.0", "cannot be both the exporter and an importer"),
        ("03:00.0", "1e:00.0", "has no function 1e:00.0"),
        ("02:00.0", "03:00.0", "has no memory BAR with an address and a size"),
    ],
)
def test_impossible_casts_are_refused(exporter, importer, sentence, mine):
    """In a sentence."""
    with pytest.raises(BadInput, match=sentence):
        p2plab.elsewhere("defrag-obedient", mine, exporter, importer)


def test_a_place_that_nobody_takes_is_refused(mine):
    """Two for the one importer of F1."""
    with pytest.raises(BadInput, match="has 1 importer, not 2"):
        p2plab.elsewhere("F1", mine, "03:00.0", IMPORTERS)


def test_a_machine_that_does_not_show_who_reaches_whom_plays_no_scene(mine):
    """Two root ports, and nothing says which CPU it is."""
    with pytest.raises(NotKnown, match="missing: the CPU"):
        p2plab.elsewhere("defrag-obedient", mine, "03:00.0", "07:00.0")


def test_the_command_plays_and_replays_elsewhere(capsys):
    """A token of it wants its machine again."""
    place = ("--machine", "q35_switch1", "--exporter-at", "03:00.0", "--importer-at", "04:00.0")
    status, out, _ = run(capsys, "run", "defrag-ignorant", *place, "--json")
    token = json.loads(out)["token"]
    assert (status, json.loads(out)["scene"]) == (1, "defrag-ignorant-elsewhere")
    assert run(capsys, "replay", token, *place, "--json")[0] == 1
    assert run(capsys, "replay", token)[2].startswith("p2plab: this run took place on another machine")
    assert run(capsys, "run", "F1", "--exporter-at", "03:00.0")[::2] == (
        2, "p2plab: --exporter-at, --importer-at and --bar need --machine SOURCE\n",
    )  # fmt: skip
    assert "--machine also needs --exporter-at" in run(capsys, "run", "F1", "--machine", "q35_switch1")[2]
