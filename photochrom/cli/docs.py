"""Print the reference of commands and configuration as Markdown, from the code itself; ``make docs`` keeps it."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise

from photochrom.cli import app


def reference() -> str:
    """Give the text of docs/cli.md."""
    return "\n".join([app.generate_docs(output_format="markdown").rstrip(), "", *_configuration()]) + "\n"


def _configuration() -> list[str]:
    from photochrom.training.config import Config, Stage

    lines = [
        "# Configuration of a training run",
        "",
        "A TOML file of these keys, or a preset with `--set KEY=VALUE`. Each `[[stages]]` table is a stage, run in order.",
    ]
    for kind, title in ((Config, "The run"), (Stage, "A stage")):
        lines += ["", f"## {title}", "", "| key | default | what it is |", "|---|---|---|"]
        body = next(node for node in ast.walk(ast.parse(inspect.getsource(kind))) if isinstance(node, ast.ClassDef)).body
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
                what, annotation = " ".join(str(text.value.value).split()), ast.unparse(field.annotation)
                if annotation.startswith("Literal["):
                    what += f" One of {annotation[8:-1]}."
                default = f"`{ast.unparse(field.value)}`" if field.value else "needed"
                lines.append(f"| `{ast.unparse(field.target)}` | {default} | {what} |")
    return lines


if __name__ == "__main__":
    print(reference(), end="")
