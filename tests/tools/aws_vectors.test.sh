#!/bin/sh
# The requests in tests/vectors/aws are what botocore sends for the same arguments; skips where botocore is not installed.
exec python3 "$(dirname "$0")/aws_vectors.py" --check
