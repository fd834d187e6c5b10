"""SVG by hand: bars of a comparison, lines of a soak."""

from html import escape

COLOURS = ("#1b6ca8", "#58a4d6", "#9ccbe8", "#d1793b", "#e8b48a", "#7a3e9d")
WIDTH, PANEL_HEIGHT, MARGIN, LABEL_WIDTH = 900, 170, 30, 70


def text(x, y, words, size=11, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'


def box(x, y, width, height, colour, title):
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{max(height, 0):.1f}" fill="{colour}">'
        f"<title>{escape(title)}</title></rect>"
    )


def line(points, colour):
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="1.3"/>'


def short(value):
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def page(parts, height):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *parts, "</svg>\n"])


def axis(top, height, most):
    parts = []
    for i in range(3):
        y = top + height - height * i / 2
        parts.append(line([(LABEL_WIDTH, y), (WIDTH - MARGIN, y)], "#ddd"))
        parts.append(text(LABEL_WIDTH - 5, y + 4, short(most * i / 2), 10, "end"))
    return parts


def legend(names, colours, y):
    parts = []
    for i, name in enumerate(names):
        x = LABEL_WIDTH + i * 130
        parts += [box(x, y - 9, 10, 10, colours[name], name), text(x + 14, y, name)]
    return parts


def panel(top, title, rows, peers, colours):
    """Bars of ops/s, a group for each number of clients; a line from least to most."""
    height = PANEL_HEIGHT - 55
    most = max(row["ops_s"]["most"] for row in rows) or 1
    groups = sorted({row["clients"] for row in rows})
    wide = (WIDTH - LABEL_WIDTH - MARGIN) / len(groups)
    each = wide * 0.85 / len(peers)
    parts = [text(LABEL_WIDTH, top + 14, title, 13)] + axis(top + 22, height, most)
    base = top + 22 + height
    for row in rows:
        x = LABEL_WIDTH + groups.index(row["clients"]) * wide + peers.index(row["peer"]) * each
        values = row["ops_s"]
        tall = height * values["median"] / most
        said = f"{row['peer']}: {values['median']:,.0f} ops/s, p50 {row['p50_us']['median']:,.0f} µs"
        parts.append(box(x, base - tall, each * 0.9, tall, colours[row["peer"]], said))
        middle = x + each * 0.45
        ends = [(middle, base - height * values[end] / most) for end in ("least", "most")]
        parts.append(line(ends, "#333"))
    for i, clients in enumerate(groups):
        parts.append(text(LABEL_WIDTH + (i + 0.42) * wide, base + 14, f"{clients} clients", 11, "middle"))
    return parts


def comparison(rows, title):
    """The picture of a run: a panel for each operation, pipeline and choice of keys."""
    peers = list(dict.fromkeys(row["peer"] for row in rows))
    colours = {peer: COLOURS[i % len(COLOURS)] for i, peer in enumerate(peers)}
    panels = {}
    for row in rows:
        pinned = ", pinned" if row["pinned"] else ""
        name = f"{row['op'].upper()}, pipeline {row['pipeline']}, {row['choice']}{pinned}: ops/s"
        panels.setdefault(name, []).append(row)
    parts = [text(LABEL_WIDTH, 22, title, 15)] + legend(peers, colours, 44)
    top = 58
    for name, ones in panels.items():
        parts += panel(top, name, ones, peers, colours)
        top += PANEL_HEIGHT
    return page(parts, top + 10)


def series(samples, names, title):
    """The picture of a soak: a panel for each column over minutes."""
    parts, top = [text(LABEL_WIDTH, 22, title, 15)], 40
    height = PANEL_HEIGHT - 55
    last = max(samples[-1]["seconds"], 1)
    for name in names:
        most = max(sample[name] for sample in samples) or 1
        parts += [text(LABEL_WIDTH, top + 14, name, 13)] + axis(top + 22, height, most)
        points = []
        for sample in samples:
            x = LABEL_WIDTH + (WIDTH - LABEL_WIDTH - MARGIN) * sample["seconds"] / last
            points.append((x, top + 22 + height - height * sample[name] / most))
        parts.append(line(points, COLOURS[0]))
        parts.append(text(WIDTH - MARGIN, top + 36 + height, f"{last / 60:.1f} min", 10, "end"))
        top += PANEL_HEIGHT
    return page(parts, top + 10)
