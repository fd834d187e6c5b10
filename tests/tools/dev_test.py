#!/usr/bin/python3
"""./dev, .ci/run and tools/test.sh, in a copy of the tree's tooling with a pretended Bazel and apt.

The pretended Bazel reads the file "scenario": which tests there are, their tags, how each ends and
what its log says. So the counting and the exit status are seen for endings that a sound tree does
not have.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")

FAKE_BAZEL = r"""#!/usr/bin/python3
import json, os, re, sys

def matches(expression, tests):
    def tagged(part):
        patterns = re.findall(r"attr\(tags, '(.*?)', \$all\)", part)
        return {t for t in tests if any(re.search(p, "[" + ", ".join(tests[t]["tags"]) + "]") for p in patterns)}
    wanted = expression.split(" in ", 1)[1]
    if wanted.startswith("$all - "):
        return set(tests) - tagged(wanted)
    plus, _, minus = wanted.partition(") - ")
    return tagged(plus) - tagged(minus)

with open("scenario") as stream:
    scenario = json.load(stream)
tests = scenario["tests"]
arguments = [a for a in sys.argv[1:] if not a.startswith("--output_base")]
logs = os.path.abspath("testlogs")
command = arguments[0]
if command == "info":
    print(logs if arguments[-1] == "bazel-testlogs" else os.path.abspath("output_base"))
elif command == "query":
    print("\n".join(sorted(matches(arguments[-1], tests))))
elif command == "build":
    sys.exit(scenario.get("build", 0))
elif command == "test":
    path = next(a for a in arguments if a.startswith("--target_pattern_file=")).partition("=")[2]
    labels = open(path).read().split()
    if "dies" in scenario:
        sys.exit(scenario["dies"])
    for label in labels:
        test = tests[label]
        folder = os.path.join(logs, label[2:].replace(":", "/"))
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "test.log"), "w") as stream:
            stream.write(test.get("log", ""))
        print(f"{label}     {test.get('state', 'PASSED')} in 0.1s")
    good = all(tests[l].get("state", "PASSED").endswith("PASSED") for l in labels)
    sys.exit(scenario.get("status", 0) if good else 3)
"""
FAKE_DPKG_QUERY = """#!/bin/bash
for name; do
    [[ $name == -* || $name == *Package* || " $FAKE_MISSING " == *" $name "* ]] || echo "installed $name"
done
[[ -z $FAKE_MISSING ]]
"""
FAKE_APT_GET = '#!/bin/bash\necho "apt-get $*" >>"$FAKE_APT_LOG"\nexit "${FAKE_APT_STATUS:-0}"\n'
FAKE_SUDO = '#!/bin/bash\nexec "$@"\n'


def synthesis(tested, passing, crashing=0):
    return (
        f"[====] Synthesis: Tested: {tested} | Passing: {passing} | "
        f"Failing: {tested - passing} | Crashing: {crashing} \n"
    )


class DevTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        for path in ("dev", ".ci/run", "tools/lib.sh", "tools/test.sh", "build/packages.txt"):
            os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
            shutil.copy(os.path.join(ROOT, path), self.at(path))
        self.script("bin/bazel", FAKE_BAZEL)
        self.script("bin/dpkg-query", FAKE_DPKG_QUERY)
        self.script("bin/apt-get", FAKE_APT_GET)
        self.script("bin/sudo", FAKE_SUDO)
        self.script("tools/check.py", "#!/bin/bash\necho PASSED a-rule\n")
        self.script("tests/tools/a_test.py", "#!/bin/bash\necho 'Ran 2 tests in 0.1s' >&2\n")

    def at(self, path):
        return os.path.join(self.folder, path)

    def script(self, path, text):
        os.makedirs(os.path.dirname(self.at(path)), exist_ok=True)
        with open(self.at(path), "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(self.at(path), 0o755)

    def run_in(self, command, scenario=None, **environment):
        with open(self.at("scenario"), "w", encoding="utf-8") as stream:
            json.dump(scenario or {"tests": {}}, stream)
        return subprocess.run(
            [self.at(command[0])] + command[1:],
            capture_output=True,
            text=True,
            check=False,
            env={
                "PATH": self.at("bin") + ":/usr/bin:/bin",
                "FAKE_MISSING": "",
                "FAKE_APT_LOG": self.at("apt.log"),
                **environment,
            },
        )

    def last_line(self, tests, expected, arguments=("//a:all",), **scenario):
        done = self.run_in(["dev", "test", *arguments], {"tests": tests, **scenario})
        self.assertEqual(done.returncode, expected, done.stdout + done.stderr)
        return done.stdout.splitlines()[-1]

    def test_cases_and_programs_are_counted_in_each_tier(self):
        # Plain and with sanitizers: 3 cases twice; replay, harness and process once.
        tests = {
            "//a:x_test": {"tags": ["unit"], "log": synthesis(3, 3)},
            "//a:x_fuzz": {"tags": ["fuzz_replay"]},
            "//a:harness": {"tags": ["harness", "small"]},
            "//a:kill": {"tags": ["exclusive", "process"]},
        }
        self.assertEqual(self.last_line(tests, 0), "9 passed, 0 failed")

    def test_a_cached_pass_is_a_pass(self):
        tests = {"//a:x": {"tags": ["process"], "state": "(cached) PASSED"}}
        self.assertEqual(self.last_line(tests, 0), "1 passed, 0 failed")

    def test_failing_and_crashing_cases_are_counted(self):
        tests = {"//a:x": {"tags": ["purity"], "state": "FAILED", "log": synthesis(5, 2, crashing=1)}}
        self.assertEqual(self.last_line(tests, 1), "2 passed, 3 failed")

    def test_a_suite_that_dies_after_its_cases_fails(self):
        tests = {"//a:x": {"tags": ["purity"], "state": "TIMEOUT", "log": synthesis(2, 2)}}
        self.assertEqual(self.last_line(tests, 1), "2 passed, 1 failed")

    def test_a_suite_without_tests_fails(self):
        tests = {"//a:x": {"tags": ["purity"], "log": synthesis(0, 0)}, "//a:y": {"tags": ["process"]}}
        self.assertEqual(self.last_line(tests, 1), "1 passed, 1 failed")

    def test_an_old_log_does_not_pass_for_a_test_that_was_not_built(self):
        tests = {"//a:x": {"tags": ["purity"], "state": "FAILED TO BUILD", "log": synthesis(4, 4)}}
        self.assertEqual(self.last_line(tests, 1), "0 passed, 1 failed")

    def test_every_other_ending_fails(self):
        for state in ("FAILED", "TIMEOUT", "FLAKY", "NO STATUS", "INCOMPLETE"):
            tests = {"//a:x": {"tags": ["process"], "state": state}}
            self.assertEqual(self.last_line(tests, 1), "0 passed, 1 failed", state)

    def test_a_bazel_that_dies_without_a_word_fails(self):
        tests = {"//a:x": {"tags": ["process"]}}
        self.assertEqual(self.last_line(tests, 1, (), dies=37), "3 passed, 1 failed")
        self.assertEqual(self.last_line(tests, 1, (), dies=0), "3 passed, 1 failed")

    def test_a_bazel_that_fails_although_all_tests_pass_fails(self):
        tests = {"//a:x": {"tags": ["process"]}}
        self.assertEqual(self.last_line(tests, 1, status=1), "1 passed, 1 failed")

    def test_a_build_that_fails_fails(self):
        tests = {"//a:x": {"tags": ["process"]}}
        self.assertEqual(self.last_line(tests, 1, build=1), "1 passed, 1 failed")

    def test_a_test_of_no_tier_fails(self):
        tests = {"//a:x": {"tags": ["process"]}, "//a:y": {"tags": ["small"]}}
        self.assertEqual(self.last_line(tests, 1), "1 passed, 1 failed")

    def test_no_test_at_all_fails(self):
        self.assertEqual(self.last_line({}, 1), "0 passed, 1 failed")

    def test_what_cannot_run_is_named_with_its_reason(self):
        tests = {"//a:x": {"tags": ["process"], "log": "\nSKIPPED: no loopback\n"}, "//a:y": {"tags": ["process"]}}
        done = self.run_in(["dev", "test", "//a:all"], {"tests": tests})
        self.assertEqual(done.stdout.splitlines()[-1], "1 passed, 0 failed, 1 skipped")
        self.assertIn("SKIPPED  //a:x: no loopback", done.stdout)

    def test_long_tests_run_when_asked_for(self):
        tests = {"//a:x": {"tags": ["harness", "long"]}, "//a:y": {"tags": ["harness"]}}
        self.assertEqual(self.last_line(tests, 0), "1 passed, 0 failed")
        self.assertEqual(self.last_line(tests, 0, ("--long", "//a:all")), "2 passed, 0 failed")

    def test_the_whole_tree_adds_the_house_rules_and_their_tests(self):
        tests = {"//a:x": {"tags": ["process"]}}
        self.assertEqual(self.last_line(tests, 0, ()), "4 passed, 0 failed")
        self.script("tools/check.py", "#!/bin/bash\necho PASSED a-rule\necho FAILED b-rule\nexit 1\n")
        self.assertEqual(self.last_line(tests, 1, ()), "4 passed, 1 failed")
        self.script("tools/check.py", "#!/bin/bash\nexit 1\n")
        self.assertEqual(self.last_line(tests, 1, ()), "3 passed, 1 failed")
        self.script("tools/check.py", "#!/bin/bash\necho PASSED a-rule\n")
        self.script("tests/tools/a_test.py", "#!/bin/bash\nexit 1\n")
        self.assertEqual(self.last_line(tests, 1, ()), "2 passed, 1 failed")

    def test_ci_ends_with_the_status_of_the_tests(self):
        good = {"tests": {"//a:x": {"tags": ["process"]}}}
        bad = {"tests": {"//a:x": {"tags": ["process"], "state": "FAILED"}}}
        self.assertEqual(self.run_in([".ci/run"], good).returncode, 0)
        self.assertEqual(self.run_in([".ci/run"], bad).returncode, 1)

    def test_deps_do_nothing_when_all_is_there(self):
        done = self.run_in(["dev", "deps"])
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        self.assertFalse(os.path.exists(self.at("apt.log")))

    def test_deps_install_what_is_missing_and_say_so(self):
        done = self.run_in(["dev", "deps"], FAKE_MISSING="gcc libzmq3-dev")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("installing gcc libzmq3-dev\n", done.stdout)
        with open(self.at("apt.log"), encoding="utf-8") as stream:
            calls = stream.read().splitlines()
        self.assertTrue(calls[0].endswith(" update"), calls)
        self.assertTrue(calls[1].endswith(" install --yes --no-install-recommends gcc libzmq3-dev"), calls)

    def test_deps_fail_when_apt_does(self):
        done = self.run_in(["dev", "deps"], FAKE_MISSING="gcc", FAKE_APT_STATUS="100")
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get failed", done.stderr)

    def test_commands_that_do_not_exist_are_refused(self):
        for command in (["dev", "nonsense"], ["dev", "test", "--nonsense"]):
            done = self.run_in(command)
            self.assertEqual(done.returncode, 1)
            self.assertIn("nonsense", done.stderr)

    def test_help_names_every_command(self):
        with open(self.at("dev"), encoding="utf-8") as stream:
            source = stream.read()
        labels = re.search(r"^case \$command in\n(.*)^esac", source, flags=re.S | re.M).group(1)
        commands = re.findall(r"[a-z]+", " ".join(re.findall(r"^([a-z |-]+)\)", labels, flags=re.M)))
        said = self.run_in(["dev", "help"]).stdout
        self.assertGreater(len(commands), 10)
        for command in set(commands) - {"h"}:
            self.assertRegex(said, rf"(?m)^  {command} ")

    def test_cluster_commands_are_passed_on_as_they_are(self):
        self.script("bazel-bin/admin/torc-admin", "#!/bin/bash\nprintf '[%s]' \"$@\"\nexit 7\n")
        done = self.run_in(["dev", "admin", "--dir", "a b", "--", "key", ""])
        self.assertEqual((done.returncode, done.stdout), (7, "[dev][admin][--dir][a b][--][key][]"))
        done = self.run_in(["dev", "up", "--detach"])
        self.assertTrue(done.stdout.endswith("[dev][up][--detach]"), done.stdout)


if __name__ == "__main__":
    unittest.main()
