"""The text of the course's own slides, for :mod:`p2plab.course.slides`: ninety minutes."""

LECTURE = """# One device in another one's memory

## A small window before a large memory
A GPU has 16 GiB and shows 256 MiB of it in a BAR. Another device can reach only what the window shows now, and the GPU's driver
changes that as it likes. Below, the window has eight slots.
run: defrag-ignorant@0
ask: A NIC keeps an address of that window. Who has to tell it, and when?

## The NIC has the addresses
The GPU lent four pages of its BAR, and the NIC has their addresses in a table of its own. From here on its device uses them
and asks nobody.
run: defrag-ignorant@14
ask: Which of the CPU's tables does the next beat pass?

## It is told, and does nothing
The GPU wants to move A. The mmu notifier calls the NIC; its callback returns, and nothing was done.
run: defrag-ignorant@24
ask: The promise is broken here. Is anything damaged yet?

## The move
A is elsewhere in the window. All four entries of the NIC's table are stale.
run: defrag-ignorant@27
ask: Who could notice that now?

## The damage
The beat lands in C, of another process. Nobody raises an error.
run: defrag-ignorant@34
ask: Who will hear of it, and how much later?

## The same move, obeyed
Translations out, beats waited for, pages given back: all before the callback returns. Only then does the GPU go on.
run: defrag-obedient@28
ask: Which of the three may be left out, and on which device?

## A beat cannot be called back
The driver cleared its table and gave the pages back. One beat was on its way already.
run: F2@break
ask: Where does the wait belong: before the clear, or after the p2p_unmap?

## Between the answer and the device
p2p_map answered, the page was taken back, and then the device was programmed with the answer.
run: F10@break
ask: Which lock makes the second look worth something?

## Waiting in a circle
The map holds the callback's lock while it waits for the move; the move waits for the callback.
run: F4@break
ask: Which of the two may wait, and for what?

## Half of it goes
The process unmaps a part. The vma is split, and what the driver keeps has the pointer of before.
run: F13@break
ask: Why is "let go of the range" not enough here?

## The exporter promises, too
It said yes once, and says no now: the window has no room. 2019's answer was that it may not.
run: E4@break
ask: Where else could the bytes be?

## Gone
The card goes while somebody has two of its pages.
run: E12@break
ask: In which order would you go?

## A bug of 2026
VFIO's dma-buf waits for a completion that its first revoke consumed already. Merged in January; the first fix was posted in
April.
run: D1@break
ask: Would a test have found it? Which?

## Every order
Random runs of a wrong driver are mostly right. A search tries every order, and shows the smallest one that breaks a promise.
ask: Write the callback: exercise("obey"). Ten minutes, in pairs.
"""
