"""Faults below HTTP, and the relay that performs them. What the simulator answers is decided elsewhere."""
