"""The chart's test: what Helm renders of it, refuses and packs.

Needs the packages of hack/requirements.txt: "$(hack/venv)/bin/python" -B -m unittest discover charts/doacoes/tests
"""

import copy
import os
import shutil
import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path
from typing import ClassVar

import yaml

CHART = Path(__file__).resolve().parent.parent
ROOT = CHART.parent.parent
# The oldest that the chart is for, and one too old.
KUBERNETES, TOO_OLD = "1.33.0", "1.32.9"
NAMESPACES = ["watchNamespaces={campanhas,testes}"]
POD = [
    "image.digest=sha256:" + 64 * "0",
    "imagePullSecrets[0].name=registro",
    "podLabels.equipe=doacoes",
    "podAnnotations.equipe=doacoes",
    "nodeSelector.disco=ssd",
    "tolerations[0].key=dedicado,tolerations[0].operator=Exists",
    "affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey=kubernetes.io/hostname",
    "priorityClassName=system-cluster-critical",
    "resources.limits=null",
]
# Every value that changes what is rendered.
VARIANTS = [
    [],
    NAMESPACES,
    POD,
    ["metrics.service.enabled=false"],
    ["serviceAccount.name=conta", "serviceAccount.annotations.equipe=doacoes"],
    ["serviceAccount.create=false", "serviceAccount.name=conta"],
    ["crds.keep=false"],
    ["crds.install=false"],
]
CLUSTER_WIDE = ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "Deployment", "Service", "ServiceAccount"]


def sets(values):
    """Options that set them."""
    return [word for value in values for word in ("--set", value)]


class Chart(unittest.TestCase):
    helm: str
    # What each set of values renders: reading the definition is what takes the time.
    rendered: ClassVar[dict[tuple[str, ...], list]] = {}

    @classmethod
    def setUpClass(cls):
        cls.helm = subprocess.run([ROOT / "hack/helm"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

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

    def refuse(self, reason, *values):
        done = self.helm_with(*self.render(*values))
        self.assertNotEqual(done.returncode, 0, values)
        self.assertIn(reason, done.stderr, values)

    @staticmethod
    def render(*values, chart=CHART, kubernetes=KUBERNETES):
        return ["template", "site", str(chart), "--namespace", "sistema", "--kube-version", kubernetes, *sets(values)]

    def objects(self, *values):
        if values not in self.rendered:
            text = self.succeed(*self.render(*values))
            self.rendered[values] = [found for found in yaml.safe_load_all(text) if found is not None]
        return copy.deepcopy(self.rendered[values])

    def kinds(self, *values):
        return sorted(found["kind"] for found in self.objects(*values))

    def the(self, kind, *values):
        """The only object of that kind."""
        [found] = [found for found in self.objects(*values) if found["kind"] == kind]
        return found

    def pod(self, *values):
        return self.the("Deployment", *values)["spec"]["template"]["spec"]

    def environment(self, *values):
        """What the operator's variables are set to, by name."""
        variables = self.pod(*values)["containers"][0]["env"]
        named = {variable.pop("name"): variable for variable in variables}
        self.assertEqual(len(named), len(variables))
        return named

    def notes(self, *values):
        """Without a cluster Helm does not show the notes, so a copy of the chart renders them as an object."""
        chart = self.folder / "notes"
        shutil.copytree(CHART, chart, dirs_exist_ok=True)
        (chart / "templates" / "NOTES.txt").rename(chart / "files" / "NOTES.txt")
        (chart / "templates" / "notes.yaml").write_text('notes: {{ tpl (.Files.Get "files/NOTES.txt") . | toJson }}')
        rendered = yaml.safe_load_all(self.succeed(*self.render(*values, chart=chart)))
        return next(found["notes"] for found in rendered if found and "notes" in found)

    @staticmethod
    def place(found):
        return found["kind"], found["metadata"].get("namespace"), found["metadata"]["name"]

    def check_platform(self, platform):
        """That it has what the definition requires and nothing that it does not know."""
        definition = self.the("CustomResourceDefinition")["spec"]
        [version] = definition["versions"]
        self.assertEqual(platform["apiVersion"], f"{definition['group']}/{version['name']}")
        self.assertEqual(platform["kind"], definition["names"]["kind"])
        schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
        for known, given in [(schema, platform["spec"]), (schema["properties"]["ingress"], platform["spec"]["ingress"])]:
            self.assertLessEqual(set(known["required"]), given.keys())
            self.assertLessEqual(given.keys(), known["properties"].keys())

    def test_the_chart_passes_the_strict_lint_with_all_values(self):
        for values in VARIANTS:
            self.succeed("lint", "--strict", str(CHART), "--kube-version", KUBERNETES, *sets(values))

    def test_the_definition_is_rendered_as_it_is_in_manifests(self):
        rendered = self.the("CustomResourceDefinition")
        metadata = rendered["metadata"]
        self.assertEqual(metadata.pop("annotations"), {"helm.sh/resource-policy": "keep"})
        metadata.pop("labels")
        self.assertEqual(rendered, yaml.safe_load((ROOT / "manifests" / "crd.yaml").read_text()))

    def test_the_definition_goes_with_the_release_only_if_that_is_asked_for(self):
        self.assertNotIn("annotations", self.the("CustomResourceDefinition", "crds.keep=false")["metadata"])

    def test_where_the_definition_is_installed_some_other_way_the_operator_is_rendered_without_it(self):
        self.assertEqual(self.kinds("crds.install=false"), [kind for kind in CLUSTER_WIDE if kind != "CustomResourceDefinition"])

    def test_every_object_has_the_same_labels(self):
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        labels = {
            "app.kubernetes.io/name": "doacoes-operator",
            "app.kubernetes.io/instance": "site",
            "app.kubernetes.io/version": chart["appVersion"],
            "app.kubernetes.io/managed-by": "Helm",
            "helm.sh/chart": f"doacoes-{chart['version']}",
        }
        for values in VARIANTS:
            for found in self.objects(*values):
                self.assertEqual(found["metadata"]["labels"], labels, found["kind"])

    def test_an_operator_for_all_namespaces_has_one_role_for_all(self):
        self.assertEqual(self.kinds(), CLUSTER_WIDE)
        self.assertEqual(self.environment().get("WATCH_NAMESPACES"), None)

    def test_an_operator_for_some_namespaces_has_a_role_in_each_and_none_for_all(self):
        roles = ["Role", "Role", "RoleBinding", "RoleBinding"]
        self.assertEqual(self.kinds(*NAMESPACES), ["CustomResourceDefinition", "Deployment", *roles, "Service", "ServiceAccount"])
        places = [found["metadata"]["namespace"] for found in self.objects(*NAMESPACES) if found["kind"] in roles]
        self.assertEqual(sorted(places), ["campanhas", "campanhas", "testes", "testes"])
        self.assertEqual(self.environment(*NAMESPACES)["WATCH_NAMESPACES"], {"value": "campanhas,testes"})

    def test_the_operator_may_do_what_the_generated_role_says_and_no_wildcard(self):
        rules = yaml.safe_load((CHART / "files" / "role.yaml").read_text())["rules"]
        self.assertTrue(rules)
        for values in [[], NAMESPACES]:
            for role in self.objects(*values):
                if role["kind"] in ("ClusterRole", "Role"):
                    self.assertEqual(role["rules"], rules)
        for rule in rules:
            self.assertEqual(set(rule), {"apiGroups", "resources", "verbs"})
            self.assertNotIn("*", "".join(word for words in rule.values() for word in words))

    def test_the_readme_says_what_every_right_is_for(self):
        readme = (CHART / "README.md").read_text()
        for rule in yaml.safe_load((CHART / "files" / "role.yaml").read_text())["rules"]:
            for resource in rule["resources"]:
                self.assertIn(f"`{resource}`", readme)

    def test_every_binding_binds_the_account_of_the_pod_to_a_role_that_is_rendered(self):
        for values in VARIANTS:
            objects = self.objects(*values)
            places = [self.place(found) for found in objects]
            account = self.pod(*values)["serviceAccountName"]
            for binding in objects:
                if binding["kind"] in ("ClusterRoleBinding", "RoleBinding"):
                    role, namespace = binding["roleRef"], binding["metadata"].get("namespace")
                    self.assertIn((role["kind"], namespace, role["name"]), places)
                    self.assertEqual(binding["subjects"], [{"kind": "ServiceAccount", "name": account, "namespace": "sistema"}])
            made = ("ServiceAccount", "sistema", account) in places
            self.assertEqual(made, "serviceAccount.create=false" not in values)

    def test_no_account_is_bound_that_was_neither_made_nor_named(self):
        self.refuse("serviceAccount.name must name a ServiceAccount", "serviceAccount.create=false")

    def test_no_two_objects_have_the_same_name_and_every_one_has_a_place(self):
        for values in VARIANTS:
            places = [self.place(found) for found in self.objects(*values)]
            self.assertEqual(len(places), len(set(places)))
            for kind, namespace, _ in places:
                self.assertEqual(namespace is None, kind.startswith("Cluster") or kind == "CustomResourceDefinition", kind)

    def test_the_selectors_select_the_pod_and_no_pod_of_a_platform(self):
        for values in [[], POD, ["podLabels.app\\.kubernetes\\.io/name=outro"]]:
            deployment = self.the("Deployment", *values)
            selector = deployment["spec"]["selector"]["matchLabels"]
            self.assertEqual(selector, {"app.kubernetes.io/name": "doacoes-operator", "app.kubernetes.io/instance": "site"})
            self.assertEqual(self.the("Service", *values)["spec"]["selector"], selector)
            self.assertLessEqual(selector.items(), deployment["spec"]["template"]["metadata"]["labels"].items())

    def test_one_operator_writes_at_a_time(self):
        spec = self.the("Deployment")["spec"]
        self.assertEqual((spec["replicas"], spec["strategy"]), (1, {"type": "Recreate"}))

    def test_the_pod_security_standard_restricted_accepts_the_pod(self):
        for values in VARIANTS:
            pod = self.pod(*values)
            self.assertEqual(
                pod["securityContext"],
                {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
            )
            self.assertFalse({"hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers"} & pod.keys())
            [container] = pod["containers"]
            self.assertEqual(
                container["securityContext"],
                {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
            )
            self.assertFalse(any("hostPort" in port for port in container["ports"]))

    def test_only_the_operators_pod_gets_the_accounts_token(self):
        self.assertIs(self.the("ServiceAccount")["automountServiceAccountToken"], False)
        self.assertIs(self.pod()["automountServiceAccountToken"], True)

    def test_the_pod_is_as_the_values_say(self):
        pod, [container] = self.pod(*POD), self.pod(*POD)["containers"]
        self.assertEqual(container["image"], "localhost/doacoes/operator@sha256:" + 64 * "0")
        self.assertEqual(container["resources"], {"requests": {"cpu": "20m", "memory": "32Mi"}})
        self.assertEqual(pod["imagePullSecrets"], [{"name": "registro"}])
        self.assertEqual(pod["nodeSelector"], {"disco": "ssd"})
        self.assertEqual(pod["tolerations"], [{"key": "dedicado", "operator": "Exists"}])
        self.assertEqual(list(pod["affinity"]), ["podAntiAffinity"])
        self.assertEqual(pod["priorityClassName"], "system-cluster-critical")
        metadata = self.the("Deployment", *POD)["spec"]["template"]["metadata"]
        self.assertEqual((metadata["labels"]["equipe"], metadata["annotations"]), ("doacoes", {"equipe": "doacoes"}))

    def test_the_image_is_that_of_the_charts_release_unless_another_is_named(self):
        release = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
        for values, image in [
            ([], f"localhost/doacoes/operator:{release}"),
            (["image.repository=registry.example.org:5000/operator", "image.tag=1.0"], "registry.example.org:5000/operator:1.0"),
        ]:
            self.assertEqual(self.pod(*values)["containers"][0]["image"], image)

    def test_probes_and_service_reach_the_admin_port(self):
        [container] = self.pod()["containers"]
        self.assertEqual(container["ports"], [{"name": "admin", "containerPort": 8081}])
        for probe, path in [("livenessProbe", "/livez"), ("readinessProbe", "/readyz")]:
            self.assertEqual(container[probe]["httpGet"], {"path": path, "port": "admin"})
        spec = self.the("Service")["spec"]
        self.assertEqual((spec["type"], spec["ports"]), ("ClusterIP", [{"name": "admin", "port": 8081, "targetPort": "admin"}]))
        self.assertNotIn("Service", self.kinds("metrics.service.enabled=false"))

    def test_the_operator_is_told_what_to_log_and_what_its_pod_is_called(self):
        self.assertEqual(
            self.environment("log=debug"),
            {"LOG": {"value": "debug"}, "POD_NAME": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}},
        )

    def test_the_notes_end_in_a_platform_that_the_definition_knows(self):
        for values, words in [
            ([], ["keeps the DonationPlatforms of all namespaces.", "hack/images load", "create namespace doacoes\n"]),
            (NAMESPACES, ["the namespaces campanhas, testes and of no others.", "apply --namespace campanhas "]),
            (["crds.install=false"], ["not ready until there is one"]),
            (["crds.keep=false"], ["deletes the\nCustomResourceDefinition"]),
        ]:
            notes = self.notes(*values)
            for text in [*words, "--namespace sistema rollout status deployment/site-operator\n"]:
                self.assertIn(text, notes)
            self.check_platform(yaml.safe_load(notes.split("<<'EOF'\n")[1].split("EOF\n")[0]))
        self.assertNotIn("hack/images", self.notes("image.repository=registry.example.org/operator"))

    def test_the_other_examples_are_such_platforms_too(self):
        annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
        [example] = yaml.safe_load(annotations["artifacthub.io/crdsExamples"])
        self.check_platform(example)
        self.check_platform(yaml.safe_load((CHART / "README.md").read_text().split("<<'EOF'\n")[1].split("EOF\n")[0]))
        [described] = yaml.safe_load(annotations["artifacthub.io/crds"])
        definition = self.the("CustomResourceDefinition")
        [version] = definition["spec"]["versions"]
        self.assertLessEqual(
            {"kind": definition["spec"]["names"]["kind"], "name": definition["metadata"]["name"], "version": version["name"]}.items(),
            described.items(),
        )

    def test_unknown_and_malformed_values_are_refused(self):
        for value in [
            "crd.install=false",
            "crds.instal=false",
            "crds.keep=sim",
            "replicas=2",
            "image.name=operator",
            "image.repository=operator:0.1.0",
            "image.digest=0123",
            "image.pullPolicy=Sometimes",
            "imagePullSecrets={registro}",
            "watchNamespaces=campanhas",
            "watchNamespaces={campanhas,campanhas}",
            "watchNamespaces={Campanhas}",
            "log=",
            "metrics.service.type=NodePort",
            "serviceAccount.rights=all",
            "resources.claims[0].name=gpu",
            "podLabels.equipe=1",
            "tolerations[0].chave=dedicado",
            "affinity.nodes=ssd",
        ]:
            self.refuse("values don't meet the specifications of the schema", value)

    def test_a_kubernetes_that_is_too_old_is_refused(self):
        done = self.helm_with(*self.render(kubernetes=TOO_OLD))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("requires kubeVersion", done.stderr)

    def test_the_package_holds_the_dashboard_and_not_this_test(self):
        self.succeed("package", str(CHART), "--destination", str(self.folder))
        [package] = self.folder.glob("*.tgz")
        dashboard = "dashboards/doacoes-api.json"
        with tarfile.open(package) as archive:
            self.assertEqual(archive.extractfile(f"doacoes/{dashboard}").read(), (CHART / dashboard).read_bytes())
            self.assertEqual([name for name in archive.getnames() if "test" in name or name.endswith(".py")], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
