"""The search by symmetry: states that differ only in who is in whose place are searched once."""
