"""The platform that `make up` makes, on a cluster of its own, and what its users do with it. One for all tests of a run."""

import atexit
import concurrent.futures
import functools
import http.client
import json
import select
import subprocess
import sys
import threading
import time
import urllib.parse
import uuid

from api_client import PRIVACY_NOTICE, Api, eventually
from cluster import ROOT, Cluster
from figures import record

NAMESPACE = "doacoes"
cluster = Cluster(nodes=3, http=True)


@functools.cache
def start_cluster():
    """Makes the cluster, without a platform. It is removed when the run ends."""
    atexit.register(subprocess.run, [ROOT / "hack/down"], env=cluster.environment, capture_output=True, timeout=300)
    started = time.monotonic()
    cluster.run("up", seconds=3600)
    record("a cluster of three nodes, from cache", time.monotonic() - started, "s")


@functools.cache
def start():
    """Makes the platform, with all images on every node."""
    start_cluster()
    started = time.monotonic()
    up()
    print(f"platform: up took {time.monotonic() - started:.0f} s", file=sys.stderr)
    lift_limits()


def lift_limits():
    """All donors of these tests have one address."""
    change({"api": {"rateLimits": [{"rule": "*"}]}})
    # Those that know limits still serve for a while.
    settled()


def up():
    result = subprocess.run(
        [ROOT / "hack/up"], env=cluster.environment, text=True, capture_output=True, timeout=3600
    )
    if result.returncode != 0:
        raise AssertionError(f"hack/up failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def platform():
    return cluster.get("donationplatform", "doacoes", "--namespace", NAMESPACE)


def apply_beside(name, namespace, spec):
    """Another platform, of the same images."""
    resource = {"apiVersion": "doacoes.dev/v1alpha1", "kind": "DonationPlatform", "metadata": {"name": name, "namespace": namespace}}
    cluster.apply(resource | {"spec": {"image": platform()["spec"]["image"]} | spec})


def small(host, edge, **ingress):
    """The spec of a platform with one pod of each part, which goes with its data."""
    return {
        "profile": "Development",
        "deletionPolicy": "Delete",
        "api": {"replicas": 1},
        "pooler": {"replicas": 1, "serverPoolSize": 20},
        "redis": {"managed": {"maxMemory": "64Mi"}},
        "database": {"managed": {"storage": {"size": "1Gi"}}},
        "ingress": {"host": host, "managed": {"replicas": 1} | edge} | ingress,
    }


def condition(kind):
    """Status, reason and message of a condition, if it is of the latest generation."""
    found = platform()
    for one in found.get("status", {}).get("conditions", []):
        if one["type"] == kind and one["observedGeneration"] == found["metadata"]["generation"]:
            return one["status"], one["reason"], one["message"]
    return None, None, None


def change(spec):
    """Changes the resource and waits until it is ready again."""
    kubectl("patch", "donationplatform", "doacoes", "--type=merge", "--patch", json.dumps({"spec": spec}))
    ready()


def ready(seconds=300):
    eventually(f"the platform is ready, not {condition('Ready')}", lambda: condition("Ready")[0] == "True", seconds)


def settled():
    """Every pod is of the latest version and answers, and none is on its way out."""

    def all_stay():
        deployments = cluster.get("deployments", "--namespace", NAMESPACE)["items"]
        current = all(
            one["status"].get("observedGeneration") == one["metadata"]["generation"]
            and one["status"].get("replicas") == one["status"].get("updatedReplicas") == one["status"].get("availableReplicas")
            for one in deployments
        )
        leaving = [pod for pod in cluster.get("pods", "--namespace", NAMESPACE)["items"] if "deletionTimestamp" in pod["metadata"]]
        return current and not leaving

    ready()
    eventually("all pods are current", all_stay, 240)


def no_api_pod_is_leaving():
    def all_stay():
        items = cluster.get("pods", "--namespace", NAMESPACE, "--selector", selector("api"))["items"]
        return len(items) == len(pods("api"))

    eventually("no pod of the API is on its way out", all_stay, 180)


def kubectl(*arguments, stdin=None):
    return cluster.kubectl("--namespace", NAMESPACE, *arguments, stdin=stdin)


def selector(component):
    return f"app.kubernetes.io/component={component}"


def pods(component):
    """Those of a component that are ready and stay."""
    return cluster.ready_pods(NAMESPACE, selector(component))


def names(component):
    return sorted(pod["metadata"]["name"] for pod in pods(component))


def ask(method, path, body=None, timeout=20, **headers):
    """Status, headers and parsed body of a request through the edge; status 0 where no answer came."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        answer = Api(cluster.site).ask(method, path, body, headers=headers, timeout=timeout)
    except OSError as error:
        return 0, {}, str(error)
    is_json = "json" in answer.headers.get("Content-Type", "")
    return answer.status, answer.headers, answer.json() if is_json or answer.ok else answer.text


def donate(campaign, cents=500, key=None, timeout=20):
    body = {"valor_centavos": cents, "nome_exibicao": "Bia", "aviso_privacidade": PRIVACY_NOTICE, "consentimento": True}
    return ask("POST", f"campanhas/{campaign}/doacoes", body, timeout, Idempotency_Key=key or str(uuid.uuid4()))


def hot_campaign():
    def first():
        status, _, page = ask("GET", "campanhas?limite=1")
        return status == 200 and page["itens"][0]["slug"]

    return eventually("the list of campaigns is there", first, 60)


def server_connections():
    count = kubectl(
        "exec", "doacoes-postgres-0", "--", "psql", "--host=/run/postgresql", "--username=postgres", "--no-psqlrc", "-At",
        "-c", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'",
    )  # fmt: skip
    return int(count)


class Load:
    """Readers and donors that send one request after the other, over kept and over new connections, until the end of a `with`."""

    def __init__(self, campaign, kept=6, new=2):
        self.campaign, self.stopping = campaign, threading.Event()
        self.reads = self.posts = 0
        self.failed = []
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, args=(index, index < kept)) for index in range(kept + new)]

    def sent(self):
        return self.reads + self.posts

    def run(self, index, keeps):
        address = urllib.parse.urlsplit(cluster.site).netloc
        connection, turn = None, index
        body = json.dumps({"valor_centavos": 500, "aviso_privacidade": PRIVACY_NOTICE, "consentimento": True})
        while not self.stopping.is_set():
            turn += 1
            posts = turn % 5 < 2
            # As every HTTP library does: what the server has closed while it was idle is not used.
            if connection and connection.sock and select.select([connection.sock], [], [], 0)[0]:
                connection.close()
                connection = None
            connection = connection or http.client.HTTPConnection(address, timeout=20)
            try:
                if posts:
                    headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
                    connection.request("POST", f"/api/v1/campanhas/{self.campaign}/doacoes", body, headers)
                else:
                    connection.request("GET", f"/api/v1/campanhas/{self.campaign}/totais")
                answer = connection.getresponse()
                text = answer.read()
                wrong = None if answer.status == (201 if posts else 200) else (answer.status, text[:200])
            except (http.client.HTTPException, OSError) as error:
                wrong = repr(error)
                connection.close()
                connection = None
            with self.lock:
                self.posts += posts
                self.reads += not posts
                if wrong:
                    self.failed.append(wrong)
            if not keeps and connection:
                connection.close()
                connection = None
        if connection:
            connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for thread in self.threads:
            thread.join()


class Donors(threading.Thread):
    """Sends ten donations a second, each over a new connection, until it is told to stop."""

    def __init__(self, campaign):
        super().__init__()
        self.campaign, self.stopping, self.answers, self.times = campaign, threading.Event(), [], []

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            while not self.stopping.wait(0.1):
                pool.submit(self.one)

    def one(self):
        status, _, body = donate(self.campaign)
        self.answers.append((status, body))
        self.times.append((time.monotonic(), status))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

    def failed(self):
        return [answer for answer in self.answers if answer[0] != 201]
