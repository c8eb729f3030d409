"""What axe finds wrong with a page: rules of WCAG 2.2, levels A and AA, and the best practices that axe knows."""

from functools import cache
from importlib.resources import files
from typing import Any, Literal

from playwright.sync_api import Page

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def read_axe() -> str:
    """Return axe's source, as the package that carries it has it."""
    return files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def find_violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page as it stands: the rule, and where; nothing for a good page."""
    # Evaluated by the browser's debugger, so that the page's policy, which allows no such script, stays as it is.
    if not page.evaluate("'axe' in window"):
        page.evaluate(read_axe())
    found: dict[str, Any] = page.evaluate(
        "(tags) => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })", list(TAGS)
    )
    return [
        f"{violation['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def find_violations_in_both_themes(page: Page) -> list[str]:
    """Return what axe finds in the light and in the dark theme, each finding with its theme before it."""
    found = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme)
        found += [f"{theme}: {violation}" for violation in find_violations(page)]
    return found
