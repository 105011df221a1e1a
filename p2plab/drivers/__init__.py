"""The reference drivers: good ones, short enough to be read in class."""
