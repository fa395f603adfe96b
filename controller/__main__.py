"""`python -m controller --kube`: the operator of a cluster. On one machine the controller is part of `cloudbase dev`."""

from __future__ import annotations

import logging
import sys


def main() -> int:
    """Exit status 2 without `--kube`, 0 after `--help`, else as controller.kube.run.main."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments = sys.argv[1:]
    if "--kube" not in arguments and not {"-h", "--help"} & {*arguments}:
        print("usage: python -m controller --kube [--help]; on one machine use `cloudbase dev`", file=sys.stderr)
        return 2
    from controller.api.cluster import routes
    from controller.kube.run import main as in_a_cluster

    return in_a_cluster([each for each in arguments if each != "--kube"], routes)


if __name__ == "__main__":
    sys.exit(main())
