"""What a platform team does with a DonationPlatform on a real cluster, and what goes wrong there."""

import base64
import contextlib
import json
import re
import ssl
import subprocess
import time
import unittest
import urllib.request
import uuid

import doacoes
from api_client import eventually, metric
from cluster import FULL, ROOT
from doacoes import (
    NAMESPACE, Donors, Load, change, cluster, condition, donate, hot_campaign, kubectl, names, no_api_pod_is_leaving, platform, pods,
    ready, selector, server_connections, settled,
)  # fmt: skip
from figures import record

KINDS = "configmap,deployment,hpa,job,networkpolicy,pdb,service,serviceaccount,statefulset"
OURS = "app.kubernetes.io/managed-by=doacoes-operator,app.kubernetes.io/instance=doacoes"


def setUpModule():
    doacoes.start()


def children():
    """Everything that the operator keeps for the platform, as (kind, name) to UID."""
    items = cluster.get(KINDS, "--namespace", NAMESPACE, "--selector", OURS)["items"]
    return {(item["kind"], item["metadata"]["name"]): item["metadata"]["uid"] for item in items}


def generations():
    items = cluster.get("deployment,statefulset", "--namespace", NAMESPACE, "--selector", OURS)["items"]
    return {item["metadata"]["name"]: item["metadata"]["generation"] for item in items}


def restarts():
    items = cluster.get("pods", "--namespace", NAMESPACE)["items"]
    return {
        item["metadata"]["name"]: sum(status["restartCount"] for status in item["status"].get("containerStatuses", []))
        for item in items
    }


@contextlib.contextmanager
def restored(part):
    """Puts a part of the spec back as it was, whatever happens, and waits until the platform is ready."""
    before = platform()["spec"][part]
    try:
        yield
    finally:
        kubectl("patch", "donationplatform", "doacoes", "--type=json", "--patch", json.dumps([{"op": "replace", "path": f"/spec/{part}", "value": before}]))
        ready()


class Operator(unittest.TestCase):
    def setUp(self):
        settled()
        # Names and forwards of the network follow a moment after the objects.
        eventually("donations are taken", lambda: donate(hot_campaign())[0] == 201, 60)

    def test_every_deleted_object_comes_back_in_ten_seconds(self):
        before, slowest = children(), 0.0
        self.assertGreater(len(before), 30, before)
        # One of each kind, or all of them.
        chosen = before if FULL else {kind: (kind, name) for kind, name in before}.values()
        # The Job of a migration that completed has done its work, which the status records.
        chosen = [(kind, name) for kind, name in chosen if kind != "Job"]
        for kind, name in chosen:
            uid = before[kind, name]
            kubectl("delete", kind, name, "--wait=false")
            started = time.monotonic()
            eventually(f"{kind} {name} is back", lambda: children().get((kind, name), uid) != uid, 10)
            slowest = max(slowest, time.monotonic() - started)
            # What comes back later because of this one is not taken for it.
            if kind in ("Deployment", "StatefulSet"):
                ready()
        record(f"slowest of {len(chosen)} deleted objects to be back", slowest, "s", 10)
        self.assertEqual(set(children()), set(before))
        ready()

    def test_the_job_of_a_completed_migration_is_not_run_again(self):
        jobs = {(kind, name) for kind, name in children() if kind == "Job"}
        self.assertEqual(len(jobs), 1, jobs)
        [(_, name)] = jobs
        kubectl("delete", "job", name)
        # Ten seconds is what the slowest object takes to come back.
        time.sleep(10)
        self.assertEqual({(kind, name) for kind, name in children() if kind == "Job"}, set())
        ready()

    def test_an_edited_field_comes_back_and_pods_are_not_replaced_for_it(self):
        before = names("api")
        service = lambda: cluster.get("service", "doacoes-edge", "--namespace", NAMESPACE)
        port = service()["spec"]["ports"][0]["targetPort"]
        kubectl("patch", "service", "doacoes-edge", "--type=json", "--patch", '[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 1}]')
        eventually("the port is back", lambda: service()["spec"]["ports"][0]["targetPort"] == port, 10)
        self.assertEqual(names("api"), before)

    def test_nothing_is_written_at_rest(self):
        # A number of pods that follows the load is news, which the status tells.
        with restored("api"):
            change({"api": {"autoscaling": None}})
            no_api_pod_is_leaving()
            writes = lambda: self.metric("doacoes_operator_writes_total")

            def rests():
                before = writes()
                time.sleep(5)
                return writes() == before

            eventually("what the change brought is over", rests, 60)
            before = writes()
            time.sleep(20)
            self.assertGreater(before, 0)
            self.assertEqual(writes(), before)
            resident = self.metric("process_resident_memory_bytes") / 2**20
        record("writes of the operator in 20 s at rest", 0, "", 0)
        record("memory of the operator", resident, "MiB", 32)
        self.assertTrue(0 < resident < 32, resident)

    def metric(self, name):
        """The sum of the operator's series of that name."""
        path = "/api/v1/namespaces/doacoes-system/services/doacoes-operator:admin/proxy/metrics"
        return metric(cluster.kubectl("get", "--raw", path), name)

    def test_killed_pods_of_each_part_and_of_the_operator_come_back(self):
        campaign = hot_campaign()
        for part in ["api", "pooler", "redis", "edge"]:
            victim = names(part)[0]
            kubectl("delete", "pod", victim, "--grace-period=0", "--force", "--wait=false")
            eventually(f"{part} has another pod", lambda: victim not in names(part) and pods(part))
            ready()
            eventually(f"donations are taken after {part} was killed", lambda: donate(campaign)[0] == 201, 30)
        system = ["--namespace", "doacoes-system"]
        cluster.kubectl(*system, "delete", "pod", "--all", "--grace-period=0", "--force", "--wait=false")
        kubectl("delete", "service", "doacoes-redis", "--wait=false")
        eventually("the next operator repairs", lambda: ("Service", "doacoes-redis") in children(), 60)

    def test_a_password_that_somebody_changes_is_everybodys(self):
        campaign = hot_campaign()
        # Signs that mean something in a list of users of PgBouncer's or Redis', or in a URL.
        password = 'um "segredo"@novo: #1/2%3A'
        for secret, key in [("doacoes-database", "app-password"), ("doacoes-redis", "password")]:
            before = names("api")
            kubectl("patch", "secret", secret, "--type=merge", "--patch", json.dumps({"stringData": {key: password}}))
            eventually(f"the pods that read {secret} are replaced", lambda: not set(before) & set(names("api")), 240)
            settled()
            eventually(f"donations are taken with the new {key} of {secret}", lambda: donate(campaign)[0] == 201, 30)
        pong = kubectl("exec", "deployment/doacoes-redis", "--", "redis-cli", "--no-auth-warning", "--user", "api", "-a", password, "ping")
        self.assertEqual(pong.strip(), "PONG")

    def test_an_image_that_is_not_there_leaves_the_old_version_serving_and_is_named(self):
        before, campaign = names("api"), hot_campaign()
        with restored("image"), Donors(campaign) as donors:
            kubectl("patch", "donationplatform", "doacoes", "--type=merge", "--patch", '{"spec": {"image": {"tag": "0.0.0-missing"}}}')
            eventually("Ready names the image", lambda: condition("Ready")[1] == "ImagePullFailed")
            self.assertIn("0.0.0-missing", condition("Ready")[2])
            self.assertEqual(names("api"), before)
        self.assertEqual(donors.failed(), [])
        self.assertEqual(names("api"), before)
        self.assertEqual(sum(kind == "Job" for kind, _ in children()), 1, "the Job of the wrong image is gone")

    def test_a_failing_migration_leaves_the_old_version_serving_and_is_named(self):
        before, campaign = names("api"), hot_campaign()
        with restored("image"), Donors(campaign) as donors:
            # An image without the program: its container does not start.
            wrong = {"spec": {"image": {"repository": "localhost/doacoes-busybox", "tag": "1"}}}
            kubectl("patch", "donationplatform", "doacoes", "--type=merge", "--patch", json.dumps(wrong))
            eventually("SchemaReady says that it failed", lambda: condition("SchemaReady")[1] == "MigrationFailed", 180)
            self.assertIn("keeps serving", condition("Ready")[2])
            self.assertEqual(names("api"), before)
        self.assertEqual(donors.failed(), [])

    def test_rolling_updates_of_image_and_settings_fail_no_request(self):
        now = platform()["spec"]["image"]
        other = f"{now['tag']}-again"
        cluster.run("tag-image", f"{now['repository']}:{now['tag']}", f"{now['repository']}:{other}")
        for what, spec in [
            ("image", {"image": {"tag": other}}),
            ("settings", {"api": {"rateLimits": [{"rule": "*"}, {"rule": "stream_ip"}]}, "ingress": {"rateLimit": {"burst": 2001}}}),
        ]:
            before = set(names("api")) | set(names("edge"))
            with Load(hot_campaign()) as load:
                change(spec)
                eventually("all pods are new", lambda: not before & (set(names("api")) | set(names("edge"))))
                no_api_pod_is_leaving()
                eventually("enough was sent", lambda: load.sent() >= 10_000, 300)
            record(f"requests during a rolling update of {what}", load.sent())
            record(f"donations among them, {what}", load.posts)
            record(f"failed ones, {what}", len(load.failed), "", 0)
            self.assertEqual(load.failed, [], what)
            self.assertGreater(load.posts, 0.3 * load.sent())

    def test_the_autoscaler_adds_pods_under_load_and_takes_them_away(self):
        down = {"stabilizationWindowSeconds": 15, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}
        with restored("api"):
            change({"api": {"autoscaling": {"maxReplicas": 6, "behavior": {"scaleDown": down}}}})
            most = 0
            with Load(hot_campaign()) as load:

                def more():
                    nonlocal most
                    most = max(most, server_connections())
                    return len(pods("api")) > 4

                eventually("there are more than four pods", more, 180)
            eventually("there are four again", lambda: len(pods("api")) == 4, 240)
            record("server connections while the autoscaler adds pods", most, "", 50)
            self.assertLessEqual(most, 50)
            self.assertEqual(load.failed, [])

    def test_a_deleted_and_recreated_platform_has_its_data_and_is_ready_only_when_donations_work(self):
        campaign, key = hot_campaign(), str(uuid.uuid4())
        status, _, given = donate(campaign, key=key)
        self.assertEqual(status, 201, given)
        secrets = lambda: {
            item["metadata"]["name"]: item["data"] for item in cluster.get("secrets", "--namespace", NAMESPACE, "--selector", OURS)["items"]
        }
        before, resource = secrets(), platform()
        self.assertEqual(len(before), 4)
        kubectl("delete", "donationplatform", "doacoes")
        eventually("its objects are gone", lambda: not children() and not cluster.get("pods", "--namespace", NAMESPACE)["items"], 180)
        self.assertEqual(secrets(), before)

        fresh = {key: resource[key] for key in ("apiVersion", "kind", "spec")}
        # Not by apply, whose fields the next server-side apply of the sample would take for its own.
        kubectl("create", "--filename", "-", stdin=json.dumps(fresh | {"metadata": {"name": "doacoes", "namespace": NAMESPACE}}))
        started, first = time.monotonic(), None
        with Donors(campaign) as donors:
            while condition("Ready")[0] != "True":
                self.assertLess(time.monotonic() - started, 300, condition("Ready"))
            took = time.monotonic() - started
            first = next((at for at, status in list(donors.times) if status == 201), None)
        self.assertIsNotNone(first, "Ready before the first donation")
        record("from apply to the first donation", first - started, "s")
        record("from apply to Ready", took, "s", 90)
        self.assertEqual(secrets(), before)
        status, _, same = donate(campaign, key=key)
        self.assertEqual((status, same["id"]), (201, given["id"]))
        self.assertLess(took, 90)

    def test_a_second_platform_leaves_the_first_alone_and_goes_with_its_data(self):
        before = generations(), restarts(), names("api")
        with cluster.namespace() as namespace:
            service = {"type": "NodePort", "externalTrafficPolicy": "Cluster"}
            doacoes.apply_beside("outra", namespace, doacoes.small("outra.example.org", {"service": service}))
            other = lambda *words: cluster.kubectl("--namespace", namespace, *words)
            other("wait", "--for=condition=Ready", "--timeout=180s", "donationplatform/outra")
            service = cluster.get("service", "outra-edge", "--namespace", namespace)
            ports = {port["name"]: port["nodePort"] for port in service["spec"]["ports"]}
            address = cluster.get("nodes")["items"][0]["status"]["addresses"][0]["address"]
            certificate = other("get", "secret", "outra-edge-tls", "--output", "jsonpath={.data.tls\\.crt}")
            trust = ssl.create_default_context(cadata=base64.b64decode(certificate).decode())
            # The certificate is for the host, and this machine knows the node by its address only.
            trust.check_hostname = False
            with urllib.request.urlopen(f"https://{address}:{ports['https']}/api/v1/campanhas", context=trust, timeout=10) as answer:
                self.assertEqual(answer.status, 200)
            other("delete", "donationplatform", "outra")
            left = lambda: cluster.get("pods,pvc,secrets", "--namespace", namespace, "--selector", "app.kubernetes.io/instance=outra")["items"]
            eventually("nothing of it is left", lambda: not left(), 180)
        self.assertEqual((generations(), restarts(), names("api")), before)

    def test_the_smallest_resource_of_production_becomes_ready_and_answers(self):
        with cluster.namespace() as namespace:
            # The image of this checkout has a tag of its own; a release needs the host alone.
            doacoes.apply_beside("menor", namespace, {"ingress": {"host": "doe.example.org"}})
            cluster.kubectl("--namespace", namespace, "wait", "--for=condition=Ready", "--timeout=240s", "donationplatform/menor")
            found = cluster.get("donationplatform", "menor", "--namespace", namespace)
            reasons = {one["type"]: one["reason"] for one in found["status"]["conditions"]}
            # Nobody gives load balancers addresses here.
            self.assertEqual((reasons["Ready"], reasons["BackupConfigured"]), ("WaitingForAddress", "NoBackups"))
            self.assertEqual(len(cluster.ready_pods(namespace, selector("api"))), 4)
            events = cluster.get("events", "--namespace", namespace, "--field-selector", "type=Warning,reason=NoBackups")["items"]
            self.assertEqual(len(events), 1)
            node = cluster.ready_pods(namespace, selector("edge"))[0]["status"]["hostIP"]
            port = cluster.get("service", "menor-edge", "--namespace", namespace)["spec"]["ports"][0]["nodePort"]
            with urllib.request.urlopen(f"http://{node}:{port}/api/v1/campanhas", timeout=10) as answer:
                self.assertEqual((answer.status, json.loads(answer.read())["itens"]), (200, []))

    def test_a_rolling_pooler_stays_within_its_budget_and_fails_no_request(self):
        before = set(names("pooler"))
        with restored("pooler"), Load(hot_campaign()) as load:
            kubectl("patch", "donationplatform", "doacoes", "--type=merge", "--patch", '{"spec": {"pooler": {"maxClientConnections": 1001}}}')
            most = 0

            def replaced():
                nonlocal most
                most = max(most, server_connections())
                return len(set(names("pooler")) - before) == 2

            eventually("both poolers are new", replaced, 180)
            none_leaves = lambda: replaced() and len(cluster.get("pods", "--namespace", NAMESPACE, "--selector", selector("pooler"))["items"]) == 2
            eventually("the old ones are gone", none_leaves, 120)
        record("server connections while a pooler rolls", most, "", 75)
        self.assertLessEqual(most, 75)
        self.assertGreater(load.posts, 100)
        self.assertEqual(load.failed, [])

    def test_data_of_another_major_version_is_named_and_nothing_starts_again_and_again(self):
        version = "/var/lib/postgresql/data/pgdata/PG_VERSION"
        run = lambda script: kubectl("exec", "doacoes-postgres-0", "--", "sh", "-c", script)

        def written(number):
            """A container that is about to start again cannot be entered."""
            with contextlib.suppress(AssertionError):
                return run(f"echo {number} >{version}; cat {version}").strip() == number

        pod = lambda: cluster.get("pod", "doacoes-postgres-0", "--namespace", NAMESPACE)
        uid = pod()["metadata"]["uid"]
        right = run(f"cat {version}").strip()
        self.assertTrue(written("16"))
        try:
            kubectl("delete", "pod", "doacoes-postgres-0", "--wait=false")
            told = lambda: "the data is of PostgreSQL 16" in (condition("DatabaseReady")[2] or "") and condition("DatabaseReady")[1] == "PodFailing"
            eventually("DatabaseReady names it", told)
            self.assertEqual(condition("Ready")[0], "False")
            eventually("the container waits", lambda: pod()["status"]["containerStatuses"][0]["state"].get("running"), 60)
            # Longer than the first waits between two starts.
            time.sleep(30)
            self.assertTrue(told(), condition("DatabaseReady"))
            self.assertEqual((pod()["status"]["containerStatuses"][0]["restartCount"], pod()["metadata"]["uid"] == uid), (1, False))
        finally:
            eventually("the version is what it was", lambda: written(right))
            kubectl("delete", "pod", "doacoes-postgres-0", "--wait=false")
        eventually("donations are taken", lambda: donate(hot_campaign())[0] == 201, 120)

    def test_the_operator_is_upgraded_goes_and_comes_back_from_the_chart_and_from_one_file_and_the_site_stays(self):
        with restored("api"):
            # No autoscaler that takes pods away meanwhile.
            change({"api": {"autoscaling": None}})
            settled()
            self.upgrade_remove_and_install()
        doacoes.lift_limits()
        self.repairs()

    def repairs(self):
        kubectl("delete", "service", "doacoes-redis", "--wait=false")
        eventually("the operator repairs", lambda: ("Service", "doacoes-redis") in children(), 60)

    def upgrade_remove_and_install(self):
        before, system = names("api"), ["--namespace", "doacoes-system"]
        operators = lambda: {pod["metadata"]["name"] for pod in cluster.ready_pods("doacoes-system", "app.kubernetes.io/name=doacoes-operator")}
        tag = cluster.get("deployment", "doacoes-operator", *system)["spec"]["template"]["spec"]["containers"][0]["image"].rpartition(":")[2]
        limit = lambda: cluster.get("deployment", "doacoes-operator", *system)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
        first, memory = operators(), limit()
        self.helm("upgrade", "doacoes", ROOT / "charts/doacoes", "--reuse-values", "--set", f"resources.limits.memory=100Mi,watchNamespaces={{{NAMESPACE}}}", "--wait")
        eventually("another pod of the operator runs", lambda: operators() and not operators() & first, 60)
        self.assertEqual(limit(), {"memory": "100Mi"})
        # Now by rights in that namespace alone.
        self.assertNotIn("doacoes-operator", [item["metadata"]["name"] for item in cluster.get("clusterroles")["items"]])
        self.repairs()
        self.helm("rollback", "doacoes", "--wait")
        self.assertEqual(limit(), memory)
        self.helm("uninstall", "doacoes", "--wait")
        self.assertEqual(cluster.get("deployments", *system)["items"], [])
        self.assertEqual(platform()["metadata"]["name"], "doacoes")
        self.assertEqual(donate(hot_campaign())[0], 201)

        # The image of this checkout, which has a tag of its own here.
        file = (ROOT / "manifests/install.yaml").read_text()
        file = re.sub(r"(image: localhost/doacoes/operator):\S+", rf"\1:{tag}", file)
        cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=file)
        cluster.kubectl(*system, "rollout", "status", "deployment/doacoes-operator", "--timeout=120s")
        self.repairs()
        self.assertEqual(names("api"), before)
        # What the chart makes anew. The definition stays, and with it every platform.
        ours = ["deployment", "serviceaccount", "clusterrole", "clusterrolebinding"]
        cluster.kubectl(*system, "delete", *[f"{kind}/doacoes-operator" for kind in ours])
        doacoes.up()

    def helm(self, *arguments):
        program = subprocess.run([ROOT / "hack/helm"], capture_output=True, text=True, check=True).stdout.strip()
        command = [program, *arguments, "--namespace", "doacoes-system", "--kubeconfig", cluster.kubeconfig]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_drain_of_a_node_is_survived(self):
        home = pods("postgres")[0]["spec"]["nodeName"]
        campaign = hot_campaign()
        others = [item["metadata"]["name"] for item in cluster.get("nodes")["items"] if item["metadata"]["name"] != home]
        for node in [home, *(others if FULL else others[:1])]:
            try:
                with Donors(campaign) as donors:
                    cluster.kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=240s")
                    if node == home:
                        # Its volume is on that node.
                        eventually("the status says where it hangs", lambda: condition("DatabaseReady")[1] == "Unschedulable")
                    else:
                        no_api_pod_is_leaving()
                failed = donors.failed()
                if node == home:
                    self.assertLessEqual({status for status, _ in failed}, {503})
                else:
                    self.assertEqual(failed, [], f"drain of {node}")
            finally:
                cluster.kubectl("uncordon", node)
            ready()
            # A pooler that has not tried again since the database was away still refuses for a second: each of them is to be reached.
            eventually("donations are taken by way of each pooler", lambda: all(donate(campaign)[0] == 201 for _ in range(20)), 30)


if __name__ == "__main__":
    unittest.main()
