"""From measurements to medians, ratios and bars. Nothing here runs anything."""

import statistics

MEASURED = ("ops_s", "p50_us", "p99_us", "p999_us", "server_cpu_s_per_kop")
CASE = ("op", "clients", "pipeline", "choice", "pinned")
ETCD_CLIENTS = ("etcd-c", "etcd-go")


def spread(values):
    """Median, least and most."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def case_of(measurement):
    return tuple(measurement[name] for name in CASE)


def summarize(measurements):
    """One row for each case and peer, in the order of their first measurement."""
    groups = {}
    for one in measurements:
        groups.setdefault((case_of(one), one["peer"]), []).append(one)
    rows = []
    for (case, peer), ones in groups.items():
        row = dict(zip(CASE, case), peer=peer, rounds=len(ones), errors=sum(one["errors"] for one in ones))
        for name in MEASURED:
            row[name] = spread([one[name] for one in ones])
        row["syncs_s"] = {
            node: statistics.median(one["syncs_s"].get(node, 0) for one in ones) for node in ones[0]["syncs_s"]
        }
        rows.append(row)
    return rows


def index(rows):
    """Rows by case and peer; "etcd" is the better of its clients in that case."""
    found = {(case_of(row), row["peer"]): row for row in rows}
    for row in rows:
        if row["peer"] in ETCD_CLIENTS:
            best = found.get((case_of(row), "etcd"))
            if best is None or row["ops_s"]["median"] > best["ops_s"]["median"]:
                found[case_of(row), "etcd"] = row
    return found


def comparable(row):
    """Nothing is said of a row with errors, nor of writes that nobody synced."""
    return row["errors"] == 0 and (row["op"] == "get" or sum(row["syncs_s"].values()) > 0)


def ratio(found, case, ours, theirs, name="ops_s"):
    """Of medians; None when there is none to speak of."""
    a, b = found.get((case, ours)), found.get((case, theirs))
    if a is None or b is None or not comparable(a) or not comparable(b) or b[name]["median"] == 0:
        return None
    return a[name]["median"] / b[name]["median"]


def ratios(rows):
    found = index(rows)
    listed = []
    for case in dict.fromkeys(case_of(row) for row in rows):
        for ours in ("torc", "torc-libtorc", "torc-lease"):
            for theirs in ("etcd", "redis"):
                value = ratio(found, case, ours, theirs)
                if value is not None:
                    chosen = found[case, theirs]["peer"]
                    listed.append(dict(zip(CASE, case), ours=ours, theirs=chosen, ratio=value))
    return listed


def bars(rows, probe_p50_us, cpu_max=0.05):
    """What the run is held to: each with its figure through the router and through libtorc."""
    found = index(rows)

    def case(op, clients, pipeline, pinned=False):
        return (op, clients, pipeline, "uniform", pinned)

    def row_value(ours, at, name):
        row = found.get((at, ours))
        return row[name]["median"] if row is not None and comparable(row) else None

    def over_probe(ours):
        value = row_value(ours, case("set", 1, 1, True), "p50_us")
        return value / probe_p50_us if value is not None and probe_p50_us else None

    wide = 64
    wanted = [
        ("SET, 64 clients, x etcd", ">=", 3, lambda us: ratio(found, case("set", wide, 1), us, "etcd")),
        ("SET, 64 clients, x Redis + WAIT", ">=", 1, lambda us: ratio(found, case("set", wide, 1), us, "redis")),
        ("GET, 64 clients, x etcd", ">=", 6, lambda us: ratio(found, case("get", wide, 1), us, "etcd")),
        ("GET, 64 clients, x Redis Cluster", ">=", 0.35, lambda us: ratio(found, case("get", wide, 1), us, "redis")),
        (
            "server CPU seconds per 1,000 SETs, 64 clients",
            "<=",
            cpu_max,
            lambda us: row_value(us, case("set", wide, 1), "server_cpu_s_per_kop"),
        ),
        (
            "SET, 64 clients, pipeline 16, x Redis + WAIT",
            ">=",
            0.5,
            lambda us: ratio(found, case("set", wide, 16), us, "redis"),
        ),
        ("SET, 1 client, pinned: p50 / p50 of a sync", "<=", 2.5, over_probe),
    ]
    listed = []
    for name, relation, bound, value_of in wanted:
        value = value_of("torc")
        met = None if value is None else value >= bound if relation == ">=" else value <= bound
        listed.append(
            {
                "name": name,
                "relation": relation,
                "bound": bound,
                "router": value,
                "libtorc": value_of("torc-libtorc"),
                "met": met,
            }
        )
    return listed


def number(value):
    """Three digits that say something."""
    if value is None:
        return "none"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def range_text(values):
    return f"{number(values['median'])} ({number(values['least'])}-{number(values['most'])})"


def case_text(row):
    pinned = ", pinned" if row["pinned"] else ""
    return f"{row['op'].upper()} {row['clients']} x {row['pipeline']} {row['choice']}{pinned}"


def table(rows):
    """Markdown."""
    lines = [
        "| case | peer | ops/s | p50 µs | p99 µs | p99.9 µs | server CPU s / 1,000 | syncs/s by node | errors |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [case_text(row), row["peer"]] + [range_text(row[name]) for name in MEASURED]
        cells.append(" ".join(f"{node} {count:,.0f}" for node, count in row["syncs_s"].items()) or "none")
        lines.append("| " + " | ".join(cells + [str(row["errors"])]) + " |")
    return "\n".join(lines)


def ratio_table(listed):
    lines = ["| case | torc | peer | ratio of ops/s |", "|---|---|---|---|"]
    for one in listed:
        lines.append(f"| {case_text(one)} | {one['ours']} | {one['theirs']} | {number(one['ratio'])} |")
    return "\n".join(lines)


def bar_table(listed):
    lines = ["| bar | wanted | through the router | through libtorc | |", "|---|---|---|---|---|"]
    for one in listed:
        met = "not measured" if one["met"] is None else "met" if one["met"] else "MISSED"
        lines.append(
            f"| {one['name']} | {one['relation']} {one['bound']} | {number(one['router'])}"
            f" | {number(one['libtorc'])} | {met} |"
        )
    return "\n".join(lines)


def level(samples, name, tolerance, slack=0, falling=False):
    """Whether a series stays where it was: its last quarter against its second, by medians."""
    values = [sample[name] for sample in samples]
    quarter = len(values) // 4
    if quarter < 4:
        return {"name": name, "verdict": "too short to say"}
    early, late = statistics.median(values[quarter : 2 * quarter]), statistics.median(values[-quarter:])
    good = late >= early * (1 - tolerance) - slack if falling else late <= early * (1 + tolerance) + slack
    verdict = "level" if good else "falls" if falling else "grows"
    return {"name": name, "early": early, "late": late, "verdict": verdict}
