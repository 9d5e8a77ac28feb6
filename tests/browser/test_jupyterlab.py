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
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from autograde import mistakes
from autograde.question import Question
from autograde.submission import grade_id

TOKEN = "learner"
PATIENCE = 90_000  # milliseconds; a slow machine is no failure


@pytest.fixture(scope="module")
def folder(question: Question, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A learner's folder whose notebook has the first known mistake in it."""
    place = tmp_path_factory.mktemp("learner")
    wrong = mistakes.solved(question, mistakes.mistakes(question)[0])
    path = place / question.topic / f"{question.slug}.ipynb"
    path.parent.mkdir()
    release = json.loads(question.release.read_text(encoding="utf-8"))
    for cell in release["cells"]:
        cell["source"] = next(c["source"] for c in wrong["cells"] if grade_id(c) == grade_id(cell))
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
def page(server: str, question: Question) -> Iterator[Page]:
    """The notebook, opened."""
    chromium = shutil.which("chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        page.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        page.goto(f"{server}/lab/tree/{question.topic}/{question.slug}.ipynb?token={TOKEN}")
        page.wait_for_selector(".jp-Notebook .jp-CodeCell")
        expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first).to_be_attached()
        yield page
        browser.close()


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
    card = _card(page)
    expect(card).to_contain_text("This looks like")
    expect(card).to_contain_text(mistakes.mistakes(question)[0].says.split(".")[0])
    expect(card).to_contain_text("8 of 10 points")
    error = page.locator(".jp-OutputArea-output", has_text="points, see the card above").first
    expect(error).to_be_visible()
    assert "Traceback" not in error.inner_text()


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
    cell = page.locator(".jp-CodeCell", has_text=f"def {name}(").first
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(source)
    _run_all(page)
    expect(_card(page)).to_contain_text("10 of 10 points")
    expect(page.locator(".jp-OutputArea-output", has_text="see the card above")).to_have_count(0)


def _run_all(page: Page) -> None:
    """Run ▸ Restart Kernel and Run All Cells, and wait until nothing runs."""
    page.keyboard.press("Escape")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_timeout(500)
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").first).to_be_attached()


def _card(page: Page) -> Any:
    return page.locator(".jp-OutputArea-output", has_text="From logits to probabilities").last


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False
