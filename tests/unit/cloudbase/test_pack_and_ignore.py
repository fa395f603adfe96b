"""What of a folder is deployed, and that the same files are the same archive."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudbase.errors import Misused
from cloudbase.ignore import ignored, parse
from cloudbase.manifest import function
from cloudbase.pack import pack, walk
from tests.unit.cloudbase.fake_management_api import unpack


def tree(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(path)
    return folder


def kept(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in walk(folder)]


def test_the_usual_leftovers_stay_behind(tmp_path: Path) -> None:
    left = [
        ".git/HEAD",
        "node_modules/x.js",
        "lib/node_modules/y.js",
        ".venv/bin/python",
        "__pycache__/a.pyc",
        ".env",
        "b.pyc",
    ]
    assert kept(tree(tmp_path, "index.js", "lib/a.js", ".npmrc", *left)) == [".npmrc", "index.js", "lib/a.js"]


def test_a_platforms_data_folder_stays_behind_whatever_its_name(tmp_path: Path) -> None:
    """Its token is in there, and what is deployed changes it: watched, it would be deployed for ever."""
    tree(tmp_path, "index.js", ".cloudbase-2/token", ".cloudbase-2/cloudbase.db", "data/cloudbase.db", "data/more/x", "db/x")
    assert kept(tmp_path) == ["db/x", "index.js"]


def test_cloudbaseignore_comes_before_gitignore_and_can_take_back(tmp_path: Path) -> None:
    tree(tmp_path, "index.js", "dist/out.js", "notes.md", "node_modules/x.js")
    (tmp_path / ".gitignore").write_text("dist/\n")
    assert kept(tmp_path) == ["index.js", "notes.md"]
    (tmp_path / ".cloudbaseignore").write_text("# words\n*.md\n!node_modules/\n")
    assert kept(tmp_path) == ["dist/out.js", "index.js", "node_modules/x.js"]


def test_the_same_files_are_the_same_archive_whatever_their_times(tmp_path: Path) -> None:
    one, two = (tree(tmp_path / name, "b.js", "a/c.js") for name in ("one", "two"))
    assert pack(one).archive == pack(two).archive
    assert unpack(pack(one).archive) == {"a/c.js": b"a/c.js", "b.js": b"b.js"}


def test_a_link_inside_the_folder_is_deployed_as_its_file(tmp_path: Path) -> None:
    tree(tmp_path, "real.js")
    (tmp_path / "link.js").symlink_to("real.js")
    assert unpack(pack(tmp_path).archive)["link.js"] == b"real.js"


@pytest.mark.parametrize(("target", "said"), [("/etc/hosts", "leads out"), ("nowhere", "is broken"), (".", "leads to a folder")])
def test_any_other_link_is_refused(tmp_path: Path, target: str, said: str) -> None:
    tree(tmp_path, "index.js")
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(Misused, match=said):
        pack(tmp_path)


def test_a_folder_beyond_the_limit_is_told_with_its_largest_file(tmp_path: Path) -> None:
    tree(tmp_path, "index.js", "data/small")
    with (tmp_path / "data" / "huge").open("wb") as file:
        file.truncate(101 << 20)
    with pytest.raises(Misused, match="holds 101 MiB") as caught:
        pack(tmp_path)
    assert "data/huge" in caught.value.next_step


def test_a_folder_of_too_many_files_is_told_with_where_most_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudbase.pack.MOST", 4)
    tree(tmp_path, "index.js", "data/1", "data/2", "data/3")
    assert pack(tmp_path).files == 4
    tree(tmp_path, "data/4")
    with pytest.raises(Misused, match="more than the 4 files") as caught:
        pack(tmp_path)
    assert "4 are in data" in caught.value.next_step


@pytest.mark.parametrize("above", [0, 1, 2])
def test_nobody_deploys_a_whole_home_or_what_holds_it_by_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: int
) -> None:
    home = tmp_path / "home" / "me"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    folder = (home, *home.parents)[above]
    tree(folder, "index.js")
    with pytest.raises(Misused, match="all of it would be deployed") as caught:
        pack(folder)
    assert "cloudbase.toml" in caught.value.next_step
    with pytest.raises(Misused, match="your home folder"):
        function(folder, "f", None, (), {})
    tree(folder, "cloudbase.toml")
    assert pack(folder).files >= 2
    assert pack(tree(home / "hello", "index.js")).files == 1


PATHS = st.lists(st.text(alphabet="ab.", min_size=1, max_size=3).filter(lambda name: name.strip(".")), min_size=1, max_size=3)


@given(st.text(max_size=12), PATHS.map("/".join))
def test_no_pattern_makes_it_fail(line: str, path: str) -> None:
    ignored(parse([line]), path, folder=False)


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git, which is not here")
def test_patterns_mean_what_they_mean_to_git(tmp_path: Path) -> None:
    paths = ["a", "a/b", "b/a", "a/b/a", "b/a.b", "ab/ba/a", ".a", "b/.a/b", "a.b", "[a]", "b/c d", "x/y/z/w"]
    lines = [
        "a", "/a", "a/", "b/a", "**/a", "a/**", "b/**/a", "*.b", "/*", "/*/", "?", "!a", "[ab]", "[!a]b", "\\[a]", "a*", "c d  ",
        "x/**/w", "x/*/w", "**", "b/", "*/a", "#a", "\\#", ".*", "x/y/", "**/z/**",
    ]  # fmt: skip
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for line in lines:
        (tmp_path / ".gitignore").write_text(line + "\n")
        command = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "--stdin"]
        asked = subprocess.run(command, input="\n".join(paths), capture_output=True, text=True)
        ours = [path for path in paths if _left_out(line, path)]
        assert ours == asked.stdout.splitlines(), line


def _left_out(line: str, path: str) -> bool:
    """As the walk does it: a path below an ignored folder is never looked at."""
    parts = path.split("/")
    steps = [("/".join(parts[: at + 1]), at + 1 < len(parts)) for at in range(len(parts))]
    return any(ignored(parse([line]), step, folder) for step, folder in steps)
