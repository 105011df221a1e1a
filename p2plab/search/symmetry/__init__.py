"""The search by symmetry: states that differ only by a permutation of members are searched once."""
