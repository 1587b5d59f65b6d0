"""The parts of a report's page: self-contained HTML that needs no script and asks no server for anything."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from importlib.resources import files

from .svg import legible

__all__ = [
    "bullets",
    "details",
    "document",
    "figure",
    "paragraph",
    "preformatted",
    "section",
    "table",
    "terms",
    "text",
]

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def document(title: str, body: str) -> str:
    """The whole page.

    Args:
        title: As the browser shows it, plain text.
        body: HTML.
    """
    style = files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head>\n<meta charset='utf-8'>\n"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        "<meta name='viewport' content='width=device-width, initial-scale=1'>\n"
        "<meta name='color-scheme' content='light dark'>\n"
        f"<title>{text(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def text(content: str) -> str:
    """Plain text as HTML holds it."""
    return html.escape(legible(content))


def section(title: str, *parts: str) -> str:
    """A part of the page with a heading, plain text, and HTML below it."""
    return f"<section>\n<h2>{text(title)}</h2>\n{''.join(parts)}\n</section>"


def figure(svg: str, caption: str, wide: bool = False) -> str:
    """A plot with what it shows in words; `wide` takes the page's whole width."""
    return f"<figure{' class=wide' if wide else ''}>{svg}<figcaption>{text(caption)}</figcaption></figure>\n"


def paragraph(content: str, kind: str) -> str:
    """A paragraph of plain text, in the style sheet's class."""
    return f"<p class='{kind}'>{text(content)}</p>"


def bullets(items: Sequence[str]) -> str:
    """A list of plain texts; nothing where there are none."""
    return f"<ul>{''.join(f'<li>{text(item)}</li>' for item in items)}</ul>" if items else ""


def preformatted(content: str) -> str:
    """Plain text with its line breaks."""
    return f"<pre>{text(content)}</pre>"


def details(summary: str, content: str) -> str:
    """HTML that opens under a line of plain text."""
    return f"<details><summary>{text(summary)}</summary>{content}</details>"


def terms(facts: Mapping[str, str]) -> str:
    """Plain names with plain values."""
    return f"<dl>{''.join(f'<dt>{text(term)}</dt><dd>{text(fact)}</dd>' for term, fact in facts.items())}</dl>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls on its own where the screen is narrow; the first cell of a row names it."""
    heading = "".join(f"<th scope='col'>{text(cell)}</th>" for cell in head)
    body = "".join(
        f"<tr><th scope='row'>{text(row[0])}</th>{''.join(f'<td>{text(cell)}</td>' for cell in row[1:])}</tr>\n"
        for row in rows
    )
    return f"<div class='scroll' tabindex='0'><table>\n<thead><tr>{heading}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>\n"
