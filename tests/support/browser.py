"""Drive the page in Debian's Chromium."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = os.environ.get("PHOTOCHROM_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
DESKTOP, PHONE = (1280, 800), (390, 844)
ARGUMENTS = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium, or skip the test where it is missing."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("the page is tested with Playwright: pip install playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip("the page is tested in Chromium: apt-get install chromium, or name one in PHOTOCHROM_CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    browser: Browser, address: str, *, size: tuple[int, int] = DESKTOP, scheme: Any = "light", script: str = ""
) -> Iterator[Page]:
    """Open the page; fail on every error of a script, and on every request to another host."""
    faults: list[str] = []
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, permissions=["clipboard-read", "clipboard-write"]
    )
    host = urlsplit(address).netloc
    try:
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        context.on(
            "request",
            lambda request: (
                faults.append(f"request to {request.url}")
                if urlsplit(request.url).scheme in ("http", "https", "ws", "wss") and urlsplit(request.url).netloc != host
                else None
            ),
        )
        page.goto(address)
        page.wait_for_selector("html[data-ready], .operation, #login[open]")
        yield page
    finally:
        context.close()
    assert not faults, faults


def add(page: Page, *files: Path | dict[str, Any]) -> None:
    """Choose photographs and wait until the last one is colored."""
    before = page.locator(".thumb.ready").count()
    page.set_input_files("#files", list(files))  # type: ignore[arg-type]
    page.locator(".thumb.ready").nth(before + len(files) - 1).wait_for(timeout=30_000)


def settle(page: Page) -> None:
    """Wait until the colors of the latest settings are on the screen."""
    page.locator("#stage:not([aria-busy=true])").wait_for()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def click_at(page: Page, across: float, down: float) -> None:
    """Click a place of the stage, as shares of its width and height."""
    box = page.locator("#stage").bounding_box()
    assert box
    page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])


def color_at(page: Page, across: float, down: float) -> tuple[int, int, int]:
    """Read the color that the canvas shows at a place of the stage, once what is on its way is there."""
    settle(page)
    red, green, blue = page.evaluate(
        """([across, down]) => {
            const source = document.getElementById("canvas"), copy = document.createElement("canvas");
            copy.width = source.width; copy.height = source.height;
            const context = copy.getContext("2d");
            context.drawImage(source, 0, 0);
            return [...context.getImageData(across * copy.width, down * copy.height, 1, 1).data].slice(0, 3);
        }""",
        [across, down],
    )
    return red, green, blue
