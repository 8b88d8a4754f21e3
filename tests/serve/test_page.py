"""Drive every flow of the page in Chromium."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tests.serve.test_colorize import timeless
from tests.support.browser import DESKTOP, PHONE, add, click_at, color_at, opened, settle
from tests.support.models import run
from tests.support.servers import PHOTOS, in_color_jpeg, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CAMERA = PHOTOS / "camera.jpg"
SCREENS = [pytest.param(DESKTOP, "light", id="desktop"), pytest.param(PHONE, "dark", id="phone")]


def hint(page: Page, across: float, down: float, color: str) -> None:
    """Give a point a color by its hexadecimal number."""
    count = page.locator("#hints li").count()
    with page.expect_response("**/suggestions?*"):
        click_at(page, across, down)
    page.locator("#hints li").nth(count).wait_for()
    page.locator("#suggestions button").first.wait_for()
    page.fill("#picker-hex", color)
    page.click("#picker-done")
    settle(page)


def marks(page: Page, count: int) -> None:
    """Hold the number of hints that the stage shows."""
    settle(page)
    assert page.locator(".mark").count() == count


def saved(page: Page, button: str) -> tuple[str, bytes]:
    with page.expect_download() as download:
        page.click(button)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_a_click_gives_an_object_its_color(size: tuple[int, int], scheme: str, browser: Browser, address: str) -> None:
    with opened(browser, address, size=size, scheme=scheme) as page:
        add(page, CAMERA)
        before = color_at(page, 0.5, 0.5)
        hint(page, 0.5, 0.5, "#c02020")
        red, _, blue = color_at(page, 0.52, 0.5)
        assert red - blue > before[0] - before[2] + 10
        marks(page, 1)
        page.click("#undo")
        page.click("#undo")
        marks(page, 0)
        page.click("#redo")
        marks(page, 1)
        page.click("#hints li button[aria-label='Remove hint 1']")
        marks(page, 0)


def test_suggested_colors_come_first_and_one_click_takes_one(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        add(page, CAMERA)
        click_at(page, 0.5, 0.2)
        suggestions = page.locator("#suggestions button")
        suggestions.first.wait_for()
        wanted = suggestions.nth(1).get_attribute("data-color")
        suggestions.nth(1).click()
        assert page.locator("#hints .swatch").inner_text() == wanted
        assert page.input_value("#picker-hex") == wanted
        page.keyboard.press("Escape")
        assert page.locator("#picker").is_hidden()


def test_a_hint_is_dragged_and_moved_by_keys_as_one_step_each(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        add(page, CAMERA)
        hint(page, 0.5, 0.5, "#20a020")
        mark = page.locator(".mark")
        box = mark.bounding_box()
        assert box
        page.mouse.move(box["x"] + 13, box["y"] + 13)
        page.mouse.down()
        page.mouse.move(box["x"] + 60, box["y"] + 40, steps=5)
        page.mouse.up()
        settle(page)
        moved = mark.bounding_box()
        assert moved
        assert abs(moved["x"] - box["x"] - 47) < 4
        mark.focus()
        for _ in range(3):
            page.keyboard.press("Shift+ArrowRight")
        settle(page)
        by_keys = mark.bounding_box()
        assert by_keys
        assert by_keys["x"] > moved["x"] + 20
        page.keyboard.press("Control+z")
        page.keyboard.press("Control+z")
        settle(page)
        again = mark.bounding_box()
        assert again
        assert abs(again["x"] - box["x"]) < 2
        mark.focus()
        page.keyboard.press("Delete")
        marks(page, 0)


@pytest.mark.parametrize(("size", "scheme"), SCREENS)
def test_the_slider_shows_before_and_after(size: tuple[int, int], scheme: str, browser: Browser, address: str) -> None:
    with opened(browser, address, size=size, scheme=scheme) as page:
        add(page, PHOTOS / "astronaut.jpg")
        hint(page, 0.5, 0.55, "#d02020")
        colored = color_at(page, 0.52, 0.56)
        assert max(colored) - min(colored) > 8
        divider = page.locator("#divider")
        divider.focus()
        page.keyboard.press("End")
        assert divider.get_attribute("aria-valuenow") == "100"
        grey = color_at(page, 0.52, 0.56)
        assert max(grey) - min(grey) <= 1
        box, stage = divider.bounding_box(), page.locator("#stage").bounding_box()
        assert box and stage
        page.mouse.move(box["x"] + 14, box["y"] + 60)
        page.mouse.down()
        page.mouse.move(stage["x"] + 0.3 * stage["width"], box["y"] + 60, steps=4)
        page.mouse.up()
        assert color_at(page, 0.52, 0.56) == colored
        assert page.locator(".mark").count() == 1, "dragging the slider is no click"


def test_zoom_and_pan_keep_the_point_under_the_pointer(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        add(page, CAMERA)
        hint(page, 0.5, 0.5, "#2020d0")
        mark = page.locator(".mark")
        before = mark.bounding_box()
        assert before
        page.mouse.move(before["x"] + 13, before["y"] + 13)
        page.mouse.wheel(0, -600)
        settle(page)
        after = mark.bounding_box()
        assert after
        assert abs(after["x"] - before["x"]) < 4 and abs(after["y"] - before["y"]) < 4
        page.locator("#stage").focus()
        page.keyboard.press("ArrowRight")
        settle(page)
        panned = mark.bounding_box()
        assert panned and panned["x"] < after["x"] - 40
        page.keyboard.press("0")
        settle(page)
        fitted = mark.bounding_box()
        assert fitted and abs(fitted["x"] - before["x"]) < 2


def test_vividness_variants_confidence_and_doubts(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        add(page, PHOTOS / "astronaut.jpg")
        grey = [color_at(page, across, 0.4) for across in (0.4, 0.5, 0.6)]
        page.locator("#vividness").fill("2")
        assert page.locator("#vividness-value").inner_text() == "2.0"
        vivid = [color_at(page, across, 0.4) for across in (0.4, 0.5, 0.6)]
        assert sum(max(c) - min(c) for c in vivid) > 1.1 * sum(max(c) - min(c) for c in grey)
        page.click("#variants")
        page.locator("#variant-list img").first.wait_for(timeout=30_000)
        assert page.locator("#variant-list img").count() >= 2
        page.locator("#variant-list button").nth(1).click()
        settle(page)
        assert page.locator("#variant-list button[aria-pressed=true]").count() == 1
        page.click("#doubt")
        page.locator(".mark.doubt").first.wait_for()
        assert 1 <= page.locator(".mark.doubt").count() <= 3
        page.check("#confidence")
        page.locator("#confidence:not([aria-busy])").wait_for()
        assert [color_at(page, across, 0.4) for across in (0.4, 0.5, 0.6)] != vivid
        marks = page.locator(".mark:not(.doubt)").count()
        page.locator(".mark.doubt").first.click()
        page.locator(".mark:not(.doubt)").nth(marks).wait_for()
        page.locator("#picker").wait_for()


def test_the_download_is_what_the_copied_command_writes(browser: Browser, address: str, tmp_path: Path) -> None:
    reference = tmp_path / "reference.jpg"
    reference.write_bytes(in_color_jpeg())
    with opened(browser, address) as page:
        add(page, PHOTOS / "rocket.tif")
        hint(page, 0.4, 0.5, "#c06020")
        page.locator("#vividness").fill("1.4")
        with page.expect_response("**/reference"):
            page.set_input_files("#reference-file", reference)
        page.locator("#no-reference").wait_for()
        page.click("#command")
        page.get_by_text("The command is copied.").wait_for()
        words = page.evaluate("navigator.clipboard.readText()").split()
        name, data = saved(page, "#download")
    assert name == "rocket.color.tif"
    assert words[:2] == ["photochrom", "colorize"]
    arguments = [str(PHOTOS / "rocket.tif"), *(word.strip("'") for word in words[3:])]
    arguments[arguments.index("reference.jpg")] = str(reference)
    target = tmp_path / "rocket.tif"
    assert run("colorize", *arguments, "-o", str(target)) == 0
    assert timeless(data) == timeless(target.read_bytes())


def test_several_photographs_one_bad_and_a_zip(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        bad: Any = {"name": "bad.jpg", "mimeType": "image/jpeg", "buffer": CAMERA.read_bytes()[:4000]}
        page.set_input_files("#files", [CAMERA, PHOTOS / "cat.png"])
        page.locator(".thumb.ready").nth(1).wait_for(timeout=30_000)
        page.set_input_files("#files", [bad])
        page.locator(".thumb.failed").wait_for()
        page.locator(".thumb.failed").click()
        assert "damaged" in page.locator("#cover").inner_text() or "truncated" in page.locator("#cover").inner_text()
        page.click("button[aria-label='Retry bad.jpg']")
        page.locator(".thumb.failed").wait_for()
        add(page, CAMERA)
        name, data = saved(page, "#download-all")
        assert name == "photographs.zip"
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert sorted(archive.namelist()) == ["camera.color-2.jpg", "camera.color.jpg", "cat.color.png"]
            assert archive.testzip() is None
            assert Image.open(io.BytesIO(archive.read("cat.color.png"))).mode == "RGB"
        page.click("button[aria-label='Remove cat.png']")
        assert page.locator(".thumb").count() == 3


def test_an_upload_is_canceled_and_tried_again(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:

        def hold(_: Any) -> None:
            """Let the upload hang."""

        page.route("**/v1/sessions", hold)
        page.set_input_files("#files", [CAMERA])
        page.locator(".thumb.sending progress").wait_for()
        page.click("button[aria-label='Cancel camera.jpg']")
        page.locator(".thumb.canceled").wait_for()
        assert page.locator("#cover").inner_text() == "Canceled."
        page.unroute("**/v1/sessions")
        page.click("button[aria-label='Retry camera.jpg']")
        page.locator(".thumb.ready").wait_for()


def test_photographs_are_dropped_and_pasted(browser: Browser, address: str) -> None:
    hand_over = """([kind, bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], kind + ".jpg", { type: "" }));
        const event = kind === "drop" ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
            : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
    }"""
    with opened(browser, address) as page:
        for index, kind in enumerate(("drop", "paste")):
            page.evaluate(hand_over, [kind, list(CAMERA.read_bytes())])
            page.locator(".thumb.ready").nth(index).wait_for(timeout=30_000)


def test_a_session_that_the_server_forgot_is_opened_again_with_its_hints(browser: Browser, address: str) -> None:
    with opened(browser, address) as page:
        add(page, CAMERA)
        hint(page, 0.5, 0.5, "#c02020")
        colored = color_at(page, 0.52, 0.5)
        page.evaluate("""async () => {
            const [entry] = performance.getEntriesByType("resource").filter((each) => each.name.includes("/luma"));
            await fetch(entry.name.split("/luma")[0], { method: "DELETE" });
        }""")
        with page.expect_response(lambda response: response.url.endswith("/hints") and response.ok):
            page.locator("#vividness").fill("1.1")
        red, _, blue = color_at(page, 0.52, 0.5)
        assert red - blue > colored[0] - colored[2] - 12
        assert page.locator(".mark").count() == 1


def test_without_webgl_pictures_of_the_server_are_shown(browser: Browser, address: str) -> None:
    script = """const original = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...rest) { return kind === "webgl2" ? null : original.call(this, kind, ...rest); };"""
    with opened(browser, address, script=script) as page:
        add(page, CAMERA)
        before = color_at(page, 0.52, 0.5)
        with page.expect_response("**/suggestions?*"):
            click_at(page, 0.5, 0.5)
        page.locator("#suggestions button").first.wait_for()
        page.fill("#picker-hex", "#c02020")
        red, _, blue = color_at(page, 0.52, 0.5)
        assert red - blue > before[0] - before[2] + 10
        page.locator("#divider").focus()
        page.keyboard.press("End")
        assert np.ptp(color_at(page, 0.52, 0.5)) <= 1


def test_the_page_asks_for_the_token_once(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef\n")
    with running("--token", str(tmp_path / "token")) as (address, _), opened(browser, address) as page:
        page.locator("#login[open]").wait_for()
        page.fill("#token", "wrong")
        page.click("#login button")
        page.get_by_text("the token is wrong").wait_for()
        page.fill("#token", "0123456789abcdef")
        page.click("#login button")
        page.locator("#login[open]").wait_for(state="detached")
        add(page, CAMERA)
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.locator("#login[open]").count() == 0
        assert "0123456789abcdef" not in page.evaluate("document.cookie + location.href + JSON.stringify(localStorage)")
