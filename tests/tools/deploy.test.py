"""What deploy/ and docker/ say must be what the programs take: every option and ORGIMPORT_ variable exists, the Kubernetes
manifests use fields that exist and fit together, the compose file mounts what it declares, systemd reads its units.
arg 1: the folder of the programs. Exit 77: python3-yaml is not there."""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:
    print("python3-yaml is not installed")
    sys.exit(77)

BIN = sys.argv.pop(1)
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

# Fields of the API objects that are used here; what is not listed is a typing error or deserves a look.
KNOWN = {
    "Deployment": "apiVersion kind metadata spec",
    "Deployment.spec": "replicas selector template strategy",
    "Deployment.spec.selector": "matchLabels",
    "Deployment.spec.template": "metadata spec",
    "Service": "apiVersion kind metadata spec",
    "Service.spec": "selector ports type",
    "pod": "automountServiceAccountToken securityContext containers volumes terminationGracePeriodSeconds serviceAccountName",
    "pod.securityContext": "runAsNonRoot runAsUser fsGroup seccompProfile",
    "container": "name image args command env envFrom ports readinessProbe livenessProbe startupProbe resources securityContext volumeMounts",
    "container.securityContext": "allowPrivilegeEscalation readOnlyRootFilesystem capabilities",
    "probe": "httpGet exec initialDelaySeconds periodSeconds timeoutSeconds failureThreshold",
    "volume": "name secret emptyDir",
    "volume.secret": "secretName defaultMode",
    "mount": "name mountPath readOnly",
}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def options_of(program):
    text = subprocess.run([os.path.join(BIN, program), "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--([a-z][a-z0-9-]*)", text)) | {"help", "version"}


OPTIONS = {name: options_of(name) for name in ("orgimport-dispatcher", "orgimport-worker", "orgimport-awssim")}
OPTIONS["orgimport-worker"].add("health")
VARIABLES = {"ORGIMPORT_" + option.upper().replace("-", "_") for options in OPTIONS.values() for option in options}
VARIABLES |= {"ORGIMPORT_URL", "ORGIMPORT_OUTPUT", "ORGIMPORT_STATE_DIR", "ORGIMPORT_DATA"}


class Deploy(unittest.TestCase):
    def options_exist(self, program, words, where):
        for word in words:
            if word.startswith("--"):
                self.assertIn(word[2:].split("=")[0], OPTIONS[program], f"{where}: {program} has no {word}")

    def fields(self, kind, thing, where):
        extra = set(thing) - set(KNOWN[kind].split())
        self.assertFalse(extra, f"{where}: {kind} has no {extra}")

    def test_variables_that_are_set_somewhere_exist(self):
        for folder in ("deploy/kubernetes", "deploy/systemd", "docker"):
            for name in os.listdir(os.path.join(ROOT, folder)):
                for variable in set(re.findall(r"\bORGIMPORT_[A-Z0-9_]+\b", read(folder, name))):
                    self.assertIn(variable, VARIABLES, f"{folder}/{name}")

    def test_kubernetes_manifests_fit_together(self):
        seen = []
        for item in yaml.safe_load_all(read("deploy/kubernetes/orgimport.yaml")):
            where = f"{item['kind']} {item['metadata']['name']}"
            seen.append(where)
            self.fields(item["kind"], item, where)
            self.fields(item["kind"] + ".spec", item["spec"], where)
            getattr(self, item["kind"].lower())(item, where)
        self.assertEqual(seen, ["Deployment orgimport-dispatcher", "Service orgimport", "Deployment orgimport-worker"])

    def deployment(self, item, where):
        self.assertEqual(item["apiVersion"], "apps/v1", where)
        self.fields("Deployment.spec.selector", item["spec"]["selector"], where)
        self.fields("Deployment.spec.template", item["spec"]["template"], where)
        labels = item["spec"]["template"]["metadata"]["labels"]
        self.assertEqual(item["spec"]["selector"]["matchLabels"], labels, where)
        pod = item["spec"]["template"]["spec"]
        self.fields("pod", pod, where)
        self.fields("pod.securityContext", pod["securityContext"], where)
        self.assertTrue(pod["securityContext"]["runAsNonRoot"], where)
        self.assertEqual(pod["securityContext"]["runAsUser"], 10001, where)
        volumes = {}
        for volume in pod["volumes"]:
            self.fields("volume", volume, where)
            self.fields("volume.secret", volume.get("secret", {}), where)
            self.assertIn(volume.get("secret", {}).get("defaultMode", 0o440), (0o400, 0o440), f"{where}: mode of {volume['name']}")
            volumes[volume["name"]] = volume
        for container in pod["containers"]:
            self.container(container, volumes, where)

    def container(self, container, volumes, where):
        self.fields("container", container, where)
        self.fields("container.securityContext", container["securityContext"], where)
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"], where)
        self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]}, where)
        self.options_exist(container["image"], container["args"], where)
        ports = {port["name"] for port in container.get("ports", [])}
        mounts = {}
        for mount in container["volumeMounts"]:
            self.fields("mount", mount, where)
            self.assertIn(mount["name"], volumes, where)
            mounts[mount["mountPath"]] = mount
        for name in ("readinessProbe", "livenessProbe"):
            probe = container[name]
            self.fields("probe", probe, where)
            if "httpGet" in probe:
                self.assertIn(probe["httpGet"]["port"], ports, where)
            else:
                self.assertEqual(probe["exec"]["command"][0], container["image"], where)
                self.options_exist(container["image"], probe["exec"]["command"], where)
        for word in container["args"]:  # what it is pointed to is mounted, and writable where it writes
            path = word.partition("=")[2]
            if path.startswith("/"):
                mount = next((m for at, m in mounts.items() if (path + "/").startswith(at + "/")), None)
                self.assertIsNotNone(mount, f"{where}: nothing is mounted for {word}")
                self.assertEqual(not mount.get("readOnly"), "socket" in word, f"{where}: {word}")

    def service(self, item, where):
        self.assertEqual(item["apiVersion"], "v1", where)
        self.assertEqual(item["spec"]["selector"], {"app": "orgimport-dispatcher"}, where)

    def test_compose_file_fits_together(self):
        compose = yaml.safe_load(read("docker/compose.yaml"))
        stages = set(re.findall(r"^FROM \S+ AS (\w+)", read("docker/Dockerfile"), re.M))
        for name, service in compose["services"].items():
            for volume in service.get("volumes", []):
                self.assertIn(volume.split(":")[0], compose["volumes"], name)
            for other in service.get("depends_on", {}):
                self.assertIn(other, compose["services"], name)
            if "build" not in service:
                continue
            self.assertIn(service["build"]["target"], stages, name)
            self.assertEqual(service["image"], "orgimport-" + service["build"]["target"], name)
            self.assertTrue(service["read_only"] and service["cap_drop"] == ["ALL"], name)
            if service["image"] in OPTIONS:
                self.options_exist(service["image"], service.get("command", []), name)

    def test_units_start_programs_with_options_that_exist(self):
        for name in ("orgimport-dispatcher.service", "orgimport-worker@.service"):
            words = re.search(r"^ExecStart=(.*)$", read("deploy/systemd", name), re.M).group(1).split()
            self.options_exist(os.path.basename(words[0]), words[1:], name)

    def test_systemd_reads_the_units(self):
        if not shutil.which("systemd-analyze"):
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for name in ("orgimport-dispatcher.service", "orgimport-worker@.service"):
                paths.append(os.path.join(folder, name.replace("@", "@1")))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    file.write(read("deploy/systemd", name).replace("ExecStart=/usr/bin", "ExecStart=" + os.path.abspath(BIN)))
            said = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
            ours = [line for line in said.stderr.splitlines() if "orgimport" in line]
            self.assertEqual(ours, [], said.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=1)
