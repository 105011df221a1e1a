"""What every student's own server is told."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from classroom.contents import NoSavedWidgets

c = get_config()  # noqa: F821  Jupyter gives it

# Voila runs a notebook as soon as its page is opened. Together with nbgitpuller, which brings notebooks from any address
# that a link names, a link could run code that nobody has read. The app can be served beside the hub (`make app`).
c.ServerApp.jpserver_extensions = {"voila.server_extension": False}
# Likewise the widgets saved in a notebook from elsewhere.
c.ServerApp.contents_manager_class = NoSavedWidgets

# What a first page does not need: language servers are looked for at each start, and news are asked for on the web.
c.LanguageServerManager.autodetect = False
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"

# A notebook that was closed keeps its kernel for half an hour.
c.MappingKernelManager.cull_idle_timeout = 1800
c.MappingKernelManager.cull_interval = 120
# On a machine that starts thirty kernels at once, one may take longer than a minute.
c.MappingKernelManager.kernel_info_timeout = 300
