"""What the Python programs share is right where no server can say so."""

import tempfile
import unittest
from pathlib import Path

import api_client

METRICS = """# HELP operator_writes_total Requests that change something.
# TYPE operator_writes_total counter
operator_writes_total{kind="Service",verb="apply"} 2
operator_writes_total{kind="Secret",verb="apply"} 3
operator_writes_total_of_others 100
operator_platforms{ready="True"} 0
process_resident_memory_bytes 1.5e+07
"""


class Metric(unittest.TestCase):
    def test_the_series_of_one_name_with_these_labels_are_added(self):
        self.assertEqual(api_client.metric(METRICS, "operator_writes_total"), 5)
        self.assertEqual(api_client.metric(METRICS, "operator_writes_total", kind="Secret"), 3)
        self.assertEqual(api_client.metric(METRICS, "operator_platforms", ready="True"), 0)
        self.assertEqual(api_client.metric(METRICS, "process_resident_memory_bytes"), 1.5e7)

    def test_what_is_not_told_is_refused_instead_of_taken_for_zero(self):
        for name, labels in [
            ("operator_write_total", {}),
            ("operator_writes", {}),
            ("operator_writes_total", {"kind": "Job"}),
            ("operator_writes_total", {"ind": "Secret"}),
            ("operator_platforms", {"ready": "true"}),
        ]:
            with self.assertRaises(LookupError, msg=f"{name} {labels}"):
                api_client.metric(METRICS, name, **labels)


class Eventually(unittest.TestCase):
    def test_it_gives_the_first_true_value(self):
        answers = iter([None, 0, "there"])
        self.assertEqual(api_client.eventually("it is there", lambda: next(answers), 5, 0), "there")

    def test_it_fails_with_what_was_waited_for(self):
        with self.assertRaisesRegex(AssertionError, "^not within 0 s: it is there$"):
            api_client.eventually("it is there", lambda: None, 0, 0)


class Numbers(unittest.TestCase):
    def test_check_digits_are_those_of_known_cnpjs(self):
        # The example of the tax office for numbers with letters, and a number as they were before.
        for whole in ["12ABC34501DE35", "11444777000161"]:
            self.assertEqual(api_client.with_check_digits(whole[:12]), whole)

    def test_an_end_to_end_id_has_its_form(self):
        self.assertRegex(api_client.new_e2eid(), r"^E12345678\d{12}[0-9a-f]{11}$")


class Letters(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def write(self, name, to, text):
        (self.folder / f"{name}.eml").write_text(f"To: {to}\n\n{text}\n")

    def test_each_code_is_read_once_and_by_its_owner(self):
        mail, ours, others = api_client.MailFolder(self.folder), "a" * 64, "b" * 64
        self.write("half", "", "")
        self.write("other", "bia@exemplo.org.br", others)
        self.write("notice", "ana@exemplo.org.br", "Nada a fazer.")
        self.assertIsNone(mail.next_code("ana@exemplo.org.br"))
        self.write("code", "ana@exemplo.org.br", f"O código é {ours}.")
        self.assertEqual(mail.code("ana@exemplo.org.br"), ours)
        self.assertIsNone(mail.next_code("ana@exemplo.org.br"))


if __name__ == "__main__":
    unittest.main()
