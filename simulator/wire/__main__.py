"""`python -m simulator.wire`: reads options, starts the relay. Started by `leadsandbox up`, not by people."""

from __future__ import annotations

import argparse
import sys

from simulator.wire.patience import Deadlines
from simulator.wire.program import GRACE, CannotRelayError, deadlines_of, inherited, run, upstream_of


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m simulator.wire", description="Performs transport faults.")
    parser.add_argument("--fd", type=int, required=True, help="Descriptor of the listening socket.")
    parser.add_argument("--upstream", required=True, help="The simulator: unix:/path or tcp:host:port.")
    parser.add_argument("--parent-fd", type=int, help="Descriptor of a pipe; its end stops the relay.")
    parser.add_argument("--deadlines", help="Seconds: head,pause,whole,idle,stuck. For tests.")
    parser.add_argument("--grace", type=float, default=GRACE, help="Seconds that answers have after a SIGTERM.")
    options = parser.parse_args()
    try:
        deadlines = deadlines_of(options.deadlines) if options.deadlines else Deadlines()
        run(inherited(options.fd), upstream_of(options.upstream), options.parent_fd, deadlines, options.grace)
    except CannotRelayError as error:
        print(f"leadsandbox: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(3)


if __name__ == "__main__":
    main()
