#!/usr/bin/python3
"""tools/coverage.py, with a pretended gcov that says what the counters' files hold.

A counters' file is the JSON that gcov would write for it, so that each figure of the table can be
counted by hand from the two files below."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

SCRIPT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/coverage.py")

FAKE_GCOV = """#!/usr/bin/python3
import gzip, os, shutil, sys
path = sys.argv[-1]
assert os.path.exists(path[:-len(".gcda")] + ".gcno"), "no notes beside " + path
if "old" in path:
    print(path + ":stamp mismatch with notes file", file=sys.stderr)
with open(path, "rb") as counters, gzip.open(os.path.basename(path) + ".gcov.json.gz", "wb") as out:
    shutil.copyfileobj(counters, out)
"""

SOURCE = """int f(int x)
{
    TORC_ASSERT(x !=
                7);
    if (x)
        return 1;
    if (x > 9 && !PAXOS_MUTANT(NAME))
        return 2;
    return 3;
}
"""
TABLE = """\
                              lines        simulation        unit tests              both
                                         line  branch      line  branch      line  branch
ring/f.c                          5      60.0    50.0      60.0    50.0      80.0   100.0
ring/g.c                          1       0.0   100.0     100.0   100.0     100.0   100.0
ring                              6      50.0    50.0      66.7    50.0      83.3   100.0
"""
DOCUMENT = """\
| module | lines | simulation | unit tests | both | branches, both |
|---|---|---|---|---|---|
| `ring/` | 6 | 3, 50.0 % | 4, 66.7 % | 5, 83.3 % | 100.0 % |
| all | 6 | 3, 50.0 % | 4, 66.7 % | 5, 83.3 % | 100.0 % |
"""


def counted(path, lines, name="f"):
    """What gcov says of a file; lines are {number: (count, counts of branches...)}."""
    return {
        "file": path,
        "functions": [{"start_line": 1, "name": name}],
        "lines": [
            {"line_number": number, "count": counts[0], "branches": [{"count": c} for c in counts[1:]]}
            for number, counts in lines.items()
        ],
    }


class CoverageTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.write("bin/gcov", FAKE_GCOV)
        os.chmod(os.path.join(self.folder, "bin/gcov"), 0o755)
        self.write("ring/f.c", SOURCE)
        self.write("ring/g.c", "int g(void) { return 1; }\n")

    def write(self, path, text):
        path = os.path.join(self.folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(text)

    def counters(self, part, name, *files):
        self.write(f"root/out/{name}.gcno", "")
        self.write(f"{part}/out/{name}.gcda", json.dumps({"files": list(files)}))

    def run_script(self, *arguments):
        parts = [f"--{part}={os.path.join(self.folder, part)}" for part in ("root", "unit", "sim")]
        return subprocess.run(
            [sys.executable, SCRIPT, *parts, *arguments],
            cwd=self.folder,
            env={**os.environ, "PATH": os.path.join(self.folder, "bin") + ":" + os.environ["PATH"]},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            universal_newlines=True,
            check=False,
        )

    def two_runs(self):
        """The simulator goes one way at line 5, a unit test the other; nothing comes to line 8."""
        sim = {1: (3,), 3: (3, 3, 0), 5: (3, 0, 3), 6: (0,), 7: (3, 0, 3), 8: (0,), 9: (3,)}
        unit = {1: (1,), 3: (1, 1, 0), 5: (1, 1, 0), 6: (1,), 7: (0, 0, 0), 8: (0,), 9: (0,)}
        self.counters("sim", "f", counted("ring/f.c", sim))
        self.counters("unit", "f", counted("ring/f.c", unit), counted("ring/f.h", {1: (0,)}))
        self.counters("unit", "g", counted("ring/g.c", {1: (1,)}, "g"), counted("tests/g_test.c", {1: (0,)}))

    def test_table_by_hand(self):
        self.two_runs()
        self.assertEqual(self.run_script("ring").stdout, TABLE)

    def test_the_document_has_the_sums_of_modules(self):
        self.two_runs()
        self.assertEqual(self.run_script("--document", "ring").stdout, DOCUMENT)

    def test_json_has_the_same_figures(self):
        self.two_runs()
        rows = json.loads(self.run_script("--json", "ring").stdout)
        self.assertEqual(rows["ring"], {"sim": [3, 6, 1, 2], "unit": [4, 6, 1, 2], "both": [5, 6, 2, 2]})

    def test_two_programs_of_a_part_add_up(self):
        self.counters("unit", "one", counted("ring/f.c", {5: (1, 1, 0), 6: (1,), 9: (0,)}))
        self.counters("unit", "two", counted("ring/f.c", {5: (2, 0, 2), 6: (0,), 9: (2,)}))
        rows = json.loads(self.run_script("--json", "ring").stdout)
        self.assertEqual(rows["ring/f.c"]["unit"], [3, 3, 2, 2])
        self.assertEqual(rows["ring/f.c"]["sim"], [0, 3, 0, 2])

    def test_missing_names_what_neither_reached(self):
        self.two_runs()
        self.assertEqual(self.run_script("--missing").stdout, "ring/f.c:8: never, in f\n")
        self.counters("sim", "f", counted("ring/f.c", {5: (3, 1, 0), 9: (0,)}))
        self.assertEqual(
            self.run_script("--missing", "ring/f.c").stdout,
            "ring/f.c:5: 1 of 2 ways never taken, in f\n"
            "ring/f.c:8: never, in f\n"
            "ring/f.c:9: never, in f\n",
        )
        self.assertEqual(self.run_script("--missing", "paxos").stdout, "")

    def test_counters_of_another_build_are_a_failure(self):
        self.counters("unit", "old", counted("ring/f.c", {5: (1, 1, 0)}))
        result = self.run_script()
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("old.gcda are of another build", result.stderr)

    def test_counters_without_notes_are_a_failure(self):
        self.two_runs()
        os.remove(os.path.join(self.folder, "root/out/g.gcno"))
        result = self.run_script()
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("g.gcda has no notes", result.stderr)

    def test_no_counters_is_a_failure(self):
        result = self.run_script()
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn("no counters", result.stderr)


if __name__ == "__main__":
    unittest.main()
