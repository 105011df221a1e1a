"""Marking a folder of hand-ins: each in a process of its own, limited in time, memory, files and where it may write.

What is prevented, and by what:

- endless loops, sleeping, hanging: the hand-in's process and all its children are killed when its time is over;
- memory and file sizes: resource limits of the kernel;
- output: standard output and error of the hand-in go nowhere;
- writing, removing, renaming outside of its scratch folder: Landlock where the kernel has it, which code cannot undo;
  besides that, and alone where it has not, a Python audit hook, which refuses with a clear word but which code that
  sets out to get round it (through ctypes, say) can get round;
- starting processes, connections, signals to others: namespaces of the hand-in's own where the kernel gives them (root, or
  users who may make some): no network, no foreign process; besides that, and alone where it does not, the audit hook.

A line that a hand-in writes among its marks is told from them by a word that only the runner knows, and noted. What is **not**
prevented: reading files that the account may read; forging its own mark by code that sets out to find that word, because it
runs in the process that marks it; anything a kernel bug allows. Mark hand-ins of strangers in an account or a container of
their own.
"""

from p2plab.course.marking.mark import Limits, Marked, mark_folder, write_csv

__all__ = ["Limits", "Marked", "mark_folder", "write_csv"]
