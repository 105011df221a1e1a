"""Steps, actors, locks, the world, the event log, schedules, runs and tokens. Knows nothing of memory or PCI."""
