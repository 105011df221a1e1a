"""Whatever is pasted, the readers read it or refuse it by line: nothing else comes out, and none of it takes long."""

import contextlib
import json
import random
import subprocess
import sys
import time
from collections import Counter

import pytest

from p2plab.conform import p2pdma, pci
from p2plab.core.errors import BadInput
from p2plab.pci import read_lspci, read_recording
from p2plab.views.pci_text import machine_text
from tests.pci.fuzz import RECORDINGS, broken_recordings, broken_texts, spoil, try_recording, try_text


def test_broken_text_is_read_or_refused_by_line():
    """4,000 seeded mutations of recorded lspci output."""
    seen = Counter(map(try_text, broken_texts(4000, seed=2019)))
    assert set(seen) == {"read", "refused"}
    assert min(seen.values()) > 400


def test_broken_recordings_are_read_or_refused():
    """3,000 seeded mutations of recorded machines."""
    seen = Counter(map(try_recording, broken_recordings(3000, seed=2019)))
    assert set(seen) == {"read", "refused"}
    assert min(seen.values()) > 300


@pytest.mark.parametrize(
    ("compare", "name"),
    [(pci.conform, "pci/pc_bridges"), (p2pdma.conform, "p2pdma/pc_bridges.intel"), (p2pdma.conform, "p2pdma/nvme_cmb")],
)
def test_spoiled_recordings_are_compared_or_refused(compare, name, tmp_path):
    """400 each: a difference, or BadInput."""
    rng, path = random.Random(2019), tmp_path / "spoiled.json"
    whole = (RECORDINGS / f"{name}.json").read_text()
    for _ in range(400):
        data = json.loads(whole)
        spoil(rng, data)
        path.write_text(json.dumps(data))
        with contextlib.suppress(BadInput):
            assert compare([path]).cases <= 200


def test_what_is_read_can_be_shown():
    """As text, however odd the machine that came out."""
    for text in broken_texts(300, seed=7):
        try:
            machine = read_lspci(text)
        except BadInput:
            continue
        assert max(map(len, machine_text(machine))) <= 100


@pytest.mark.timed
@pytest.mark.parametrize(
    "text",
    [
        "-[0000:00]-" + "+-" * 2000,
        "\n".join("00:00.0 PCI bridge: x" for _ in range(100_000)),
        "\n".join(f"{n >> 8:04x}:{n & 255:02x}:00.0 PCI bridge: x" for n in range(60_000)),
        "00:00.0 x: y\n" + "\n".join("\t" * 40 + "Region 0: " + "[" * 300 for _ in range(5000)),
        "\n" * 1_000_000,
        "00:00.0 x: " + "[8086:" * 600 + "\n",
        "\n".join("-[0000:00]-+-00.0-[01]--+-00.0-[02]--" for _ in range(20_000)),
    ],
    ids=["branches", "one function", "many domains", "brackets", "empty lines", "ids", "trees"],
)
def test_a_hostile_text_takes_no_longer_than_its_length(text):
    """A few seconds of processor for each of these, whatever else the machine does."""
    began = time.process_time()
    try_text(text)
    assert time.process_time() - began < 10


@pytest.mark.timed
def test_a_hostile_recording_takes_no_longer_than_its_length():
    """A line of boot messages a megabyte long, a tree sixty thousand functions wide."""
    began = time.monotonic()
    path = "/sys/devices/pci0000:00/"
    wide = [{"bdf": f"{n:04x}:00:00.0", "path": f"{path}{n:04x}:00:00.0"} for n in range(60_000)]
    read_recording({"devices": wide, "dmesg_pci": ["pci " + "a" * 1_000_000 + ": assigned"]})
    assert time.monotonic() - began < 20


def test_the_pci_room_needs_nothing_but_python():
    """Neither numpy nor any other package comes in with it."""
    code = (
        "import sys; before = set(sys.modules); import p2plab.pci, p2plab.views.pci_text\n"
        "new = {name.split('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names) - {'p2plab'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
