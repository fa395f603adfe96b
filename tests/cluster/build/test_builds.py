"""Functions are built on a real cluster: what their images hold, what is cached, and that nothing is left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_world import World, run

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(300),
    pytest.mark.filterwarnings("ignore:.*utcnow.*:DeprecationWarning"),  # in the official package, from Python 3.12 on
]

EXAMPLES = Path(__file__).parents[3] / "examples"


def example(name: str) -> dict[str, bytes]:
    folder = EXAMPLES / name
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("name", "runtime"), [("node-hello", "node"), ("python-hello", "python")])
def test_an_example_becomes_an_image_and_nothing_is_left_of_its_build(name: str, runtime: str) -> None:
    async def scenario(world: World) -> None:
        result = await world.build(await world.function(name, runtime, example(name)))
        assert result.artifact.startswith(f"{world.settings.pulled_from}/default-{name}@sha256:")
        assert await world.tidy()

    run(scenario)
