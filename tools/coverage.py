#!/usr/bin/env python3
"""coverage.py --root DIR --unit DIR --sim DIR [--json] [--document] [--missing] [MODULE...]

Reads what gcov counted (tools/coverage.sh) and tells, by module and file, the share of lines and
branches that the simulator, the unit tests, and both together reached. Not counted are lines with
TORC_ASSERT, whose other branch ends the process, and with TORC_MUTANT or PAXOS_MUTANT, whose other
branch is not in the product."""
import argparse
import collections
import gzip
import itertools
import json
import os
import subprocess
import sys
import tempfile

MODULES = ["base", "ring", "paxos", "store", "shard", "router", "wire"]
LEFT_OUT = ("TORC_ASSERT", "TORC_MUTANT", "PAXOS_MUTANT")
PARTS = ("sim", "unit", "both")


def added(first, second):
    """Counts of branches of one line; two copies of it may not have as many."""
    return [a + b for a, b in itertools.zip_longest(first, second, fillvalue=0)]


class File:
    """Counts by line: how often, and the same for each of its branches."""

    def __init__(self):
        self.lines = collections.defaultdict(int)
        self.branches = {}
        self.functions = {}  # First line: name.

    def take(self, data):
        for function in data["functions"]:
            self.functions[function["start_line"]] = function["name"]
        for line in data["lines"]:
            number = line["line_number"]
            self.lines[number] += line["count"]
            counts = [branch["count"] for branch in line.get("branches", [])]
            self.branches[number] = added(self.branches.get(number, []), counts)


def gcda_files(tree):
    for folder, _, names in os.walk(tree):
        for name in names:
            if name.endswith(".gcda"):
                yield os.path.join(folder, name)


def read_tree(tree, root):
    """What gcov says of every core's source with counters below `tree`."""
    files = collections.defaultdict(File)
    for gcda in gcda_files(tree):
        inside = os.path.relpath(gcda, tree)
        notes = os.path.join(root, inside[:-len(".gcda")] + ".gcno")
        if not os.path.exists(notes):
            sys.exit(f"coverage: {inside} has no notes beside its object: what was built there "
                     "was not built here")
        link = gcda[:-len(".gcda")] + ".gcno"
        if not os.path.exists(link):
            os.symlink(notes, link)
        with tempfile.TemporaryDirectory() as work:
            said = subprocess.run(["gcov", "--json-format", "--branch-probabilities", gcda],
                                  cwd=work, check=True, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True).stderr
            if "mismatch" in said:
                sys.exit(f"coverage: the counters of {inside} are of another build: {said.strip()}")
            for name in os.listdir(work):
                with gzip.open(os.path.join(work, name)) as stream:
                    for data in json.load(stream)["files"]:
                        if is_core(data["file"]):
                            files[data["file"]].take(data)
    return files


def is_core(path):
    return (path.split("/")[0] in MODULES and path.count("/") == 1 and path.endswith(".c") and
            not os.path.basename(path).startswith("sim_"))


def left_out(path):
    """Lines that are not counted: from one of the words on, until its parentheses are closed. What an
    `if` with it decides about is counted: the compiler drops it where it is not in the product."""
    numbers, still_open = set(), 0
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if still_open > 0 or any(word in line for word in LEFT_OUT):
                numbers.add(number)
                still_open = max(0, still_open + line.count("(") - line.count(")"))
    return numbers


def figures(files, path, skipped):
    """[lines reached, lines, branches reached, branches]"""
    file = files.get(path)
    if file is None:
        return [0, 0, 0, 0]
    lines = {n: c for n, c in file.lines.items() if n not in skipped}
    branches = [c for n, counts in file.branches.items() if n not in skipped for c in counts]
    return [sum(c > 0 for c in lines.values()), len(lines), sum(c > 0 for c in branches),
            len(branches)]


def merged(first, second):
    files = collections.defaultdict(File)
    for part in (first, second):
        for path, file in part.items():
            into = files[path]
            into.functions.update(file.functions)
            for number, count in file.lines.items():
                into.lines[number] += count
            for number, counts in file.branches.items():
                into.branches[number] = added(into.branches.get(number, []), counts)
    return files


def share(reached, count):
    return 100.0 if count == 0 else 100.0 * reached / count


def table(parts, modules):
    """Rows of (name, figures by part): each file, then its module's sum."""
    rows = []
    for module in modules:
        paths = sorted(p for p in parts["both"] if p.startswith(module + "/"))
        sums = {part: [0, 0, 0, 0] for part in PARTS}
        for path in paths:
            skipped = left_out(path)
            whole = figures(parts["both"], path, skipped)
            row = {}
            for part in PARTS:
                got = figures(parts[part], path, skipped)
                row[part] = [got[0], whole[1], got[2], whole[3]]
                sums[part] = [a + b for a, b in zip(sums[part], row[part])]
            rows.append((path, row))
        rows.append((module, sums))
    return rows


def print_table(rows):
    print("%-26s %8s %17s %17s %17s" % ("", "lines", "simulation", "unit tests", "both"))
    print("%-26s %8s %17s %17s %17s" % ("", "", *["line  branch"] * 3))
    for name, row in rows:
        cells = ["%6.1f  %6.1f" % (share(*row[part][:2]), share(*row[part][2:])) for part in PARTS]
        print("%-26s %8d %17s %17s %17s" % (name, row["both"][1], *cells))


def print_document(rows):
    """The modules' sums, as docs/simulator.md has them."""
    print("| module | lines | simulation | unit tests | both | branches, both |")
    print("|---|---|---|---|---|---|")
    sums = [(name, row) for name, row in rows if "/" not in name]
    whole = {part: [sum(row[part][i] for _, row in sums) for i in range(4)] for part in PARTS}
    for name, row in [*(("`%s/`" % name, row) for name, row in sums), ("all", whole)]:
        cells = ["%d, %.1f %%" % (row[part][0], share(*row[part][:2])) for part in PARTS]
        print("| %s | %d | %s | %.1f %% |" % (
            name, row["both"][1], " | ".join(cells), share(*row["both"][2:])))


def function_of(file, number):
    starts = [start for start in file.functions if start <= number]
    return file.functions[max(starts)] if starts else "?"


def print_missing(files, modules):
    for path in sorted(files):
        if path.split("/")[0] not in modules and path not in modules:
            continue
        skipped, file = left_out(path), files[path]
        for number in sorted(file.lines):
            counts = file.branches.get(number, [])
            if number in skipped:
                continue
            if file.lines[number] == 0:
                print("%s:%d: never, in %s" % (path, number, function_of(file, number)))
            elif 0 in counts:
                print("%s:%d: %d of %d ways never taken, in %s" % (
                    path, number, counts.count(0), len(counts), function_of(file, number)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--unit", required=True)
    parser.add_argument("--sim", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--document", action="store_true")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("modules", nargs="*")
    arguments = parser.parse_args()
    parts = {part: read_tree(getattr(arguments, part), arguments.root) for part in ("sim", "unit")}
    parts["both"] = merged(parts["sim"], parts["unit"])
    modules = arguments.modules or MODULES
    if not parts["both"]:
        print("coverage.py: no counters below %s and %s" % (arguments.unit, arguments.sim),
              file=sys.stderr)
        return 1
    if arguments.missing:
        print_missing(parts["both"], modules)
        return 0
    rows = table(parts, modules)
    if arguments.json:
        print(json.dumps({name: row for name, row in rows}, indent=1))
    elif arguments.document:
        print_document(rows)
    else:
        print_table(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
