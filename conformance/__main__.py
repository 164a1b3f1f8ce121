"""`python -m conformance`: the same as `leadsandbox conform`."""

from conformance.cli import conform

if __name__ == "__main__":
    conform(prog_name="python -m conformance")
