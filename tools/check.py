#!/usr/bin/python3
"""House rules that a compiler does not check. Run by ./dev test; alone: tools/check.py [RULE...]

A rule is a function from the tree (a dict of path to text) to its findings, "path:line: what".
tools/allowed.txt holds the exceptions, each with its reason. tests/tools/check_test.py shows each
rule a sample that it must refuse.
"""

import fnmatch
import os
import re
import shutil
import subprocess
import sys

MODULE_TESTS_EXEMPT = ("tests/", "benchmarks/")
LINES_MAX = 1000

# What to write instead. A call through a pointer in a struct (device->sync) is not meant.
BANNED_CALLS = {
    "strcpy": "memcpy of a checked size, or snprintf",
    "strncpy": "memcpy of a checked size (strncpy may leave no end mark)",
    "strcat": "snprintf at a known offset",
    "strncat": "snprintf at a known offset",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "atoi": "strtol with errno and the end checked",
    "atol": "strtol with errno and the end checked",
    "atof": "integers",
    "rand": "base_prng",
    "srand": "base_prng",
    "random": "base_prng",
    "srandom": "base_prng",
    "time": "clock_gettime in a shell, a time handed in elsewhere",
    "gettimeofday": "clock_gettime in a shell, a time handed in elsewhere",
    "localtime": "gmtime_r",
    "gmtime": "gmtime_r",
    "strtok": "strtok_r",
    "alloca": "base_alloc, or an array of a named maximum",
    "assert": "TORC_ASSERT, which no build switches off",
    "system": "posix_spawn or uv_spawn with an argument vector",
    "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
}
BANNED_CALLS_IN_TESTS = {
    "sleep": "a wait on the condition, with a deadline",
    "usleep": "a wait on the condition, with a deadline",
}


def is_c(path):
    return path.endswith((".c", ".h"))


def is_source(path):
    return path.endswith((".c", ".h", ".py", ".sh", ".bzl", ".proto")) or path in ("dev", ".ci/run")


def lines_of(text):
    return enumerate(text.splitlines(), start=1)


def code_only(text):
    """C without its comments and literals, line for line."""

    def blank(match):
        return '""' + "\n" * match.group(0).count("\n")

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def rule_guards(tree):
    """A header's guard is its path, and closes at its end (an inert guard compiles)."""
    for path, text in tree.items():
        if not path.endswith(".h"):
            continue
        guard = "TORC_" + re.sub(r"[^A-Z0-9]", "_", path.upper())
        directives = re.findall(r"^#.*", text, flags=re.M)[:2]
        if directives != [f"#ifndef {guard}", f"#define {guard}"]:
            yield f"{path}:1: the first directives are not #ifndef and #define {guard}"
        elif not text.rstrip().splitlines()[-1].startswith("#endif"):
            yield f"{path}:{text.count(chr(10))}: the guard does not close at the end of the file"


def rule_own_header_first(tree):
    """x.c includes x.h before anything else, so that each header is shown to stand alone."""
    for path, text in tree.items():
        header = path[:-2] + ".h"
        if path.endswith(".c") and header in tree:
            first = re.search(r'^#include\s+["<](.*)[">]', text, flags=re.M)
            if first is None or first.group(1) != header:
                yield f'{path}:1: the first include is not "{header}"'


def rule_banned_calls(tree):
    """Calls that have a better replacement, which the finding names."""
    for path, text in tree.items():
        if not is_c(path):
            continue
        banned = dict(BANNED_CALLS)
        if path.startswith("tests/"):
            banned.update(BANNED_CALLS_IN_TESTS)
        pattern = re.compile(r"(?<![.>\w])(" + "|".join(banned) + r")\s*\(")
        for number, line in lines_of(code_only(text)):
            for match in pattern.finditer(line):
                yield f"{path}:{number}: {match.group(1)}: use {banned[match.group(1)]}"


def rule_markers(tree):
    """Nothing is left for later in the text: it is done, or it is an open issue."""
    pattern = re.compile(r"\b(FIX" + "ME|TO" + "DO|XX" + r"X|HA" + r"CK)\b")
    for path, text in tree.items():
        for number, line in lines_of(text):
            if pattern.search(line):
                yield f"{path}:{number}: {pattern.search(line).group(1)}"


def rule_length(tree):
    """A file is one idea."""
    for path, text in tree.items():
        count = len(text.splitlines())
        if is_source(path) and count > LINES_MAX:
            yield f"{path}:{count}: {count} lines; {LINES_MAX} at most"


def rule_whitespace(tree):
    """No blanks at the end of a line; a newline at the end of the file."""
    for path, text in tree.items():
        if not (is_source(path) or path.endswith((".md", "BUILD", "WORKSPACE"))):
            continue
        for number, line in lines_of(text):
            if line != line.rstrip():
                yield f"{path}:{number}: blanks at the end of the line"
        if text and not text.endswith("\n"):
            yield f"{path}:{text.count(chr(10)) + 1}: no newline at the end of the file"


def rule_dead_files(tree):
    """Every source file is named by the BUILD file over it."""
    for path in tree:
        if not (is_c(path) or path.endswith(".proto")):
            continue
        folder = os.path.dirname(path)
        while folder and f"{folder}/BUILD" not in tree:
            folder = os.path.dirname(folder)
        build = tree.get(f"{folder}/BUILD" if folder else "BUILD", "")
        name = os.path.relpath(path, folder or ".")
        quoted = re.findall(r'"([^"\n]*)"', build)
        by_macro = name.endswith(("_test.c", "_fuzz.c")) and name[:-2] in quoted
        if not by_macro and not any(fnmatch.fnmatchcase(name, one) for one in quoted):
            yield f"{path}:1: not named in {folder or '.'}/BUILD"


def rule_machine_paths(tree):
    """No path of one particular machine; tests make their files under TEST_TMPDIR."""
    anywhere = re.compile(r"(?<![\w.$}/])/(work|root|home)/\w")
    temporary = re.compile(r"(?<![\w.$}/])/tmp/\w")
    for path, text in tree.items():
        for number, line in lines_of(text):
            if anywhere.search(line) or (is_source(path) and temporary.search(line)):
                yield f"{path}:{number}: {line.strip()}"


def rule_unit_tests(tree):
    """module/x.c with module/x.h has tests/unit/module/x_test.c."""
    for path in tree:
        if not path.endswith(".c") or path.startswith(MODULE_TESTS_EXEMPT):
            continue
        test = f"tests/unit/{path[:-2]}_test.c"
        if path[:-2] + ".h" in tree and test not in tree:
            yield f"{path}:1: has no {test}"


def rule_links(tree):
    """A document's links to files of the tree lead somewhere."""
    folders = {os.path.dirname(path) for path in tree}
    folders |= {folder[:at] for folder in folders for at in range(len(folder)) if folder[at] == "/"}
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        for number, line in lines_of(text):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                full = os.path.normpath(os.path.join(os.path.dirname(path), target))
                if "://" not in target and full not in tree and full not in folders:
                    yield f"{path}:{number}: {target} does not exist"


def rule_tables(tree):
    """The rows of a document's table have as many cells as its head."""
    for path, text in tree.items():
        if not path.endswith(".md"):
            continue
        width, fenced = None, False
        for number, line in lines_of(text):
            fenced ^= line.startswith("```")
            if fenced or not line.startswith("|"):
                width = None
                continue
            cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) - 1
            width = width or cells
            if cells != width:
                yield f"{path}:{number}: {cells} cells, where the table's head has {width}"


def run_tool(command, inputs):
    """A tool's findings, one a line; None when the tool is not installed."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command + sorted(inputs), capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).splitlines()
    return said if done.returncode != 0 else []


def rule_clang_format(tree):
    """C is formatted by .clang-format."""
    sources = [path for path in tree if is_c(path)]
    findings = run_tool(["clang-format", "--dry-run", "-Werror", "-style=file"], sources)
    if not findings:
        return findings
    unformatted = {line.partition(":")[0] for line in findings if ": error:" in line}
    return [f"{path}:1: clang-format -i {path}" for path in sorted(unformatted)]


def rule_shellcheck(tree):
    """Scripts pass shellcheck."""
    scripts = [path for path, text in tree.items() if re.match(r"#!.*\b(ba)?sh\b", text)]
    return run_tool(["shellcheck", "--format=gcc", "--external-sources"], scripts)


RULES = {name[5:].replace("_", "-"): rule for name, rule in globals().items() if name.startswith("rule_")}


def read_tree():
    """The text files that git has or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    tree = {}
    for path in filter(None, listed.split("\0")):
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as stream:
                content = stream.read()
            if b"\0" not in content:
                tree[path] = content.decode("utf-8", "replace")
    return tree


def read_allowed(text):
    """Lines "RULE PATH  # reason" as a set of pairs; a line without a reason is an error."""
    allowed = set()
    for number, line in lines_of(text):
        entry, mark, reason = line.partition("#")
        if entry.strip():
            fields = entry.split()
            if len(fields) != 2 or not mark or not reason.strip():
                sys.exit(f"tools/allowed.txt:{number}: expected RULE PATH # reason")
            allowed.add(tuple(fields))
    return allowed


def findings_of(name, tree, allowed):
    """What a rule finds, without the exceptions; an exception that nothing needs is a finding."""
    found = RULES[name](tree)
    if found is None:
        return None
    excepted = {path for rule, path in allowed if rule == name}
    kept, used = [], set()
    for finding in found:
        path = finding.partition(":")[0]
        used.add(path)
        if path not in excepted:
            kept.append(finding)
    kept += [f"tools/allowed.txt:1: {name} {path} is not needed" for path in excepted - used]
    return kept


def main(names):
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    for name in names:
        if name not in RULES:
            sys.exit(f"tools/check.py: no rule {name}; there are: {' '.join(RULES)}")
    tree = read_tree()
    allowed = read_allowed(tree.get("tools/allowed.txt", ""))
    failed = False
    for name in names or RULES:
        findings = findings_of(name, tree, allowed)
        if findings is None:
            print(f"SKIPPED {name}: its tool is not installed")
            continue
        print(f"{'FAILED' if findings else 'PASSED'} {name}")
        for finding in findings:
            print(f"    {finding}")
        failed = failed or bool(findings)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
