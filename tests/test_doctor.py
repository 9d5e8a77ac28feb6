"""What the doctor says about this machine, and about machines that lack something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from autograde import doctor
from autograde.doctor import Row

GOOD = (Row("Python", None, "3.11"), Row("layer: seccomp", True, "a filter"))
BAD = (*GOOD, Row("layer: landlock", False, "this kernel has no Landlock (Linux 5.13 or newer has) " * 3))


@pytest.fixture(scope="module")
def rows() -> tuple[Row, ...]:
    """This machine, looked at once."""
    return doctor.examine()


def test_nothing_is_missing_here(rows: tuple[Row, ...]) -> None:
    """Where the tests run, every layer and every attempt holds."""
    assert [row for row in rows if row.holds is False] == []


@pytest.mark.parametrize(
    "name",
    [
        "Python",
        "torch",
        "CUDA",
        "kernel",
        "Landlock",
        "layer: landlock",
        "layer: seccomp",
        "layer: rlimits",
        "layer: capabilities",
        "memory watched",
        "can't read /etc/passwd",
        "can't list the home folder",
        "can't open a socket",
        "can't start a process",
        "can't run a program",
        "can't signal its parent",
        "can't take more memory than allowed",
        "can't share anonymous memory",
        "can't write outside the scratch",
        "can't read autograde's own code",
        "can't read the hidden graders",
    ],
)
def test_row(rows: tuple[Row, ...], name: str) -> None:
    """The table has a line for it, and the line says something."""
    assert [row.detail for row in rows if row.name == name] != []


def test_table_is_80_columns_wide(rows: tuple[Row, ...]) -> None:
    """No line is longer than a terminal, however much a row has to say."""
    assert max(map(len, doctor.table((*rows, *BAD)).splitlines())) <= 80


def test_verdict_names_what_is_missing() -> None:
    """One line says what is not enforced and what to do."""
    assert "layer: landlock" in doctor.verdict(BAD)
    assert "Linux 6.2" in doctor.verdict(BAD)
    assert "locked process" in doctor.verdict(GOOD)


def test_elsewhere_it_says_without_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """On another system the verdict says plainly that grading is not locked."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "WITHOUT A LOCK" in doctor.verdict(BAD)


@pytest.mark.parametrize(
    ("without", "required", "code"), [("", 1, 0), ("landlock", 1, 1), ("landlock", 0, 0)]
)
def test_exit_code(tmp_path: Path, without: str, required: int, code: int) -> None:
    """The exit code is 1 only where something is missing and the sandbox is required."""
    # A kernel that is too old, made by refusing the doctor's process (and so its child) Landlock's calls.
    text = """
import sys
from autograde import doctor, seccomp
from autograde.kernel import prctl
if sys.argv[1]:
    import ctypes, errno, struct
    program = [seccomp._load(0), *seccomp._when(444, [seccomp._fail(errno.ENOSYS)]), seccomp._return(0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    prctl(38, 1)
    prctl(22, 2, ctypes.addressof(header))
sys.exit(doctor.main(require_sandbox=bool(int(sys.argv[2]))))
"""
    command = [sys.executable, "-c", text, without, str(required)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (code, "")
    assert ("✗ NO" in ended.stdout) is bool(without)
