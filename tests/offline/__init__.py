"""A machine without a network, set up from a folder."""
