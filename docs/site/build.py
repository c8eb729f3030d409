"""`make docs`: builds the documentation as a site, its reference written from the code.

    python docs/site/build.py [OUT]     OUT is build/docs by default

The pages of docs/ are copied beside pages that are made here: every command and option from the command line
itself, every route from the OpenAPI schema, the Python interface from its docstrings, every setting from its
definition. A page that the navigation names and that is not there, and a link that leads nowhere, end the build.
"""

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SETTINGS = ("api/server/settings.py", "worker/settings.py")
# What a page says of files of the repository that the site does not have.
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./\.\./([^)#]+)(#[^)]*)?\)")
_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)(#[^)\s]*)?\)")


def main() -> None:
    """Build the site into the folder of the first argument."""
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "docs").resolve()
    source = out.with_name(out.name + "-source")
    shutil.rmtree(source, ignore_errors=True)
    write_sources(source)
    problems = [*list_missing_pages(source), *list_dead_links(source / "pages")]
    if problems:
        sys.exit("\n".join(problems))
    subprocess.run(["zensical", "build", "--clean", "--config-file", source / "zensical.toml"], check=True)
    shutil.rmtree(out, ignore_errors=True)
    shutil.move(source / "site", out)
    shutil.rmtree(source)
    print(f"The documentation is in {out}: open {out / 'index.html'}")


def write_sources(folder: Path) -> None:
    """Copy the pages and write the reference into a folder that zensical builds."""
    pages = folder / "pages"
    shutil.copytree(DOCS, pages, ignore=shutil.ignore_patterns("site", "__pycache__"))
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    (pages / "changelog.md").write_text(changes.replace("](docs/", "]("), encoding="utf-8")
    for page in pages.rglob("*.md"):
        page.write_text(_OUTSIDE.sub(r"\1 (`\2`)", page.read_text(encoding="utf-8")), encoding="utf-8")
    for name, text in (
        ("commands", write_commands()),
        ("http", write_routes()),
        ("python", write_python()),
        ("settings", write_settings()),
    ):
        (pages / "reference" / f"{name}.md").write_text(text, encoding="utf-8")
    config = (DOCS / "site" / "zensical.toml").read_text(encoding="utf-8")
    placed = '[project]\ndocs_dir = "pages"\nsite_dir = "site"\n'
    (folder / "zensical.toml").write_text(config.replace("[project]\n", placed, 1), encoding="utf-8")


def list_missing_pages(source: Path) -> list[str]:
    """Return a sentence for each page of the navigation that is not there, and each page that it does not name."""
    nav = tomllib.loads((source / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"]
    named = set(_list_pages(nav))
    there = {str(path.relative_to(source / "pages")) for path in (source / "pages").rglob("*.md")}
    return [f"The navigation names {page}, which is not there." for page in sorted(named - there)] + [
        f"The navigation does not name {page}." for page in sorted(there - named)
    ]


def _list_pages(nav: Any) -> Iterator[str]:
    for entry in nav:
        for target in entry.values():
            if isinstance(target, str):
                yield target
            else:
                yield from _list_pages(target)


def list_dead_links(pages: Path) -> list[str]:
    """Return a sentence for each link of a page to a file or a heading that is not there."""
    dead = []
    for page in sorted(pages.rglob("*.md")):
        for target, anchor in _LINK.findall(_read_prose(page)):
            path = page.parent / target
            is_page = path.suffix == ".md" and path.exists()
            if not path.exists() or (is_page and anchor and anchor[1:] not in list_anchors(path)):
                dead.append(f"{page.relative_to(pages)} links to {target}{anchor}, which is not there.")
    return dead


def list_anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as the site makes them."""
    return {_slug(title) for title in re.findall(r"^#+ (.+)$", _read_prose(page), re.MULTILINE)}


def _read_prose(page: Path) -> str:
    """Return a page's text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def _slug(title: str) -> str:
    words = re.sub(r"[^\w\s-]", "", re.sub(r"[`*]", "", title)).strip().lower()
    return re.sub(r"[\s-]+", "-", words)


def write_commands() -> str:
    """Return the page of the command line: every command with its options."""
    from ganvas.cli import COMMANDS, cli

    parts = ["# Commands\n", "Every command, as `ganvas COMMAND --help` prints it.\n"]
    context = click.Context(cli, info_name="ganvas")
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            parts += _describe_command(command, f"ganvas {name}", click.Context(command, context, info_name=name))
    return "\n".join(parts)


def _describe_command(command: click.Command, path: str, context: click.Context) -> Iterator[str]:
    yield f"## {path}\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    for name in command.list_commands(context) if isinstance(command, click.Group) else ():
        below = command.get_command(context, name)
        if below is not None:
            yield from _describe_command(below, f"{path} {name}", click.Context(below, context, info_name=name))


def write_routes() -> str:
    """Return the page of the REST API: every operation of the schema with its parameters, body and answers."""
    from api.main import build_service
    from api.server.http.openapi import build_openapi
    from api.server.settings import Settings

    schema = build_openapi(build_service(Settings()))
    parts = [
        "# Every route\n",
        f"{schema['info']['description']} The walk through it is in [api.md](api.md).\n",
    ]
    for path, operations in sorted(schema["paths"].items()):
        for method, operation in operations.items():
            parts.append(f"## {method.upper()} {path}\n\n{operation.get('description', operation['summary'])}\n")
            parts.append(_describe_parameters(operation.get("parameters", [])))
            body = operation.get("requestBody", {}).get("content", {})
            kinds = ", ".join(
                f"`{kind}` ({_name_type(content.get('schema', {}))})" for kind, content in body.items()
            )
            parts.append(f"Body: {kinds}\n" if kinds else "")
            parts.append(
                _table(("status", "answer"), [(s, a["description"]) for s, a in operation["responses"].items()])
            )
    parts.append("## Schemas\n")
    for name, model in sorted(schema["components"]["schemas"].items()):
        fields = [(f"`{key}`", _name_type(field)) for key, field in model.get("properties", {}).items()]
        parts.append(f"### {name}\n\n{model.get('description', '')}\n")
        parts.append(_table(("field", "type"), fields))
    return "\n".join(part for part in parts if part)


def _describe_parameters(parameters: list[dict[str, Any]]) -> str:
    rows = [
        (f"`{each['name']}`", each["in"], _name_type(each["schema"]), each.get("description", ""))
        for each in parameters
    ]
    return _table(("parameter", "in", "type", "meaning"), rows)


def _name_type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for union in ("anyOf", "oneOf", "allOf"):
        if union in schema:
            return " or ".join(dict.fromkeys(map(_name_type, schema[union])))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_name_type(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    lines = [heads, ("---",) * len(heads), *rows]
    cells = (" | ".join(" ".join(str(cell).split()).replace("|", "\\|") for cell in line) for line in lines)
    return "\n".join(f"| {line} |" for line in cells) + "\n"


def write_python() -> str:
    """Return the page of the Python interface: what `import ganvas` offers, with its docstrings."""
    ganvas = importlib.import_module("ganvas")
    parts = ["# Python\n", "What `import ganvas` offers.\n"]
    for name in sorted(dir(ganvas)):
        offered = getattr(ganvas, name)
        if name.startswith("_") or not (inspect.isclass(offered) or inspect.isfunction(offered)):
            continue
        parts += _describe_object(f"ganvas.{name}", offered, "##")
        if inspect.isclass(offered):
            for key, member in inspect.getmembers(
                offered, lambda m: inspect.isfunction(m) or isinstance(m, property)
            ):
                if not key.startswith("_") and inspect.getdoc(member):
                    parts += _describe_object(f"{name}.{key}", member, "###")
    return "\n".join(parts)


def _describe_object(name: str, offered: Any, mark: str) -> Iterator[str]:
    signature = "" if isinstance(offered, property) else str(inspect.signature(offered))
    yield f"{mark} {name}\n"
    if signature:
        yield f"```python\n{name}{signature}\n```\n"
    yield f"{inspect.getdoc(offered) or ''}\n".replace(">>>", "    >>>")


def write_settings() -> str:
    """Return the page of the environment variables: each with its default and the comment above it."""
    parts = ["# Settings\n", "Environment variables; [deploy.md](../how-to/deploy.md) says which matter where.\n"]
    for path in SETTINGS:
        source = (ROOT / path).read_text(encoding="utf-8")
        rows = [
            (f"`GANVAS_{name.upper()}`", f"`{default}`" if default else "", comment)
            for name, default, comment in _list_settings(source)
        ]
        title = "The service" if path.startswith("api") else "Workers"
        parts += [f"## {title}\n", _table(("variable", "default", "meaning"), rows)]
    return "\n".join(parts)


def _list_settings(source: str) -> Iterator[tuple[str, str, str]]:
    """Yield name, default and comment of each field of the settings' class."""
    lines = source.splitlines()
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    for field in classes[-1].body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        comment: list[str] = []
        row = field.lineno - 2
        while row >= 0 and lines[row].strip().startswith("#"):
            comment.insert(0, lines[row].strip().removeprefix("# "))
            row -= 1
        default = ast.unparse(field.value) if field.value is not None else ""
        yield field.target.id, "" if default.startswith("Field") else default, " ".join(comment)


if __name__ == "__main__":
    main()
