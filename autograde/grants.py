"""What a learner's process may read: Python, its packages one by one, shared libraries. Never our graders."""

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

_PACKAGE_FOLDERS = ("site-packages", "dist-packages")
# Ours under any name an installer gives it, and files that run code or tell where a checkout is.
_OURS = ("autograde*", "__editable__*", "_editable_impl_*")
_NOT_PACKAGES = (*_OURS, "*.pth", "*.egg-link", "sitecustomize*", "usercustomize*")
_LIBRARY_ROOTS = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
# Written to as well as read: only /dev/null, see landlock.py. No /dev/zero: mapped shared, it is
# memory that no limit counts.
_SYSTEM = (
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/fonts",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/usr/share/zoneinfo",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/dev/urandom",
    "/dev/random",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
)


def allowed_reads(skip: Sequence[Path]) -> tuple[Path, ...]:
    """The files and folders to read: look once, before forking, and after the imports.

    Packages are named one by one, so that nothing of `autograde` is among them however it was installed,
    and no folder that holds the home folder is. An editable checkout or any other folder of sys.path that
    is not a site-packages or dist-packages is left out.

    Args:
        skip: files and folders to leave out with all below them (the checkout, the course's folders). A
            site-packages below one of them (a virtual environment inside the checkout) is still read.

    Returns:
        Real paths, sorted, none below another.
    """
    packages = _package_folders()
    hidden = {PACKAGE, *(path.resolve() for path in skip), *_home()}
    if PACKAGE.parent not in packages:
        hidden.add(PACKAGE.parent)  # a checkout: its notebooks hold the solutions
    fence = hidden | packages | _foreign_copies()
    found = [path for folder in packages for path in _entries_of(folder, hidden)]
    for folder in _standard_library():
        found += _spread(folder, fence | {folder / name for name in _PACKAGE_FOLDERS})
    for root in _LIBRARY_ROOTS:
        found += _spread(Path(root).resolve(), fence)
    found += _loose_libraries()
    found += [Path(path) for path in (*_SYSTEM, *_matplotlib_files())]
    real = (path.resolve() for path in found if path.exists())
    return _outermost(path for path in real if not _holds(path, hidden))


def _package_folders() -> frozenset[Path]:
    named = (Path(entry) for entry in sys.path if entry)
    return frozenset(path.resolve() for path in named if path.name in _PACKAGE_FOLDERS and path.is_dir())


def _entries_of(folder: Path, hidden: Iterable[Path]) -> Iterator[Path]:
    """The packages in one folder. A link is judged by where it leads."""
    deeper = {path for path in hidden if path == folder or folder in path.parents}
    for entry in _listed(folder):
        if _is_named(entry.name, _NOT_PACKAGES):
            continue
        real = entry.resolve()
        if folder in real.parents:
            yield from _spread(real, deeper, unless=_NOT_PACKAGES if entry.name == "__pycache__" else ())
        elif not _inside(real, hidden):
            yield from _spread(real, hidden)


def _spread(path: Path, fence: Iterable[Path], unless: tuple[str, ...] = ()) -> Iterator[Path]:
    """The path as a whole if nothing fenced is in it, otherwise what can be taken of it."""
    inner = {one for one in fence if one == path or path in one.parents}
    odd = unless and any(_is_named(entry.name, unless) for entry in _listed(path))
    if path in inner:
        return
    if not inner and not odd:
        yield path
        return
    for entry in _listed(path):
        if not entry.is_symlink() and not _is_named(entry.name, unless or _NOT_PACKAGES):
            yield from _spread(entry, inner)


def _standard_library() -> frozenset[Path]:
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    folders = [Path(os.__file__).parent]
    folders += [Path(base) / sys.platlibdir / version for base in (sys.base_prefix, sys.base_exec_prefix)]
    folders += [Path(entry) for entry in sys.path if entry.endswith(("lib-dynload", ".zip"))]
    return frozenset(path.resolve() for path in folders if path.exists())


def _loose_libraries() -> Iterator[Path]:
    """Shared libraries, file by file, where other things may lie too: an administrator's, conda's, MKL's."""
    prefixes = {sys.base_prefix, sys.base_exec_prefix, sys.prefix, "/usr/local"}
    folders = {Path(prefix) / name for prefix in prefixes for name in ("lib", "lib64")}
    for folder in {folder.resolve() for folder in folders}:
        yield from (path for path in _listed(folder) if ".so" in path.suffixes and path.is_file())


@cache
def _foreign_copies() -> frozenset[Path]:
    """Package folders of other Pythons below the library roots that hold a copy of us."""
    found = set()
    for root in _LIBRARY_ROOTS:
        for folder in _PACKAGE_FOLDERS:
            for packages in Path(root).glob(f"python*/{folder}"):
                if any(_is_named(entry.name, _OURS) for entry in _listed(packages)):
                    found.add(packages.resolve())
    return frozenset(found)


def _matplotlib_files() -> Iterator[str]:
    """Its list of fonts and its settings, where it has been imported: without the list it makes a new one."""
    matplotlib = sys.modules.get("matplotlib")
    if matplotlib is not None:
        yield from map(str, Path(matplotlib.get_cachedir()).glob("fontlist-*.json"))
        yield matplotlib.matplotlib_fname()


def _home() -> set[Path]:
    try:
        home = Path.home().resolve()
    except RuntimeError:
        return set()
    return {home} - {Path("/")}


def _is_named(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern) for pattern in patterns)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _inside(path: Path, folders: Iterable[Path]) -> bool:
    return any(path == folder or folder in path.parents for folder in folders)


def _holds(path: Path, hidden: Iterable[Path]) -> bool:
    return any(path == one or path in one.parents for one in hidden)


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    kept: set[Path] = set()
    for path in sorted(set(paths), key=lambda one: len(one.parts)):
        if not kept.intersection(path.parents):
            kept.add(path)
    return tuple(sorted(kept))
