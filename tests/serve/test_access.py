"""Hold the page to be usable by everybody: axe-core, the keyboard alone, narrow and dark screens; and to be drawn right."""

from __future__ import annotations

import base64
import io
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from photochrom.colorizer.colorizer import Colorizer, Options
from photochrom.colorizer.hints import Hint
from photochrom.photo import color_management, convert
from photochrom.photo.planes import upright
from tests.support.browser import DESKTOP, PHONE, add, click_at, opened, settle
from tests.support.rendering import profiles
from tests.support.servers import PHOTOS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CAMERA = PHOTOS / "camera.jpg"
SCREENS = [
    pytest.param(size, scheme, id=f"{name}-{scheme}")
    for name, size in (("desktop", DESKTOP), ("phone", PHONE))
    for scheme in ("light", "dark")
]


def axe(page: Page) -> list[str]:
    """List what axe-core calls serious or critical."""
    try:
        from axe_playwright_python.base import AXE_FILE_PATH
    except ImportError:
        pytest.skip("accessibility is tested with axe-core: pip install axe-playwright-python")
    # Evaluated by the debugger's protocol, which the page's policy does not bind.
    page.evaluate(Path(AXE_FILE_PATH).read_text("utf-8"))
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {each['help']} ({', '.join(node['html'][:120] for node in each['nodes'])})"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_axe_finds_nothing_serious(size: tuple[int, int], scheme: str, browser: Browser, address: str) -> None:
    with opened(browser, address, size=size, scheme=scheme) as page:
        assert not axe(page)
        add(page, CAMERA, PHOTOS / "cat.png")
        click_at(page, 0.5, 0.4)
        page.locator("#suggestions button").first.wait_for()
        assert not axe(page)
        page.click("#picker-done")
        page.click("#variants")
        page.locator("#variant-list img").first.wait_for(timeout=30_000)
        page.click("#doubt")
        page.locator(".mark.doubt").first.wait_for()
        page.click("#show-keys")
        assert not axe(page)
    with opened(browser, f"{address}docs", size=size, scheme=scheme) as page:
        assert not axe(page)


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_nothing_is_wider_than_the_screen(size: tuple[int, int], scheme: str, browser: Browser, address: str) -> None:
    with opened(browser, address, size=size, scheme=scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        add(page, CAMERA, PHOTOS / "cat.png", PHOTOS / "rocket.tif")
        click_at(page, 0.5, 0.4)
        page.locator("#suggestions button").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
        box = page.locator("#picker").bounding_box()
        assert box
        assert box["x"] >= 0 and box["x"] + box["width"] <= size[0]
        assert box["y"] >= 0 and box["y"] + box["height"] <= size[1]


def test_everything_is_done_by_the_keyboard_alone(browser: Browser, address: str) -> None:
    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} cannot be reached by Tab")

    with opened(browser, address) as page:
        tab_to("[data-choose]")
        # Headless Chromium does not always tell of the chooser that it would open: what is held is that it is asked to.
        page.evaluate(
            """document.getElementById("files").addEventListener("click", (event) => {
                event.preventDefault();
                document.body.dataset.asked = navigator.userActivation.isActive;
            })"""
        )
        page.keyboard.press("Enter")
        page.locator("body[data-asked=true]").wait_for()
        page.set_input_files("#files", PHOTOS / "astronaut.jpg")
        page.locator(".thumb.ready").wait_for(timeout=30_000)
        tab_to("#stage")
        page.keyboard.press("+")
        page.keyboard.press("0")
        page.keyboard.press("h")
        page.locator("#suggestions button").first.wait_for()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        color = page.locator("#hints .swatch").inner_text()
        assert color == page.locator("#suggestions button").nth(1).get_attribute("data-color")
        page.keyboard.press("Escape")
        settle(page)
        assert page.evaluate("document.activeElement.className") == "mark", "focus goes back to the hint"
        page.keyboard.press("Shift+ArrowLeft")
        page.keyboard.press("Enter")
        page.locator("#picker").wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("Control+z")
        tab_to("#divider")
        page.keyboard.press("ArrowRight")
        tab_to("#vividness")
        page.keyboard.press("ArrowRight")
        assert page.locator("#vividness-value").inner_text() == "1.1"
        tab_to("#confidence")
        page.keyboard.press("Space")
        assert page.is_checked("#confidence")
        tab_to("#download")
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        assert download.value.suggested_filename == "astronaut.color.jpg"


DRAW = """async ([path, hints]) => {
    const { makeScreen } = await import(new URL("static/screen.js", location.href).href);
    const files = (await (await fetch(path)).json());
    const canvas = Object.assign(document.createElement("canvas"), { width: files.width, height: files.height });
    const screen = makeScreen(canvas);
    if (!screen.shader) throw new Error("no WebGL 2");
    const luma = await (await fetch(`${path}/luma`)).blob();
    screen.setLuma(await createImageBitmap(luma, { colorSpaceConversion: "none", premultiplyAlpha: "none" }));
    const body = JSON.stringify({ hints, vividness: 1.4 });
    const model = await fetch(`${path}/hints`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
    screen.setModel(await model.arrayBuffer());
    screen.draw({ size: [files.width, files.height], view: [0, 0, 1], divider: -1, overlay: 0, background: [0, 0, 0] });
    const pixels = new Uint8Array(4 * files.width * files.height), gl = canvas.getContext("webgl2");
    gl.readPixels(0, 0, files.width, files.height, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
    let text = "";
    for (let i = 0; i < pixels.length; i += 8192) text += String.fromCharCode(...pixels.subarray(i, i + 8192));
    return btoa(text);
}"""


def photograph(orientation: int = 1, *, deep: bool = False, profile: bytes | None = None) -> bytes:
    """Make a file of a photograph of 448 x 300 pixels."""
    grey = np.asarray(Image.open(PHOTOS / "cat.png").convert("L").resize((448, 300)))
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    if deep:
        Image.fromarray(grey.astype(np.uint16) * 257).save(buffer, "PNG")
    else:
        Image.fromarray(np.repeat(grey[..., None], 3, 2)).save(buffer, "TIFF", exif=exif, icc_profile=profile)
    return buffer.getvalue()


CASES = [pytest.param(photograph(turn), id=f"orientation-{turn}") for turn in range(1, 9)]
CASES += [pytest.param(photograph(deep=True), id="16-bit")]
CASES += [pytest.param(photograph(profile=profile), id=name) for name, profile in sorted(profiles().items())[:1]]


@pytest.mark.parametrize("data", CASES)
def test_the_shader_draws_what_paint_gives(data: bytes, browser: Browser, address: str) -> None:
    photo = convert.read(data)
    luma = np.ascontiguousarray(color_management.as_srgb(upright(photo.shown, photo.orientation), photo.icc))
    high, wide = luma.shape
    hints = [{"x": wide // 2, "y": high // 3, "color": "#c04030"}]
    request = urllib.request.Request(f"{address}v1/sessions", data)
    with urllib.request.urlopen(request) as answer:
        path = f"{address}v1/{answer.headers['Location']}"
    with opened(browser, address) as page:
        text = page.evaluate(DRAW, [path, hints])
    drawn = np.frombuffer(base64.b64decode(text), np.uint8).reshape(high, wide, 4)[::-1, :, :3]
    options = Options(hints=(Hint(wide // 2, high // 3, "#c04030"),), vividness=1.4)
    painted = Colorizer.load(options=options, threads=1).paint(luma)
    difference = np.abs(drawn.astype(int) - painted)
    assert difference.mean() <= 0.6
    assert (difference.max(-1) <= 6).mean() >= 0.99
