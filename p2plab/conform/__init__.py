"""Holding the model against recordings of real kernels, operation by operation."""
