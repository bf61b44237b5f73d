"""hack/steps.sh says when a step takes longer than usual, and ends with its script."""

import subprocess
import time
import unittest
from pathlib import Path

HACK = Path(__file__).resolve().parent.parent
SCRIPT = """
set -euo pipefail
source {hack}/lib.sh
source {hack}/steps.sh
usual[wait]={usual} look_at[wait]='the clock' step_count=1
step wait 'waiting for a while' {command}
say "and goes on"
"""
LONGER = "bash: this takes longer than the usual {usual} s and goes on. To see what it does: the clock"
TEN_TIMES = "bash: this has taken ten times its usual {usual} s, so something is probably wrong. Look at: the clock."


class Steps(unittest.TestCase):
    def run_step(self, usual, command):
        """The status, and the lines that begin and end the step among those between."""
        script = SCRIPT.format(hack=HACK, usual=usual, command=command)
        # Ends only when nobody has stderr open any more.
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True, timeout=20)
        return done.returncode, done.stderr.splitlines()

    def test_a_step_in_its_usual_time_says_what_it_does_and_how_long_it_took(self):
        status, lines = self.run_step(20, "true")
        self.assertEqual(status, 0)
        self.assertEqual(lines[0], "bash: 1 of 1: waiting for a while; usually 20 s")
        self.assertRegex(lines[1], r"^bash: 1 of 1: done in [01] s$")
        self.assertEqual(lines[2:], ["bash: and goes on"])

    def test_what_takes_longer_is_said_once(self):
        status, lines = self.run_step(0.5, "sleep 2")
        self.assertEqual(status, 0)
        self.assertEqual(lines[1], LONGER.format(usual=0.5))
        self.assertEqual(len(lines), 4, lines)

    def test_ten_times_the_usual_time_is_said_with_what_to_look_at(self):
        status, lines = self.run_step(0.1, "sleep 2")
        self.assertEqual(status, 0)
        self.assertEqual(lines[1], LONGER.format(usual=0.1))
        self.assertTrue(lines[2].startswith(TEN_TIMES.format(usual=0.1)), lines)
        self.assertEqual(len(lines), 5, lines)

    def test_a_step_that_fails_ends_the_script_and_what_watches_it(self):
        started = time.monotonic()
        status, lines = self.run_step(60, "false")
        self.assertEqual((status, len(lines)), (1, 1), lines)
        self.assertLess(time.monotonic() - started, 5)


if __name__ == "__main__":
    unittest.main()
