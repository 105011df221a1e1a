"""Ways to p2plab that begin with a link: ``links`` prints them, ``binder`` checks the files that Binder builds from."""
