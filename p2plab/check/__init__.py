"""Every order of events: the search over schedules, shrinking, and the answer as a value."""
