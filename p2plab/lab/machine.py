"""An explorer for a machine: its tree, its address map, whether two functions reach each other, and scenes played on it."""

from __future__ import annotations

import itertools
from html import escape
from typing import Any

import ipywidgets as widgets

from p2plab.catalog.rig import elsewhere, importers_of
from p2plab.core.errors import BadInput
from p2plab.everything import SCENES
from p2plab.lab.explorer import SNUG, Explorer, row
from p2plab.lab.lab import Lab
from p2plab.lab.pane import BokehPane
from p2plab.pci import KERNELS, RFC2019, TODAY, Machine, kernel_named, read_machine, with_cpu
from p2plab.pci.source import read_text
from p2plab.pci.whatif import IOMMU_BOOT, WhatIf, moved, what_if, with_acs_words, with_iommu, with_rebar
from p2plab.pci.whitelist import CPUS
from p2plab.views.pci_map import zoom
from p2plab.views.pci_pictures import address_map_figure, address_map_picture
from p2plab.views.pci_text import headline, machine_text, reach_text, reach_words
from p2plab.views.pci_tree import tree_html
from p2plab.views.whatif_text import what_if_headline, what_if_text

WHOLE = "the whole machine"
MEMORY, PORTS = "memory", "I/O ports"
NOT_SHOWN, AS_IT_IS = "not shown", "as it is"
#: The scene that is chosen at first.
SCENE = "defrag-ignorant"
NOBODY, LARGEST = "nobody", "the largest"
#: The groups of controls.
GROUPS = ("pair", "what if", "play a scene here", "zoom the map")
#: Pixels kept free above the stage of a scene played here, so that the pressed button stays visible.
ABOVE = 104
#: Masks that drivers set (``dma_set_mask``), in bits.
MASKS = (64, 52, 48, 46, 44, 40, 39, 36, 32)


class MachineLab(Explorer):
    """``source``: a recorded machine (``"q35_switch2"``), a file, a sysfs folder, or the output of ``lspci -vvv``."""

    def __init__(self, source: str | Machine = "q35_switch2") -> None:
        """BadInput, naming the line, for a source that cannot be read."""
        super().__init__()
        self.machine = source if isinstance(source, Machine) else _read(source)
        names = [device.bdf for device in self.machine.devices]
        self.pair = _first_pair(self.machine)
        self.where, self.io, self.cpu = WHOLE, False, self.machine.cpu
        self.kernel, self.mask = TODAY, 64
        self.given = self.machine
        self.places: dict[str, str] = {}
        self.title, self.sentence, self.words = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.provider = self.choice("exporter", names, self.pair[0], lambda bdf: self._pick(0, bdf), "195px")
        self.client = self.choice("importer", names, self.pair[1], lambda bdf: self._pick(1, bdf), "195px")
        self.cpu_choice = self.choice("CPU", [NOT_SHOWN, *CPUS], self.cpu or NOT_SHOWN, self._set_cpu, "125px")
        later = [name for name in KERNELS if name != RFC2019.name]
        self.kernel_choice = self.choice("2019 beside Linux", later, TODAY.name, self._set_kernel, "200px")
        self.mask_choice = self.choice("DMA mask", list(MASKS), 64, self._set_mask, "130px")
        self.changes = widgets.HTML()
        ports = [d.bdf for d in self.machine.devices if d.is_bridge or d.acs] or names
        self.port = widgets.Dropdown(options=ports, description="what if, at", layout={"width": "215px"}, **SNUG)
        self.acs_word = self.choice("ACS", [AS_IT_IS, "on", "off"], AS_IT_IS, self._set_acs, "120px")
        self.iommu_word = self.choice("IOMMU", [AS_IT_IS, *IOMMU_BOOT], AS_IT_IS, self._set_iommu, "135px")
        slots = [AS_IT_IS, *(f"{d.domain:04x}:{d.secondary:02x}:00.0" for d in self.machine.devices if d.secondary)]
        self.slot = self.choice("the importer's card to", slots, AS_IT_IS, self._move, "255px")
        sizes = [
            AS_IT_IS,
            *(_bar_words(d.bdf, e.index, n) for d in self.machine.devices for e in d.rebar for n in e.bytes_offered),
        ]
        self.bar = self.choice("resize", sizes, AS_IT_IS, self._resize, "240px")
        self.back = self.button("as it is", "take all changes back", self._reset, "undo")
        played = [name for name, scene in SCENES.items() if importers_of(scene)]
        self.scene = self.choice("scene", played, SCENE, lambda _name: None, "290px")
        self.second = widgets.Dropdown(
            options=[NOBODY, *names], description="second importer", layout={"width": "250px"}, **SNUG
        )
        self.memory_bar = widgets.Dropdown(
            options=[LARGEST], description="memory in BAR", layout={"width": "220px"}, **SNUG
        )
        self.player = self.button(
            "play it here", "the exporter lends its memory, the importer maps it", self.play, "play"
        )
        self.stage = widgets.VBox()  # where a scene is played, next to the button for it
        self.lab: Lab | None = None
        self.zoomed = self.choice("zoom to", [WHOLE, *names], WHOLE, self._zoom, "250px")
        self.space = self.choice("of", [MEMORY, PORTS], MEMORY, self._set_space, "150px")
        self.tree = widgets.HTML()
        self.map = BokehPane("address-map", address_map_figure(self.machine), self._map())
        # One group of controls at a time, so that verdict, tree and map stay visible.
        self.controls = widgets.Tab(
            [
                row(self.provider, self.client, self.cpu_choice, self.kernel_choice, self.mask_choice),
                row(self.port, self.acs_word, self.iommu_word, self.slot, self.bar, self.back),
                row(self.scene, self.second, self.memory_bar, self.player),
                row(self.zoomed, self.space),
            ]
        )
        self.controls.titles = GROUPS
        self.controls.add_class("p2plab-groups")
        self.title.add_class("p2plab-headline")
        self.lay_out(
            self.title,
            self.controls,
            self.guard.strip,
            self.stage,
            self.sentence,
            self.tree,
            self.map,
            self.changes,
            self.words,
        )
        self.refresh()

    def as_text(self) -> str:
        """The machine and the verdict as text, and the run that was played on it, if any."""
        text = "\n".join([*machine_text(self.machine), "", *self._reach(), *_changes(self._what_if())]) + "\n"
        return text if self.lab is None else f"{text}\n{self.lab.as_text()}"

    def play(self) -> None:
        """Like *play it here*: play the scene on the machine as shown; the provider exports, the client imports.

        BadInput if a function cannot play its role; NotKnown if the machine does not show whether they reach each other.
        """
        provider, client = self.pair
        importers = (client,) if self.second.value == NOBODY else (client, self.second.value)
        bar = None if self.memory_bar.value == LARGEST else int(self.memory_bar.value)
        scene = SCENES[self.scene.value]
        counted = len(importers) > 1 and any(knob.name == "importers" for knob in scene.knobs)
        knobs: dict[str, Any] = {"importers": len(importers)} if counted else {}
        self.lab = Lab(elsewhere(scene, self._asked(), provider, importers, bar), **knobs)
        self.lab.stage.options = {**self.lab.stage.options, "above": ABOVE}
        self.stage.children = (self.lab.box,)

    def refresh_all(self) -> None:
        """Show machine, pair and range as they are."""
        self.title.value = f"<b>{escape(headline(self._asked()))}</b>"
        words, tone = reach_words(self._asked(), self.pair[0], self.pair[1], self.mask, self.kernel)
        found = self._what_if()
        brief = "" if found is None else f"<br><small>{escape(what_if_headline(found, *self.pair))}</small>"
        self.sentence.value = (
            f'<p class="p2plab-sentence {tone}" data-view="verdict" role="status">{escape(words)}{brief}</p>'
        )
        self.zoomed.value = self.where
        self.space.value = PORTS if self.io else MEMORY
        self.tree.value = tree_html(self._asked(), self.pair[0], self.pair[1], folded=True)
        self.map.show(self._map())
        self.acs_word.value = self.iommu_word.value = self.slot.value = self.bar.value = AS_IT_IS
        names = [device.bdf for device in self.machine.devices]
        for control in (self.provider, self.client):
            if list(control.options) != names:
                control.options = names
        self.provider.value, self.client.value = self.pair
        self._refresh_roles(names)
        changed = escape("\n".join(_changes(found)))
        self.changes.value = f'<pre class="p2plab-text" data-view="what-if">{changed}</pre>' if changed else ""
        text = escape("\n".join(self._reach()))
        self.words.value = f'<pre class="p2plab-text" data-view="reach">{text}</pre>'

    def _refresh_roles(self, names: list[str]) -> None:
        """Keep what was chosen if it still exists after a move; hide the second importer for scenes with one."""
        bars = [str(bar.index) for bar in self.machine[self.pair[0]].bars if bar.mem and bar.sized and not bar.unset]
        for control, options in ((self.second, [NOBODY, *names]), (self.memory_bar, [LARGEST, *bars])):
            if list(control.options) != options:
                chosen = control.value
                control.options = options
                control.value = chosen if chosen in options else options[0]
        if importers_of(SCENES[self.scene.value]) < 2:
            self.second.value = NOBODY
            self.second.layout.display = "none"
        else:
            self.second.layout.display = ""

    def _asked(self) -> Machine:
        return with_cpu(self.machine, self.cpu)

    def _reach(self) -> list[str]:
        provider, client = self.pair
        return reach_text(self._asked(), provider, client, self.mask, self.kernel)

    def _what_if(self) -> WhatIf | None:
        """What the changes made so far do; None if there are none."""
        if self.machine is self.given:
            return None
        return what_if(with_cpu(self.given, self.cpu), self._asked(), self.places, self.kernel)

    def _set_mask(self, bits: int) -> None:
        self.mask = bits

    def _set_acs(self, word: str) -> None:
        if word != AS_IT_IS:
            self.machine = with_acs_words(self.machine, self.places.get(self.port.value, self.port.value), word)

    def _set_iommu(self, word: str) -> None:
        if word != AS_IT_IS:
            self.machine = with_iommu(self.machine, word, self.kernel)

    def _move(self, slot: str) -> None:
        if slot == AS_IT_IS:
            return
        self.machine, step = moved(self.machine, self.pair[1], slot)
        self.pair = [step.get(bdf, bdf) for bdf in self.pair]
        before = {old: step.get(new, new) for old, new in self.places.items()}
        self.places = before | {old: new for old, new in step.items() if old not in self.places.values()}

    def _resize(self, words: str) -> None:
        if words == AS_IT_IS:
            return
        bdf, _, rest = words.partition(" BAR ")
        index, _, size = rest.partition(": ")
        mib = int(size.removesuffix(" MiB"))
        self.machine = with_rebar(self.machine, self.places.get(bdf, bdf), int(index), mib << 20)

    def _reset(self) -> None:
        back = {new: old for old, new in self.places.items()}
        self.pair = [back.get(bdf, bdf) for bdf in self.pair]
        self.machine, self.places = self.given, {}

    def _map(self) -> Any:
        low, high = (0, (1 << 64) - 1) if self.where == WHOLE else zoom(self.machine, self.where, self.io)
        return address_map_picture(self.machine, low, high, self.io, (self.pair[0], self.pair[1]))

    def _pick(self, which: int, bdf: str) -> None:
        self.pair[which] = bdf

    def _set_cpu(self, cpu: str) -> None:
        self.cpu = None if cpu == NOT_SHOWN else cpu

    def _set_kernel(self, name: str) -> None:
        self.kernel = kernel_named(name)

    def _zoom(self, where: str) -> None:
        if where != WHOLE:
            zoom(self.machine, where, self.io)  # BadInput if it has nothing there
        self.where = where

    def _set_space(self, space: str) -> None:
        io = space == PORTS
        if self.where != WHOLE:
            zoom(self.machine, self.where, io)
        self.io = io


def _read(source: str) -> Machine:
    return read_text(source, "the text given") if "\n" in source.strip() else read_machine(source)


def _changes(found: WhatIf | None) -> list[str]:
    return [] if found is None else ["", *what_if_text(found)]


def _bar_words(bdf: str, index: int, size: int) -> str:
    return f"{bdf} BAR {index}: {size >> 20} MiB"


def _first_pair(machine: Machine) -> list[str]:
    """The first two endpoints that share a bridge, or else the first and the last."""
    ends = [device.bdf for device in machine.endpoints] or [device.bdf for device in machine.devices]
    if not ends:
        raise BadInput(f"{machine.name} has no functions")
    pairs = ([a, b] for a, b in itertools.combinations(ends[:50], 2) if machine.common_bridge(a, b))
    return next(pairs, [ends[0], ends[-1]])
