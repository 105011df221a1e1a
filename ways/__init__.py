"""The ways in: a class on JupyterHub, a site without a server, a stick without a network, links, the app's settings."""
