"""The platform that `make up` makes, on three nodes: what donors and organizers do, also while parts of it come and go."""

import concurrent.futures
import json
import random
import re
import subprocess
import sys
import threading
import time
import unittest
import urllib.error
import urllib.request
import uuid

from cluster import ROOT, Cluster, eventually

NAMESPACE = "doacoes"
PASSWORD = "uma frase longa"
cluster = Cluster(nodes=3, http=True)


def setUpModule():
    unittest.addModuleCleanup(cluster.run, "down")
    started = time.monotonic()
    up()
    print(f"platform: up took {time.monotonic() - started:.0f} s", file=sys.stderr)
    lift_limits()


def up():
    result = subprocess.run(
        [ROOT / "hack/up"], env=cluster.environment, text=True, capture_output=True, timeout=3600
    )
    if result.returncode != 0:
        raise AssertionError(f"hack/up failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def lift_limits():
    """All donors of these tests have one address."""
    limits = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "no-limits", "namespace": NAMESPACE}}
    cluster.apply(limits | {"data": {"limits.json": '{"*": null}'}})
    container = {
        "name": "api",
        "env": [{"name": "RATE_LIMITS", "value": "/etc/doacoes/limits/limits.json"}],
        "volumeMounts": [{"name": "limits", "mountPath": "/etc/doacoes/limits"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "limits", "configMap": {"name": "no-limits"}}]}
    kubectl("patch", "deployment", "doacoes-api", "--patch", json.dumps({"spec": {"template": {"spec": pod}}}))
    kubectl("rollout", "status", "--timeout=300s", "deployment/doacoes-api")
    # Those that know limits still serve for a while.
    no_api_pod_is_leaving()


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
    data = None if body is None else json.dumps(body).encode()
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"{cluster.site}/api/v1/{path}", data=data, method=method, headers=headers)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text = answer.read()
            return answer.status, answer.headers, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        text = error.read()
        kind = error.headers.get("Content-Type", "")
        return error.code, error.headers, json.loads(text) if "json" in kind else text.decode(errors="replace")
    except OSError as error:
        return 0, {}, str(error)


def donate(campaign, cents=500, key=None, timeout=20):
    body = {"valor_centavos": cents, "nome_exibicao": "Bia", "aviso_privacidade": "2026-11", "consentimento": True}
    return ask("POST", f"campanhas/{campaign}/doacoes", body, timeout, Idempotency_Key=key or str(uuid.uuid4()))


def hot_campaign():
    status, _, page = ask("GET", "campanhas?limite=1")
    assert status == 200, page
    return page["itens"][0]["slug"]


def cnpj():
    digits = [random.randrange(10) for _ in range(8)] + [0, 0, 0, 1]
    for weights in ([5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2], [6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]):
        rest = sum(digit * weight for digit, weight in zip(digits, weights)) % 11
        digits.append(0 if rest < 2 else 11 - rest)
    return "".join(map(str, digits))


def e2eid():
    return f"E12345678{time.strftime('%Y%m%d%H%M', time.gmtime())}{uuid.uuid4().hex[:11]}"


def server_connections():
    count = kubectl(
        "exec", "doacoes-postgres-0", "--", "psql", "--host=/run/postgresql", "--username=postgres", "--no-psqlrc", "-At",
        "-c", "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'",
    )  # fmt: skip
    return int(count)


class Donors(threading.Thread):
    """Sends ten donations a second, each over a new connection, until it is told to stop."""

    def __init__(self, campaign):
        super().__init__()
        self.campaign, self.stopping, self.answers = campaign, threading.Event(), []

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            while not self.stopping.wait(0.1):
                pool.submit(self.one)

    def one(self):
        status, _, body = donate(self.campaign)
        self.answers.append((status, body))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.join()

    def failed(self):
        return [answer for answer in self.answers if answer[0] != 201]


class Platform(unittest.TestCase):
    def test_an_organizer_signs_up_and_a_guests_donation_is_paid_claimed_and_refunded(self):
        address = f"ana-{uuid.uuid4().hex[:8]}@exemplo.org.br"

        def expect(wanted, answer):
            self.assertEqual(answer[0], wanted, answer[2])
            return answer[2]

        sign_up = {"nome": "Ana", "email": address, "senha": PASSWORD, "aviso_privacidade": "2026-11", "consentimento": True}
        expect(202, ask("POST", "pessoas", sign_up))

        # Nobody delivers mail here, so it waits, and whoever may enter the cluster can read it.
        def code():
            mail = kubectl("exec", "deployment/doacoes-api", "--", "/api", "admin", "mail", "--to", address)
            found = re.search("[0-9a-f]{64}", mail)
            return found and found[0]

        code = eventually("the letter with the code lies there", code, 20)
        expect(201, ask("POST", "emails/verificacoes", {"codigo": code, "senha": PASSWORD}))
        log_in = ask("POST", "sessoes", {"email": address, "senha": PASSWORD})
        expect(201, log_in)
        cookie = log_in[1]["Set-Cookie"].split(";")[0]
        number = cnpj()
        key = {"tipo": "cnpj", "chave": number, "nome_recebedor": "Casa do Caminho", "cidade": "São Paulo"}
        house = {"nome": f"Casa {number}", "cnpj": number, "chave_pix": key}
        house = expect(201, ask("POST", "organizadoras", house, Cookie=cookie))
        campaign = {"titulo": f"Natal {number}", "descricao": "Cestas.", "categoria": "social", "meta_centavos": 500_000}
        campaign = expect(201, ask("POST", "campanhas", campaign | {"organizadora": house["slug"]}, Cookie=cookie))["slug"]
        expect(200, ask("POST", f"campanhas/{campaign}/publicacao", {}, Cookie=cookie))

        given = donate(campaign, 5000)
        donation = expect(201, given)
        paid = {"valor_centavos": 5000, "e2eid": e2eid()}
        self.assertEqual(expect(200, ask("POST", f"simulado/pagamentos/{donation['pagamento']['txid']}", paid))["situacao"], "confirmada")
        total = lambda: ask("GET", f"campanhas/{campaign}/totais")[2]["arrecadado_centavos"]
        eventually("the total moves", lambda: total() == 5000, 10)
        claim = {"doacao_id": donation["id"], "token": given[1]["Doacao-Token"]}
        expect(200, ask("POST", "eu/doacoes/reivindicacoes", claim, Cookie=cookie))
        self.assertEqual(expect(200, ask("GET", "eu/doacoes", Cookie=cookie))["itens"][0]["id"], donation["id"])
        refund = ask("POST", f"doacoes/{donation['id']}/devolucoes", {}, Cookie=cookie, Idempotency_Key=str(uuid.uuid4()))
        self.assertEqual(expect(201, refund)["situacao"], "devolvida")
        eventually("the total moves back", lambda: total() == 0, 10)

    def test_no_statement_is_mixed_up_among_64_connections_through_the_pooler(self):
        template = cluster.get("deployment", "doacoes-api", "--namespace", NAMESPACE)["spec"]["template"]
        spec, name = template["spec"], f"probe-{uuid.uuid4().hex[:8]}"
        for setting in spec["containers"][0]["env"]:
            if setting["name"] == "DATABASE_POOL_SIZE":
                setting["value"] = "64"
        spec.pop("topologySpreadConstraints")
        # Not with the labels of the API: nobody is to be sent here.
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
        cluster.apply(pod)
        self.addCleanup(kubectl, "delete", "pod", name, "--wait=false")
        kubectl("wait", "--for=condition=Ready", "--timeout=120s", f"pod/{name}")

    def test_at_most_50_server_connections_are_open(self):
        campaign, most = hot_campaign(), 0
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            answers = [pool.submit(donate, campaign) for _ in range(600)]
            while not all(answer.done() for answer in answers):
                most = max(most, server_connections())
        self.assertLessEqual({answer.result()[0] for answer in answers}, {201, 503})
        self.assertLessEqual(most, 50)
        self.assertGreater(most, 0)

    def test_four_pods_spread_over_the_nodes_and_the_autoscaler_sees_their_load(self):
        eventually("four pods of the API are ready", lambda: len(pods("api")) >= 4)
        self.assertEqual(len({pod["spec"]["nodeName"] for pod in pods("api")}), 3)

        def measured():
            scaler = cluster.get("hpa", "doacoes-api", "--namespace", NAMESPACE)
            return scaler["status"].get("currentMetrics", [{}])[0].get("resource", {}).get("current", {}).get("averageUtilization")

        eventually("the autoscaler has measured", lambda: measured() is not None, 180)

    def test_a_rolling_update_fails_no_donation(self):
        before = names("api")
        with Donors(hot_campaign()) as donors:
            kubectl("rollout", "restart", "deployment/doacoes-api")
            kubectl("rollout", "status", "--timeout=300s", "deployment/doacoes-api")
            eventually("the old pods are gone", lambda: not set(before) & set(names("api")))
            no_api_pod_is_leaving()
        self.assertGreater(len(donors.answers), 100)
        self.assertEqual(donors.failed(), [])

    def test_the_site_is_back_at_localhost_after_every_nginx_was_deleted(self):
        before = set(names("edge"))
        kubectl("delete", "pods", "--selector", selector("edge"), "--wait=false")
        eventually("others have taken their place", lambda: len(set(names("edge")) - before) == 2)
        eventually("the site answers", lambda: ask("GET", "campanhas?limite=1")[0] == 200, 20)

    def test_donations_outlive_the_database_and_resume_without_a_restart_of_the_api(self):
        campaign, api = hot_campaign(), names("api")
        key = str(uuid.uuid4())
        status, _, given = donate(campaign, key=key)
        self.assertEqual(status, 201, given)
        kubectl("delete", "pod", "doacoes-postgres-0", "--wait=false", "--grace-period=0", "--force")
        seen = set()

        def again():
            status, headers, _ = donate(campaign, timeout=30)
            seen.add(status)
            self.assertTrue(status != 503 or "Retry-After" in headers)
            return status == 201 and names("postgres") == ["doacoes-postgres-0"]

        eventually("donations are taken again", again)
        self.assertLessEqual(seen, {201, 503})
        status, headers, same = donate(campaign, key=key)
        self.assertEqual((status, same["id"]), (201, given["id"]))
        self.assertEqual(names("api"), api)
        self.assertEqual({c["restartCount"] for pod in pods("api") for c in pod["status"]["containerStatuses"]}, {0})

    def test_up_again_changes_nothing(self):
        revision = lambda kind, name: cluster.get(kind, name, "--namespace", NAMESPACE)["metadata"]["generation"]
        workloads = [("deployment", "doacoes-api"), ("deployment", "doacoes-edge"), ("statefulset", "doacoes-postgres")]
        before = [revision(*workload) for workload in workloads]
        up()
        self.assertEqual([revision(*workload) for workload in workloads], before)

    def test_the_reference_is_served_by_nginx_itself(self):
        for path, kind in [("/docs/", "text/html"), ("/docs/index.html", "text/html"), ("/openapi.json", "application/json")]:
            with urllib.request.urlopen(cluster.site + path, timeout=10) as answer:
                self.assertEqual(answer.headers.get_content_type(), kind)
                self.assertEqual("x-request-id" in answer.headers, path == "/openapi.json")
                self.assertIn("Content-Security-Policy", answer.headers)


if __name__ == "__main__":
    unittest.main()
