"""Print the reference of the command line as Markdown, from the command line itself; ``make docs`` keeps it in docs/cli.md."""

from __future__ import annotations

from photochrom.cli import app


def reference() -> str:
    """Give the text of docs/cli.md."""
    return app.generate_docs(output_format="markdown").rstrip() + "\n"


if __name__ == "__main__":
    print(reference(), end="")
