"""The programs of the cluster are built once, whoever else builds them and whatever interrupts it."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest

from api_client import eventually
from cluster import ROOT, only_in_full

BINARIES = ROOT / "hack/cluster.d/binaries"


class Binaries(unittest.TestCase):
    """With a cache of their own, but the compiler's usual one: what Go has compiled before need not be compiled again."""

    def setUp(self):
        self.cache = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        compiled = subprocess.run(["go", "env", "GOCACHE"], check=True, capture_output=True, text=True).stdout.strip()
        self.environment = os.environ | {"XDG_CACHE_HOME": str(self.cache), "GOCACHE": compiled}
        self.environment.pop("KUBEBUILDER_ASSETS", None)
        self.programs = self.cache / "doacoes/cluster/programs"

    def start(self, *programs, **environment):
        return subprocess.Popen(
            [BINARIES, *programs],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run_to_end(self, *programs, **environment):
        process = self.start(*programs, **environment)
        out, err = process.communicate(timeout=600)
        return process.returncode, out.strip(), err

    def assert_pause_is_whole(self, folder):
        """It is, byte for byte, what the usual cache holds: a build gives the same everywhere."""
        usual = subprocess.run([BINARIES, "pause"], check=True, capture_output=True, text=True).stdout.strip()
        self.assertEqual(pathlib.Path(folder, "pause").read_bytes(), pathlib.Path(usual, "pause").read_bytes())

    def test_two_at_once_build_once(self):
        self.programs.mkdir(parents=True)
        with open(f"{self.programs}.lock", "w") as lock:
            # As if a third one were building, so that both have to wait however fast they are.
            fcntl.flock(lock, fcntl.LOCK_EX)
            both = [self.start("pause"), self.start("pause")]
            waiting = [process.stderr.readline() for process in both]
        self.assertEqual(waiting, ["binaries: another run is building; waiting for it\n"] * 2)
        results = [process.communicate(timeout=600) for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], results)
        self.assertEqual(results[0][0], results[1][0])
        said = results[0][1] + results[1][1]
        self.assertEqual(said.count("building pause: 1 of 1, 0 left after it"), 1, said)
        self.assert_pause_is_whole(results[0][0].strip())
        self.assertEqual(self.run_to_end("pause"), (0, results[0][0].strip(), ""))

    @only_in_full("it compiles the same program four times")
    def test_an_interrupted_one_leaves_nothing_that_looks_whole(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            # With nothing compiled before, there is time to interrupt it.
            run = self.start("pause", GOCACHE=self.enterContext(tempfile.TemporaryDirectory()))
            eventually("it builds", lambda: list(self.programs.glob("pause-*.new")) or run.poll() is not None)
            # Only the script, as a supervisor would; its compiler has to end by itself.
            os.kill(run.pid, number)
            run.communicate()
            self.assertNotEqual(run.returncode, 0)
            self.assertEqual([path for path in self.programs.glob("pause-*") if path.suffix != ".new"], [])
            with open(f"{self.programs}.lock") as lock:
                eventually("the compiler has ended", lambda: try_lock(lock))
        code, folder, said = self.run_to_end("pause")
        self.assertEqual(code, 0, said)
        self.assert_pause_is_whole(folder)
        self.assertEqual(list(self.programs.glob("*.new")), [])

    def test_a_failure_names_the_log(self):
        nothing = self.enterContext(tempfile.TemporaryDirectory())
        code, _, said = self.run_to_end("coredns", GOMODCACHE=nothing, GOPROXY="off")
        self.assertEqual(code, 1)
        log = said.rsplit("building coredns failed; its log: ", 1)[1].strip()
        self.assertIn("module lookup disabled by GOPROXY=off", pathlib.Path(log).read_text())

    def test_kubebuilder_assets_are_used(self):
        assets = subprocess.run(
            [BINARIES, "kube-apiserver", "etcd", "kubectl"], check=True, capture_output=True, text=True
        ).stdout.strip()
        code, folder, said = self.run_to_end("kube-apiserver", "etcd", "kubectl", KUBEBUILDER_ASSETS=assets)
        self.assertEqual((code, said), (0, ""))
        for program in ("kube-apiserver", "etcd", "kubectl"):
            self.assertEqual(os.readlink(f"{folder}/{program}"), f"{assets}/{program}")
        code, _, said = self.run_to_end("etcd", KUBEBUILDER_ASSETS="/nowhere")
        self.assertEqual((code, said), (1, "binaries: KUBEBUILDER_ASSETS is /nowhere, which has no etcd\n"))

    def test_images_of_the_same_programs_are_the_same(self):
        archives = [self.cache / "one.tar", self.cache / "two.tar"]
        for archive in archives:
            subprocess.run([sys.executable, ROOT / "hack/cluster.d/images.py", archive, "/nowhere", "busybox"], check=True)
        self.assertEqual(archives[0].read_bytes(), archives[1].read_bytes())


def try_lock(file):
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    unittest.main()
