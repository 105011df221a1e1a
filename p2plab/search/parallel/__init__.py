"""A large search shared out among several processes, of this machine or of a Dask cluster.

Driver code runs in one process only, the coordinator. Only the integer work is shared: each worker owns
the states whose hash falls to it, expands them, and hands every successor to its owner. So workers exchange only arrays
of integers and a few numbers.
"""
