"""The rig: scenes made from plans, jobs that are declared, and a scene on another machine."""

import itertools

import pytest

from p2plab.catalog.bench import Bench, Plan, job, scene
from p2plab.catalog.defrag import PROCESS
from p2plab.catalog.rig import BASE, GPU, NICS, elsewhere, jobs_of, recorded_machine
from p2plab.core.errors import BadInput
from p2plab.core.run import Run
from p2plab.core.scenario import Scenario
from p2plab.core.schedule import by_seed, by_text
from p2plab.designs import SCENES as DESIGNS
from p2plab.drivers.nic import ObedientNic
from p2plab.drivers.odp import OdpNic
from p2plab.everything import find
from p2plab.p2p.aperture import PAGE_SIZE
from p2plab.p2p.things import things_of
from p2plab.pci import with_acs
from p2plab.search import Pass, breaks, check
from p2plab.search.drivers import cast
from p2plab.views.text import board_of


class Twice(Bench):
    """What the docstring of the bench shows."""

    @job("gpu")
    async def twice(self) -> None:
        """Take A back twice in a row."""
        await self.invalidate()
        await self.invalidate()


def test_a_scene_of_your_own_is_a_plan_and_its_jobs():
    """It runs, is searched, takes drivers, and each job is a button with its docstring as help."""
    mine = scene("taken-back-twice", "the GPU takes A back twice", Plan(pages=1, gpu=("twice",), then=()), bench=Twice)
    assert isinstance(check(mine, budget=60), Pass)
    assert isinstance(check(mine, importer=OdpNic, budget=60), Pass)
    button = Run(mine).world.actions["twice"]
    assert (button.help, button.why_not()) == ("gpu: Take A back twice in a row.", "the process has not mapped A")


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(app=("mmap", "nothing")), "no job of app 'nothing'; there are mmap, munmap"),
        (Plan(then=("dmo",)), "no job of nic 'dmo'; there are map, dma, unmap; did you mean dma"),
    ],
)
def test_a_plan_that_names_a_job_which_nobody_has_is_bad_input(plan, said):
    """And no driver's crash: the plan is wrong before anything runs."""
    with pytest.raises(BadInput, match=said):
        check(scene("misspelt", "a job is misspelt", plan))


class InPart(Bench):
    """The GPU takes A back once while the process unmaps the first of its two pages."""

    @job("app")
    async def part(self) -> None:
        """Unmap the first page."""
        await self.mm.munmap(BASE, PAGE_SIZE)


def test_a_map_overtaken_by_invalidations_of_another_page_is_retried_for_a_reason():
    """The NIC of 2019 counts all of a process in one number: three rounds, each for another reason, accuse nobody."""
    mine = scene("in-part", "back, and unmapped in part", Plan(gpu=("invalidate",), app=("mmap", "part")), bench=InPart)
    order = "app*11 nic*2 gpu*7 nic*14 app*5 nic*10 gpu*3"
    assert not breaks("comes-to-an-end", mine, order, importer=ObedientNic)
    rounds = Run(mine).driven(by_text(order)).log
    assert [str(entry.event) for entry in rounds].count("nic gave 1 page back") == 3


def test_a_job_of_an_actor_that_does_not_exist_is_an_error_where_it_is_declared():
    """A misspelt prefix was silence; a misspelt actor is not."""
    with pytest.raises(ValueError, match="a job of 'gqu': the actors are app, gpu, nic and fate"):
        job("gqu")


def test_an_override_need_not_be_declared_again():
    """It has the job of the method that it overrides."""

    class Other(Twice):
        async def twice(self) -> None:
            """Once is enough."""

    assert jobs_of(Other)["twice"] == jobs_of(Twice)["twice"]


@pytest.mark.parametrize(
    "knobs", [{"process": "unmaps"}, {"process": "forks"}, {"process": "exits"}, {"moves": 2}], ids=str
)
def test_the_reference_importer_holds_whatever_the_process_does(knobs):
    """The defragmentation with an unmap, a fork, an exit, a second move: every order."""
    answer = check(find("defrag-obedient"), knobs={"pages": 1, **knobs}, budget=60)
    assert isinstance(answer, Pass), answer
    assert answer.complete


@pytest.mark.parametrize("driver", [ObedientNic, OdpNic])
def test_no_random_order_of_everything_at_once_breaks_them(driver):
    """All knobs together, a second NIC and an IOMMU among them."""
    for process, seed in itertools.product(PROCESS, range(12)):
        knobs = {"process": process, "moves": 2, "importers": 2, "iommu": ("off", "on")[seed % 2]}
        run = Run(cast(find("defrag-obedient"), importer=driver), knobs).driven(by_seed(seed), 5000)
        assert (process, seed, board_of(run).findings) == (process, seed, ())


def test_a_map_in_vain_gives_back_only_what_it_got():
    """What an earlier map programmed stays with the device: an unmap of the last page comes between the two."""
    order = "app*7 nic*11 app*4 gpu*20 nic*13 app*3 nic*1 nic_dma ..."
    run = Run(find("defrag-obedient"), {"process": "unmaps-part", "pages": 3}).driven(by_text(order, strict=False))
    assert board_of(run).findings == ()


# -- elsewhere ----------------------------------------------------------------------------------------------------------


def mapped(chosen: Scenario) -> list[str]:
    run = Run(chosen).told()
    return [entry.event.kind for entry in run.log if entry.event.kind in ("P2PMapped", "P2PMapFailed")]


@pytest.mark.parametrize("name", ["defrag-obedient", "f1", "policies", "exercise", *list(DESIGNS)[:1]])
def test_a_scene_is_played_on_another_machine_by_bdf(name):
    """The importer behind another switch, or an ACS bit more on the way: the exporter there says no."""
    if name == "exercise":
        from p2plab.course.exercises.scenes import SCENES

        chosen = SCENES["exercise-obey"]
    else:
        chosen = find(name)
    machine = recorded_machine()
    here = elsewhere(chosen, machine, GPU, (NICS["same-switch"],), 2)
    far = elsewhere(chosen, machine, GPU, (NICS["other-switch"],), 2)
    acs = elsewhere(chosen, with_acs(machine, {"0000:02:01.0": 0x0C}), GPU, (NICS["same-switch"],), 2)
    assert "P2PMapped" in mapped(here)
    assert {*mapped(far), *mapped(acs)} == {"P2PMapFailed"}
    assert things_of(Run(far).world).importers[0].peer.bdf == NICS["other-switch"]


@pytest.mark.parametrize(
    ("exporter", "importers", "bar", "said"),
    [
        ("0000:99:00.0", (NICS["same-switch"],), 2, "has no function 0000:99:00.0"),
        (GPU, ("nic",), 2, "'nic' is not a PCI address"),
        (GPU, (), 2, "an importer is needed"),
        (GPU, (NICS["same-switch"],), 5, f"{GPU} has no memory BAR 5"),
    ],
)
def test_a_place_that_is_not_there_is_bad_input(exporter, importers, bar, said):
    """Before anything is built."""
    with pytest.raises(BadInput, match=said):
        elsewhere(find("f1"), recorded_machine(), exporter, importers, bar)
