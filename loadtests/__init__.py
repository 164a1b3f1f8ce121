"""Load scenarios and the judge of their verdicts. Meets the simulator over HTTP only."""
