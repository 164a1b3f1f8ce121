"""Flask, and nothing else."""
