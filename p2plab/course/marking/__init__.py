"""Marking a folder of hand-ins. World, rules and log are in one process, the hand-in's code in another, which is shut in.

- ``reading``: what lies in the folder; ``mark``: a row for each; ``tables``: the files that these become.
- ``judge``: the search and the confirmation, in a process for each hand-in; ``orders``: those that break wrong answers.
- ``handin`` and ``child``: the two ends of the pipe between the world and the hand-in's code.
- ``jail``: bubblewrap, and what it cannot do where it is missing. docs/instructor.md says how strong it is.
"""

from p2plab.course.marking.mark import Limits, Marked, mark_folder
from p2plab.course.marking.tables import Csv, Grades, Json

__all__ = ["Csv", "Grades", "Json", "Limits", "Marked", "mark_folder"]
