#!/usr/bin/python3
"""Each rule of tools/check.py refuses its bad sample and lets the good one pass."""

import importlib.util
import os
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
SPEC = importlib.util.spec_from_file_location("check", os.path.join(HERE, "../../tools/check.py"))
check = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(check)

GUARD = "#ifndef TORC_RING_RING_H\n#define TORC_RING_RING_H\n"
MARK = "FIX" + "ME"
HOME, TMP = "/ro" + "ot/", "/t" + "mp/"

# Rule: (good trees, bad trees).
SAMPLES = {
    "guards": (
        [{"ring/ring.h": f"/* ring */\n{GUARD}int x;\n#endif /* TORC_RING_RING_H */\n"}],
        [
            {"ring/ring.h": "int x;\n"},
            {"ring/ring.h": GUARD.replace("RING_RING", "RING") + "#endif\n"},
            {"ring/ring.h": GUARD.replace("define TORC_RING", "define TORC_RINGS") + "#endif\n"},
            {"ring/ring.h": f"{GUARD}#endif\nint x;\n"},
        ],
    ),
    "own-header-first": (
        [{"a/x.c": '#include "a/x.h"\n#include <stdio.h>\n', "a/x.h": ""}, {"a/y.c": "#include <stdio.h>\n"}],
        [{"a/x.c": '#include <stdio.h>\n#include "a/x.h"\n', "a/x.h": ""}, {"a/x.c": "", "a/x.h": ""}],
    ),
    "banned-calls": (
        [
            {"a/x.c": "/* time(NULL) */ cr_assert(1); // rand()\n"},
            {"a/x.c": 'puts("sprintf(");\n'},
            {"a/x.c": "device->time(device); clock.time(); runtime();\n"},
            {"a/x.c": "sleep(1);\n"},
        ],
        [{"a/x.c": f"int y;\nx = {call} (1);\n"} for call in check.BANNED_CALLS]
        + [{"tests/unit/a/x_test.c": f"{call}(1);\n"} for call in check.BANNED_CALLS_IN_TESTS],
    ),
    "markers": (
        [{"a/x.c": "mkdtemp(name.XXXXXX)\n"}],
        [{"README.md": f"{MARK}: later\n"}, {"a/x.c": "/* TO" + "DO(me) */\n"}],
    ),
    "length": ([{"a/x.c": "\n" * 1000}, {"tests/golden/x.txt": "\n" * 9999}], [{"a/x.c": "\n" * 1001}]),
    "whitespace": ([{"a/x.c": "int x;\n"}, {"a/x.c": ""}], [{"a/x.c": "int x; \n"}, {"README.md": "no end"}]),
    "dead-files": (
        [
            {"a/BUILD": 'srcs = ["x.c"]', "a/x.c": ""},
            {"a/BUILD": 'srcs = ["b/x.c"]', "a/b/x.c": ""},
            {"a/BUILD": 'torc_unit_test(name = "x_test")', "a/x_test.c": ""},
            {"a/BUILD": 'glob(["*.h"])', "a/x.h": ""},
        ],
        [{"a/BUILD": 'srcs = ["y.c"]', "a/x.c": ""}, {"a/x.h": ""}, {"a/BUILD": 'name = "x"', "a/x.c": ""}],
    ),
    "machine-paths": (
        [{"README.md": "see docs/home/x and https://host/home/x\n"}, {"README.md": f"mkdir {TMP}torc\n"}],
        [{"README.md": f"cd {HOME}torc\n"}, {"a/x.c": f'open("{TMP}x");\n'}],
    ),
    "unit-tests": (
        [
            {"a/x.c": "", "a/x.h": "", "tests/unit/a/x_test.c": ""},
            {"a/main.c": ""},
            {"tests/lib/x.c": "", "tests/lib/x.h": ""},
        ],
        [{"a/x.c": "", "a/x.h": ""}],
    ),
    "links": (
        [
            {"docs/a.md": "[b](b.md#part) [c](../ring/) [d](https://host/x)\n", "docs/b.md": "", "ring/ring.c": ""},
            {"docs/a.md": "[top](#top)\n"},
        ],
        [{"docs/a.md": "[b](b.md)\n"}, {"docs/a.md": "[b](docs/a.md)\n"}],
    ),
    "tables": (
        [
            {"a.md": "| a | b |\n|---|---|\n| `x | y` | c \\| d |\n\n| a |\n|---|\n"},
            {"a.md": "```\n| a |\n| a | b |\n```\n"},
        ],
        [{"a.md": "| a | b |\n|---|---|\n| a | b | c |\n"}, {"a.md": "| a | b |\n|---|---|\n| a |\n"}],
    ),
    "clang-format": ([{"good.c": "int x;\n"}], [{"bad.c": "int   x ;\n"}]),
    "shellcheck": ([{"good.sh": "#!/bin/bash\necho hello\n"}], [{"bad.sh": "#!/bin/bash\ncat $1\n"}]),
}
NEED_FILES = ("clang-format", "shellcheck")


class CheckTest(unittest.TestCase):
    def findings(self, name, tree):
        if name not in NEED_FILES:
            return list(check.RULES[name](tree))
        before = os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            for path, text in tree.items():
                with open(os.path.join(folder, path), "w", encoding="utf-8") as stream:
                    stream.write(text)
            os.chdir(folder)
            try:
                found = check.RULES[name](tree)
            finally:
                os.chdir(before)
        if found is None:
            self.skipTest(f"{name} is not installed")
        return list(found)

    def test_every_rule_has_samples(self):
        self.assertEqual(set(check.RULES), set(SAMPLES))

    def test_an_exception_hides_its_finding_and_no_other(self):
        tree = {"a/x.c": "rand();\n", "a/y.c": "rand();\n"}
        found = check.findings_of("banned-calls", tree, {("banned-calls", "a/x.c"), ("markers", "a/y.c")})
        self.assertEqual([one.partition(":")[0] for one in found], ["a/y.c"])

    def test_an_exception_that_nothing_needs_is_a_finding(self):
        self.assertEqual(len(check.findings_of("banned-calls", {}, {("banned-calls", "a/x.c")})), 1)

    def test_an_exception_needs_a_reason(self):
        self.assertEqual(check.read_allowed("# note\nlength a/x.c # generated\n"), {("length", "a/x.c")})
        for line in ("length a/x.c", "length a/x.c #", "length # why"):
            with self.assertRaises(SystemExit):
                check.read_allowed(line)


def add_rule_test(name, good, bad):
    def run(self):
        for tree in good:
            self.assertEqual(self.findings(name, tree), [], tree)
        for tree in bad:
            self.assertNotEqual(self.findings(name, tree), [], tree)

    setattr(CheckTest, "test_" + name.replace("-", "_"), run)


for rule, (good_trees, bad_trees) in SAMPLES.items():
    add_rule_test(rule, good_trees, bad_trees)

if __name__ == "__main__":
    unittest.main()
