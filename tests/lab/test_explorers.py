"""The explorers of a machine and of memory, clicked in Python."""

import re

import pytest

from p2plab.catalog.rig import importers_of
from p2plab.core.errors import BadInput
from p2plab.core.places import recorded_machines
from p2plab.everything import SCENES
from p2plab.lab import CompareLab, DesignsLab, MachineLab, MemoryLab
from p2plab.p2p.things import things_of
from p2plab.pci import read_machine
from p2plab.views.pci_tree import tree_html


def test_a_pair_is_chosen_and_its_verdict_follows():
    """Below one switch; then below two, where no bridge joins them."""
    lab = MachineLab("q35_switch2")
    assert lab.pair == ["0000:03:00.0", "0000:04:00.0"]
    assert "they meet at 0000:01:00.0" in lab.tree.value
    assert '<li class="exporter" title="0000:03:00.0' in lab.tree.value
    assert '<li class="importer" title="0000:04:00.0' in lab.tree.value
    assert "BUS_ADDR, distance 4" in lab.sentence.value
    assert "BUS_ADDR, distance 4" in lab.words.value
    lab.client.value = "0000:07:00.0"
    assert lab.guard.last is None
    assert "no bridge joins them" in lab.tree.value
    assert 'p2plab-sentence bad"' in lab.sentence.value
    assert "NOT_SUPPORTED" in lab.words.value
    lab.cpu_choice.value = "zen"
    assert "THRU_HOST_BRIDGE" in lab.words.value


def test_zooming_names_exact_addresses_and_refuses_what_is_not_there():
    """4 KiB beside 32 GiB: labels are the model's own hex."""
    lab = MachineLab("q35_switch2")
    assert lab.map.data["ticks"]["label"][0] == "0x000a0000"
    lab.zoomed.value = "0000:03:00.0"
    assert "0xe8000000" in lab.map.data["ticks"]["label"]
    lab.zoomed.value = "0000:00:06.0"
    lab.space.value = "I/O ports"
    assert "has nothing in I/O ports" in lab.guard.strip.value
    assert lab.space.value == "memory"


@pytest.mark.parametrize("name", recorded_machines())
def test_every_recorded_machine_can_be_shown(name):
    """All boxes inside the picture, every function a line."""
    lab = MachineLab(name)
    boxes = lab.map.data["boxes"]
    assert all(0 <= left < right <= 100.001 for left, right in zip(boxes["left"], boxes["right"], strict=True))
    assert lab.tree.value.count("<code>") == len(lab.machine) + len(lab.machine.host_bridges)
    named = lab.map.data["named"]
    assert all(-5 <= start <= 105 for start in named["start"])
    assert lab.as_text().startswith(f"{name}: ")


def test_the_map_names_the_bars_of_exporter_and_importer():
    """Each with its role, place and size; no name lies over another, and no line to a name crosses one."""
    for machine in recorded_machines():
        named = MachineLab(machine).map.data["named"]
        names = list(zip(named["x"], named["start"], named["y"], named["label"], strict=True))
        for x, start, y, label in names:
            assert label.startswith(("exporter ", "importer "))
            for other_x, other_start, other_y, other in names:
                if (other_x, other) == (x, label):
                    continue
                end, other_end = start + len(label) * 0.82, other_start + len(other) * 0.82
                assert other_y != y or other_start >= end or start >= other_end
                assert not (other_y > y and start < other_x < end)
    named = MachineLab("q35_switch2").map.data["named"]
    assert any(label.startswith("exporter 0000:03:00.0 BAR 2") for label in named["label"])
    assert "importer 0000:04:00.0 BAR 0 at 0xfe600000, 16 KiB" in named["label"]


def test_functions_aside_of_the_way_are_behind_their_number():
    """Those on the way and above it keep their lines; the folded ones are there, in the tree's order."""
    tree = MachineLab("q35_switch2").tree.value
    shown, _, folded = tree.partition("<details>")
    assert "<summary>10 other functions</summary>" in folded
    assert [bdf in shown for bdf in ("pci0000:00", "0000:00:02.0", "0000:03:00.0", "0000:04:00.0")] == [True] * 4
    assert 'class="role"' not in folded
    codes = re.findall("<code>(.*?)</code>", tree)
    assert codes == re.findall("<code>(.*?)</code>", tree_html(read_machine("q35_switch2")))


def test_pasted_lspci_text_is_a_machine():
    """A reviewer's own, as printed."""
    text = "00:00.0 Host bridge [0600]: Intel Corporation X [8086:1234]\n"
    text += "00:1f.0 ISA bridge [0601]: Intel Corporation Y [8086:5678]\n"
    lab = MachineLab(text)
    assert [device.bdf for device in lab.machine.devices] == ["0000:00:00.0", "0000:00:1f.0"]
    with pytest.raises(BadInput):
        MachineLab("this is\nno lspci\n")


def test_an_answer_shows_before_calls_and_after():
    """munmap of device memory: one UNMAP over the range, under the read lock."""
    lab = MemoryLab("munmap", "device")
    assert lab.pane.alt == "munmap of device memory, Linux 7.3: UNMAP [0, 16) (locks: mmap r). Returned 0."
    assert list(dict.fromkeys(lab.pane.data["bars"]["row"])) == ["before", "call 1"]
    lab.operation.value = "fork"
    assert lab.guard.last is None
    assert "no listener is called" in lab.pane.alt
    assert "none: no listener is called" in lab.rows.value
    lab.kernel.value = "rfc2019"
    assert "Linux rfc2019" in lab.pane.alt
    assert "fork" in lab.as_text()


def test_an_unknown_operation_is_an_error_of_the_cell():
    """With the list of what there is."""
    with pytest.raises(BadInput, match="no operation 'fly'"):
        MemoryLab("fly")


def test_two_runs_side_by_side_take_the_same_presses():
    """Obedient beside ignorant: one keeps every rule, the other breaks two."""
    lab = CompareLab("workbench")
    for button in (lab.buttons["map"], lab.buttons["dma"], *[lab.forward] * 3, lab.buttons["defrag"], lab.rest):
        button.click()
        assert lab.guard.last is None, lab.guard.strip.value
    obedient, ignorant = lab.sides
    assert obedient.stage.broken == {}
    assert "obedience" in ignorant.stage.broken
    assert "nic:entry0" in obedient.stage.options["differs"]
    lab.slider.value = 20
    assert obedient.session.step == ignorant.session.step == 20
    assert obedient.stage.options["differs"] == []
    assert lab.as_text().count("token:") == 2


def test_what_one_side_cannot_do_is_said_there():
    """The other goes on; only when both refuse is it an error."""
    lab = CompareLab(("workbench", {"nic": "same-switch"}), ("workbench", {"nic": "other-switch"}))
    lab.buttons["map"].click()
    lab.buttons["dma"].click()
    assert lab.guard.last is None
    assert lab.sides[0].said == ""
    assert lab.sides[1].said == "the NIC has mapped nothing"
    lab.slider.value = 0
    lab.both_refuse = lab.handler(lambda: lab.everywhere(lambda session: session.press("dma")))
    lab.both_refuse()
    assert "the NIC has mapped nothing" in lab.guard.strip.value


def test_designs_stand_side_by_side_at_the_same_line_of_the_list():
    """Four of them; the line is chosen once, and each says how it went there."""
    names = ("rfc-vma", "p2pdma-pages", "dma-buf-dynamic", "vfio-dma-buf")
    lab = CompareLab(*(f"design-{name}" for name in names))
    lines = [label for label, _ in lab.line.options]
    assert lines[:2] == ["no line", "set up"]
    assert "wants its memory back" in lines
    lab.line.value = dict(lab.line.options)["wants its memory back"]
    assert lab.guard.last is None, lab.guard.strip.value
    assert [side.said.partition(":")[0] for side in lab.sides] == ["wants its memory back"] * 4
    with pytest.raises(BadInput, match="at most 4"):
        CompareLab(*["workbench"] * 5)


def test_a_cell_of_the_matrix_opens_the_run_that_decides_it():
    """And a cell that only a source answers opens nothing, and says so."""
    lab = DesignsLab("learns of a move by", "dma-buf-dynamic")
    assert "invalidate_mappings" in lab.words.value
    lab.opener.click()
    assert lab.guard.last is None, lab.guard.strip.value
    assert lab.lab.session.token == lab.cell.tokens[0]
    lab.question.value = "exporter object"
    assert "only a source can answer" in lab.words.value
    assert lab.opener.disabled
    assert "LEARNS OF A MOVE BY" in lab.as_text()
    with pytest.raises(BadInput, match="is not one of"):
        DesignsLab("what else")


def test_a_kernel_that_there_is_not_is_refused():
    """BadInput names the kernels."""
    assert "not in 6.1" in DesignsLab(kernel="6.1").table.value
    with pytest.raises(BadInput, match="no kernel"):
        DesignsLab(kernel="5.4")


def test_a_machine_is_changed_by_pressing_and_taken_back():
    """ACS at a port, the client's card in another slot, an IOMMU, a mask; one button takes it all back."""
    lab = MachineLab("q35_switch1")
    lab.provider.value, lab.client.value = "0000:03:00.0", "0000:04:00.0"
    assert lab.changes.value == ""
    lab.port.value = "0000:00:02.0"
    lab.acs_word.value = "on"
    lab.slot.value = "0000:06:00.0"
    assert lab.pair == ["0000:03:00.0", "0000:06:00.0"]
    lab.iommu_word.value = "pt"
    lab.mask_choice.value = 32
    assert lab.guard.last is None
    assert "0000:04:00.0 is at 0000:06:00.0 now" in lab.as_text()
    assert "32-bit mask" in lab.as_text()
    lab.back.click()
    assert (lab.pair, lab.changes.value, lab.machine) == (["0000:03:00.0", "0000:04:00.0"], "", lab.given)


def test_a_change_that_cannot_be_made_is_a_sentence_and_changes_nothing():
    """A switch of QEMU has no ACS to switch on."""
    lab = MachineLab("q35_switch1")
    lab.port.value = "0000:02:00.0"
    lab.acs_word.value = "on"
    assert "has no ACS capability to switch on" in lab.guard.strip.value
    assert (lab.machine, lab.acs_word.value) == (lab.given, "as it is")


def test_a_scene_is_played_on_the_machine_that_is_shown():
    """The provider is the exporter, the client the importer; the run is resumed from its token there."""
    lab = MachineLab("q35_switch1")
    lab.provider.value, lab.client.value = "0000:03:00.0", "0000:04:00.0"
    assert lab.lab is None
    lab.scene.value = "defrag-ignorant"
    lab.player.click()
    assert lab.guard.last is None, lab.guard.strip.value
    assert lab.stage.children == (lab.lab.box,)
    things = things_of(lab.lab.session.run.world)
    assert (things.exporters[0].bdf, things.importers[0].peer.bdf) == ("0000:03:00.0", "0000:04:00.0")
    assert "defrag-ignorant-elsewhere" in lab.as_text()
    token = lab.lab.session.token
    lab.lab.reset.click()
    lab.lab.share.paste.value = token
    lab.lab.share.opener.click()
    assert lab.lab.guard.last is None, lab.lab.guard.strip.value
    assert lab.lab.session.token == token


def test_the_machine_is_played_on_as_it_was_changed():
    """The CPU that was said, the slot that the card moved to, the second importer, and a BAR that has room for it."""
    lab = MachineLab("q35_switch1")
    lab.provider.value, lab.client.value = "0000:03:00.0", "0000:04:00.0"
    lab.slot.value = "0000:06:00.0"
    lab.cpu_choice.value = "zen"
    lab.scene.value = next(name for name in lab.scene.options if importers_of(SCENES[name]) == 1)
    assert lab.second.layout.display == "none"
    lab.scene.value = "defrag-ignorant"
    assert lab.second.layout.display == ""
    lab.second.value = "0000:05:00.0"
    lab.memory_bar.value = lab.memory_bar.options[1]
    lab.player.click()
    assert "is not inside BAR 0 of 0000:03:00.0" in lab.guard.strip.value
    lab.memory_bar.value = lab.memory_bar.options[-1]
    lab.player.click()
    assert lab.guard.last is None, lab.guard.strip.value
    importers = things_of(lab.lab.session.run.world).importers
    assert [importer.peer.bdf for importer in importers[:2]] == ["0000:06:00.0", "0000:05:00.0"]


def test_a_role_that_cannot_be_played_is_refused_in_a_sentence():
    """One function twice; a bridge that has no memory; who reaches whom not shown."""
    lab = MachineLab("q35_switch1")
    lab.provider.value = lab.client.value = "0000:03:00.0"
    lab.player.click()
    assert "cannot be both the exporter and an importer" in lab.guard.strip.value
    lab.provider.value, lab.client.value = "0000:02:00.0", "0000:03:00.0"
    lab.player.click()
    assert "has no memory BAR" in lab.guard.strip.value
    assert lab.stage.children == ()


def test_the_designs_of_a_kernel_and_a_change_between_two():
    """A kernel shows what was true then; a change marks its cell, and opens one run above the other."""
    lab = DesignsLab()
    lab.of.value = "6.12"
    assert "not in 6.12: came with v6.16" in lab.table.value
    name = "importer may keep it, vfio-dma-buf: 6.19 to 7.3"
    lab.changed.value = name
    assert lab.chosen == ("importer may keep it", "vfio-dma-buf")
    assert "Linux 6.19" in lab.words.value
    assert "Linux 7.3" in lab.words.value
    lab.opener.click()
    assert [side.session.run.settings["kernel"] for side in lab.lab.sides] == ["6.19", "7.3"]
    lab.question.value = "lifetime"
    assert (lab.change, lab.changed.value) == (None, "no change")
    assert lab.guard.last is None
