"""Includes go downward only, names are unique, and the top level is what it should be.

The order below is the rule of CMake's targets, said once more for headers: a header can be included without linking."""
import os
import re
import subprocess
import sys

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALLOWED = {
    "common/base": [],
    "common/codec": ["common/base"],
    "common/policy": ["common/base", "common/codec"],
    "common/crypto": ["common/base", "common/codec"],
    "common/log": ["common/base"],
    "common/config": ["common/base", "common/codec"],
    "common/http": ["common/base"],
    "common/redis": ["common/base", "common/codec"],
    "common/queue": ["common/base", "common/codec", "common/crypto", "common/redis"],
    "common/aws": ["common/base", "common/codec", "common/policy", "common/crypto", "common/http"],
    "common/proof": ["common/base", "common/codec", "common/crypto"],
    "common/report": ["common/base", "common/codec", "common/policy", "common/proof"],
    "worker": ["common", "worker"],
    "dispatcher/planner": ["common"],
    "dispatcher/store": ["common", "dispatcher/planner"],
    "dispatcher/api": ["common", "dispatcher/planner", "dispatcher/store"],
    "dispatcher/cli": ["common"],
    "dispatcher": ["common", "dispatcher"],
    "tests/awssim": [],
}
TOP = {"CMakeLists.txt", "CMakePresets.json", "README.md", "LICENSE", "worker", "dispatcher", "common", "tests", "deploy", "docker"}
faults = []


def tracked():
    out = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True)
    if out.returncode == 0:
        return out.stdout.split("\n")
    return [os.path.relpath(os.path.join(d, f), root) for d, _, fs in os.walk(root) for f in fs]


files = [f for f in tracked() if f]
for top in sorted({f.split("/")[0] for f in files}):
    if top not in TOP and not top.startswith("."):
        faults.append(f"top level: {top} does not belong there")

names = {}
for path in files:
    if not path.endswith((".c", ".h")):
        continue
    # services/<service>.h beside awssim's own files: a name is looked up by "go to file", so it must be unique per kind.
    base = os.path.basename(path)
    if base in names and not path.startswith("tests/"):
        faults.append(f"{path}: {names[base]} has the same name")
    names.setdefault(base, path)
    folder = os.path.dirname(path)
    home = max((a for a in ALLOWED if folder == a or folder.startswith(a + "/")), key=len, default=None)
    if home is None:
        continue
    text = open(os.path.join(root, path), encoding="utf-8").read()
    if path.endswith(".h") and "#pragma once" not in text:
        faults.append(f"{path}: no #pragma once")
    for include in re.findall(r'^#include "([^"]+)"', text, re.M):
        target = os.path.dirname(include) if "/" in include else folder
        fine = target == home or target.startswith(home + "/") or any(
            target == a or target.startswith(a + "/") for a in ALLOWED[home])
        if not fine:
            faults.append(f"{path}: includes {include}, which is not below it")
    for banned in re.findall(r"\b(strcpy|strcat|sprintf|strtok|atoi|gets|alloca|system)\s*\(", text):
        faults.append(f"{path}: {banned} is banned")
    if not path.startswith(("tests/", "common/base/")):
        for naked in re.findall(r"(?<![\w.>])(malloc|calloc|realloc|free)\s*\(", text):
            faults.append(f"{path}: naked {naked}, use common/base/mem.h")

print("\n".join(faults) if faults else f"{len(files)} files in order")
sys.exit(1 if faults else 0)
