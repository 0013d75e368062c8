"""The command line."""

from collections.abc import Mapping, Sequence


def main(args: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    raise SystemExit(2)
