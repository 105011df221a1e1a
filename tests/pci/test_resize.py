"""A resizable BAR grows if the windows above can, or everything is as it was."""

from dataclasses import replace

import pytest

from p2plab.core.errors import KernelError
from p2plab.pci import (
    FunctionKind,
    HostBridge,
    Machine,
    ResizableBar,
    Resource,
    assign_resources,
    broken,
    resize_bar,
    with_decode,
)
from p2plab.pci.resource import PREF_WINDOW
from tests.pci.build import GIB, HIGH, LOW, MIB, PORTS, bar, function, host_function, port

GPU, PORT = "0000:02:00.0", "0000:01:00.0"
ALL_SIZES = sum(1 << code for code in range(8, 15))


def graphics_card(high=HIGH, neighbour=()) -> Machine:
    """A card with a 256 MiB aperture that may become up to 16 GiB, and 2 MiB of registers, below two ports."""
    machine = Machine(
        "card",
        (
            host_function(),
            port("0000:00:01.0", FunctionKind.ROOT_PORT, 1, 2),
            port(PORT, FunctionKind.DOWNSTREAM, 2, parent="0000:00:01.0"),
            function(
                GPU,
                PORT,
                bar(0, 256 * MIB),
                bar(2, 2 * MIB),
                rebar=(ResizableBar(0, ALL_SIZES, 8),),
                memory_decode=False,
            ),
            *neighbour,
        ),
        (HostBridge("pci0000:00", (LOW, high, PORTS)),),
    )
    return assign_resources(machine).machine


def error(call) -> tuple[str, int]:
    with pytest.raises(KernelError) as caught:
        call()
    return caught.value.name, caught.value.errno


def test_a_bar_grows_with_the_windows_above_it():
    """From 256 MiB to 16 GiB, the registers moving along; the control register remembers."""
    grown = resize_bar(graphics_card(), GPU, 0, 16 * GIB, release=(2,))
    assert grown[GPU].resource(0) == Resource(0, 0x4_0000_0000, 0x7_FFFF_FFFF, 0x14220C)
    assert grown[GPU].rebar == (ResizableBar(0, ALL_SIZES, 14),)
    assert grown[PORT].resource(PREF_WINDOW).contains(grown[GPU].resource(2))
    assert broken(grown) == ()


def test_and_shrinks_again():
    """Back to the size and place it had."""
    machine = graphics_card()
    assert resize_bar(resize_bar(machine, GPU, 0, GIB, (2,)), GPU, 0, 256 * MIB, (2,)) == machine


def test_with_memory_decode_on_the_kernel_refuses():
    """A BAR must not move under its driver's feet."""
    machine = with_decode(graphics_card(), GPU, True)
    assert error(lambda: resize_bar(machine, GPU, 0, GIB)) == ("EBUSY", 16)


def test_without_the_capability_there_is_nothing_to_resize():
    """And with it, only the BARs that have a control register; only the sizes it offers."""
    machine = graphics_card()
    assert error(lambda: resize_bar(machine, PORT, 0, GIB)) == ("ENOTSUPP", 524)
    assert error(lambda: resize_bar(machine, GPU, 2, 4 * MIB)) == ("ENOENT", 2)
    assert error(lambda: resize_bar(machine, GPU, 0, 32 * GIB)) == ("EINVAL", 22)
    assert error(lambda: resize_bar(machine, GPU, 0, 3 * GIB)) == ("EINVAL", 22)
    assert error(lambda: resize_bar(machine, GPU, 0, 0)) == ("EINVAL", 22)


def test_without_room_the_old_size_is_back():
    """The root window above 4 GiB is too small for 16 GiB."""
    machine = graphics_card(high=replace(HIGH, end=HIGH.start + 8 * GIB - 1))
    before = replace(machine)
    assert error(lambda: resize_bar(machine, GPU, 0, 16 * GIB, (2,))) == ("ENOSPC", 28)
    assert machine == before
    assert resize_bar(machine, GPU, 0, 4 * GIB, (2,))[GPU].resource(0).size == 4 * GIB


def test_a_window_that_holds_something_else_cannot_grow():
    """Its own second BAR, if that is not released too."""
    machine = graphics_card()
    assert error(lambda: resize_bar(machine, GPU, 0, 16 * GIB)) == ("ENOSPC", 28)


def test_a_neighbour_below_the_same_root_port_keeps_that_window_shut():
    """The port just above could grow, the root port cannot: another card lies in its window."""
    other = (
        port("0000:01:01.0", FunctionKind.DOWNSTREAM, 3, parent="0000:00:01.0"),
        function("0000:03:00.0", "0000:01:01.0", bar(2, 64 * MIB)),
    )
    machine = graphics_card(neighbour=other)
    assert error(lambda: resize_bar(machine, GPU, 0, 16 * GIB, (2,))) == ("ENOSPC", 28)
