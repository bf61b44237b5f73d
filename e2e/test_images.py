"""The images of a platform: what is in them, that they are made once and always the same, and that they run.

That the programs name no folder of this machine and no day is looked at each time. `make test-full` also compiles the operator a
second time elsewhere, which must give the same; IMAGES_TWICE=api,operator does that for both.
"""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tarfile
import tempfile
import time
import unittest

import doacoes
from api_client import eventually
from cluster import RESTRICTED_CONTAINER, ROOT, only_in_full
from doacoes import cluster

IMAGES = ROOT / "hack/images"
OWN = ["api", "operator"]
# The oldest versions that will do, and who runs them.
DEBIAN = {
    "postgres": (["postgres", "--version"], (17, 0), 999),
    "redis": (["redis-server", "--version"], (7, 2), 999),
    "pgbouncer": (["pgbouncer", "--version"], (1, 26, 1), 70),
    "nginx": (["nginx", "-v"], (1, 27, 4), 101),
}
DAY = 24 * 3600
# Where this machine compiles api and operator.
COMPILED = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "doacoes/compile")


def setUpModule():
    # Here rather than in a test, so that none of them is charged with the minutes.
    images("build", *OWN)


def images(*arguments, check=True, root=ROOT, **environment):
    """`hack/images ARGUMENTS`, to its end."""
    result = subprocess.run(
        [root / "hack/images", *arguments], env=os.environ | environment, text=True, capture_output=True, timeout=3600
    )
    if check and result.returncode != 0:
        raise AssertionError(f"hack/images {' '.join(arguments)} failed:\n{result.stdout}{result.stderr}")
    return result


def archive_of(name, **environment):
    return Archive(images("build", name, **environment).stdout.strip())


def references():
    return dict(line.split() for line in images("names").stdout.splitlines())


class Archive:
    """What `docker load` reads."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        with tarfile.open(path) as archive:
            manifests = json.load(archive.extractfile("manifest.json"))
            assert len(manifests) == 1, manifests
            self.manifest = manifests[0]
            config = archive.extractfile(self.manifest["Config"]).read()
            self.layers = [archive.extractfile(layer).read() for layer in self.manifest["Layers"]]
        # Of the layers, the settings and the times alike.
        self.digest = hashlib.sha256(config).hexdigest()
        self.config = json.loads(config)["config"]

    def members(self):
        found = {}
        for layer in self.layers:
            with tarfile.open(fileobj=io.BytesIO(layer)) as members:
                found |= {member.name.strip("./"): member for member in members}
        found.pop("", None)
        return found

    @contextlib.contextmanager
    def root(self):
        """A folder with its files."""
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            for layer in self.layers:
                subprocess.run(["tar", "--extract", "--numeric-owner", "--directory", folder], input=layer, check=True)
            yield pathlib.Path(folder)


def program_headers(program):
    """The types of a 64-bit ELF file's program headers."""
    assert program[:5] == b"\x7fELF\x02"
    start, size, count = *struct.unpack_from("<Q", program, 32), *struct.unpack_from("<HH", program, 54)
    return [struct.unpack_from("<I", program, start + index * size)[0] for index in range(count)]


class OwnImages(unittest.TestCase):
    def test_the_program_is_alone_static_and_small(self):
        version = re.search(r'^version = "(.*)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
        for name in OWN:
            with self.subTest(name):
                archive = archive_of(name)
                self.assertLess(archive.path.stat().st_size, 30e6)
                members = archive.members()
                files = {path for path, member in members.items() if not member.isdir()}
                licenses = {"licenses/LICENSE", "licenses/NOTICE"}
                self.assertEqual(files, {name, "etc/ssl/certs/ca-certificates.crt"} | licenses)
                folders = {"etc", "etc/ssl", "etc/ssl/certs", "licenses", "tmp"}
                self.assertEqual({path for path in members if path not in files}, folders)
                self.assertEqual(members["tmp"].mode & 0o7777, 0o1777)
                self.assertEqual(members[name].mode & 0o7777, 0o755)
                self.assertEqual({(member.uid, member.gid) for member in members.values()}, {(0, 0)})
                with archive.root() as root:
                    program = (root / name).read_bytes()
                    # PT_INTERP would name a loader.
                    self.assertNotIn(3, program_headers(program))
                    run = ["chroot", "--userspec=65532:65532", root, f"/{name}", "--version"]
                    said = subprocess.run(run, capture_output=True, text=True, check=True).stdout
                    self.assertRegex(said, rf"^\S+ {re.escape(version)}\n$")
                    certificates = (root / "etc/ssl/certs/ca-certificates.crt").read_text()
                    for path in licenses:
                        self.assertEqual((root / path).read_bytes(), (ROOT / pathlib.Path(path).name).read_bytes())
                self.assertGreater(certificates.count("-----BEGIN CERTIFICATE-----"), 100)
                # That of a machine behind a proxy is not Mozilla's.
                for own in pathlib.Path("/usr/local/share/ca-certificates").glob("*.crt"):
                    self.assertNotIn(own.read_text().strip(), certificates)

    def test_user_labels_and_name(self):
        head = subprocess.run(
            ["git", "-c", f"safe.directory={ROOT}", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in OWN:
            with self.subTest(name):
                archive = archive_of(name)
                self.assertEqual(archive.config["User"], "65532:65532")
                self.assertEqual(archive.config["Entrypoint"], [f"/{name}"])
                labels = {
                    label.removeprefix("org.opencontainers.image."): text
                    for label, text in archive.config["Labels"].items()
                    if label.startswith("org.opencontainers.image.")
                }
                self.assertEqual(labels["title"], f"doacoes {'API' if name == 'api' else name}")
                self.assertEqual(labels["licenses"], "Apache-2.0")
                self.assertEqual(f"{name} {labels['version']}", f"{name} {references()[name].rpartition(':')[2]}")
                self.assertIn(labels["revision"], {head, f"{head}-modified"})
                # Of a clone of a folder it is empty.
                self.assertRegex(labels["source"], r"^(https://[^@]+)?$")
                manifest = (ROOT / name / "Cargo.toml").read_text()
                self.assertEqual(labels["description"], re.search(r'^description = "(.*)"$', manifest, re.MULTILINE)[1])
                self.assertEqual(archive.manifest["RepoTags"], [references()[name]])

    def test_neither_a_folder_of_this_machine_nor_a_day_is_named(self):
        folders = [str(ROOT), str(pathlib.Path.home()), str(COMPILED)]
        for name in OWN:
            with archive_of(name).root() as root:
                program = (root / name).read_bytes()
            for folder in filter(None, folders):
                # Without the whole program in the message.
                self.assertEqual(program.count(f"{folder}/".encode()), 0, f"{name} names {folder}")
            # As __DATE__ has it in C.
            self.assertEqual(set(re.findall(rb"[A-Z][a-z]{2} [ 123][0-9] 20[0-9]{2}", program)), set(), name)

    @only_in_full("it compiles a second time")
    def test_a_build_elsewhere_gives_the_same(self):
        scratch = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(ROOT, scratch / "another", symlinks=True, ignore=shutil.ignore_patterns("target", ".run"))
        # Kept, like the other: with what is compiled there once, all of the crates, it is a minute instead of five.
        elsewhere = COMPILED.with_name("compile-elsewhere")
        for name in os.environ.get("IMAGES_TWICE", "operator").split(","):
            out = images("build", name, root=scratch / "another", COMPILE_DIR=str(elsewhere), XDG_CACHE_HOME=str(scratch))
            self.assertEqual(Archive(out.stdout.strip()).digest, archive_of(name).digest, name)


class Cache(unittest.TestCase):
    def setUp(self):
        self.cache = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        # Not to compile all of it again.
        self.environment = {"XDG_CACHE_HOME": str(self.cache), "COMPILE_DIR": str(COMPILED)}
        self.store = self.cache / "doacoes/images"

    def start(self, *names):
        return subprocess.Popen(
            [IMAGES, "build", *names],
            env=os.environ | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def test_two_at_once_make_one(self):
        both = [self.start("operator"), self.start("operator")]
        results = [process.communicate(timeout=600) for process in both]
        self.assertEqual([process.returncode for process in both], [0, 0], results)
        self.assertEqual(results[0][0], results[1][0])
        said = results[0][1] + results[1][1]
        self.assertEqual(said.count("images: making the image"), 1, said)
        archive = Archive(results[0][0].strip())
        self.assertEqual(archive.digest, archive_of("operator").digest)
        before = archive.path.stat().st_mtime_ns
        self.assertEqual(archive_of("operator", **self.environment).path.stat().st_mtime_ns, before)

    @only_in_full("it makes the same image four times")
    def test_an_interrupted_one_leaves_nothing_that_looks_whole(self):
        for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
            run = self.start("operator")
            eventually("it is at work", lambda: list(self.store.glob("new.*/operator")) or run.poll() is not None)
            os.killpg(run.pid, number)
            run.communicate(timeout=60)
            self.assertNotEqual(run.returncode, 0)
            self.assertEqual(list(self.store.glob("operator-*")), [])
        self.assertEqual(archive_of("operator", **self.environment).digest, archive_of("operator").digest)
        self.assertEqual(list(self.store.glob("new.*")), [])

    def test_what_was_not_used_for_long_goes(self):
        ages = {"redis-0000000000000000": 31, "nginx-0000000000000000": 29, "api-0000000000000000": 4, "operator-0000000000000000": 1}
        for name, days in ages.items():
            (self.store / name).mkdir(parents=True)
            (self.store / name / "image.tar").touch()
            os.utime(self.store / name, (time.time() - days * DAY,) * 2)
        made = archive_of("operator", **self.environment).path.parent.name
        left = {path.name for path in self.store.iterdir()} - {"lock"}
        self.assertEqual(left, {"nginx-0000000000000000", "operator-0000000000000000", made})


class Refusals(unittest.TestCase):
    def test_an_unknown_image(self):
        refused = images("build", "mysql", check=False)
        self.assertEqual((refused.returncode, refused.stdout), (1, ""))
        self.assertIn("unknown image 'mysql'; there are api operator postgres", refused.stderr)

    def test_without_root(self):
        folder = self.enterContext(tempfile.TemporaryDirectory())
        for part in ("hack", "images"):
            shutil.copytree(ROOT / part, f"{folder}/{part}")
        shutil.copy(ROOT / "Cargo.toml", folder)
        os.chmod(folder, 0o755)
        nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        refused = subprocess.run(
            [*nobody, f"{folder}/hack/images", "build"],
            env=os.environ | {"HOME": "/tmp", "ENGINE": "namespaces"},
            capture_output=True,
            text=True,
            timeout=30,
        )
        self.assertEqual(refused.returncode, 1)
        self.assertEqual(refused.stderr, "images: without kind and Docker, making images needs root: run 'sudo hack/images ...'\n")


@unittest.skipUnless(
    subprocess.run([ROOT / "hack/cluster", "engine"], capture_output=True, text=True).stdout == "namespaces\n",
    "kind pulls these images",
)
class DebianImages(unittest.TestCase):
    def test_each_has_its_public_name_and_one_layer(self):
        for name in DEBIAN:
            with self.subTest(name):
                archive = archive_of(name)
                # In full, as containerd and the kubelet write what the defaults have in short.
                reference = references()[name]
                full = reference if "/" in reference else f"library/{reference}"
                self.assertRegex("\n".join(archive.manifest["RepoTags"]), rf"^[a-z.]+/{re.escape(full)}$")
                self.assertEqual(len(archive.layers), 1)
                self.assertLess(len(archive.layers[0]), 100e6)
                self.assertNotIn("Entrypoint", archive.config)
                self.assertNotIn("User", archive.config)
                packages = (archive.path.parent / "packages").read_text()
                self.assertRegex(packages, r"(?m)^coreutils \d")

    def test_what_cannot_be_made_anew_is_kept(self):
        before = archive_of("redis").path.stat().st_mtime_ns
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as settings:
            # A proxy where nobody listens.
            settings.write('Acquire::http::Proxy "http://127.0.0.1:9"; Acquire::https::Proxy "http://127.0.0.1:9";\n')
            settings.flush()
            kept = images("build", "redis", REFRESH="1", APT_CONFIG=settings.name)
        self.assertIn("images: kept as they were: redis\n", kept.stderr)
        self.assertEqual(pathlib.Path(kept.stdout.strip()).stat().st_mtime_ns, before)


class OnTheCluster(unittest.TestCase):
    """Everything runs as on any cluster: by its default name, as a numeric user, without a writable root and privileges."""

    @classmethod
    def setUpClass(cls):
        # With it all images come onto the nodes.
        doacoes.start()

    def setUp(self):
        self.namespace = self.enterContext(cluster.namespace())

    def log_of(self, name, user, **container):
        """What a pod of the image `name` says until it ends well."""
        spec = {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "runAsUser": user, "runAsGroup": user, "fsGroup": user}
            | {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "main",
                    "image": references()[name],
                    "securityContext": RESTRICTED_CONTAINER | {"readOnlyRootFilesystem": True},
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                }
                | container
            ],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
        }
        metadata = {"name": name, "namespace": self.namespace}
        cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})

        def phase():
            status = cluster.get("pod", name, "--namespace", self.namespace)["status"]
            for state in status.get("containerStatuses", []):
                reason = state["state"].get("waiting", {}).get("reason", "")
                self.assertNotIn(reason, {"ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"}, name)
            return status["phase"] if status["phase"] in ("Succeeded", "Failed") else None

        ended = eventually(f"{name} ends", phase)
        log = cluster.kubectl("logs", "--namespace", self.namespace, name)
        self.assertEqual(ended, "Succeeded", log)
        return log

    def test_own_programs_run(self):
        self.assertRegex(self.log_of("api", 65532, args=["--version"]), r"^\S*api \d+\.\d+\.\d+\n$")
        self.assertIn("kind: CustomResourceDefinition\n", self.log_of("operator", 65532, args=["crd"]))

    def test_versions_are_new_enough(self):
        for name, (command, oldest, user) in DEBIAN.items():
            with self.subTest(name):
                # By name alone: the programs' folders differ among images, and PATH leads to them.
                log = self.log_of(name, user, command=["sh", "-c", 'set -e; id -u; exec "$@"', "sh", *command])
                self.assertEqual(log.splitlines()[0], str(user))
                version = tuple(map(int, re.search(r"\d+(?:\.\d+)+", log.split("\n", 1)[1])[0].split(".")))
                self.assertGreaterEqual(version, oldest)

    def test_postgres_has_the_extensions_and_the_builtin_locale(self):
        script = """
            set -e
            initdb --pgdata /scratch/data --username postgres --auth trust --encoding UTF8 --no-locale \\
                --locale-provider builtin --builtin-locale C.UTF-8 >/dev/null
            pg_ctl --pgdata /scratch/data --wait --options "-k /scratch -c listen_addresses=" start >/dev/null
            psql --host /scratch --username postgres --no-align --tuples-only --set ON_ERROR_STOP=1 <<'END'
                \\set QUIET on
                CREATE EXTENSION pg_trgm; CREATE EXTENSION unaccent;
                SELECT unaccent(lower('DOAÇÃO')), similarity('doacao', 'doacoes') > 0.3;
                SET jit_above_cost = 0; SELECT sum(n) FROM generate_series(1, 1000) n;
                SET timezone = 'America/Sao_Paulo'; SELECT '2020-01-01T00:00:00Z'::timestamptz;
END
            pg_ctl --pgdata /scratch/data --wait --mode fast stop >/dev/null
        """
        log = self.log_of("postgres", 999, command=["sh", "-c", script])
        self.assertEqual(log.splitlines(), ["doacao|t", "500500", "2019-12-31 21:00:00-03"])

    def test_nginx_resolves_upstreams_and_has_streams(self):
        # The public image has streams compiled in, and nothing to include.
        config = """
            include /etc/nginx/modules-enabled/*.conf;
            pid /scratch/nginx.pid;
            events {}
            stream { server { listen 127.0.0.1:9001; return x; } }
            http {
                include /etc/nginx/mime.types;
                client_body_temp_path /scratch/body; proxy_temp_path /scratch/proxy; fastcgi_temp_path /scratch/fastcgi;
                uwsgi_temp_path /scratch/uwsgi; scgi_temp_path /scratch/scgi;
                resolver 127.0.0.1 valid=1s;
                upstream api { zone api 64k; server api.example:8080 resolve; keepalive 8; }
                server { listen 127.0.0.1:9000; location / { proxy_pass http://api; } }
            }
        """
        script = 'printf %s "$0" >/scratch/nginx.conf && nginx -t -c /scratch/nginx.conf 2>&1 && nginx -V 2>&1'
        log = self.log_of("nginx", 101, command=["sh", "-c", script, config])
        self.assertIn("syntax is ok", log)
        for module in ("http_ssl", "http_v2", "http_realip", "http_stub_status", "stream_ssl"):
            self.assertIn(f"--with-{module}_module", log)


if __name__ == "__main__":
    unittest.main()
