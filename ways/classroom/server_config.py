"""What every student's own server is told: on one machine by common_config.py, on Kubernetes by values.yaml."""

from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager

c = get_config()  # noqa: F821  Jupyter gives it


class NoSavedWidgets(AsyncLargeFileManager):
    """The usual manager of files, less the widgets saved in notebooks that this student neither wrote nor trusted.

    The state of an anywidget is JavaScript, and JupyterLab loads saved widgets as soon as a notebook is opened, trusted or not:
    in the page of the student's own server, which may do all that the student may. Cells that are run make theirs anew.
    """

    def mark_trusted_cells(self, nb, path=""):
        """Called for each notebook before it goes to the page."""
        super().mark_trusted_cells(nb, path)
        if not self.notary.check_signature(nb):
            nb["metadata"].pop("widgets", None)


c.ServerApp.contents_manager_class = NoSavedWidgets

# Voila runs a notebook as soon as its page is opened. Together with nbgitpuller, which brings notebooks from any address
# that a link names, a link could run code that nobody has read. The app can be served beside the hub (`make app`).
# The shim reads settings of the notebook server of before 2021, of which a new server has none, and imports IPython for it.
c.ServerApp.jpserver_extensions = {"voila.server_extension": False, "notebook_shim": False}

# What a first page does not need: language servers are looked for at each start, and news are asked for on the web.
c.LanguageServerManager.autodetect = False
c.LabApp.news_url = None
# Nobody installs extensions from PyPI into an environment that is not theirs; server.py leaves the manager for that out.
c.LabApp.extension_manager = "readonly"
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"

# A notebook that was closed keeps its kernel for half an hour.
c.MappingKernelManager.cull_idle_timeout = 1800
c.MappingKernelManager.cull_interval = 120
# On a machine that starts thirty kernels at once, one may take longer than a minute.
c.MappingKernelManager.kernel_info_timeout = 300
