"""Hooks of MkDocs: the README as the first page, every parameter, and the API from docstrings."""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from omegaconf import OmegaConf
from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "tiktok_virality"
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
ATTRIBUTE = re.compile(r"^    {,4}(\w+): (.+)")
Entry = tuple[str, Any, Any, str | None]
"""A parameter: its key, its value, its field, its meaning."""

PAGES = ("evaluation", "training", "models", "pipelines", "serving", "app", "datasets", "stages")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    made = {"index.md": first_page(), "parameters.md": parameter_page(), **dict(api_pages())}
    for name, content in made.items():
        files.append(File.generated(config, name, content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Let links out of the documentation lead to the page that stands for their file."""
    return markdown.replace("](../README.md", "](index.md")


def first_page() -> str:
    """Return the README, whose links lead into the documentation."""

    def led(found: re.Match[str]) -> str:
        target, place = found.group(1), found.group(2) or ""
        return f"]({target.removeprefix('docs/')}{place})" if target.startswith("docs/") else "]"

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return LINK.sub(led, text)


def parameter_page() -> str:
    """Return every parameter, with what `conf/base` says and what it means."""
    from tiktok_virality.parameters import parameter_tree

    written = OmegaConf.merge(
        *(OmegaConf.load(path) for path in sorted((ROOT / "conf" / "base").glob("parameters*.yml")))
    )
    said = OmegaConf.to_container(written, resolve=False)
    lines = [
        "# Every parameter",
        "",
        "From the typed models that check them at the start of every run. Values are those of",
        "`conf/base`, or else the default; `kedro run --params a.b=c` or a file in `conf/local`",
        "says otherwise.",
    ]
    fields, meaning = parameter_tree().model_fields, meanings(parameter_tree())
    groups = {name: kind for name, field in fields.items() if (kind := model_in(field.annotation))}
    single = [
        (name, said.get(name), field, meaning.get(name))
        for name, field in fields.items()
        if name not in groups
    ]
    lines += ["", *table(single)]
    for name, kind in groups.items():
        lines += ["", f"## {name}", "", first_sentence(kind), ""]
        lines += table(list(rows(kind, name, said.get(name) or {})))
    return "\n".join(lines) + "\n"


def rows(
    kind: type[BaseModel], prefix: str, said: Any
) -> Iterator[tuple[str, Any, Any, str | None]]:
    """Yield the key, the value, the field and the meaning of every parameter of a group."""
    meaning = meanings(kind)
    for name, field in kind.model_fields.items():
        value = said.get(name) if isinstance(said, dict) else None
        inner = model_in(field.annotation)
        if inner is not None:
            yield from rows(inner, f"{prefix}.{name}", value or {})
            continue
        shown = value if value is not None else field.get_default(call_default_factory=True)
        yield f"{prefix}.{name}", shown, field, meaning.get(name)


def table(entries: list[Entry]) -> list[str]:
    """Return a table in Markdown."""
    lines = ["| parameter | value | kind | meaning |", "|---|---|---|---|"]
    for key, value, field, meaning in entries:
        cells = (f"`{key}`", f"`{short(value)}`", f"`{kind_of(field.annotation)}`", meaning or "")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def kind_of(annotation: Any) -> str:
    """Return a type as people read it, without what pydantic checks of it."""
    if typing.get_origin(annotation) is typing.Annotated:
        return kind_of(typing.get_args(annotation)[0])
    inner = typing.get_args(annotation)
    if typing.get_origin(annotation) is typing.Literal:
        return " or ".join(repr(each) for each in inner)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " or ".join(kind_of(each) for each in inner)
    if inner:
        return f"{typing.get_origin(annotation).__name__}[{', '.join(map(kind_of, inner))}]"
    if annotation is Ellipsis:
        return "..."
    return "none" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))


def short(value: Any) -> str:
    """Return a value in one line."""
    text = str(value).replace("\n", " ").replace("PydanticUndefined", "none: it must be given")
    return text if len(text) <= 60 else f"{text[:57]}..."


def meanings(kind: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a model and of those it is made from say of its fields."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        _, _, attributes = (inspect.getdoc(each) or "").partition("Attributes:\n")
        name = ""
        for line in attributes.splitlines():
            if named := ATTRIBUTE.match(line):
                name = named.group(1)
                found[name] = named.group(2).strip()
            elif name and line.startswith("        "):
                found[name] += f" {line.strip()}"
    return {name: text.replace("``", "`") for name, text in found.items()}


def first_sentence(kind: type[BaseModel]) -> str:
    """Return what a model is, as its docstring says."""
    return (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ").replace("``", "`")


def model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that a field holds, if it holds one."""
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return next((m for a in typing.get_args(annotation) if (m := model_in(a))), None)
    return None


def api_pages() -> Iterator[tuple[str, str]]:
    """Yield a page for every part of the package, with the docstrings of its modules."""
    for part in PAGES:
        modules = sorted((PACKAGE / part).rglob("*.py"))
        lines = [f"# tiktok_virality.{part}", ""]
        for path in modules:
            name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            if path.name.startswith("__"):
                continue
            lines += [f"::: {name}", "    options:", "      heading_level: 2", ""]
        yield f"api/{part}.md", "\n".join(lines)
