"""What runs on the cluster: three nodes behave as any Kubernetes cluster's would."""

import collections
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import doacoes
from api_client import eventually
from cluster import ROOT, deployment, only_in_full, pod_template
from doacoes import cluster

SERVE = "echo started as $(hostname); mkdir /tmp/www && hostname >/tmp/www/index.html && exec httpd -f -p 8080 -h /tmp/www"
SERVES = ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]
PLATFORM = "the platform's tests show it of its own pods"


def setUpModule():
    # Before the platform comes onto it, since the names of the modules give the order.
    doacoes.start_cluster()


def by_node(pods):
    return collections.Counter(pod["spec"]["nodeName"] for pod in pods)


class RunningCluster(unittest.TestCase):
    def setUp(self):
        self.namespace = self.enterContext(cluster.namespace())

    def deploy(self, app, replicas, template):
        """Waits until all replicas are ready, and returns their pods."""
        cluster.apply(deployment(self.namespace, app, replicas, template))
        return self.replicas_ready(app, replicas)

    def replicas_ready(self, app, replicas):
        def ready():
            pods = cluster.ready_pods(self.namespace, f"app={app}")
            return pods if len(pods) == replicas else None

        return eventually(f"{replicas} pods of {app} are ready", ready)

    def execute(self, pod, *command):
        return cluster.kubectl("exec", "--namespace", self.namespace, pod, "--", *command)

    def test_three_nodes_are_ready_in_three_zones(self):
        workers = [node for node in cluster.get("nodes")["items"] if "-worker" in node["metadata"]["name"]]
        self.assertEqual(
            {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in workers},
            {f"{cluster.name}-worker": "za", f"{cluster.name}-worker2": "zb", f"{cluster.name}-worker3": "zc"},
        )
        for node in workers:
            conditions = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}
            self.assertEqual(conditions["Ready"], "True", node["metadata"]["name"])

    @only_in_full(PLATFORM)
    def test_a_deployment_spreads_over_the_zones(self):
        spread = {"maxSkew": 1, "topologyKey": "topology.kubernetes.io/zone", "whenUnsatisfiable": "DoNotSchedule"}
        pods = self.deploy("web", 6, pod_template("web", SERVE, SERVES, spread=spread))
        self.assertEqual(sorted(by_node(pods).values()), [2, 2, 2])

    def test_names_services_node_ports_exec_and_logs_work(self):
        spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
        pods = self.deploy("web", 4, pod_template("web", SERVE, SERVES, spread=spread))
        names = sorted(pod["metadata"]["name"] for pod in pods)
        port = {"port": 80, "targetPort": 8080}
        metadata = {"name": "web", "namespace": self.namespace}
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [port]},
            }
        )
        service = cluster.get("service", "web", "--namespace", self.namespace)["spec"]

        for name in names:
            self.assertEqual(cluster.kubectl("logs", "--namespace", self.namespace, name).strip(), f"started as {name}")
            # Every pod finds the Service and reaches all through it: those on its own node, and itself too.
            answer = self.execute(name, "nslookup", f"web.{self.namespace}.svc.cluster.local")
            self.assertIn(f"Address: {service['clusterIP']}", answer)
            ask = "for _ in $(seq 60); do timeout 5 wget -q -O - http://web/; done | sort -u"
            eventually(f"{name} reaches all", lambda: self.execute(name, "sh", "-c", ask).split() == names)

        for node in by_node(pods):
            addresses = cluster.get("node", node)["status"]["addresses"]
            address = next(entry["address"] for entry in addresses if entry["type"] == "InternalIP")
            node_port = service["ports"][0]["nodePort"]
            with urllib.request.urlopen(f"http://{address}:{node_port}/", timeout=10) as response:
                self.assertIn(response.read().decode().strip(), names)
            local = cluster.run("enter", node, "curl", "-sS", "--max-time", "10", f"http://127.0.0.1:{node_port}/").stdout
            self.assertIn(local.strip(), names)

    @only_in_full(PLATFORM)
    def test_a_port_of_localhost_leads_to_the_cluster_whichever_pods_there_are(self):
        template = pod_template("web", SERVE, SERVES)
        [first] = self.deploy("web", 1, template)
        cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "web", "namespace": self.namespace},
                "spec": {
                    "type": "NodePort",
                    "selector": {"app": "web"},
                    "ports": [{"port": 80, "targetPort": 8080, "nodePort": 30080}],
                },
            }
        )

        def answer():
            try:
                with urllib.request.urlopen(f"http://localhost:{cluster.environment['HTTP_PORT']}/", timeout=10) as response:
                    return response.read().decode().strip()
            except OSError:
                return None

        name = first["metadata"]["name"]
        eventually("the pod answers", lambda: answer() == name)
        cluster.kubectl("delete", "pod", "--namespace", self.namespace, name)
        eventually("another one answers", lambda: answer() not in (None, name))

    @only_in_full(PLATFORM)
    def test_a_volume_keeps_its_data_over_the_death_of_its_pod(self):
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": self.namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "16Mi"}}},
        }
        template = pod_template(
            "store",
            "exec sleep 86400",
            mounts=[{"name": "data", "mountPath": "/data"}],
            volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
        )
        cluster.apply(claim)
        [first] = self.deploy("store", 1, template)
        self.execute(first["metadata"]["name"], "sh", "-c", "echo kept >/data/file")
        cluster.kubectl(
            "delete", "pod", "--namespace", self.namespace, first["metadata"]["name"], "--grace-period=0", "--force"
        )

        def another():
            pods = cluster.ready_pods(self.namespace, "app=store")
            return next((pod for pod in pods if pod["metadata"]["uid"] != first["metadata"]["uid"]), None)

        second = eventually("another pod has the volume", another)
        self.assertEqual(self.execute(second["metadata"]["name"], "cat", "/data/file").strip(), "kept")

        volume = cluster.get("persistentvolumeclaim", "data", "--namespace", self.namespace)["spec"]["volumeName"]
        cluster.kubectl("delete", "deployment,persistentvolumeclaim", "--all", "--namespace", self.namespace)
        eventually("the volume is gone", lambda: volume not in cluster.kubectl("get", "persistentvolumes"))

    @only_in_full(PLATFORM)
    def test_a_drain_moves_pods(self):
        pods = self.deploy("web", 3, pod_template("web", SERVE, SERVES))
        drained = pods[0]["spec"]["nodeName"]
        self.addCleanup(cluster.kubectl, "uncordon", drained)
        cluster.kubectl("drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
        self.assertNotIn(drained, by_node(self.replicas_ready("web", 3)))

    @only_in_full(PLATFORM)
    def test_an_autoscaler_follows_real_cpu(self):
        resources = {"requests": {"cpu": "20m"}, "limits": {"cpu": "150m"}}
        self.deploy("busy", 1, pod_template("busy", "while :; do :; done", resources=resources))
        target = {"type": "Utilization", "averageUtilization": 50}
        cluster.apply(
            {
                "apiVersion": "autoscaling/v2",
                "kind": "HorizontalPodAutoscaler",
                "metadata": {"name": "busy", "namespace": self.namespace},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
                    "minReplicas": 1,
                    "maxReplicas": 3,
                    "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
                },
            }
        )
        eventually("the autoscaler has added pods", lambda: len(cluster.ready_pods(self.namespace, "app=busy")) == 3, 240)
        self.assertIn("busy", cluster.kubectl("top", "pods", "--namespace", self.namespace))

    def test_an_image_from_an_archive_runs_on_every_node(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        archive, image = f"{folder}/image.tar", f"localhost/{self.namespace}:1"
        # The shell under a name that no node has heard of; it needs none of the programs that are built.
        subprocess.run([sys.executable, ROOT / "hack/cluster.d/images.py", archive, folder, f"{image}=busybox"], check=True)
        cluster.run("load-image", archive)
        spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule"}
        template = pod_template("loaded", "exec sleep 86400", spread=spread)
        template["spec"]["containers"][0]["image"] = image
        self.assertEqual(len(by_node(self.deploy("loaded", 3, template))), 3)


if __name__ == "__main__":
    unittest.main()
