"""A large search shared out among several processes, of this machine or of a Dask cluster.

Driver code runs in one process only, the one that was asked. What is shared out is the integer work: each worker owns
the states whose hash falls to it, expands them, and hands every successor to its owner. So workers get and give nothing
but arrays of integers and a few numbers.
"""
