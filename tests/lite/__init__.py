"""The site without a server, as far as it can be judged without building it."""
