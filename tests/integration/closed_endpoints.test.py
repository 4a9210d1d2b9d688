"""P11: a simulated fleet reaches its simulator and nothing else. One endpoint is left out: the import stops with a typed error,
nothing is dialled for it, and neither the environment's AWS variables nor a proxy opens a way. Arg 1: folder of the programs."""
import os
import socket
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib"))
from fleet import run, until  # noqa: E402
from sim_world import PATIENCE, with_world  # noqa: E402

SERVICES = ("account backup bcm_data_exports cloudformation cloudtrail cost_and_usage_report_service fms iam invoicing organizations "
            "partnercentral_channel ram s3 sso sts taxsettings").split()


class Trap:
    """Where a call would arrive that followed the environment: an endpoint, a proxy. Counts who comes."""

    def __init__(self):
        self.visits, self.listener = 0, socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                visitor, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()

    def env(self, service):
        return {"AWS_ENDPOINT_URL": self.url, "AWS_ENDPOINT_URL_" + service.upper(): self.url, "HTTPS_PROXY": self.url, "https_proxy": self.url,
                "http_proxy": self.url, "ALL_PROXY": self.url, "no_proxy": "127.0.0.1", "AWS_ACCESS_KEY_ID": "AKIAREALREALREAL0000",
                "AWS_SECRET_ACCESS_KEY": "x" * 40, "AWS_PROFILE": "real", "AWS_SESSION_TOKEN": "t"}


def without(world, left_out):
    return ",".join("%s=%s" % (service, world.endpoint) for service in SERVICES if service != left_out)


@with_world(1)
def one_endpoint_left_out_is_a_typed_refusal(world):
    trap = Trap()
    world.worker(endpoints=without(world, "taxsettings"), env=trap.env("taxsettings"))
    world.submit()
    one = until(lambda: world.imports(), PATIENCE)[0]
    steps = lambda: world.dispatcher.get("/v1/imports/" + one["id"]).json["steps"]  # noqa: E731
    refused = lambda: {step["name"]: step for step in steps() if (step["error"] or {}).get("code") == "endpoint.closed"}  # noqa: E731
    until(lambda: "admin_access" in refused(), PATIENCE)  # the first step that asks about tax
    error = refused()["admin_access"]["error"]
    assert error["owner"] == "operator" and "taxsettings" in error["text"].lower(), error
    assert refused()["admin_access"]["state"] == "FAILED", refused()
    assert {step["name"]: step["state"] for step in steps()}["org_identify"] == "DONE"  # what is listed is reached
    assert world.imports()[0]["error"]["code"] == "endpoint.closed", world.imports()[0]
    assert trap.visits == 0, trap.visits
    assert not world.effects(), world.effects()
    assert world.end(1) == 0
    # With the endpoint given back the same import goes on from there.
    second = world.worker(env=trap.env("taxsettings"))
    assert world.dispatcher.post("/v1/imports/%s:retry" % one["id"], {"reason": "endpoint"}).status < 300
    world.wait_completed(1)
    assert trap.visits == 0, trap.visits
    assert world.end(second) == 0
    world.check_end()


if __name__ == "__main__":
    run([one_endpoint_left_out_is_a_typed_refusal], sys.argv[1])
