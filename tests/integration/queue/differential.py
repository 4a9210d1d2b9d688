"""Runs the differential test; a run that fails is made small: as many of its events are left out as can be, by halves, then
quarters, and so on (delta debugging), while the same check fails. What is left is shown event by event.
arg 1: the program; then SEED and EVENTS, or --spoiled: the model forgets signals, and the small run must show just that."""
import os
import subprocess
import sys
import tempfile
import time

PROGRAM = sys.argv[1]
PATIENCE = 200  # seconds; what is small by then is shown


def run(seed, events, kept=None, **env):
    """(code, what it said, the check that failed)"""
    words = [PROGRAM, str(seed), str(events)]
    with tempfile.NamedTemporaryFile("w", suffix=".events", encoding="ascii") as file:
        if kept is not None:
            file.write("".join("x" if number in kept else "-" for number in range(events)))
            file.flush()
            words.append(file.name)
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=dict(os.environ, **env))
    failed = [line for line in done.stderr.splitlines() if " not true: " in line or " differs" in line or line.startswith("{")]
    return done.returncode, done.stdout + done.stderr, kind_of(failed[0]) if failed else ""


def kind_of(line):
    """The check without what belongs to one run: numbers and names of imports."""
    return " ".join(word for word in line.split() if not any(c.isdigit() for c in word)) if " differs" in line else line


def failing_event(said, events):
    numbers = [int(line.split()[1].rstrip(":")) for line in said.splitlines() if line.startswith("event ")]
    return min([events - 1, *numbers])


def shrink(seed, events, **env):
    """The smallest list of events found that fails in the same way as all of them do."""
    began = time.monotonic()
    _, said, check = run(seed, events, set(range(events)), **env)  # looks after each event: it may fail earlier, and otherwise
    kept, parts = list(range(failing_event(said, events) + 1)), 2
    while check and len(kept) > 1 and parts <= len(kept) and time.monotonic() - began < PATIENCE:
        size = -(-len(kept) // parts)
        for at in range(0, len(kept), size):
            fewer = kept[:at] + kept[at + size:]
            if run(seed, kept[-1] + 1, set(fewer), **env)[2] == check:
                kept, parts = fewer, max(parts - 1, 2)
                break
        else:
            parts = len(kept) + 1 if parts == len(kept) else min(parts * 2, len(kept))
    return kept


def tell_small(seed, events, **env):
    kept = shrink(seed, events, **env)
    print("seed %d: fails with %d of its events: %s" % (seed, len(kept), " ".join(map(str, kept[:60]))))
    print(run(seed, kept[-1] + 1, set(kept), SHOW_EVENTS="1", **env)[1])
    return kept


def main():
    if "--spoiled" in sys.argv:
        code, said, check = run(1, 1500, SPOIL_MODEL="1")
        if code == 77:
            sys.exit(77)
        assert code == 1 and check, (code, said)
        kept = tell_small(1, 1500, SPOIL_MODEL="1")
        assert len(kept) <= 8, "the failing run was not made small"
        assert run(1, kept[-1] + 1, set(kept))[0] == 0, "the small run shows something else than the spoiled model"
        return
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns() % 1000000007
    events = int(sys.argv[3]) if len(sys.argv) > 3 else 4000
    code, said, check = run(seed, events)
    print(said)
    if code not in (0, 77):
        tell_small(seed, events)
    sys.exit(code)


main()
