"""The tests on a cluster, with the seconds that each takes. hack/test runs them; the options are those of unittest's discovery."""

import sys
import time
import unittest
from pathlib import Path

SLOWEST = 20


class Timed(unittest.TextTestResult):
    """Writes the seconds of a test behind its verdict. What a module or class sets up is not counted."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seconds = {}

    def startTest(self, test):
        super().startTest(test)
        self.seconds[test.id()] = -time.monotonic()

    def stopTest(self, test):
        self.seconds[test.id()] += time.monotonic()
        self.stream.writeln(f"    {self.seconds[test.id()]:.1f} s")
        super().stopTest(test)

    def printErrors(self):
        super().printErrors()
        self.stream.writeln(f"\nThe {SLOWEST} slowest tests:")
        for name, seconds in sorted(self.seconds.items(), key=lambda item: -item[1])[:SLOWEST]:
            self.stream.writeln(f"{seconds:8.1f} s  {name}")


if __name__ == "__main__":
    folder = str(Path(__file__).resolve().parent)
    runner = unittest.TextTestRunner(resultclass=Timed, verbosity=2)
    unittest.main(module=None, argv=["e2e", "discover", "--start-directory", folder, *sys.argv[1:]], testRunner=runner)
