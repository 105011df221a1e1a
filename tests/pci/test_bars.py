"""A BAR tells its size when all ones are written to it; a bridge's windows are registers in 1 MiB steps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2plab.core.errors import BadInput
from p2plab.pci.bars import PCI_COMMAND, Bar, ConfigSpace, probe_bars, size_from_readback, size_readback
from p2plab.pci.rebar import size_code
from p2plab.pci.resource import Resource
from p2plab.pci.windows import CLOSED, decode_io, decode_memory, decode_prefetchable, encode_memory

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ("bar", "readback"),
    [
        (Bar(256, io=True), (0xFFFFFF01,)),
        (Bar(4 * KIB), (0xFFFFF000,)),
        (Bar(16 * MIB), (0xFF000000,)),
        (Bar(256 * MIB, mem64=True, prefetchable=True), (0xF000000C, 0xFFFFFFFF)),
        (Bar(4 * GIB, mem64=True, prefetchable=True), (0x0000000C, 0xFFFFFFFF)),
        (Bar(16 * GIB, mem64=True, prefetchable=True), (0x0000000C, 0xFFFFFFFC)),
        (Bar(32 * GIB, mem64=True, prefetchable=True), (0x0000000C, 0xFFFFFFF8)),
    ],
)
def test_what_a_bar_reads_back_after_all_ones(bar, readback):
    """The size is the lowest address bit that sticks."""
    config = ConfigSpace({0: bar})
    assert size_readback(config, 0) == readback
    assert size_from_readback(*readback) == bar.size


def a_bar():
    memory = st.builds(
        lambda bits, wide, pref: Bar(1 << min(bits, 63 if wide else 31), mem64=wide, prefetchable=pref),
        st.integers(4, 40),
        st.booleans(),
        st.booleans(),
    )
    return st.one_of(memory, st.builds(lambda bits: Bar(1 << bits, io=True), st.integers(2, 8)))


@given(st.lists(a_bar(), max_size=3), st.integers(0, (1 << 64) - 1), st.integers(0, 0x7))
def test_sizing_finds_every_bar_and_leaves_no_trace(bars, address, command):
    """Whatever BARs there are: sizes, kinds and addresses come out, addresses aligned, and all registers are as before."""
    config, index, expected = ConfigSpace(command=command), 0, []
    for bar in bars:
        bar.write(address & 0xFFFFFFFF)
        if bar.mem64:
            bar.write(address >> 32, half=1)
        config.bars[index] = bar
        expected.append((index, bar.size, bar.address, bar.io, bar.mem64, bar.prefetchable))
        index += bar.slots
    before = [config.read32(offset) for offset in range(0, 0x40, 4)]
    found = probe_bars(config)
    assert [(r.index, r.size, r.start, r.io, r.mem64, r.prefetchable) for r in found] == expected
    assert all(r.start % r.size == 0 and r.size & (r.size - 1) == 0 for r in found)
    assert [config.read32(offset) for offset in range(0, 0x40, 4)] == before


def test_a_bar_is_sized_with_decoding_off():
    """While a BAR holds all ones it would answer at a wrong address."""
    seen = []

    class Watched(ConfigSpace):
        def write32(self, offset, value):
            super().write32(offset, value)
            seen.append((offset, self.command & 3))

    probe_bars(Watched({0: Bar(4096)}, command=7))
    assert [state for offset, state in seen if offset != PCI_COMMAND] == [0] * (len(seen) - 2)
    assert seen[-1] == (PCI_COMMAND, 3)


@pytest.mark.parametrize("size", [0, 8, 24, 1 << 32])
def test_a_size_that_no_register_can_say_is_refused(size):
    """A 32-bit memory BAR has a power of two from 16 bytes to 2 GiB."""
    with pytest.raises(BadInput, match=rf"a BAR of {size} bytes; allowed: a power of two from 16 to 2147483648"):
        Bar(size)


def test_a_64_bit_bar_takes_two_registers():
    """So nothing else fits into the one after it, and none starts in the last."""
    with pytest.raises(BadInput, match="a 64-bit BAR takes the next one too"):
        ConfigSpace({0: Bar(4096, mem64=True), 1: Bar(4096)})
    with pytest.raises(BadInput, match="allowed: 0 to 5"):
        ConfigSpace({5: Bar(4096, mem64=True)})


def test_sizes_of_resizable_bars_have_codes():
    """2 to the code MiB."""
    sizes = (MIB, 64 * MIB, 256 * MIB, 8 * GIB, 16 * GIB, 32 * GIB, 512 * GIB)
    assert [size_code(size) for size in sizes] == [0, 6, 8, 13, 14, 15, 19]


def test_memory_windows_as_registers():
    """Base and limit hold address bits 31 to 20; base above limit means closed."""
    assert encode_memory(0xE0000000, 0xEFFFFFFF) == 0xEFF0E000
    assert encode_memory(0xE0000000, 0xE00FFFFF) == 0xE000E000
    assert decode_memory(0xEFF0E000) == Resource(14, 0xE0000000, 0xEFFFFFFF, 0x200)
    assert decode_memory(CLOSED) is None
    with pytest.raises(BadInput, match="1 MiB step"):
        encode_memory(0xE0000000, 0xE0000FFF)


@given(st.integers(0, 0xFFF), st.integers(0, 0xFFF))
def test_a_window_reads_back_as_it_was_written(first, second):
    """Any window on 1 MiB steps survives its register."""
    low, high = sorted((first, second))
    window = decode_memory(encode_memory(low * MIB, (high + 1) * MIB - 1))
    assert (window.start, window.end) == (low * MIB, (high + 1) * MIB - 1)


def test_wide_windows_have_upper_halves():
    """A prefetchable window of type 1 has 64 address bits, an I/O window of type 1 has 32."""
    assert decode_prefetchable(0x0001_0001, 8, 15) == Resource(15, 0x8_0000_0000, 0xF_000F_FFFF, 0x102201)
    assert decode_prefetchable(0xFFF1_0001, 8, 15) == Resource(15, 0x8_0000_0000, 0xF_FFFF_FFFF, 0x102201)
    assert decode_io(0xC0, 0xC0) == Resource(13, 0xC000, 0xCFFF, 0x100)
    assert decode_io(0xF0, 0x00) is None
    assert decode_io(0x01, 0x01, 1, 1) == Resource(13, 0x10000, 0x10FFF, 0x101)
