"""What the edge's nginx does with who comes too often, in plain HTTP, through a proxy, or while the API is away."""

import http.client
import itertools
import json
import re
import shlex
import subprocess
import time
import unittest
import urllib.parse
import uuid

import doacoes
from api_client import eventually, new_e2eid
from doacoes import ask, cluster, donate, hot_campaign

HOST = "doe.example.org"
LIST = "/api/v1/campanhas"
# Requests that one address may send at once; then one each second.
BURST = 20


def setUpModule():
    doacoes.start()


class Edge(unittest.TestCase):
    """A small platform with small limits, on which nobody else is."""

    @classmethod
    def setUpClass(cls):
        cls.namespace = cls.enterClassContext(cluster.namespace())
        edge = {"service": {"type": "NodePort", "externalTrafficPolicy": "Local"}}
        limit = {"requestsPerSecond": 1, "burst": BURST}
        doacoes.apply_beside("borda", cls.namespace, doacoes.small(HOST, edge, rateLimit=limit))

    def setUp(self):
        self.settled()
        self.pod = cluster.ready_pods(self.namespace, doacoes.selector("edge"))[0]
        self.address = self.pod["status"]["hostIP"]
        # Those of the edge's node do not come from outside.
        nodes = {item["metadata"]["name"]: item["status"]["addresses"][0]["address"] for item in cluster.get("nodes")["items"]}
        self.near, self.far = sorted(set(nodes) - {self.pod["spec"]["nodeName"]})[:2]
        self.address_of = nodes

    def kubectl(self, *arguments):
        return cluster.kubectl("--namespace", self.namespace, *arguments)

    def settled(self):
        """Ready as the resource says now, with one edge pod that stays."""

        def is_settled():
            found = cluster.get("donationplatform", "borda", "--namespace", self.namespace)
            conditions = found.get("status", {}).get("conditions", [])
            current = [one for one in conditions if one["observedGeneration"] == found["metadata"]["generation"]]
            pods = cluster.get("pods", "--namespace", self.namespace, "--selector", doacoes.selector("edge"))["items"]
            return len(pods) == 1 and any((one["type"], one["status"]) == ("Ready", "True") for one in current)

        eventually("the platform with small limits is ready", is_settled, 240)

    def change(self, spec):
        self.kubectl("patch", "donationplatform", "borda", "--type=merge", "--patch", json.dumps({"spec": spec}))
        self.setUp()

    def port(self, scheme):
        ports = cluster.get("service", "borda-edge", "--namespace", self.namespace)["spec"]["ports"]
        return next(port["nodePort"] for port in ports if port["name"] == scheme)

    def curl(self, node, scheme, *arguments, paths=(LIST,)):
        """What curl prints for each path, one after the other, on a node or on this machine."""
        port = self.port(scheme)
        command = ["curl", "--silent", "--show-error", "--insecure", "--max-time", "60", "--resolve", f"{HOST}:{port}:{self.address}"]
        command += [*arguments, *(f"{scheme}://{HOST}:{port}{path}" for path in paths)]
        if node:
            return cluster.run("enter", node, *command).stdout
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def answer(self, node, path=LIST, *arguments, scheme="https"):
        """Status, headers and body."""
        head, _, body = self.curl(node, scheme, "--include", *arguments, paths=[path]).replace("\r\n", "\n").partition("\n\n")
        first, *lines = head.splitlines()
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(first.split()[1]), headers, body

    def codes(self, node, count, *arguments, scheme="https"):
        """The statuses of so many requests, one after the other."""
        discarded = ["--output", "/dev/null"] * count
        text = self.curl(node, scheme, "--write-out", "%{http_code}\\n", *discarded, *arguments, paths=[LIST] * count)
        return [int(line) for line in text.split()]

    def assert_limited(self, codes):
        self.assertEqual(len(codes), 60)
        self.assertEqual(set(codes[:BURST]), {200}, codes)
        self.assertEqual(set(codes), {200, 429}, codes)
        # One more for the request that the rate allows, and one for each second that it took.
        self.assertGreater(codes.count(429), len(codes) - BURST - 15, codes)

    def test_each_address_has_a_bucket_of_its_own_and_a_forged_header_none(self):
        self.assert_limited(self.codes(self.near, 60))
        # Each second gives room for one more, and a bucket of its own for twenty.
        started, codes = time.monotonic(), []
        for number in range(3):
            codes += self.codes(self.near, 5, "--header", f"X-Forwarded-For: 203.0.113.{number}")
        self.assertLessEqual(codes.count(200), 1 + time.monotonic() - started, codes)
        self.assertEqual(set(self.codes(self.far, 5)), {200})

        def refused():
            answer = self.answer(self.near)
            return answer[0] == 429 and answer

        _, headers, body = eventually("the address is refused", refused, 10)
        self.assertEqual((headers["content-type"], headers["retry-after"]), ("application/problem+json", "1"))
        problem = json.loads(body)
        self.assertEqual((problem["status"], problem["type"].rpartition("/")[2]), (429, "limite-excedido"))
        self.assertTrue(problem["correlacao_id"])

    def test_plain_http_is_sent_to_https_and_nothing_else_is_told_there(self):
        for arguments in [], ["--request", "POST", "--data", "{}"]:
            status, headers, _ = self.answer(None, f"{LIST}?limite=3", *arguments, scheme="http")
            self.assertEqual((status, headers["location"]), (308, f"https://{HOST}{LIST}?limite=3"))

    def test_while_the_api_is_away_everybody_is_told_to_come_back_and_the_docs_are_there(self):
        try:
            self.change({"paused": True})
            self.kubectl("scale", "deployment", "borda-api", "--replicas=0")

            eventually("the API is away", lambda: self.slowly(f"{LIST}?limite=2") == 503)
            status, headers, body = self.answer(None, f"{LIST}?limite=2")
            self.assertEqual((status, headers["content-type"], headers["retry-after"]), (503, "application/problem+json", "2"))
            self.assertEqual(json.loads(body)["type"].rpartition("/")[2], "indisponivel")
            self.assertEqual(self.answer(None, "/docs/")[0], 200)
        finally:
            self.change({"paused": False})
        # Names of the network follow a moment after the pods.
        eventually("the API is back", lambda: self.slowly(LIST) == 200, 30)

    def slowly(self, path):
        """The status, asked for not so often that 429 is what is answered."""
        time.sleep(1)
        return self.answer(None, path)[0]

    def test_a_trusted_proxy_tells_whom_it_speaks_for_and_nobody_else_does(self):
        before = cluster.get("donationplatform", "borda", "--namespace", self.namespace)["spec"]["ingress"]
        back = json.dumps([{"op": "replace", "path": "/spec/ingress", "value": before}])
        self.addCleanup(self.kubectl, "patch", "donationplatform", "borda", "--type=json", "--patch", back)
        # The next pods stay on this node, so that the others stay what they are.
        stays = {"kubernetes.io/hostname": self.pod["spec"]["nodeName"]}
        client = {"source": "Header", "trustedCIDRs": [f"{self.address_of[self.near]}/32"]}
        self.change({"ingress": {"managed": {"nodeSelector": stays, "clientIP": client}}})
        one, other = (["--header", f"X-Forwarded-For: 203.0.113.{number}"] for number in (7, 8))
        self.assert_limited(self.codes(self.near, 60, *one))
        self.assertEqual(set(self.codes(self.near, 5, *other)), {200})
        self.assertEqual(set(self.codes(self.far, 5, *one)), {200}, "an address of its own, whatever it says")

        # A load balancer that announces each connection; without TLS, so that a shell can speak to it.
        self.change({"ingress": {"tls": {"none": {}}, "managed": {"clientIP": {"source": "ProxyProtocol"}}}})
        one, other = (f"PROXY TCP4 203.0.113.{number} {self.address} 4000 80\r\n" for number in (7, 8))
        self.assert_limited(self.spoken(self.near, one, 60))
        self.assertEqual(self.spoken(self.near, other, 5), [200] * 5)
        self.assertEqual(self.spoken(self.far, one, 5), [200] * 5)
        self.assertNotIn(200, self.spoken(self.near, "", 1), "who does not announce itself is not heard")

    def spoken(self, node, announcement, count):
        """The statuses of so many requests on one connection that begins with `announcement`."""
        get = f"GET {LIST} HTTP/1.1\r\nHost: {HOST}\r\n"
        text = announcement + f"{get}\r\n" * (count - 1) + f"{get}Connection: close\r\n\r\n"
        script = f"exec 3<>/dev/tcp/{self.address}/{self.port('http')}; printf %s {shlex.quote(text)} >&3; timeout 20 cat <&3"
        output = cluster.run("enter", node, "bash", "-c", script, check=False).stdout
        # An answer begins where the body before it ends, within a line.
        return [int(status) for status in re.findall(r"HTTP/1\.1 (\d{3}) ", output)]


def read(path, **headers):
    """Status, headers and body as they come, on a connection of its own, so that any of the edge's pods answers."""
    site = urllib.parse.urlsplit(cluster.site)
    connection = http.client.HTTPConnection(site.hostname, site.port, timeout=20)
    try:
        connection.putrequest("GET", path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Cache(unittest.TestCase):
    """What the edge keeps is for the request that it was asked for. A kept answer tells the id of the request that it answered first."""

    def assert_apart(self, one, other):
        """Of two requests, given as path and headers, neither is ever answered with what was kept for the other."""
        for _ in range(30):
            for number, (path, headers) in enumerate((one, other)):
                mine = f"{number}-{uuid.uuid4()}"
                status, answer, _ = read(path, X_Request_Id=mine, **headers)
                self.assertIn(status, (200, 404))
                if status == 200:
                    self.assertIn("accept-encoding", ", ".join(answer.get_all("Vary", [])).lower())
                self.assertTrue(answer["X-Request-Id"].startswith(f"{number}-"), f"{other if number == 0 else one} answered {path}")

    def test_no_page_answers_for_another_whose_address_ends_in_an_encoding(self):
        doacoes.settled()
        campaign = f"/api/v1/campanhas/{hot_campaign()}"
        status, _, page = ask("GET", "organizadoras?limite=1")
        self.assertEqual(status, 200, page)
        organizadora = f"/api/v1/organizadoras/{page['itens'][0]['slug']}"
        paths = [campaign, f"{campaign}/doacoes", organizadora, "/api/v1/campanhas?q=natal", f"/api/v1/campanhas?organizadora={page['itens'][0]['slug']}"]
        for path, coding in itertools.product(paths, ("br", "gzip", "identity")):
            with self.subTest(path=path, coding=coding):
                # Without compression the longer one, with it the shorter one: run together, they were the same key.
                self.assert_apart((path, {"Accept_Encoding": coding}), (f"{path}{coding}", {}))

    def test_no_host_answers_for_another_that_begins_with_an_encoding(self):
        doacoes.settled()
        host = urllib.parse.urlsplit(cluster.site).netloc
        for coding in ("br", "gzip", "identity"):
            with self.subTest(coding=coding):
                self.assert_apart(("/api/v1/campanhas", {"Accept_Encoding": coding, "Host": host}), ("/api/v1/campanhas", {"Host": f"{coding}{host}"}))

    def test_what_a_client_has_is_not_sent_again_whatever_else_it_sends(self):
        doacoes.settled()
        campaign = hot_campaign()
        status, answer, donation = donate(campaign)
        self.assertEqual(status, 201, donation)
        token = {"Doacao_Token": answer["Doacao-Token"]}
        requests = [(f"/api/v1/doacoes/{donation['id']}", token)]
        for path in f"campanhas/{campaign}", f"campanhas/{campaign}/totais":
            for headers in {}, {"Cookie": "_ga=1"}, {"Authorization": "Bearer x"}, token:
                requests.append((f"/api/v1/{path}", headers))
        for path, headers in requests:
            for coding in "identity", "gzip, deflate, br":
                with self.subTest(path=path, headers=headers, coding=coding):
                    def same():
                        # Totals move, and pages follow on each pod within two seconds.
                        status, answer, _ = read(path, Accept_Encoding=coding, **headers)
                        self.assertEqual(status, 200)
                        tag = answer["ETag"]
                        known = [tag, f"W/{tag}", f'"x", {tag}', "*"]
                        return all(read(path, Accept_Encoding=coding, If_None_Match=one, **headers)[0] == 304 for one in known)

                    eventually("what the client has is not sent again", same, 10)
                    self.assertEqual(read(path, Accept_Encoding=coding, **headers)[0], 200, "no 304 is kept")


class Freshness(unittest.TestCase):
    def test_totals_never_go_back_for_a_visitor(self):
        doacoes.settled()
        campaign = hot_campaign()
        path = f"/api/v1/campanhas/{campaign}/totais"
        self.assertGreater(len(doacoes.pods("edge")), 1)
        seen = []
        for _ in range(6):
            status, _, donation = donate(campaign, 500)
            self.assertEqual(status, 201, donation)
            paid = {"valor_centavos": 500, "e2eid": new_e2eid()}
            self.assertEqual(ask("POST", f"simulado/pagamentos/{donation['pagamento']['txid']}", paid)[0], 200)
            for _ in range(15):
                status, _, body = read(path)
                self.assertEqual(status, 200)
                seen.append(json.loads(body)["seq"])
                time.sleep(0.1)
        back = [(before, after) for before, after in zip(seen, seen[1:]) if after < before]
        self.assertEqual(back, [], f"of {len(seen)} reads")
        self.assertGreater(seen[-1], seen[0])

    def test_whoever_comes_first_after_a_while_is_not_shown_what_was_before(self):
        doacoes.settled()
        campaign = hot_campaign()
        total = lambda: ask("GET", f"campanhas/{campaign}/totais")[2]["arrecadado_centavos"]
        before = total()
        status, _, donation = donate(campaign, 5000)
        self.assertEqual(status, 201, donation)
        paid = {"valor_centavos": 5000, "e2eid": new_e2eid()}
        self.assertEqual(ask("POST", f"simulado/pagamentos/{donation['pagamento']['txid']}", paid)[0], 200)
        # Longer than the edge may keep an answer, and nobody asks.
        time.sleep(10)
        self.assertEqual(total(), before + 5000)


if __name__ == "__main__":
    unittest.main()
