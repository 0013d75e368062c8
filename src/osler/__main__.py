"""``python -m osler`` and the ``osler`` command."""

import os
import sys

from osler.cli import main


def run() -> None:
    """Run the command line and exit with its code."""
    sys.exit(main(sys.argv[1:], os.environ))


if __name__ == "__main__":
    run()
