"""The picture of the strategies: answers and errors a second, over the time of a deploy."""

from html import escape

WIDTH, HEIGHT, LEFT, TOP, GAP = 360, 92, 96, 58, 34
ANSWERED, FAILED, DEPLOY = "#3b7dd8", "#d8433b", "#f2ead0"


def svg(strategies):
    """Two columns (a good and a bad release), one row a way to deploy."""
    ways = strategies["ways"]
    columns = (("good", "a good release"), ("bad", "a release that answers with errors"))
    width = LEFT + len(columns) * (WIDTH + GAP)
    height = TOP + len(ways) * (HEIGHT + GAP) + 24
    top = max(count for way in ways for what, _ in columns for _, ok, failed in way[what]["timeline"] for count in (ok, failed)) or 1
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="10" y="20" font-size="14">Requests a second through nginx: '
        f'<tspan fill="{ANSWERED}">answered</tspan>, <tspan fill="{FAILED}">failed</tspan>; shaded: the deploy</text>',
    ]
    for column, (what, title) in enumerate(columns):
        x = LEFT + column * (WIDTH + GAP)
        out.append(f'<text x="{x}" y="{TOP - 18}">{escape(title)}</text>')
        for row, way in enumerate(ways):
            out += panel(x, TOP + row * (HEIGHT + GAP), way[what], top)
    for row, way in enumerate(ways):
        out.append(f'<text x="10" y="{TOP + row * (HEIGHT + GAP) + HEIGHT / 2}" font-weight="bold">{escape(way["name"])}</text>')
    out.append("</svg>\n")
    return "\n".join(out)


def panel(x, y, measured, top):
    timeline = measured["timeline"]
    first, last = timeline[0][0], timeline[-1][0] + 1
    scale = WIDTH / max(1, last - first)
    at = lambda second: x + (second - first) * scale
    tall = lambda count: HEIGHT * count / top
    out = [f'<rect x="{at(0):.1f}" y="{y}" width="{measured["seconds"] * scale:.1f}" height="{HEIGHT}" fill="{DEPLOY}"/>']
    points = " ".join(f"{at(second + 0.5):.1f},{y + HEIGHT - tall(ok):.1f}" for second, ok, _ in timeline)
    out.append(f'<polyline points="{points}" fill="none" stroke="{ANSWERED}" stroke-width="1.5"/>')
    for second, _, failed in timeline:
        if failed:
            out.append(
                f'<rect x="{at(second):.1f}" y="{y + HEIGHT - tall(failed):.1f}" width="{scale:.1f}" height="{tall(failed):.1f}" fill="{FAILED}"/>'
            )
    out.append(f'<path d="M{x},{y} V{y + HEIGHT} H{x + WIDTH}" fill="none" stroke="#666"/>')
    out.append(f'<text x="{x - 4}" y="{y + 9}" text-anchor="end">{top}</text>')
    note = f"{measured['failed']} of {measured['sent']} failed; deploy {measured['seconds']:.1f} s"
    out.append(f'<text x="{x + WIDTH}" y="{y + HEIGHT + 13}" text-anchor="end">{escape(note)}</text>')
    return out
