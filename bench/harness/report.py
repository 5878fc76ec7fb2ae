"""The results as a table for a person, and the goals."""

MIB = 2**20

# What relpack set itself, as relpack ÷ the other (build) or the other ÷ relpack (install).
BUILD_WALL, BUILD_SIZE, BUILD_PEAK = 0.9, 0.85, 128 * MIB
INSTALL = {"install": 8, "upgrade": 20, "kept": 40, "rollback": 40}
STEP_NAMES = {
    "install": "install",
    "upgrade": "upgrade, 10 files changed",
    "kept": "back to the previous version (dpkg -i)",
    "rollback": "back by the release's own command",
}


def goals(results):
    """Every goal that these results can speak about: what, measured, wanted, met."""
    found = []

    def add(what, measured, wanted, at_most):
        met = measured <= wanted if at_most else measured >= wanted
        found.append({"what": what, "measured": measured, "goal": wanted, "at_most": at_most, "met": met})

    build = results.get("build")
    runs = build["tree"]["runs"] if build else {}
    if "relpack" in runs and "dpkg-deb" in runs:
        ours, plain = runs["relpack"], runs["dpkg-deb"]
        add("build, wall ÷ dpkg-deb", ours["seconds"]["median"] / plain["seconds"]["median"], BUILD_WALL, True)
        add("build, size ÷ dpkg-deb", ours["size_bytes"] / plain["size_bytes"], BUILD_SIZE, True)
    if "relpack" in runs:
        add("build, peak MiB", runs["relpack"]["peak_bytes"] / MIB, BUILD_PEAK / MIB, True)
    synthetic = build.get("synthetic") if build else None
    if synthetic and "relpack" in synthetic["runs"]:
        peak = synthetic["runs"]["relpack"]["peak_bytes"] / MIB
        add(f"build of {synthetic['files']} files, peak MiB", peak, BUILD_PEAK / MIB, True)
    steps = results.get("install", {}).get("steps", {})
    for step, wanted in INSTALL.items():
        if step in steps and "speedup" in steps[step]:
            add(f"{STEP_NAMES[step]}: plain ÷ relpack's switch", steps[step]["speedup"], wanted, False)
    return found


def text(results):
    lines = []
    environment, tree = results["environment"], results.get("tree")
    lines.append(
        f"{environment['date']}: {environment['cpu']}, {environment['cpus']} CPUs, "
        f"{environment['memory_bytes'] / 2**30:.0f} GiB, Linux {environment['kernel']}, "
        f"{environment['file_system']} on {environment['device']} ({environment['mount_options']}), "
        f"fsync {environment['fsync_seconds'] * 1000:.2f} ms; "
        f"load before {environment['load_before'][0]:.1f}, after {environment['load_after'][0]:.1f}"
    )
    if tree:
        lines.append(f"Tree: {tree['files']} files, {tree['bytes'] / 1e6:.0f} MB, {tree['symlinks']} symlinks.")
        lines.append(f"Medians of {results['rounds']} interleaved rounds, [min–max]; a tool over 20 s ran once.")
    build = results.get("build")
    if build:
        lines += ["", f"Building the package (zstd level {results['level']} for relpack and dpkg-deb)", ""]
        lines += build_table(build["tree"]["runs"], build["tools"], build["absent"])
        if "synthetic" in build:
            synthetic = build["synthetic"]
            lines += ["", f"Building a synthetic tree of {synthetic['files']} files, {synthetic['bytes'] / 1e6:.0f} MB", ""]
            lines += build_table(synthetic["runs"], build["tools"], {})
    install = results.get("install")
    if install:
        disk = "a directory" if install["host_fs"] == "none" else f"a fresh {install['host_fs']} in an image"
        slower = install["fsync_delay_ms"]
        delay = f", each fsync, fdatasync and syncfs made {slower:g} ms slower" if slower else ""
        lines += ["", f"On a booted host ({install['suite']}, {install['versions']}), its root {disk} on that disk{delay}", ""]
        lines += install_table(install["steps"])
    if "strategies" in results:
        lines += ["", f"Deploys under {results['strategies']['rate']} requests a second ({results['strategies']['suite']})", ""]
        lines += strategies_table(results["strategies"]["ways"])
    if results["goals"]:
        rows = [["goal", "measured", "wanted", ""]]
        for goal in results["goals"]:
            bound = "≤" if goal["at_most"] else "≥"
            rows.append([goal["what"], f"{goal['measured']:.2f}", f"{bound} {goal['goal']:g}", "met" if goal["met"] else "MISSED"])
        lines += [""] + table(rows)
    return "\n".join(lines) + "\n"


def spread(values, digits=2):
    return f"{values['median']:.{digits}f} [{values['min']:.{digits}f}–{values['max']:.{digits}f}]"


def build_table(runs, notes, absent):
    plain = runs.get("dpkg-deb")
    rows = [["tool", "wall s", "÷ dpkg-deb", "CPU s", "size MB", "÷ dpkg-deb", "peak MiB", "note"]]
    for name, run in runs.items():
        wall = size = "–"
        if plain:
            wall = f"{run['seconds']['median'] / plain['seconds']['median']:.2f}"
            size = f"{run['size_bytes'] / plain['size_bytes']:.2f}"
        rows.append(
            [
                name,
                spread(run["seconds"]),
                wall,
                f"{run['cpu_seconds']['median']:.1f}",
                f"{run['size_bytes'] / 1e6:.1f}",
                size,
                f"{run['peak_bytes'] / MIB:.0f}",
                notes.get(name, ""),
            ]
        )
    for name, reason in absent.items():
        rows.append([name] + ["–"] * 6 + [f"not available: {reason}"])
    return table(rows)


def install_table(steps):
    rows = [["step", "plain package s", "relpack, to the switch s", "plain ÷ switch", "relpack, done s"]]
    for step, result in steps.items():
        plain, ours = result.get("plain"), result.get("relpack")
        rows.append(
            [
                STEP_NAMES[step],
                spread(plain["total"]) if plain else "–",
                spread(ours["switch"]) if ours else "–",
                f"{result['speedup']:.1f}" if "speedup" in result else "–",
                spread(ours["total"]) if ours else "–",
            ]
        )
    return table(rows)


def strategies_table(ways):
    rows = [["way", "release", "failed", "sent", "longest gap s", "p99 before ms", "p99 during ms", "deploy s", "memory MiB", "peak MiB"]]
    for way in ways:
        for what in ("good", "bad"):
            one = way[what]
            rows.append(
                [
                    way["name"],
                    what,
                    str(one["failed"]),
                    str(one["sent"]),
                    f"{one['gap_seconds']:.2f}",
                    f"{one['p99_before_ms']:.0f}",
                    f"{one['p99_during_ms']:.0f}",
                    f"{one['seconds']:.1f}",
                    f"{one['memory_before_bytes'] / MIB:.0f}",
                    f"{one['memory_peak_bytes'] / MIB:.0f}",
                ]
            )
    return table(rows)


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return lines
