"""A learner's round in a real JupyterLab in a real browser; not collected where there is no Chromium."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import CHECKOUT
from nbformat.v4 import new_code_cell
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from autograde import mistakes
from autograde.question import Question, find
from autograde.submission import grade_id
from autograde.verdict import Outcome, Recognised, Result, Verdict, points

TOKEN = "learner"
PATIENCE = 90_000  # milliseconds; a slow machine is no failure

ROUND = ("softmax_logits", "multi_head_attention")
once = pytest.mark.parametrize("question", ROUND[:1], indirect=True)

# JupyterLab drops what it is told to run, or asks which kernel to start, while the notebook's kernel is not connected;
# the page shows the same "idle" before and after.
CONNECTED = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext, kernel = context?.session?.kernel;
    return context?.isReady && kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""

# The least contrast of a text in an element with its ground, and that text: WCAG 2.2, which asks for 4.5.
CONTRAST = """card => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const over = (colours) => {  // what is seen of colours that lie on each other, the lowest first
        canvas.clearRect(0, 0, 1, 1);
        for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
        return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
    };
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const seen = [];
    const texts = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
        const said = texts.currentNode.textContent.trim(), ground = [];
        if (!said) continue;
        for (let e = texts.currentNode.parentElement; e; e = e.parentElement)
            ground.unshift(getComputedStyle(e).backgroundColor);
        const ink = getComputedStyle(texts.currentNode.parentElement).color;
        const [low, high] = [over(ground), over([...ground, ink])].map(luminance).sort((x, y) => x - y);
        seen.push([(high + 0.05) / (low + 0.05), said]);
    }
    return seen.sort((x, y) => x[0] - y[0])[0];
}"""


def every_outcome() -> Result:
    """A result with all that a card can say."""
    verdicts = tuple(
        Verdict(
            f"test_{o}",
            f"A test that is {o}.",
            o,
            1,
            "shape is (2,), should be (3,)",
            part="cuda" if o.is_open else None,
        )
        for o in Outcome
    )
    known = (Recognised("no_scale", "The scores are not divided. By what should they be?"),)
    return Result(
        "every_outcome", verdicts, known, ("ran longer than 10 s in f",), ("cell 'try' was edited",)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learner's folder whose notebooks have the first known mistake in them, and a cell with another card."""
    place = tmp_path_factory.mktemp("learner")
    every = json.dumps(every_outcome().to_json())
    extra = new_code_cell(
        "import json\nfrom autograde import card\nfrom autograde.verdict import Result\n"
        f"card.show(Result.from_json(json.loads({every!r})), 'Every outcome')"
    )
    for question in (find(slug, CHECKOUT) for slug in ROUND):
        wrong = mistakes.solved(question, mistakes.mistakes(question)[0])
        path = place / question.topic / f"{question.slug}.ipynb"
        path.parent.mkdir()
        release = json.loads(question.release.read_text(encoding="utf-8"))
        for cell in release["cells"]:
            cell["source"] = next(c["source"] for c in wrong["cells"] if grade_id(c) == grade_id(cell))
        release["cells"].insert(2, extra)  # behind the setup: a run of all cells ends at a check that fails
        path.write_text(json.dumps(release), encoding="utf-8")
    return place


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """`autograde lab` on that folder."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "autograde", "lab", str(folder), "--no-browser", "--allow-root"]
    options = [f"--ServerApp.token={TOKEN}", f"--port={port}", "--ServerApp.port_retries=0"]
    options.append("--LabApp.expose_app_in_browser=True")  # for CONNECTED
    # Cells that are out of sight are otherwise not in the page, and the check is far down.
    settings = folder / ".jupyter" / "lab-settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text('{"windowingMode": "none"}', encoding="utf-8")
    log = (folder / "lab.log").open("wb")
    process = subprocess.Popen([*command, *options], stdout=log, stderr=log, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        while not _answers(f"{url}/api?token={TOKEN}"):
            assert process.poll() is None, (folder / "lab.log").read_text(encoding="utf-8")
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        log.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real browser."""
    with sync_playwright() as play:
        chromium = shutil.which("chromium")
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=ROUND)
def question(request: pytest.FixtureRequest) -> Question:
    """Each question of the round."""
    return find(request.param, CHECKOUT)


@pytest.fixture(scope="module")
def page(browser: Browser, server: str, question: Question) -> Iterator[Page]:
    """The notebook, opened in a workspace of its own."""
    page = browser.new_page(viewport={"width": 1200, "height": 1600})
    page.set_default_timeout(PATIENCE)
    page.add_locator_handler(page.locator(".jp-Dialog").filter(has_not_text="Validat"), _answer)
    place = f"lab/workspaces/{question.slug}/tree/{question.topic}/{question.slug}.ipynb"
    page.goto(f"{server}/{place}?token={TOKEN}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")
    yield page
    page.close()


@once
def test_the_learner_sees_no_instructor_panel(page: Page) -> None:
    """Formgrader and its like are neither in the menus nor in the side bars; Validate is there."""
    page.get_by_role("menuitem", name="Nbgrader").click()
    expect(page.get_by_text("Validate", exact=False).first).to_be_visible()
    expect(page.get_by_text(re.compile("Formgrader", re.IGNORECASE))).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Would you like to", exact=False)).to_have_count(0)  # the question about news


def test_a_wrong_answer_is_told_which_mistake_it_looks_like(page: Page, question: Question) -> None:
    """Running the notebook shows the card with the failed test, and the advice of the recognised mistake."""
    _run_all(page)
    card = _card(page, question.title)
    expect(card).to_contain_text("This looks like")
    expect(card).to_contain_text(mistakes.mistakes(question)[0].says.split(".")[0])
    expect(card).to_contain_text(re.compile(rf"\d of {_points(question)} points"))
    error = page.locator(".jp-OutputArea-output", has_text="points, see the card above").first
    expect(error).to_be_visible()
    assert "Traceback" not in error.inner_text()


@once
@pytest.mark.parametrize("theme", ["JupyterLab Dark", "JupyterLab Light"])
def test_the_card_reads_in_every_theme(page: Page, question: Question, theme: str) -> None:
    """Every text of a card, whatever it says, has a contrast of at least 4.5 with what is behind it."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    for item in ("Theme", theme):
        page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{item}$")).click()
    expect(page.locator(f"body[data-jp-theme-name='{theme}']")).to_be_attached()
    for title in (question.title, "Every outcome"):
        contrast, text = _card(page, title).evaluate(CONTRAST)
        assert contrast >= 4.5, f"{theme}: {text!r} has a contrast of {contrast:.2f}"


@once
def test_validate_shows_the_whole_card(page: Page) -> None:
    """The dialog of nbgrader's Validate holds every test's line and the recognised mistake."""
    page.get_by_role("button", name="Validate").first.click()
    dialog = page.locator(".jp-Dialog, .nbgrader-ErrorDialog").last
    expect(dialog).to_contain_text("This looks like")
    expect(dialog).to_contain_text("✗ failed")
    expect(dialog).to_contain_text("✓ passed")
    page.locator(".jp-Dialog button").last.click()


def test_the_mended_notebook_passes(page: Page, question: Question) -> None:
    """After the cell is corrected in the editor, the same check passes and raises nothing."""
    right = mistakes.solved(question)
    name = mistakes.mistakes(question)[0].cell
    source = "".join(next(c["source"] for c in right["cells"] if grade_id(c) == name))
    cell = page.locator(".jp-CodeCell", has_text=source.splitlines()[0]).first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    _run_all(page)
    points = _points(question)
    expect(_card(page, question.title)).to_contain_text(f"{points} of {points} points")
    expect(page.locator(".jp-OutputArea-output", has_text="see the card above")).to_have_count(0)


def _run_all(page: Page) -> None:
    """Run ▸ Run All Cells, and wait until the check has been run."""
    written = page.locator(".cm-content", has_text=re.compile(r"^\s*check\("))
    check = page.locator(".jp-CodeCell", has=written).last.locator(".jp-InputPrompt").first
    before = check.inner_text()
    page.wait_for_function(CONNECTED)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    expect(check).not_to_have_text(before)  # [*] while it waits
    expect(check).to_have_text(re.compile(r"^\[\d+\]:?$"))


def _answer(dialog: Locator) -> None:
    """Answer what JupyterLab asks on a slow machine as it proposes; what it asked is seen where a test fails."""
    print(f"JupyterLab asked: {dialog.inner_text()!r}")
    dialog.locator("button").last.click()


def _card(page: Page, title: str) -> Locator:
    return page.locator(".jp-RenderedHTML", has=page.locator("strong", has_text=title)).last


def _points(question: Question) -> str:
    cells = question.source_notebook["cells"]
    return points(sum(cell["metadata"].get("nbgrader", {}).get("points", 0) for cell in cells))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False
