"""Write the pages of docs/ that follow from code: ``python -m tools.make_docs``.  A test fails while they differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from weft.api.pages import api_page, errors_page
from weft.api.routes import ROUTES

PAGES: dict[str, Callable[[], str]] = {
    "api.md": lambda: api_page(ROUTES),
    "errors.md": errors_page,
}


def main() -> None:
    """Write every page."""
    for name, write in PAGES.items():
        (Path(__file__).parents[1] / "docs" / name).write_text(write())


if __name__ == "__main__":
    main()
