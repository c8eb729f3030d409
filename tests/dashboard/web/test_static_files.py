"""The dashboard's own files: types, caching and weight; templates; and what a page loads."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from api.server.settings import Settings
from dashboard.web.rendering import load_rooms
from dashboard.web.static_files import MEDIA_TYPES, ROOT, StaticTree
from ganvas.app import build_app

VENDOR = ROOT / "static/vendor"
SERVED = [path for path in ROOT.rglob("*") if path.suffix in MEDIA_TYPES or path.name.startswith("LICENSE")]
NAMES = sorted(path.relative_to(ROOT).as_posix() for path in SERVED)
SCRIPTS = [ROOT / name for name in NAMES if name.endswith(".js") and not name.startswith("static/vendor/")]
MAX_SCRIPT_BYTES = 150_000
MAX_SCRIPTS, MAX_SCRIPT_LINES = 50, 400
MAX_ENTRIES = 12
ELEMENT = re.compile(r'customElements\.define\("([\w-]+)"')
TREE = StaticTree()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One service for all files: nothing here changes it."""
    app = build_app(Settings(home=tmp_path_factory.mktemp("home")))
    with TestClient(app, base_url="http://127.0.0.1", follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("name", NAMES)
def test_every_file_has_its_type_and_may_be_kept_for_good(client: TestClient, name: str) -> None:
    response = client.get(TREE.url(name))
    assert response.status_code == 200
    assert response.content == (ROOT / name).read_bytes()
    suffix = "." + name.rpartition(".")[2]
    assert response.headers["content-type"].startswith(MEDIA_TYPES.get(suffix, "text/plain"))
    assert "immutable" in response.headers["cache-control"]


def test_address_of_an_older_version_gives_the_present_file_uncached(client: TestClient) -> None:
    response = client.get("/static/0123456789ab/static/core/page.js")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/nothing.js",
        "/static/x/%2e%2e/%2e%2e/pages.py",
        "/static/x/..%2fpages.py",
        "/static/x/pages.py",
        "/static/x/web/static_files.py",
        "/static/x/run/templates/page.html",
        "/static/x/",
    ],
)
def test_nothing_but_scripts_styles_pictures_and_fonts_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_digest_changes_with_any_file(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("one")
    first = StaticTree(tmp_path)
    (tmp_path / "a.js").write_text("two")
    assert StaticTree(tmp_path).digest != first.digest
    with pytest.raises(KeyError):
        first.url("missing.js")


def test_a_module_comes_with_all_that_it_imports_and_nothing_else(tmp_path: Path) -> None:
    for name, text in {
        "page/scripts/a.js": 'import { b } from "../../core/b.js";\nimport "./c.js";\n',
        "page/scripts/c.js": 'import "../../core/b.js";\n',
        "page/scripts/other.js": "",
        "core/b.js": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    tree = StaticTree(tmp_path)
    loaded = ["page/scripts/a.js", "page/scripts/c.js", "core/b.js"]
    assert sorted(tree.module_urls(["page/scripts/a.js"])) == sorted(map(tree.url, loaded))
    with pytest.raises(KeyError):
        tree.module_urls(["page/scripts/missing.js"])


def test_a_folder_of_templates_needs_no_registration(tmp_path: Path) -> None:
    (tmp_path / "room/templates").mkdir(parents=True)
    (tmp_path / "room/templates/page.html").write_text("a page")
    assert load_rooms(tmp_path).list_templates() == ["room/page.html"]


def test_a_page_loads_the_widgets_that_its_templates_use() -> None:
    texts = {path: path.read_text() for path in ROOT.glob("*/templates/*.html")}
    everywhere = {path.stem for path in (ROOT / "static/core").glob("*.js")}
    for page in (path for path, text in texts.items() if '{% extends "web/base.html" %}' in text):
        parts = [texts[page]]
        for text in parts:
            for room, name in re.findall(r'\{% (?:include|from) "(\w+)/(\w+\.html)"', text):
                parts += [texts[ROOT / room / "templates" / name]]
        named = {tag for text in parts for tag in re.findall(r"<([a-z]+-[a-z-]+)", text)}
        # The player builds the choice of what the timeline shows.
        named |= {"look-choice"} if "frame-player" in named else set()
        loaded = {Path(name).stem for name in re.findall(r'"([\w/-]+\.js)"', texts[page])}
        assert named - everywhere == loaded, page


def test_scripts_weigh_little_in_all() -> None:
    weights = [len(gzip.compress(path.read_bytes())) for path in ROOT.rglob("*.js")]
    assert 0 < sum(weights) <= MAX_SCRIPT_BYTES
    assert len(SCRIPTS) <= MAX_SCRIPTS


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_each_widget_is_one_element_in_one_file_of_its_name(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MAX_SCRIPT_LINES
    assert ELEMENT.findall(text) in ([], [path.stem])
    # `eval/` and `eval|` are names of metrics.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b(?![/|])", text)


def test_one_element_only_opens_the_stream() -> None:
    assert [path.name for path in SCRIPTS if "EventSource(" in path.read_text()] == ["live-stream.js"]


def test_folders_of_scripts_and_templates_stay_small() -> None:
    folders = [*ROOT.glob("*/scripts"), *ROOT.glob("*/templates"), ROOT / "static/core"]
    assert [folder for folder in folders if len([*folder.iterdir()]) > MAX_ENTRIES] == []


def test_vendored_files_keep_their_licences() -> None:
    assert "MIT License" in (VENDOR / "uplot/LICENSE").read_text()
    for name in ("inter", "plex-mono"):
        assert "SIL Open Font License" in (VENDOR / f"fonts/LICENSE-{name}").read_text()
