"""Reference answers, and the well-known wrong ones. Kept apart from the notebooks: no learner's page imports this."""

from p2plab.course.solutions.right import RIGHT, UNUSUAL
from p2plab.course.solutions.wrong import WRONG, Wrong

__all__ = ["RIGHT", "UNUSUAL", "WRONG", "Wrong"]
