"""Ask pip-audit for known faults of constraints.txt, and say so where it could not find out.

pip-audit calls a package that it knows nothing of skipped, and then says that no faults are known.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CONSTRAINTS = Path(__file__).parent.parent / "constraints.txt"
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", "10")


def main(program: str) -> None:
    """Print what is known; end with 1 if a fault is."""
    with TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [program, "-r", str(CONSTRAINTS), *OPTIONS, "-f", "json", "-o", str(answer)]
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        known = json.loads(answer.read_text())["dependencies"] if answer.exists() else []
    text, code = verdict(known, done.stderr)
    sys.stdout.write(text + "\n")
    raise SystemExit(code)


def verdict(packages: list[dict[str, Any]], words: str) -> tuple[str, int]:
    """Return what is known of packages, and how the command ends.

    Args:
        packages: Of pip-audit's answer; none where it gave up.
        words: What it said besides.
    """
    asked = [each for each in packages if "skip_reason" not in each]
    faults = [
        f"{each['name']} {each['version']}: {fault['id']}, mended in "
        f"{', '.join(fault.get('fix_versions') or ['no version yet'])}"
        for each in asked
        for fault in each["vulns"]
    ]
    if not asked:
        last = packages[0]["skip_reason"] if packages else words.strip().splitlines()[-1:]
        return (
            "NOT AUDITED: pip-audit's advisories cannot be reached from here, so nothing is known "
            f"of any package. Run this where they can. ({last})"
        ), 0
    left = len(packages) - len(asked)
    counted = f"{len(asked)} packages audited, {left} not known to the advisories"
    return "\n".join([*faults, f"{counted}: {len(faults)} known faults."]), int(bool(faults))


if __name__ == "__main__":
    main(sys.argv[1])
