"""A class on one machine: ``jupyterhub -f ways/classroom/jupyterhub_config.py``, as root, in the environment that has p2plab.

Read docs/classroom.md first; the lines to look at are marked CHOOSE.
"""

import sys
from pathlib import Path

from systemdspawner import SystemdSpawner

sys.path.insert(0, str(Path(__file__).parents[2]))
from ways.classroom.in_turn import InTurn

c = get_config()  # noqa: F821  JupyterHub gives it
load_subconfig("common_config.py", path=str(Path(__file__).parent))  # noqa: F821

# CHOOSE who may come in: accounts of this machine, by PAM. As long as nobody is named, nobody is let in.
c.JupyterHub.authenticator_class = "pam"
c.Authenticator.allowed_users = set()
c.Authenticator.admin_users = set()


class Students(InTurn, SystemdSpawner):
    """Each server under its own account and in a cgroup of its own; started in turn."""


c.JupyterHub.spawner_class = Students
# CHOOSE. Enforced by the kernel, through the cgroup. docs/classroom.md has the measurements behind the two numbers.
c.Spawner.mem_limit = "1G"
c.Spawner.cpu_limit = 1.0
# Too much memory costs the kernel that took it, and not the student's whole server.
c.SystemdSpawner.unit_extra_properties = {"OOMPolicy": "continue"}
c.SystemdSpawner.isolate_tmp = True
c.SystemdSpawner.isolate_devices = True
c.SystemdSpawner.disable_user_sudo = True

# CHOOSE the address. Plain http is for this machine alone: for others give a certificate, or put a TLS proxy in front.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
# c.JupyterHub.bind_url = "https://0.0.0.0:443"
# c.JupyterHub.ssl_cert, c.JupyterHub.ssl_key = "/etc/ssl/hub.crt", "/etc/ssl/hub.key"
