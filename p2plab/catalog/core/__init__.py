"""C1 to C7: the core and the platform: the posted loops, the OOM reaper, the buses."""
