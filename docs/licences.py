"""Write licences.md: under which licence each package of constraints.txt is, as it says itself."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

HERE = Path(__file__).parent
CONSTRAINTS = HERE.parent / "constraints.txt"
PAGE = HERE / "licences.md"
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.MULTILINE)
CLASSIFIER = "License :: "
KNOWN = ("MIT License", "BSD 3-Clause", "Apache License", "GNU GENERAL PUBLIC", "BSD License")
LONGEST = 80
"""A longer text is the licence itself, of which the first line is its name."""

HEAD = """# Licences

The project is under Apache 2.0. What it is tested with (`constraints.txt`) says of itself what
follows; `make audit` writes this page anew. The licences of weights are in
[encoders.md](encoders.md).

Two packages carry programs that are under the GPL, version 3, and are started or loaded, not built
upon: `imageio-ffmpeg` the program ffmpeg, and `espeakng-loader` (of the demo alone) eSpeak NG.

| package | licence |
|---|---|
"""
NOT_HERE = """
Not installed where this page was written, so not read: {names}.
"""


def main() -> None:
    """Write the page."""
    pinned = sorted({canonical(name) for name, _ in PIN.findall(CONSTRAINTS.read_text())})
    installed = {canonical(each.metadata["Name"]): each for each in distributions()}
    rows = [f"| {name} | {licence(installed[name])} |" for name in pinned if name in installed]
    missing = [name for name in pinned if name not in installed]
    tail = NOT_HERE.format(names=", ".join(missing)) if missing else ""
    PAGE.write_text(HEAD + "\n".join(rows) + "\n" + tail, encoding="utf-8")


def canonical(name: str) -> str:
    """Return the name of a package as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(package: Distribution) -> str:
    """Return what a package says of its licence: an expression, a name, or its classifiers."""
    said = package.metadata
    lines = (said["License-Expression"] or said["License"] or "").strip().splitlines()
    if lines and len(lines[0]) <= LONGEST and lines[0].strip().upper() != "UNKNOWN":
        return lines[0].strip().replace("|", "/")
    named = [
        each.removeprefix(CLASSIFIER).removeprefix("OSI Approved :: ")
        for each in said.get_all("Classifier") or []
        if each.startswith(CLASSIFIER)
    ]
    return ", ".join(named) or _in_its_files(package) or "does not say"


def _in_its_files(package: Distribution) -> str:
    """Return the first licence that a file of the package names, if there is one."""
    for name in package.files or []:
        if name.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            text = name.read_text(encoding="utf-8")
            found = [each for each in KNOWN if each.lower() in text[:2_000].lower()]
            return f"{found[0]} (its file {name.name})" if found else f"its own ({name.name})"
    return ""


if __name__ == "__main__":
    main()
