"""Roles: who may play in which scene, and that nobody who never works is called right."""

import inspect

import pytest

from p2plab.cli import main
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.schedule import straight
from p2plab.designs.importers import DmaBufImporter
from p2plab.drivers.doorbell import Doorbell
from p2plab.drivers.gpu import Gpu
from p2plab.drivers.kernel_user import KernelUser
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.everything import SCENES, find
from p2plab.p2p.exporter import Exporter
from p2plab.p2p.things import things_of
from p2plab.search import Pass, Violation, check
from p2plab.search.drivers import cast

PARTS = [(name, role) for name, scene in SCENES.items() for role in scene.roles]


def broken(base: type) -> type:
    """A class of that base whose every method raises."""

    async def raises(self, *arguments, **more):
        raise RuntimeError("this driver does nothing but raise")

    own = {
        name: raises
        for kind in base.__mro__
        if kind.__module__.startswith("p2plab") and kind.__module__ != "p2plab.core.tracked"
        for name, value in vars(kind).items()
        if inspect.iscoroutinefunction(value)
    }
    return type(f"Broken{base.__name__}", (base,), own)


@pytest.mark.parametrize(("name", "role"), PARTS, ids=[" ".join(part) for part in PARTS])
def test_a_class_whose_every_method_raises_holds_nowhere(name, role):
    """In each role of each scene, for each kind of class that it takes: it is met, and found."""
    for base in SCENES[name].roles[role].bases.values():
        base = Gpu if base is Exporter else base  # what a scene calls on its exporter, an exporter has to have
        answer = check(SCENES[name], **{role: broken(base)}, budget=20, shrink=False)
        assert isinstance(answer, Violation), base
        assert answer.rule == "no-crash"


def test_a_role_that_a_scene_lacks_is_bad_input_and_says_who_has_it():
    """C1 is about HMM's loops: no driver of yours plays in it."""
    with pytest.raises(BadInput, match="ObedientNic cannot be the importer of c1-posted-loops: there is no such role; "
                       "it takes no class of yours; scenes that take it: defrag-obedient, "):  # fmt: skip
        cast(find("c1"), importer=ObedientNic)


def test_a_class_of_another_kind_is_bad_input_and_says_where_it_belongs(capsys):
    """A dma-buf importer has no vma to map; a NIC is no exporter. Exit 2."""
    with pytest.raises(
        BadInput, match=r"derive it from .*; scenes that take it: design-dma-buf-dynamic, design-dma-buf-p"
    ):
        cast(find("wirings"), importer=DmaBufImporter)
    nic = f"{inspect.getsourcefile(ObedientNic)}:ObedientNic"
    assert main(["check", "wirings", "--exporter", nic]) == 2
    assert (
        "ObedientNic cannot be the exporter of wirings: derive it from p2plab.p2p.exporter" in capsys.readouterr().err
    )


def test_what_a_scene_needs_of_a_driver_is_asked_before_its_first_step():
    """A doorbell cannot defragment; where nobody asks it to, it plays."""
    with pytest.raises(
        BadInput, match="Doorbell cannot be the exporter of defrag-obedient: the scene calls defrag, place"
    ):
        cast(find("defrag-obedient"), exporter=Doorbell)
    run = Run(cast(find("f8"), exporter=Doorbell)).driven(straight)
    assert "defrag" not in run.world.actions
    assert things_of(run.world).exporters[0].lent == {}


def test_an_interval_importer_brings_its_kernel():
    """The scene of 2019 is played on Linux 6.12, which has mmu_interval_notifier."""
    assert isinstance(check(find("defrag-obedient"), importer=OdpNic, knobs={"pages": 2}), Pass)
    run = Run(cast(find("f1"), importer=OdpNic))
    assert things_of(run.world).spaces[0].kernel.interval_notifiers


def test_with_a_class_of_yours_all_the_rest_is_good():
    """E1's exporter moves first; with your importer it is the good one, unless you ask for the other."""
    scene = cast(find("e1"), importer=ObedientNic)
    assert isinstance(check(scene), Pass)
    assert isinstance(check(scene, knobs={"driver": "broken"}), Violation)


def test_a_knob_that_chooses_whom_you_replace_is_refused():
    """In F2 the broken driver is the importer, and that is yours now."""
    with pytest.raises(BadInput, match="driver chooses the importer, and that is ObedientNic already"):
        check(find("f2"), importer=ObedientNic, knobs={"driver": "broken"})


@pytest.mark.parametrize("kind", ["importer", "exporter", "interval importer", "kernel user", "dma-buf importer"])
def test_scenes_are_listed_by_what_they_take(kind, capsys):
    """`scenes --takes`; each of them has that role."""
    assert main(["scenes", "--takes", kind]) == 0
    listed = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines() if not line.startswith(" ")]
    assert listed == [name for name, scene in SCENES.items() if scene.takes(kind)]
    assert listed


def test_a_kind_that_nobody_takes_is_bad_input(capsys):
    """It says which there are."""
    assert main(["scenes", "--takes", "juggler"]) == 2
    assert (
        "no scene takes 'juggler': there is no kind 'juggler'; there are importer, interval importer, exporter"
        in capsys.readouterr().err
    )


def test_a_shipped_class_named_by_its_file_is_the_one_that_scenes_know(capsys):
    """The kernel user is its own base: run again from its file, it would be a stranger to it."""
    user = f"{inspect.getsourcefile(KernelUser)}:KernelUser"
    assert main(["check", "design-rfc-vma", "--importer", user]) != 2
    assert "derive it" not in capsys.readouterr().err
