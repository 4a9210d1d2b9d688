"""The command line against a demo's folder, as a user has it: what tests of whole verbs share."""
import json
import os
import subprocess
import urllib.request


class Demo:
    def __init__(self, bin_dir, state, timeout_s, **env):
        self.bin, self.dir, self.timeout_s = bin_dir, os.path.join(state, "demo"), timeout_s
        self.env = dict(os.environ, ORGIMPORT_STATE_DIR=state, **env)

    def run(self, *words, codes=(0,)):
        done = subprocess.run([os.path.join(self.bin, "orgimport"), *words], env=self.env, capture_output=True, text=True, timeout=self.timeout_s)
        assert done.returncode in codes, "orgimport %s ended with %d\n%s%s" % (
            " ".join(words), done.returncode, done.stdout[-3000:], done.stderr[-3000:])
        return done

    def first_line(self, name):
        return open(os.path.join(self.dir, name), encoding="utf-8").read().strip().split("\n")[0]


def http(method, url, body=None, token=None):
    request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
