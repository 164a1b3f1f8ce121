"""Known-bad servers: what the suite must catch, and the proof that it does. Cases and verdicts live elsewhere."""
