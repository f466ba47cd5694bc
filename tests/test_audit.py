"""`make audit`: what is not known is not called safe; and the page of licences is whole."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
SKIPPED = {"name": "a", "skip_reason": "Dependency not found on PyPI: a (1)"}
SOUND = {"name": "b", "version": "2", "vulns": []}
FAULTY = {"name": "c", "version": "3", "vulns": [{"id": "CVE-1", "fix_versions": ["3.1"]}]}


@pytest.fixture(scope="module")
def verdict():
    return runpy.run_path(str(DOCS / "audit.py"))["verdict"]


@pytest.mark.parametrize(("packages", "words"), [([SKIPPED], "No known"), ([], "ConnectionError")])
def test_where_nothing_was_found_out_nothing_is_claimed(verdict, packages, words):
    text, code = verdict(packages, words)
    assert text.startswith("NOT AUDITED")
    assert code == 0


def test_a_known_fault_ends_the_command_with_an_error(verdict):
    text, code = verdict([SKIPPED, SOUND, FAULTY], "")
    assert "c 3: CVE-1, mended in 3.1" in text
    assert "2 packages audited, 1 not known to the advisories: 1 known faults" in text
    assert code == 1
    assert verdict([SOUND], "")[1] == 0


def test_the_page_of_licences_names_every_package_that_a_user_installs():
    project = tomllib.loads((DOCS.parent / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[\[>=<]", each)[0].lower() for each in project["dependencies"]}
    page = (DOCS / "licences.md").read_text()
    listed = dict(re.findall(r"^\| (\S+) \| (.+) \|$", page, re.MULTILINE))
    assert {re.sub(r"[-_.]+", "-", name) for name in wanted} <= set(listed)
    assert all(listed.values())
