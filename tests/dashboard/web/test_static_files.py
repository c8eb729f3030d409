"""The dashboard's own files: types, caching and weight."""

import gzip
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from dashboard.web.static_files import MEDIA_TYPES, ROOT, StaticTree

NAMES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.is_file())
MAX_SCRIPT_BYTES = 150_000
MAX_WIDGET_LINES = 100


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_its_type_and_may_be_kept_for_good(client: TestClient, name: str) -> None:
    response = client.get(StaticTree().url(name))
    assert response.status_code == 200
    assert response.content == (ROOT / name).read_bytes()
    suffix = "." + name.rpartition(".")[2]
    assert response.headers["content-type"].startswith(MEDIA_TYPES.get(suffix, "text/plain"))
    assert "immutable" in response.headers["cache-control"]


def test_address_of_an_older_version_gives_the_present_file_uncached(client: TestClient) -> None:
    response = client.get("/static/0123456789ab/js/main.js")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/x/nothing.js", "/static/x/%2e%2e/%2e%2e/pages.py", "/static/x/..%2fpages.py", "/static/x/"]
)
def test_nothing_outside_the_tree_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_digest_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("one")
    first = StaticTree(tmp_path)
    (tmp_path / "a.js").write_text("two")
    assert StaticTree(tmp_path).digest != first.digest
    with pytest.raises(KeyError):
        first.url("missing.js")


def test_scripts_weigh_little_in_all() -> None:
    scripts = [path.read_bytes() for path in ROOT.rglob("*.js")]
    assert 0 < sum(len(gzip.compress(script)) for script in scripts) <= MAX_SCRIPT_BYTES


def test_each_widget_is_one_element_in_one_short_file_of_its_name() -> None:
    for path in (ROOT / "js").glob("*.js"):
        text = path.read_text()
        assert text.count("\n") < MAX_WIDGET_LINES, path.name
        assert re.findall(r'customElements\.define\("([\w-]+)"', text) in ([], [path.stem]), path.name
        # `eval/` and `eval|` are names of metrics.
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b(?![/|])", text), (
            path.name
        )


def test_one_element_only_opens_the_stream() -> None:
    assert [path.name for path in (ROOT / "js").glob("*.js") if "EventSource(" in path.read_text()] == [
        "live-stream.js"
    ]


def test_vendored_files_keep_their_licences() -> None:
    assert "MIT License" in (ROOT / "vendor/uplot/LICENSE").read_text()
    for name in ("inter", "plex-mono"):
        assert "SIL Open Font License" in (ROOT / f"vendor/fonts/LICENSE-{name}").read_text()
