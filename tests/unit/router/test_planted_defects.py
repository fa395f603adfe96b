"""The defects of `make mutants` still fit the code: what no longer applies proves nothing any more."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutants.__main__ import OWN, planted
from tests.mutants.defect import WIDE, Defect
from tests.mutants.planted import DEFECTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_applies_exactly_once_and_leaves_a_program(defect: Defect) -> None:
    text = (ROOT / defect.file).read_text()
    changed = planted(text, defect)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(text))
    assert all(test.startswith(WIDE) and (ROOT / test).exists() for test in defect.tests)


def test_the_defects_are_many_and_each_has_a_name() -> None:
    assert len(DEFECTS) >= 20
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)


def test_these_tests_catch_no_defect_by_themselves() -> None:
    assert f"--ignore={Path(__file__).relative_to(ROOT)}" == OWN
