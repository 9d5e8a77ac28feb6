"""The command `autograde`."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from autograde.errors import Explained
from autograde.interruption import Interrupted, interruptible
from autograde.lean import spare_imports
from autograde.refusal import refused

EXIT_CODES = """\
exit codes:
  0  done, and nothing for a person to look at
  1  done, and a person should look (what was said above), or a check did not pass
  2  could not be done: the command line, a missing folder, a question's own files, a full disk
  128 + n  ended by signal n (130: Ctrl-C)
"""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit; a fault of the caller's is one line on standard error, not a traceback."""
    spare_imports()
    options = _parser().parse_args(arguments)
    try:
        with interruptible():
            code = options.run(options)
    except Interrupted as signalled:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("\nstopped: what was graded is kept; run it again to go on", file=sys.stderr)
        code = signalled.code
    except BrokenPipeError:
        # `autograde … | head`: who reads has seen enough. Python would complain again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    except Explained as error:
        print(f"autograde: {error}", file=sys.stderr)
        code = 2
    except OSError as error:
        machines = refused(error)
        if machines is None:
            raise
        print(f"autograde: {machines}", file=sys.stderr)
        code = 2
    sys.exit(code)


def _grade(options: argparse.Namespace) -> int:
    from autograde import card, report
    from autograde.batch import grade_class
    from autograde.handin import MISSING

    if options.require_sandbox and _doctor(options):
        return 1
    student = options.why or options.student
    graded = grade_class(
        Path(options.submitted),
        topic=options.topic,
        student=student,
        jobs=options.jobs,
        keep=not options.why,
        again=options.force,
        seed=options.seed,
    )
    for question, rows in graded.rows.items():
        if options.why:
            there = [row for row in rows if row.result.problem != MISSING]
            print(
                "\n".join(card.text(row.result, question.title) for row in there)
                or f"{question.slug}: {MISSING}"
            )
        else:
            print(f"{question.topic} / {question.slug}\n{report.class_table(rows)}")
    for note in graded.notes:
        print(f"note: {card.clean(note)}", file=sys.stderr)
    if options.json:
        data = {question.slug: report.as_json(rows) for question, rows in graded.rows.items()}
        Path(options.json).write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return int(graded.troubled)


def _check(options: argparse.Namespace) -> int:
    from autograde import card
    from autograde.grading import grade
    from autograde.question import QuestionError, find
    from autograde.seed import derived

    path = Path(options.notebook)
    if not path.is_file():
        raise QuestionError(f"no file {path}")
    question = find(path.stem)
    seed = derived(0, question.slug) if options.seed is None else options.seed
    result = grade(question, path.read_bytes(), seed=seed)
    print(json.dumps(result.to_json(), indent=1) if options.json else card.text(result, question.title))
    return int(not result.passed)


def _release(options: argparse.Namespace) -> int:
    from autograde.question import require_root
    from autograde.release import make_release

    return _made(
        make_release(require_root(), options.topics or None, check=options.check), options.check, "release"
    )


def _solutions(options: argparse.Namespace) -> int:
    from autograde.question import require_root
    from autograde.release import make_solutions

    made = make_solutions(require_root(), options.topics or None, check=options.check)
    return _made(made, options.check, "solutions")


def _made(changed: Sequence[Path], check: bool, command: str) -> int:
    for path in changed:
        print(f"{'stale' if check else 'wrote'}  {path}")
    if check and changed:
        print(f"run `autograde {command}` and commit what it writes", file=sys.stderr)
        return 1
    print("up to date" if not changed else f"{len(changed)} written")
    return 0


def _laws(options: argparse.Namespace) -> int:
    from autograde.laws import examine_all
    from autograde.question import require_root

    return examine_all(require_root(), options.slugs, jobs=options.jobs, seed=options.seed)


def _recognise(options: argparse.Namespace) -> int:
    from autograde.measure import measure
    from autograde.question import find, questions, require_root

    root = require_root()
    for question in [find(slug, root) for slug in options.slugs] or questions(root):
        print(measure(question, options.jobs or os.cpu_count() or 1, options.pairs), flush=True)
    return 0


def _new(options: argparse.Namespace) -> int:
    from autograde.question import require_root
    from autograde.scaffold import make

    for path in make(require_root(), options.topic, options.slug):
        print(f"wrote  {path}")
    topic = options.topic
    print(f"next: autograde release {topic} && autograde solutions {topic} && autograde laws {options.slug}")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from autograde.doctor import main as doctor

    return doctor(options.require_sandbox)


def _demo(options: argparse.Namespace) -> int:
    from autograde.demo import run

    return run(Path(options.folder))


def _lab(options: argparse.Namespace) -> int:
    from autograde import lab

    folder = Path(options.folder)
    copied = lab.prepare(folder)
    print(f"{folder}: {len(copied)} notebooks copied, work that was there is kept")
    return lab.start(folder, options.options)


def _bench(options: argparse.Namespace) -> int:
    from autograde.bench.rounds import run

    return run(options.slug, options.count, options.rounds, Path(options.json))


def _soak(options: argparse.Namespace) -> int:
    from autograde.bench.soak import run

    return run(options.slug, options.count, options.jobs)


def _bench_gpu(options: argparse.Namespace) -> int:
    from autograde.bench_gpu import run
    from autograde.question import find

    return run(find(options.slug))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autograde",
        description="Auto-graded exercises: release them, grade a class in a locked process, say which mistake it was.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    grade = commands.add_parser(
        "grade", help="grade a class", description="Grade every submission in a folder."
    )
    grade.add_argument(
        "submitted", nargs="?", default="submitted", help="nbgrader's submitted/ (default: here)"
    )
    grade.add_argument("--topic", help="one topic only")
    grade.add_argument("--student", help="one student only")
    grade.add_argument("--jobs", type=_positive, help="submissions at a time (default: one a core)")
    grade.add_argument("--json", metavar="FILE", help="write the results there too")
    grade.add_argument("--seed", type=int, help="in place of the course's own secret seed")
    grade.add_argument("--why", metavar="STUDENT", help="show one student's card, and record nothing")
    grade.add_argument("--force", action="store_true", help="grade again what was graded before")
    grade.add_argument("--require-sandbox", action="store_true", help="refuse where the lock is not whole")
    grade.set_defaults(run=_grade)

    check = commands.add_parser("check", help="grade one notebook and show its card")
    check.add_argument("notebook", help="a notebook named after its question")
    check.add_argument("--seed", type=int, help="a seed of your own")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.set_defaults(run=_check)

    for name, run, what in (
        ("release", _release, "make the student notebooks in release/"),
        ("solutions", _solutions, "make and execute the notebooks in solutions/"),
    ):
        made = commands.add_parser(name, help=what)
        made.add_argument("topics", nargs="*", help="topics (default: all)")
        made.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 where something is stale"
        )
        made.set_defaults(run=run)

    laws = commands.add_parser("laws", help="prove the questions: graders, mistakes, variants, releases")
    laws.add_argument("slugs", nargs="*", help="questions (default: all)")
    laws.add_argument("--jobs", type=_positive, help="questions at a time (default: one a core)")
    laws.add_argument(
        "--seed", type=int, default=0, help="inputs of another course (default: those of check)"
    )
    laws.set_defaults(run=_laws)

    recognise = commands.add_parser("recognise", help="how mistakes are recognised when written differently")
    recognise.add_argument("slugs", nargs="*", help="questions (default: all)")
    recognise.add_argument("--jobs", type=_positive, help="programs at a time (default: one a core)")
    recognise.add_argument(
        "--pairs",
        type=_positive,
        default=200,
        help="at most so many programs with two mistakes (default: 200)",
    )
    recognise.set_defaults(run=_recognise)

    new = commands.add_parser("new", help="the files of a new question, to be filled in")
    new.add_argument("topic", help="a topic, there already or new")
    new.add_argument("slug", help="a Python identifier: the question's name everywhere")
    new.set_defaults(run=_new)

    doctor = commands.add_parser("doctor", help="what this machine enforces while grading")
    doctor.add_argument("--require-sandbox", action="store_true", help="exit 1 where something is missing")
    doctor.set_defaults(run=_doctor)

    demo = commands.add_parser("demo", help="the main job on a small class")
    demo.add_argument("folder", nargs="?", default="demo", help="where (default: demo)")
    demo.set_defaults(run=_demo)

    lab = commands.add_parser("lab", help="JupyterLab on a learner's copy of the release")
    lab.add_argument("folder", nargs="?", default="lab", help="where the learner works (default: lab)")
    lab.add_argument("options", nargs=argparse.REMAINDER, help="options of `jupyter lab`")
    lab.set_defaults(run=_lab)

    bench = commands.add_parser("bench", help="our grading beside stock nbgrader, one run, the ratios")
    bench.add_argument("--slug", help="the question (default: the one with the most known mistakes)")
    bench.add_argument("--count", type=_positive, default=100, help="submissions (default: 100)")
    bench.add_argument(
        "--rounds", type=_positive, default=3, help="how often the sides take turns (default: 3)"
    )
    bench.add_argument(
        "--json", metavar="FILE", default="bench.json", help="the figures (default: bench.json)"
    )
    bench.set_defaults(run=_bench)

    soak = commands.add_parser("soak", help="whether anything grows while very many are graded in one run")
    soak.add_argument("--slug", help="the question (default: the first of the syllabus)")
    soak.add_argument("--count", type=_positive, default=10_000, help="submissions (default: 10000)")
    soak.add_argument("--jobs", type=_positive, default=2, help="submissions at a time (default: 2)")
    soak.set_defaults(run=_soak)

    bench_gpu = commands.add_parser("bench-gpu", help="a solution's attention beside PyTorch's own, on a GPU")
    bench_gpu.add_argument("slug", help="the question")
    bench_gpu.set_defaults(run=_bench_gpu)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number
