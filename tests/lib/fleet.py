"""A private fleet for tests of the dispatcher: redis-server on a unix socket, dispatchers, a stand-in worker.

Standard library only. Everything lives in one temporary folder and dies with `close()`, or with the test itself when it
ends in another way (skipped, an error, SIGTERM); nothing waits by time alone: `until()` asks again until it is so, or says
what it saw last.
"""
import atexit
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PLAYBOOK = os.path.join(SOURCE, "dispatcher/playbooks/payer-handover.json")
STEPS = [step["id"] for step in json.load(open(PLAYBOOK, encoding="utf-8"))["steps"]]
TASK = {"party": "customer", "title": "Hand over access", "actions": ["Open the console.", "Make a user."], "link": "https://console.aws.amazon.com/",
        "check": "We ask who we are.", "worst": "Nothing.", "undo": "Delete the user.", "due_ms": 4102444800000, "input": None, "attest": False,
        "second_person": False, "data": {}}


class Skipped(SystemExit):
    """Ends the program with 77, unless run() catches it: then only that test."""


def skip(why):
    print("SKIPPED:", why)
    raise Skipped(1 if os.environ.get("REQUIRE_REDIS") == "1" else 77)


def until(what, seconds=20, every=0.02):
    end = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("did not come true within %s s" % seconds)
        time.sleep(every)


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%d %s" % (self.status, self.body[:2000])


class Dispatcher:
    def __init__(self, fleet, number, *flags):
        self.fleet, self.number = fleet, number
        self.address_file = os.path.join(fleet.dir, "address-%d" % number)
        if os.path.exists(self.address_file):
            os.unlink(self.address_file)
        self.log = open(os.path.join(fleet.dir, "dispatcher-%d.log" % number), "ab")
        self.process = subprocess.Popen(
            [os.path.join(fleet.bin, "orgimport-dispatcher"), "--redis=unix://" + fleet.socket, "--mode=sim", "--listen=127.0.0.1:0",
             "--address-file=" + self.address_file, "--token-file=" + fleet.token_file, "--keys=" + fleet.keys,
             "--shards=%d" % fleet.shards, *flags], stdout=self.log, stderr=self.log)
        until(lambda: os.path.exists(self.address_file) or self.process.poll() is not None)
        assert self.process.poll() is None, open(self.log.name, encoding="utf-8").read()
        self.address = open(self.address_file, encoding="utf-8").read().strip()
        fleet.token = open(fleet.token_file, encoding="utf-8").read().strip()

    def call(self, method, path, body=None, headers=None, token=True, timeout=30):
        """One request; a dict or list body is sent as JSON."""
        head = dict(headers or {})
        if token is True:
            head["Authorization"] = "Bearer " + self.fleet.token
        elif token:
            head["Authorization"] = token
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            head.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        connection = http.client.HTTPConnection(self.address, timeout=timeout)
        try:
            connection.request(method, path, body, head)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self.call("PUT", path, body, **more)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)
        self.log.close()

    def stop(self):
        """SIGTERM: must end by itself, with 0, and with nothing from the sanitizers."""
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(30)
        self.log.close()
        text = open(self.log.name, encoding="utf-8", errors="replace").read()
        assert code == 0 and "Sanitizer" not in text and "runtime error" not in text, "exit %s\n%s" % (code, text[-4000:])


class Stream:
    """A client of /v1/events, read line by line."""

    def __init__(self, dispatcher, query="", last_id=None):
        self.connection = http.client.HTTPConnection(dispatcher.address, timeout=30)
        headers = {"Authorization": "Bearer " + dispatcher.fleet.token}
        if last_id:
            headers["Last-Event-ID"] = last_id
        self.connection.request("GET", "/v1/events" + query, headers=headers)
        self.answer = self.connection.getresponse()
        self.status, self.last_id = self.answer.status, last_id

    def event(self):
        """The next event with data as (id, type, data); remembers ids of empty ones."""
        found, end = {}, time.monotonic() + 30
        while True:
            assert time.monotonic() < end, "no event within 30 s"
            line = self.answer.readline().decode().rstrip("\n")
            if not line and "data" in found:
                return self.last_id, found["event"], json.loads(found["data"])
            if line.startswith("id: "):
                self.last_id = line[4:]
            elif ": " in line and not line.startswith(":"):
                name, value = line.split(": ", 1)
                found[name] = value

    def place(self):
        """Waits for the first id."""
        while not self.last_id:
            line = self.answer.readline().decode().rstrip("\n")
            if line.startswith("id: "):
                self.last_id = line[4:]
        return self.last_id

    def close(self):
        self.answer.close()
        self.connection.close()


class Fleet:
    def __init__(self, bin_dir, shards=1):
        if not shutil.which("redis-server"):
            skip("redis-server is not installed")
        self.bin, self.shards = os.path.abspath(bin_dir), shards
        self.dir = tempfile.mkdtemp(prefix="orgimport-test-")
        self.socket = os.path.join(self.dir, "redis.sock")
        self.token_file, self.keys = os.path.join(self.dir, "token"), os.path.join(self.dir, "keys")
        self.script = os.path.join(self.dir, "script.json")
        self.dispatchers, self.worker, self.redis, self.count = [], None, None, 0
        self.others = []  # what World and SimFleet start beside us: it must not outlive the fleet
        atexit.register(self.end_now)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the line before has its turn
        self.start_redis()

    def start_redis(self):
        self.redis = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", self.socket, "--appendonly", "yes", "--appendfsync", "always", "--save", "",
             "--maxmemory-policy", "noeviction", "--dir", self.dir, "--loglevel", "warning"], stdout=subprocess.DEVNULL)
        until(lambda: self.cli("PING", check=False) == "PONG")

    def cli(self, *words, check=True, data=None):
        run = subprocess.run(["redis-cli", "-s", self.socket, *words], input=data, capture_output=True, text=True, errors="replace", check=False)
        assert not check or run.returncode == 0, run.stderr
        return run.stdout.strip()

    def dispatcher(self, *flags):
        self.count += 1
        self.dispatchers.append(Dispatcher(self, self.count, *flags))
        return self.dispatchers[-1]

    def play(self, script):
        """What the stand-in worker does with each step from now on."""
        with open(self.script + ".new", "w", encoding="utf-8") as file:
            json.dump(script, file)
        os.rename(self.script + ".new", self.script)

    def start_worker(self, script):
        self.play(script)
        program = os.path.join(self.bin, "stand_in_worker")
        if not os.path.exists(program):
            skip("stand_in_worker is not built")
        self.worker = subprocess.Popen([program, "unix://" + self.socket, str(self.shards), PLAYBOOK, self.script], stdout=subprocess.PIPE, text=True)
        assert self.worker.stdout.readline() == "ready\n"

    def end_now(self):
        """Ends what still runs, and takes the folder away: for whatever way out a test takes."""
        for process in [*self.others, self.worker, *[one.process for one in self.dispatchers], self.redis]:
            if process and process.poll() is None:
                process.kill()
                process.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)
        atexit.unregister(self.end_now)

    def close(self, is_failed=False):
        try:
            for one in self.dispatchers:
                if not one.log.closed and not is_failed:
                    one.stop()
            if is_failed:
                show_unfinished(self.dispatchers)
                for one in self.dispatchers:
                    print("----", one.log.name)
                    print(open(one.log.name, encoding="utf-8", errors="replace").read()[-6000:])
        finally:
            self.end_now()


def show_unfinished(dispatchers):
    """Where the imports stand that have not ended, and what is asked of people: the first question after a failure."""
    for one in dispatchers:
        if one.process.poll() is not None:
            continue
        for path in ("/v1/imports?limit=200", "/v1/tasks?limit=200"):
            try:
                reply = one.get(path)
                rows = [row for row in reply.json["data"] if row.get("state") not in ("completed", "undone", "cancelled")]
            except (OSError, ValueError, KeyError) as why:
                print("----", path, type(why).__name__, why)
                continue
            print("----", path)
            for row in rows[:12]:
                print(json.dumps(row)[:1500])
        return


def every_import(dispatcher):
    """All imports, page by page; [] while the dispatcher cannot say (503 while Redis is away)."""
    data, after = [], ""
    while True:
        reply = dispatcher.get("/v1/imports?limit=200" + after)
        if reply.status != 200:
            return []
        data += reply.json["data"]
        if not reply.json["has_more"]:
            return data
        after = "&starting_after=" + reply.json["next"]


def request(ref, account, **more):
    return dict({"external_ref": ref, "customer": {"name": "Customer " + ref}, "organization": {"management_account_id": "%012d" % account},
                 "access": {"method": "sealed_key"}}, **more)


def run(tests, bin_dir):
    """tests: functions, or (function, shards). Each gets a fleet of its own; all are run, logs of failures are shown."""
    failed, skipped = [], []
    for test in tests:
        test, shards = test if isinstance(test, tuple) else (test, 1)
        fleet = Fleet(bin_dir, shards)
        try:
            test(fleet)
            fleet.close()
            print("ok  ", test.__name__)
        except Skipped as why:
            skipped.append(why.code)
            fleet.close()
        except Exception as why:  # pylint: disable=broad-except
            import traceback
            traceback.print_exc()
            print("FAIL", test.__name__, why)
            failed.append(test.__name__)
            fleet.close(is_failed=True)
        sys.stdout.flush()
    print("%d of %d failed, %d skipped" % (len(failed), len(tests), len(skipped)))
    sys.exit(1 if failed else max(skipped, default=0))
