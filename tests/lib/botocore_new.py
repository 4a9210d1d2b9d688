"""Stands at the top of tests that compare with botocore: an old one lacks services and signs some headers differently, so
it is no reference. Debian 12's own package (1.29) is such a one: a visible skip, or a failure with REQUIRE_BOTOCORE=1."""
import os
import sys

LEAST = (1, 40)


def need():
    try:
        import boto3  # noqa: F401
        import botocore
        have = tuple(int(part) for part in botocore.__version__.split(".")[:2])
        why = "" if have >= LEAST else "botocore %s is too old, %d.%d is the least" % ((botocore.__version__,) + LEAST)
    except ImportError:
        why = "botocore is not installed"
    if why:
        print("SKIPPED:", why)
        sys.exit(1 if os.environ.get("REQUIRE_BOTOCORE") == "1" else 77)


need()
