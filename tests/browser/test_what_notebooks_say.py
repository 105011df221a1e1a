"""Each notebook's text is done as it says, in JupyterLab at 1280 by 720, and each sentence of what will be seen is found true.

The sentences are quoted: who changes one finds its test red, and looks again. What only code prints is checked without a
browser, in tests/course/test_notebook_claims.py; the first notebook's first minute in test_first_minute.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.browser.conftest import Server, Watched
from tests.browser.says import Book

Opens = Callable[[str], Book]


@pytest.fixture
def opens(lab_server: Server, watched: Watched) -> Opens:
    """Opens a notebook by its name, with every cell run."""
    return lambda name: Book(watched.page, lab_server, f"{name}.ipynb")


def test_00_start_here(opens: Opens):
    """The roles, the damage, the obedient importer who makes the GPU wait, the fork, the machine."""
    book = opens("00-start-here")
    lab = book.explorer()
    book.says("When you pressed **map**, it lent four slots of its **BAR aperture**")
    lab.press("map")
    assert sum("lent to nic" in slot for slot in lab.cells("slot")) == 4
    book.says("**start DMA** (`dma` in code and text) tells it to transfer")
    lab.press("start DMA")
    assert lab.now("nic_dma").endswith("next: looks up page 0")
    book.says("**defrag** makes the GPU close a hole in its aperture", "that breaks **obedience**")
    lab.press("defrag")
    assert lab.broken() == ["obedience"]
    assert "free" not in " ".join(lab.cells("slot")[:5])
    book.says("press **run on**. The NIC goes on writing", "That breaks **no-stale-dma**", "whose bytes it costs")
    lab.press("run on")
    assert lab.broken() == ["obedience", "no-stale-dma"]
    assert lab.said().endswith("app2 loses its bytes.")
    book.says("Choose **obedient** beside the scene's name", "**map**, **start DMA**, **step** once, and **defrag**")
    lab.choose("obedient")
    lab.press("map", "start DMA", "step", "defrag")
    book.says("the GPU waits, inside the NIC's callback, until the beat has landed")
    assert "nic's invalidate_range_start" in lab.now("gpu")
    assert "waits for nic_dma: DMA drained" in lab.now("gpu")
    book.says("the NIC maps again and writes to its new addresses. Every promise is kept.")
    lab.press("run on")
    assert lab.broken() == []
    assert sum("right" in entry for entry in lab.cells("nic:entry")) == 4
    book.says("Move the slider at the bottom back to an earlier step and press something else: the run forks there")
    lab.look(17)
    lab.press("unmap")
    lab.box.locator(".more").click()
    book.says("is kept as a token (**more**, *actions, knobs*)")
    lab.box.get_by_text("The run you left at step 17 is kept").wait_for()
    lab.box.locator(".lm-TabBar-tab", has_text=re.compile("^text$")).click()
    book.says("The whole list is under **more**, *text*")
    lab.box.get_by_text("What this model leaves out").wait_for()
    book.says("press **play it here**: the same run, with your devices in the two roles")
    machine = book.explorer(1)
    machine.box.get_by_text("play a scene here", exact=True).click()
    machine.button("play it here").click()
    assert "obedience" in machine.broken()


def test_01_address_spaces(opens: Opens):
    """Two calls over the old range; a fork that tells a listener, and one that does not."""
    book = opens("01-address-spaces")
    memory = book.explorer()
    book.says("the picture shows the VMAs before and after, and each notifier call", "Try `mremap_move` with `device`")
    memory.select("operation", "mremap_move")
    memory.until("asked", "2 notifier calls")
    book.says("two UNMAP calls, both over the old range")
    rows = [row.split() for row in memory.box.locator("table tr").all_inner_texts() if "UNMAP" in row]
    assert len(rows) == 2
    assert len({" ".join(word for word in row if word.startswith(("0x", "["))) for row in rows}) == 1
    book.says("`fork` with `anon`: one call, PROTECTION_PAGE", "With `device`: none")
    memory.select("operation", "fork")
    memory.until("asked", "no listener is called")
    memory.select("memory", "anon")
    memory.until("asked", "one notifier call")
    assert "PROTECTION_PAGE" in memory.box.inner_text()
    book.says("The whole list folds out below the picture")
    memory.box.get_by_text("what this model leaves out").first.wait_for()


def test_02_bars_and_windows(opens: Opens):
    """Three windows around the BAR of the function that is zoomed to."""
    book = opens("02-bars-and-windows")
    machine = book.explorer()
    book.says(
        "Under **zoom the map**, choose **zoom to** `0000:03:00.0`", "count the bridges' windows around its 128 MiB BAR"
    )
    machine.box.get_by_text("zoom the map", exact=True).click()
    machine.select("zoom to", "0000:03:00.0")
    machine.box.get_by_text("memory 0xe8000000 to 0xfea00000: 7 BARs in 13 windows").first.wait_for()


def test_04_notifiers(opens: Opens):
    """A row for each call, the two kinds of listeners, and an operation without a call."""
    book = opens("04-notifiers")
    memory = book.explorer()
    book.says(
        "a row for each notifier call", "`notifier` is an `mmu_notifier` on the whole address space, `interval` one"
    )
    assert "CLEAR" in memory.box.inner_text()
    heard = memory.box.locator("table").inner_text()
    assert "notifier" in heard
    assert "interval" in heard
    book.says("Find one more operation that makes no call (`mlock`, for example)")
    memory.select("operation", "mlock")
    memory.until("asked", "no listener is called")


def test_05_two_callbacks(opens: Opens):
    """The step at which the slots are no longer lent, and the one at which A moves; a page's way."""
    book = opens("05-two-callbacks-two-promises")
    lab = book.explorer()
    book.says("Drag the slider below the timeline to step 24, and go on with **step**", "Watch the row *BAR aperture*")
    book.says("No longer lent at step 29, inside the NIC's callback; moved at step 34.")
    lab.look(24)
    lent, places = {}, {}
    for step in range(25, 35):
        lab.press("step")
        lent[step] = any("lent to nic" in slot for slot in lab.cells("slot"))
        places[step] = [slot.partition(":")[0] for slot in lab.cells("slot") if "A[0]" in slot]
    assert next(step for step in lent if not lent[step]) == 29
    assert next(step for step in places if places[step] != places[25]) == 34
    book.says("press *page 0* of *app*: its whole way lights up while you step")
    lab.box.locator(".cell[data-k$=':page0']").first.click()
    assert lab.box.locator(".cell.lit").count() >= 3
    book.says("the actor that has to wait, then press **answer**: the run goes on from there", "a beat is on the bus")
    asked = book.explorer(1)
    assert "beat: page 1" in asked.stage().inner_text()
    asked.box.get_by_role("radio", name="gpu", exact=True).click()
    asked.button("answer").click()
    asked.box.get_by_text("Right: gpu.").first.wait_for()


def test_06_comply_and_fail(opens: Opens):
    """Two runs: who waits, what breaks, whose frames are overwritten; two questions."""
    book = opens("06-comply-and-fail")
    both = book.explorer()
    book.says("above with an importer that obeys, below with one that does not")
    assert "obedient" in both.stage(0).inner_text()
    assert "ignorant" in both.stage(1).inner_text()
    book.says(
        "Press **map**, **start DMA**, **step** once, **defrag**. Above, the sentence says that a beat is still under way"
    )
    both.press("map", "start DMA", "step", "defrag")
    assert "is already under way, and lands where it was sent" in both.said(0)
    book.says("Below, `obedience` is broken")
    assert (both.broken(0), both.broken(1)) == ([], ["obedience"])
    book.says("Then press **run on**, and compare the two rows of *GPU memory*", "Diamonds mark what differs")
    both.press("run on")
    book.says("above every promise is kept, and all four pages were written where they belong")
    assert both.broken(0) == []
    assert sum("DMA page" in frame and "overw" not in frame for frame in both.cells("frame", 0)) == 4
    book.says("Below, `no-stale-dma` broke as well, and frames of `app2` and of `app` itself were overwritten")
    assert both.broken(1) == ["obedience", "no-stale-dma"]
    hurt = " ".join(frame for frame in both.cells("frame", 1) if "overwrote" in frame)
    assert "of app2" in hurt
    assert re.search(r"of app\b(?!2)", hurt)
    assert both.stage(1).locator(".differs").count()
    book.says("Choose on it the step at which `obedience` breaks, then press **answer**")
    step = book.explorer(1)
    assert step.stage().locator(".broke, .chips .broken").count() == 0
    step.box.locator(".pick-it[data-choice='step 30']").click()
    step.button("answer").click()
    step.box.get_by_text("Right: step 30.").first.wait_for()
    rule = book.explorer(2)
    rule.box.locator("input[type=radio]").first.check()
    rule.button("answer").click()
    rule.box.get_by_text(re.compile("^(Right|Not quite): ")).first.wait_for()
    book.says(
        "Choose on the picture every page whose device address is stale, then press **answer**. There may be none."
    )
    stale = book.explorer(3)
    stale.button("answer").click()
    stale.box.get_by_text(re.compile("^(Right|Not quite): ")).first.wait_for()


def test_07_moving_things(opens: Opens):
    """The refusal, the step at which A leaves, the twin with room for both."""
    book = opens("07-moving-things")
    lab = book.explorer()
    book.says("the NIC maps again as it should, and is refused", "C has three of the four slots, and A has none")
    assert "-ENOSPC" in lab.said()
    assert lab.broken() == ["predictability"]
    slots = lab.cells("slot")
    assert (len(slots), sum("C[" in slot for slot in slots), sum("A[" in slot for slot in slots)) == (4, 3, 0)
    book.says("find the step at which A leaves the aperture")
    lab.look(39)
    assert "takes A out of the aperture" in lab.said()
    book.says(
        "Then choose **good**, beside the scene's name: an aperture with room for both, in which C stands beside A"
    )
    lab.choose("good")
    slots = " ".join(lab.cells("slot"))
    assert "C[2]" in slots
    assert "A[1]" in slots
    assert lab.broken() == []


def test_08_every_order(opens: Opens):
    """The story, its smallest counterexample, the twin that holds."""
    book = opens("08-every-order")
    lab = book.explorer()
    book.says("`F10` opens at the end of a story in which it breaks, 48 steps long")
    assert lab.stage().get_attribute("data-step") == "48"
    assert lab.broken() == ["programs-only-valid"]
    book.says("Press **check every order**: the smallest counterexample takes its place, 22 steps long")
    lab.button("check every order").click()
    lab.until("check", "BREAKS programs-only-valid")
    lab.page.wait_for_function("document.querySelector('.stage').dataset.step === '22'")
    book.says("Then choose **good**, beside the scene's name, and press it again: the good twin holds in every order.")
    lab.choose("good")
    lab.button("check every order").click()
    lab.until("check", "good twin HOLDS in every order")


def test_09_the_review(opens: Opens):
    """Who sets and who calls, in two wirings; the posted loop, and the one that was meant."""
    book = opens("09-the-review")
    lab = book.explorer(0)
    book.says(
        "Open **who sets and who calls** under **more**, *pictures*",
        "predict the arrows of another **wiring**, choose it under *actions, knobs*, and look again",
    )
    assert lab.stage().get_attribute("data-step") == "48"
    lab.open_part("pictures")
    graph = lab.box.locator(".jupyter-widget-Collapse", has_text="who sets and who calls")
    graph.locator(".jupyter-widget-Collapse-header").click()
    graph.get_by_text("p2p_map set by hmm").wait_for()
    assert "hmm calls mm.vma_p2p_map (2 times); mm calls hmm.p2p_map (2 times)" in graph.inner_text()
    lab.open_part("actions, knobs")
    lab.select("wiring", "as-intended")
    lab.open_part("pictures")
    graph.get_by_text("p2p_map set by gpu").wait_for()
    assert "; mm calls" not in graph.inner_text()
    loop = book.explorer(1)
    book.says(
        "It counts five of six pages, and gives addresses to three: pages 0, 1 and 5", "`C1` breaks `hmm-complete`"
    )
    assert loop.broken() == ["hmm-complete"]
    assert "hmm_range_dma_map: 5 of 6, without 2, 3, 4" in loop.stage().locator(".chips").inner_text()
    assert "Press the blue button" not in loop.said()
    book.says("Choose **good**, beside the scene's name, for what the loops were meant to do")
    loop.choose("good")
    assert loop.broken() == []
    book.says("`fault`, under **more**, *actions, knobs*, takes one fault at a time")
    loop.open_part("actions, knobs")
    loop.box.get_by_text("fault", exact=True).wait_for()


def test_10_what_the_kernel_did(opens: Opens):
    """A cell's run; who moves, waits and revokes; the importer that keeps what it has."""
    book = opens("10-what-the-kernel-did-instead")
    table = book.explorer(0)
    book.says("Choose a **question** and a **design** above the table, then **open its run**")
    table.select("question", "move while mapped")
    table.select("design", "p2pdma-pages")
    table.button("open its run").click()
    table.stage()
    four = book.explorer(1)
    book.says(
        "*wants its memory back*: each run is shown at the end of that line. Compare the rows *app* and *BAR aperture*."
    )
    four._then(lambda: four.select("line of the list", "wants its memory back"))
    where = [[slot.partition(" at ")[0] for slot in four.cells("slot", n) if "A[0]" in slot] for n in range(4)]
    book.says("A is in slots 1 and 2 instead of 2 and 3, still mapped", "and C has its slots", "A is where it was")
    assert where == [["slot 1"], [], ["slot 1"], ["slot 2"]], where
    assert any("C[0]" in slot for slot in four.cells("slot", 1))
    pair = book.explorer(2)
    book.says("Under the proposal, above, such an importer breaks `obedience` and then `no-stale-dma`")
    book.says("below, no promise breaks, because the exporter waits")
    assert pair.broken(0) == ["obedience", "no-stale-dma"]
    assert pair.broken(1) == []
    book.says(
        "Set **step** to 31: above, `app2` loses its bytes; below, the GPU can only now go on, since all pages were put"
    )


def test_03_and_11_machines(opens: Opens):
    """A question about a pair and its reasons; a machine that plays a scene."""
    book = opens("03-who-can-reach-whom")
    ask = book.explorer()
    book.says("Choose, press **answer**, and read the reasons; **another one** asks about another machine.")
    ask.box.locator("input[type=radio]").first.check()
    ask.button("answer").click()
    ask.box.get_by_text(re.compile("^(Right|Not quite): ")).first.wait_for()
    assert "drivers/pci/p2pdma.c" in ask.box.inner_text()
    before = ask.box.inner_text()
    ask.button("another one").click()
    ask.page.wait_for_timeout(300)
    assert ask.box.inner_text() != before
    book = opens("11-your-own-machine")
    machine = book.explorer()
    book.says("otherwise a recorded machine stands in", "**play it here** plays any scene between the two")
    machine.box.get_by_text("play a scene here", exact=True).click()
    machine.button("play it here").click()
    machine.stage()


WRITTEN = """class MyNic(CallbackToWrite):
    async def invalidate_range_start(self, range):
        async with self.lock:
            self.invalidation_begins(range)
            await self.engine.clear(range.start, range.end)
            await self.p2p_unmap(range.start, range.end)
        return 0"""


def test_12_your_own_drivers(opens: Opens):
    """The callback as it is and as it is asked for, what is saved, an order in words, what a rule reads."""
    book = opens("12-your-own-drivers")
    book.says("The exercises, in this order, with the minutes that each takes about")
    assert book.output("import textwrap").index("obey (10)") < book.output("import textwrap").index("own-scene (45)")
    book.says("Below it does nothing. Run both cells as they are, and look at the picture of what breaks")
    assert book.explorer(0).broken() == ["obedience"]
    book.says("Every check saves what you wrote; the answer says where", "Here is the counterexample, to step through")
    assert "obey.py" in book.output('outcome = exercise("obey")')
    assert book.explorer(1).broken() == ["obedience"]
    book.says("These are the entries of five kinds", "the last beat lands in somebody else's page")
    read = book.output("import p2plab").split()
    assert {"P2PMapped", "BeatIssued", "NotifierStart", "NotifierEnd", "BeatLanded"} <= set(read)
    assert read[-1] == "app2"
    book.says(
        "take `self.lock`, count the invalidation, clear the range, give it back, return 0",
        "Run both cells again, until it says PASSED",
        "When it has passed, the answer says what to begin next",
    )
    book.write_and_run("class MyNic(CallbackToWrite)", f"from p2plab.course.kit import CallbackToWrite\n\n\n{WRITTEN}")
    book.write_and_run('outcome = exercise("obey")')
    said = book.output('outcome = exercise("obey")')
    assert "obey: PASSED" in said
    assert 'next: exercise("obey-in-flight").begin()' in said
    book.says('In `exercise("find-the-bug").check("app*2 fate gpu")` nothing breaks')
    book.write_and_run("print(progress())", 'exercise("find-the-bug").check("app*2 fate gpu")')
    assert "nothing breaks in this order" in book.output('check("app*2 fate gpu")')


def test_13_take_a_patch_apart(opens: Opens):
    """The fault that comes after the revoke, each thing left out, and the mail with its token."""
    book = opens("13-take-a-patch-apart")
    lab = book.explorer()
    book.says("Drag the slider to step 19, and go on with **step**", "A SIGBUS, at step 25")
    lab.look(19)
    lab.press(*["step"] * 6)
    assert lab.stage().get_attribute("data-step") == "25"
    assert "SIGBUS" in lab.said()
    assert lab.broken() == []
    book.says("So first the series as it is, then one with each thing left out that a reader might forget")
    first, *others = book.output("from p2plab import find").splitlines()
    assert "HOLDS in every order" in first
    assert [line.split("BREAKS ")[1].split(":")[0] for line in others] == [
        "cpu-silent-after-revoke",
        "cpu-silent-after-revoke",
        "lock-order",
    ]
    book.says("in two switches a page of a revoked BAR is in a page table, for good")
    assert "2 switches" in others[1]
    book.says("With v3 its transfer waits for ever; with v2 it goes on")
    tells, silent = book.output("for unrevoke in").splitlines()
    assert "HOLDS in every order" in tells
    assert "BREAKS no-deadlock" in silent
    book.says("The shortest order, and the token that carries it")
    assert book.output("print(answer.what").splitlines()[1:2] == ["1 switch, 30 steps"]
    book.says("At most 72 columns")
    assert max(map(len, book.output("import textwrap").splitlines())) <= 72
