"""The platform's image: its packages are locked, in the versions that are tested, and it holds what its processes import."""

from __future__ import annotations

import re
import tomllib

from tests.shared.helm import ROOT


def names(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=!~\[; ]", line)[0].lower() for line in lines}


def test_its_packages_have_the_versions_of_the_lock() -> None:
    lock = set((ROOT / "requirements/lock.txt").read_text().splitlines())
    pins = {line.split(" ;")[0] for line in lock}
    image = (ROOT / "requirements/image.txt").read_text().splitlines()
    assert {line.split(" ;")[0] for line in image} - pins == set()


def test_it_holds_what_router_and_controller_import_and_no_tool_and_no_heavy_client() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    image = names((ROOT / "requirements/image.txt").read_text().splitlines())
    assert names([*project["project"]["dependencies"], *extras["controller"], *extras["redis"]]) <= image
    assert not image & names([*extras["kube"], "pytest", "mypy", "hypothesis"])


def test_every_room_is_in_it_and_may_be_copied() -> None:
    dockerfile = (ROOT / "images/platform/Dockerfile").read_text()
    allowed = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]:
        room = pattern.removesuffix("*")
        assert f"COPY {room}/ {room}/" in dockerfile and room in allowed
