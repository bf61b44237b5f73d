"""How the cluster comes and goes: whatever happens meanwhile, `up` makes a whole one and `down` leaves nothing.

These tests look at the processes and files of the cluster whose nodes are namespaces; kind's are kind's own business.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from api_client import eventually
from cluster import ROOT, Cluster, deployment, only_in_full, pod_template

TOOL = "how the cluster for development recovers is no part of the platform"
CONTROL_PLANE = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
NODE = ["containerd", "kubelet", "kube-proxy"]
SETTINGS = ["kernel/panic", "kernel/panic_on_oops", "net/ipv4/ip_forward", "vm/overcommit_memory", "vm/panic_on_oom"]


def machine_pid(cluster, machine):
    """The host's process id of a machine's first process."""
    return int((cluster.state / "machines" / machine / "pid").read_text().split()[0])


def programs(cluster):
    """The process ids of the programs that make the cluster, by machine and program."""
    found = {}
    for machine in sorted(path.name for path in (cluster.state / "machines").iterdir()):
        pid = machine_pid(cluster, machine)
        listing = subprocess.run(["ps", "-o", "pid=,comm=", "--ppid", str(pid)], capture_output=True, text=True)
        by_name = {name: int(number) for number, name in (line.split() for line in listing.stdout.splitlines())}
        for program in CONTROL_PLANE if machine.endswith("control-plane") else NODE:
            found[machine, program] = by_name[program[:15]]
    return found


def namespaces(cluster):
    """The namespaces of processes and of networks that the cluster's machines and pods have."""
    machines = [machine_pid(cluster, path.name) for path in (cluster.state / "machines").iterdir()]
    own = {os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "net")}
    below = {os.readlink(f"/proc/{pid}/ns/pid") for pid in machines}
    found = set(below)
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            # A pod's processes have a namespace of their own, inside of which nobody outside of the machine is.
            if cluster.name in (process / "cgroup").read_text() or os.readlink(process / "ns/pid") in below:
                found |= {os.readlink(process / "ns" / kind) for kind in ("pid", "net")}
        except OSError:
            continue
    return found - own


def processes_in(wanted):
    """The command lines of the processes that are in one of the namespaces `wanted`."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if {os.readlink(process / "ns" / kind) for kind in ("pid", "net")} & wanted:
                found.append(f"{process.name}: {(process / 'cmdline').read_bytes()[:200]}")
        except OSError:
            continue
    return found


def left_of(cluster):
    """Everything that the host has of the cluster."""
    found = [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if cluster.name in line]
    found += [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob(f"*/doacoes/{cluster.name}")]
    found += [str(path) for path in pathlib.Path("/sys/fs/cgroup").glob(f"doacoes/{cluster.name}")]
    found += [str(path) for path in pathlib.Path("/run/lock").glob(f"*{cluster.name}*")]
    found += [str(path) for path in (cluster.state, cluster.kubeconfig.parent) if path.exists()]
    for link in pathlib.Path("/sys/class/net").iterdir():
        if (link / "ifalias").exists() and (link / "ifalias").read_text().strip() == f"cluster {cluster.name}":
            found.append(str(link))
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(cluster.state).encode() in (process / "cmdline").read_bytes():
                found.append(f"process {process.name}")
        except OSError:
            continue
    return found


def modified(file):
    """When the file was, in ns since 1970, or None without a file; a new file may have an old one's inode."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def host():
    """What the host must keep as it is: its packet filter and its settings."""
    rules = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    rules = [line for line in rules.splitlines() if not line.startswith((":", "#"))]
    return rules, {name: pathlib.Path("/proc/sys", name).read_text() for name in SETTINGS}


class Lifecycle(unittest.TestCase):
    def make(self, nodes=1):
        cluster = Cluster(nodes)
        cluster.environment["ENGINE"] = "namespaces"
        self.addCleanup(cluster.run, "down")
        return cluster

    def test_it_is_kinds_only_where_kind_is_and_a_docker_that_answers(self):
        cluster = Cluster(nodes=1)
        with tempfile.TemporaryDirectory() as folder:

            def engine(engine="", **programs):
                for name, status in programs.items():
                    program = pathlib.Path(folder, name)
                    program.write_text(f"#!/bin/sh\nexit {status}\n")
                    program.chmod(0o755)
                cluster.environment |= {"PATH": f"{folder}:/usr/bin:/bin", "ENGINE": engine}
                return cluster.run("engine").stdout.strip()

            if not shutil.which("kind", path="/usr/bin:/bin"):
                self.assertEqual(engine(docker=0), "namespaces", "no kind")
            self.assertEqual(engine(docker=1, kind=0), "namespaces", "a client without a server")
            self.assertEqual(engine(docker=0), "kind")
            self.assertEqual(engine("namespaces"), "namespaces")

    @only_in_full(TOOL)
    def test_up_twice_changes_nothing(self):
        cluster = self.make()
        # The second one waits for the first and finds its work done.
        together = [cluster.start("up"), cluster.start("up")]
        for process in together:
            output = process.communicate(timeout=3600)[0]
            self.assertEqual(process.returncode, 0, output)
        before = programs(cluster)
        cluster.run("up")
        self.assertEqual(programs(cluster), before)
        self.assertEqual(cluster.run("up", check=False).returncode, 0)
        cluster.environment["NODES"] = "2"
        refused = cluster.run("up", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("runs with 1 nodes", refused.stderr)
        self.assertEqual(programs(cluster), before)

    @only_in_full(TOOL)
    def test_status_names_every_process_that_dies_and_up_mends_it(self):
        cluster = self.make()
        self.assertEqual(cluster.run("status", check=False).returncode, 1)
        cluster.run("up")
        cluster.run("status")

        running = programs(cluster)
        kubelet = running[f"{cluster.name}-worker", "kubelet"]
        os.kill(kubelet, signal.SIGSTOP)
        stopped = cluster.run("status", check=False)
        self.assertIn(f"kubelet of {cluster.name}-worker is stopped", stopped.stderr)
        self.assertEqual(stopped.returncode, 1)
        os.kill(kubelet, signal.SIGCONT)
        eventually("the kubelet is well again", lambda: cluster.run("status", check=False).returncode == 0)

        # The API server last, since without it the others give up by themselves.
        for machine, program in sorted(running, key=lambda key: (key[1] == "kube-apiserver", key[1] == "etcd")):
            os.kill(running[machine, program], signal.SIGKILL)

            def named():
                status = cluster.run("status", check=False)
                return status.returncode == 1 and f"{program} of {machine} has ended" in status.stderr

            # The kernel needs a moment to end a process with much memory.
            eventually(f"status names {program}", named, 10)
        os.kill(machine_pid(cluster, f"{cluster.name}-worker"), signal.SIGKILL)
        eventually("the end of a machine is noticed", lambda: "-worker has ended" in cluster.run("status", check=False).stderr, 10)

        cluster.run("up")
        cluster.run("status")
        self.assertFalse(set(programs(cluster).values()) & set(running.values()))

    @only_in_full(TOOL)
    def test_up_cleans_up_after_killed_runs(self):
        cluster = self.make()
        worker = cluster.state / "machines" / f"{cluster.name}-worker"
        moments = {
            "the control plane's machine exists": cluster.state / "machines" / f"{cluster.name}-control-plane/pid",
            "the network exists": cluster.state / "subnet",
            "the node's machine exists": worker / "pid",
            "the kubelet runs": worker / "log/kubelet.log",
        }
        for moment, file in moments.items():
            # The files of the run before are still there.
            before = modified(file)
            run = cluster.start("up")
            eventually(moment, lambda: modified(file) not in (None, before))
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            self.assertEqual(cluster.run("status", check=False).returncode, 1, moment)
        cluster.run("up")
        cluster.run("status")

    @only_in_full(TOOL)
    def test_an_interrupted_run_leaves_nothing(self):
        cluster = self.make()
        for number in (signal.SIGINT, signal.SIGTERM):
            run = cluster.start("up")
            eventually("it is at work", lambda: (cluster.state / "subnet").exists() or run.poll() is not None)
            os.killpg(run.pid, number)
            output = run.communicate(timeout=120)[0]
            self.assertEqual(run.returncode, 128 + number, output)
            self.assertEqual(left_of(cluster), [])
            shutil.rmtree(ROOT / "target/cluster-logs" / cluster.name)

    def test_down_leaves_nothing_and_the_host_as_it_was(self):
        before = host()
        cluster = self.make()
        cluster.run("up")
        with cluster.namespace() as namespace:
            cluster.apply(deployment(namespace, "idle", 2, pod_template("idle", "exec sleep 86400")))
            eventually("pods run", lambda: len(cluster.ready_pods(namespace, "app=idle")) == 2)
        used = namespaces(cluster)
        # Two machines and four pods of the cluster's own and ours, each with a network.
        self.assertGreaterEqual(len(used), 8)
        # A frozen process does not die of a signal.
        for state in pathlib.Path("/sys/fs/cgroup/freezer/doacoes").glob(f"{cluster.name}/*-worker/freezer.state"):
            state.write_text("FROZEN")
        cluster.run("down")
        self.assertEqual(left_of(cluster), [])
        self.assertEqual(processes_in(used), [])
        self.assertEqual(host(), before)
        self.assertEqual(cluster.run("status", check=False).returncode, 1)
        cluster.run("down")

    @only_in_full(TOOL)
    def test_two_clusters_live_side_by_side(self):
        one, two = self.make(), self.make()
        one.run("up")
        before = programs(one)
        two.run("up")
        one.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-one", "namespace": "default"}})
        self.assertIn("of-one", one.kubectl("get", "configmaps"))
        self.assertNotIn("of-one", two.kubectl("get", "configmaps"))
        for cluster in (one, two):
            self.assertEqual(cluster.kubectl("get", "nodes", "-o", "name").split(), [f"node/{cluster.name}-worker"])
        two.run("down")
        self.assertEqual(left_of(two), [])
        one.run("status")
        self.assertEqual(programs(one), before)


class Refusals(unittest.TestCase):
    def refusal(self, *wrapper, **environment):
        """What `hack/cluster up` under `wrapper` says, after which it fails at once and leaves nothing."""
        cluster = Cluster(1)
        started = time.monotonic()
        result = subprocess.run(
            [*wrapper, "hack/cluster", "up"],
            cwd=self.checkout(),
            env=cluster.environment | {"ENGINE": "namespaces"} | environment,
            capture_output=True,
            text=True,
        )
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertLess(time.monotonic() - started, 30)
        self.assertEqual(left_of(cluster), [])
        return result.stderr

    def checkout(self):
        """A copy of hack/ that everybody may read."""
        folder = self.enterContext(tempfile.TemporaryDirectory())
        shutil.copytree(ROOT / "hack", f"{folder}/hack")
        os.chmod(folder, 0o755)
        return folder

    def test_without_root(self):
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        self.assertRegex(self.refusal(*nobody, HOME="/tmp"), r"^cluster: .* needs root: run 'sudo hack/cluster up'.*\n$")

    def test_without_what_the_kernel_should_offer(self):
        said = self.refusal("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
        self.assertRegex(said, r"^cluster: this kernel lacks what the cluster needs: veth \('ip link add .*' fails\)\n$")

    def test_with_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.assertIn(f"127.0.0.1:{port}, which is to lead to the cluster, is taken", self.refusal(HTTP_PORT=str(port)))

    def test_a_name_or_number_that_cannot_be(self):
        self.assertIn("1, 2 and 3 are possible", self.refusal(NODES="4"))
        self.assertIn("CLUSTER is '../x'", self.refusal(CLUSTER="../x"))


if __name__ == "__main__":
    unittest.main()
