"""The search in arrays: states expanded thousands at a time. Only a search that has grown imports this, and numpy."""
