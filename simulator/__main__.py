"""`python -m simulator` is `leadsandbox`."""

from simulator.cli import main

main(prog_name="leadsandbox")
