#!/usr/bin/env python3
"""Our signer and botocore's agree, stage by stage, over random cases: unicode, odd paths and queries, duplicate headers,
session tokens, S3's rules. Skipped without botocore unless REQUIRE_BOTOCORE=1. SEED and COUNT repeat a run."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import botocore_new  # noqa: E402,F401


def main():
    from sigv4_cases import cases

    program = os.path.join(sys.argv[1], "sigv4-stages")
    if not os.path.exists(program):
        print("FAILED: %s is not built" % program)
        return 1
    seed, count = int(os.environ.get("SEED", time.time_ns() % 10**9)), int(os.environ.get("COUNT", "2000"))
    print("SEED=%d COUNT=%d" % (seed, count))
    made = list(cases(count, seed))
    lines = "".join(json.dumps(case) + "\n" for case in made)
    run = subprocess.run([program], input=lines.encode(), stdout=subprocess.PIPE, timeout=300, check=True)
    answers = [json.loads(line) for line in run.stdout.decode().splitlines()]
    if len(answers) != len(made):
        print("FAILED: %d answers to %d cases" % (len(answers), len(made)))
        return 1
    for number, (case, ours) in enumerate(zip(made, answers)):
        for stage in ("canonical", "string_to_sign", "signature", "authorization"):
            if ours[stage] != case["expect"][stage]:
                print("FAILED: case %d differs at %s" % (number, stage))
                print("case:", json.dumps({k: v for k, v in case.items() if k != "expect"}, ensure_ascii=False))
                print("botocore:\n%s\nours:\n%s" % (case["expect"][stage], ours[stage]))
                return 1
    print("%d cases agree in all four stages" % count)
    return 0


sys.exit(main())
