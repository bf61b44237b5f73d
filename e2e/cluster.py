"""A cluster as `hack/cluster` makes it, and what tests want of one."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import unittest
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent
COMMAND = ROOT / "hack/cluster"
# The cluster's own, and so already on every node.
BUSYBOX = "localhost/doacoes-busybox:1"
# What a pod of a namespace that enforces the standard `restricted` has to say.
RESTRICTED_POD = {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}}
RESTRICTED_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


# Whether this is `make test-full`.
FULL = bool(os.environ.get("TEST_FULL"))


def only_in_full(reason):
    """Marks a test that proves little for its time."""
    return unittest.skipUnless(FULL, f"{reason}; make test-full runs it")


class Cluster:
    """Named at random, so that it meets neither a developer's own nor that of another test run. With `http` a free port of
    this machine, `site`, leads to it."""

    def __init__(self, nodes, http=False):
        self.name = f"test-{uuid.uuid4().hex[:8]}"
        self.environment = os.environ | {"CLUSTER": self.name, "NODES": str(nodes), "HTTP_PORT": "", "HTTPS_PORT": ""}
        if http:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.environment["HTTP_PORT"] = str(free.getsockname()[1])
        self.state = pathlib.Path("/var/lib/doacoes/clusters") / self.name
        self.kubeconfig = ROOT / ".run/cluster" / self.name / "kubeconfig"

    @property
    def site(self):
        return f"http://127.0.0.1:{self.environment['HTTP_PORT']}"

    def run(self, *arguments, check=True, stdin=None, seconds=300):
        """`hack/cluster ARGUMENTS`, to its end."""
        result = subprocess.run(
            [COMMAND, *arguments], env=self.environment, input=stdin, text=True, capture_output=True, timeout=seconds
        )
        if check and result.returncode != 0:
            raise AssertionError(f"hack/cluster {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
        return result

    def start(self, *arguments):
        """`hack/cluster ARGUMENTS`, in a session of its own, as a terminal's foreground job would be."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def kubectl(self, *arguments, stdin=None):
        return self.run("kubectl", *arguments, stdin=stdin).stdout

    def apply(self, *objects):
        self.kubectl("apply", "--filename", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, *arguments):
        return json.loads(self.kubectl("get", *arguments, "--output", "json"))

    @contextlib.contextmanager
    def namespace(self):
        """A namespace that enforces the pod security standard `restricted`, for the time of a test."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        try:
            yield name
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def ready_pods(self, namespace, selector):
        """The pods that are ready and not on their way out."""

        def ready(pod):
            conditions = pod["status"].get("conditions", [])
            return "deletionTimestamp" not in pod["metadata"] and {"type": "Ready", "status": "True"} in [
                {key: condition[key] for key in ("type", "status")} for condition in conditions
            ]

        pods = self.get("pods", "--namespace", namespace, "--selector", selector)["items"]
        return [pod for pod in pods if ready(pod)]


def pod_template(app, script, ready=None, mounts=(), volumes=(), resources=None, spread=None):
    """A pod that runs `script` in a shell. `ready` is the command of its readiness probe, `spread` its topology constraint."""
    container = {
        "name": "main",
        "image": BUSYBOX,
        "command": ["sh", "-c", script],
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": list(mounts),
        "resources": resources or {},
    }
    if ready:
        container["readinessProbe"] = {"exec": {"command": ready}, "periodSeconds": 1, "timeoutSeconds": 10}
    spec = {
        "securityContext": RESTRICTED_POD,
        # A shell does not end on SIGTERM when it is a container's first process.
        "terminationGracePeriodSeconds": 0,
        "containers": [container],
        "volumes": list(volumes),
    }
    if spread:
        spec["topologySpreadConstraints"] = [spread | {"labelSelector": {"matchLabels": {"app": app}}}]
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def deployment(namespace, app, replicas, template):
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app, "namespace": namespace},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": app}}, "template": template},
    }
