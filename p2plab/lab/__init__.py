"""The explorer for a notebook: ``from p2plab.lab import Lab; Lab("workbench")``. The only room with widget callbacks."""

from p2plab.lab.lab import Lab

__all__ = ["Lab"]
