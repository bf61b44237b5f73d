"""What donors and organizers do on the platform, also while parts of it come and go."""

import base64
import concurrent.futures
import unittest
import urllib.request
import uuid

import doacoes
from api_client import CODE, Api, eventually, new_e2eid
from doacoes import NAMESPACE, Donors, ask, cluster, donate, hot_campaign, kubectl, names, no_api_pod_is_leaving, pods, selector

def setUpModule():
    doacoes.start()
    doacoes.lift_limits()


class Platform(unittest.TestCase):
    def test_an_organizer_signs_up_and_a_guests_donation_is_paid_claimed_and_refunded(self):
        site, address = Api(cluster.site), f"ana-{uuid.uuid4().hex[:8]}@exemplo.org.br"

        # Nobody delivers mail here, so it waits, and an operator of the cluster can read it.
        def code():
            found = CODE.search(kubectl("exec", "deployment/doacoes-api", "--", "/api", "admin", "mail", "--to", address))
            return found and found[0]

        cookie = site.new_account(address, lambda _: eventually("the letter with the code lies there", code, 20))
        campaign = site.new_campaign(cookie, site.new_organizadora(cookie), meta_centavos=500_000)
        given = donate(campaign, 5000)
        self.assertEqual(given[0], 201, given)
        donation, token = given[2], given[1]["Doacao-Token"]
        paid = {"valor_centavos": 5000, "e2eid": new_e2eid()}
        settled = site.must(200, "POST", f"simulado/pagamentos/{donation['pagamento']['txid']}", paid).json()
        self.assertEqual(settled["situacao"], "confirmada")
        total = lambda name: ask("GET", f"campanhas/{campaign}/totais")[2][name]
        eventually("the total moves", lambda: total("arrecadado_centavos") == 5000, 10)
        claim = {"doacao_id": donation["id"], "token": token}
        site.must(200, "POST", "eu/doacoes/reivindicacoes", claim, cookie=cookie)
        self.assertEqual(site.must(200, "GET", "eu/doacoes", cookie=cookie).json()["itens"][0]["id"], donation["id"])
        key = {"Idempotency-Key": str(uuid.uuid4())}
        refund = site.must(201, "POST", f"doacoes/{donation['id']}/devolucoes", {}, cookie=cookie, headers=key).json()
        self.assertEqual(refund["situacao"], "devolvida")
        eventually("what went back is told", lambda: total("devolvido_centavos") == 5000, 10)
        self.assertEqual(total("arrecadado_centavos"), 5000)

    def test_the_first_administrator_logs_in_with_the_generated_password(self):
        password = kubectl("get", "secret", "doacoes-admin", "--output", "jsonpath={.data.password}")
        login = {"email": doacoes.platform()["spec"]["firstAdmin"]["email"], "senha": base64.b64decode(password).decode()}
        status, headers, body = ask("POST", "sessoes", login)
        self.assertEqual(status, 201, body)
        status, _, account = ask("GET", "eu", Cookie=headers["Set-Cookie"].split(";")[0])
        self.assertEqual((status, account["papel"]), (200, "admin"), account)

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
                most = max(most, doacoes.server_connections())
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
        doacoes.up()
        self.assertEqual([revision(*workload) for workload in workloads], before)

    def test_the_reference_is_served_by_nginx_itself(self):
        for path, kind in [("/docs/", "text/html"), ("/docs/index.html", "text/html"), ("/openapi.json", "application/json")]:
            with urllib.request.urlopen(cluster.site + path, timeout=10) as answer:
                self.assertEqual(answer.headers.get_content_type(), kind)
                self.assertEqual("x-request-id" in answer.headers, path == "/openapi.json")
                self.assertIn("Content-Security-Policy", answer.headers)


if __name__ == "__main__":
    unittest.main()
