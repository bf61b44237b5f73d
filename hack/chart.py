"""Tests the chart with Helm, whose path is the only argument: what it renders, refuses and packs."""

import os
import subprocess
import sys
import tarfile
import tempfile
import unittest
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "doacoes"
# The oldest that the chart is for, and one too old.
KUBERNETES, TOO_OLD = "1.33.0", "1.32.9"
# Every combination of values that changes what is rendered.
VARIANTS = [[], ["crds.keep=false"], ["crds.install=false"]]


def sets(values):
    """Options that set them."""
    return [word for value in values for word in ("--set", value)]


class Chart(unittest.TestCase):
    helm: str

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def helm_with(self, *words):
        """Helm without anything of its user's: settings, plugins, a cluster."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HELM_", "KUBE"))}
        homes = {f"HELM_{kind}_HOME": str(self.folder / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [self.helm, *words], env=kept | homes, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
        )

    def succeed(self, *words):
        done = self.helm_with(*words)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    @staticmethod
    def render(*values, kubernetes=KUBERNETES):
        return ["template", "site", str(CHART), "--kube-version", kubernetes, *sets(values)]

    def objects(self, *values):
        return [found for found in yaml.safe_load_all(self.succeed(*self.render(*values))) if found is not None]

    def test_the_chart_passes_the_strict_lint_with_all_values(self):
        for values in VARIANTS:
            self.succeed("lint", "--strict", str(CHART), "--kube-version", KUBERNETES, *sets(values))

    def test_the_definition_is_rendered_as_it_is_in_manifests(self):
        [rendered] = self.objects()
        metadata = rendered["metadata"]
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        self.assertEqual(metadata.pop("annotations"), {"helm.sh/resource-policy": "keep"})
        self.assertEqual(
            metadata.pop("labels"),
            {
                "app.kubernetes.io/name": "doacoes",
                "app.kubernetes.io/instance": "site",
                "app.kubernetes.io/version": chart["appVersion"],
                "app.kubernetes.io/managed-by": "Helm",
                "helm.sh/chart": f"doacoes-{chart['version']}",
            },
        )
        self.assertEqual(rendered, yaml.safe_load((ROOT / "manifests" / "crd.yaml").read_text()))

    def test_the_definition_goes_with_the_release_only_if_that_is_asked_for(self):
        [rendered] = self.objects("crds.keep=false")
        self.assertNotIn("annotations", rendered["metadata"])

    def test_nothing_is_rendered_where_the_definition_is_installed_some_other_way(self):
        self.assertEqual(self.objects("crds.install=false"), [])

    def test_unknown_and_malformed_values_are_refused(self):
        for value in ["crd.install=false", "crds.instal=false", "crds.keep=sim"]:
            done = self.helm_with(*self.render(value))
            self.assertNotEqual(done.returncode, 0, value)
            self.assertIn("values don't meet the specifications of the schema", done.stderr)

    def test_a_kubernetes_that_is_too_old_is_refused(self):
        done = self.helm_with(*self.render(kubernetes=TOO_OLD))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("requires kubeVersion", done.stderr)

    def test_the_package_holds_the_dashboard(self):
        self.succeed("package", str(CHART), "--destination", str(self.folder))
        [package] = self.folder.glob("*.tgz")
        dashboard = "dashboards/doacoes-api.json"
        with tarfile.open(package) as archive:
            self.assertEqual(archive.extractfile(f"doacoes/{dashboard}").read(), (CHART / dashboard).read_bytes())


if __name__ == "__main__":
    Chart.helm = sys.argv.pop()
    unittest.main(verbosity=2)
