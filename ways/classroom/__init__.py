"""A class on JupyterHub: its configuration, and a rehearsal with simulated students who speak the real protocols.

``jupyterhub_config.py`` and ``values.yaml`` are for real classes (docs/classroom.md); the modules here start the same hub
on this machine alone and send students through the first lab: ``python -m ways.classroom --students 30``, or ``make class``.
"""
