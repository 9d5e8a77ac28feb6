"""Attacks on who reads: markup, scripts, terminal codes and formulas in names, outputs, messages and text cells."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any, ClassVar

from classroom import environment
from siege import CLUE, Attack, Fallout, Siege

ACTIVE = f"""
<script>alert("{CLUE}")</script><img src=x onerror="alert('{CLUE}')"><svg onload="alert('{CLUE}')"></svg>
<a href="javascript:alert('{CLUE}')">a</a><a href="data:text/html,{CLUE}">b</a>
<iframe srcdoc="<script>alert('{CLUE}')</script>"></iframe><iframe src="//example.org/{CLUE}"></iframe>
<object data="//example.org/{CLUE}"></object><embed src="//example.org/{CLUE}">
<form action="//example.org/{CLUE}"><input autofocus onfocus="alert('{CLUE}')"><button>c</button></form>
<meta http-equiv="refresh" content="0; url=//example.org/{CLUE}"><base href="//example.org/{CLUE}">
<link rel="stylesheet" href="//example.org/{CLUE}"><style>@import "//example.org/{CLUE}";</style>
<div style="background:url(//example.org/{CLUE})">d</div><img src="//example.org/{CLUE}.png">
<details ontoggle="alert('{CLUE}')" open>e</details><math href="javascript:alert('{CLUE}')">f</math>
</pre></div></textarea></title></style></script>--><script>alert("{CLUE}")</script>
"""
DISGUISED = (
    "\\x1b[31mred\\x1b]8;;http://example.org\\x07link\\x1b]52;c;AAAA\\x07"
    "\\x9b31m \\u202eevil\\u2066 \\x00\\x07\\b\\r"
)


def noted(text: str) -> Any:
    """Puts text cells of a learner's own into the notebook."""

    def change(notebook: Any) -> Any:
        for number, source in enumerate(
            (text, f"```\n{text}\n```", f"# {text}", f"$\\href{{javascript:{CLUE}}}{{x}}$")
        ):
            for kind, about in (
                ("markdown", {}),
                ("raw", {"format": "text/html", "raw_mimetype": "text/html"}),
            ):
                cell = {"cell_type": kind, "id": f"{kind}-{number}", "metadata": about, "source": source}
                notebook["cells"].append(cell)
        return notebook

    return change


def kept(kind: str, text: str) -> Any:
    """Puts an output of a kind into a cell that was not run again."""

    def change(notebook: Any) -> Any:
        data = {kind: text, "text/plain": "x"}
        output = {"output_type": "display_data", "data": data, "metadata": {}}
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = [output]
        return notebook

    return change


KINDS = (
    "text/html", "text/markdown", "text/latex", "image/svg+xml", "image/png", "application/javascript",
    "application/vnd.jupyter.widget-view+json", "application/pdf", "text/vnd.mermaid",
)  # fmt: skip

SHOW = """
from IPython.display import HTML, SVG, IFrame, Image, Javascript, Latex, Markdown, display
text = {active!r}
for kind in (HTML, Markdown, Latex, Javascript):
    display(kind(text))
for kind in {kinds!r}:
    display({{kind: text, "text/plain": "x"}}, raw=True)
display(IFrame("javascript:alert(1)", 10, 10), Image(url="//example.org/{clue}.png"))
print(text)
"""


class Page(HTMLParser):
    """What a browser would act on in a page.

    Attributes:
        found: tags and attributes that the attacks brought in.
    """

    ACTS = ("script", "iframe", "object", "embed", "form", "meta", "base", "link", "style", "svg", "math")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See an element."""
        self._inside = tag if tag in ("script", "style") else self._inside
        for name, value in attrs:
            acts = name.startswith("on") or name in (
                "href",
                "src",
                "action",
                "data",
                "srcdoc",
                "style",
                "content",
            )
            if acts and CLUE in (value or ""):
                self.found.append(f"<{tag} {name}={value}>")
            if re.match(r"\s*(javascript|data:text)", value or "", re.IGNORECASE):
                self.found.append(f"<{tag} {name}={value}>")

    def handle_endtag(self, tag: str) -> None:
        """Leave an element."""
        self._inside = "" if tag == self._inside else self._inside

    def handle_data(self, data: str) -> None:
        """See text: in a script or a style it acts."""
        if self._inside and CLUE in data:
            self.found.append(f"<{self._inside}>{data[:60]}")


class TestMarkup(Siege):
    """Text that others read must stay text."""

    attacks: ClassVar[tuple[Attack, ...]] = (
        Attack("rich outputs", SHOW.format(active=ACTIVE, kinds=KINDS, clue=CLUE), "outputs made inert"),
        Attack("terminal codes in what is printed", f'print("{DISGUISED}" * 3)', "text cleaned"),
        Attack(
            "markup in messages",
            f"def word(k):\n    raise ValueError({ACTIVE!r} + '{DISGUISED}')",
            "text escaped",
            earns=6.0,
        ),
        Attack(
            "markup in the names of types",
            f"def word(k):\n    raise type({ACTIVE!r}, (Exception,), {{}})('x')",
            "text escaped",
            earns=6.0,
        ),
        Attack("markup in text cells", "", "text made inert", notebook=noted(ACTIVE)),
        Attack("outputs that were handed in", "", "handed-in outputs dropped", notebook=kept("text/html", ACTIVE)),
        Attack("markup in a student's name", "1", "text escaped", student="<img src=x onerror=alert(1)>"),
        Attack("a turn of the writing direction in a student's name", "1", "text cleaned", student="red\u202egnp.exe"),
        Attack("a formula as a student's name", "1", "an apostrophe", student="=HYPERLINK(x)"),
        Attack("a formula in what is printed", "print('=1+1')", "text"),
    )  # fmt: skip

    def test_pages_hold_no_script_of_theirs(self, fallout: Fallout) -> None:
        """In the pages of feedback nothing that the attacks brought in can act or load."""
        pages = sorted((fallout.target.root / "feedback").rglob("*.html"))
        found = {str(page.parent): Page(page.read_text(encoding="utf-8")).found for page in pages}
        assert len(pages) == len(fallout.students) + 1
        assert {page: what for page, what in found.items() if what} == {}

    def test_terminal_is_left_alone(self, fallout: Fallout) -> None:
        """What the commands print holds no control character, and no change of the writing direction."""
        assert not re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", fallout.said)

    def test_export_holds_no_formula(self, fallout: Fallout) -> None:
        """No field of the exported grades begins as a formula does."""
        root = fallout.target.root
        command = [sys.executable, "-m", "nbgrader", "export"]
        subprocess.run(command, cwd=root, env=environment(), check=True, capture_output=True, timeout=120)
        with (root / "grades.csv").open(encoding="utf-8", newline="") as file:
            fields = [field for row in csv.reader(file) for field in row]
        assert any("HYPERLINK" in field for field in fields)
        assert [field for field in fields if field.startswith(tuple("=+-@\t\r"))] == []
