"""Our grading beside stock nbgrader on the same submissions, in one run, interleaved.

The sides: stock `nbgrader autograde` with its own preprocessors, whose check cell runs the same hidden tests
in the kernel and gives the points as a float; the same command with our grading; `autograde grade`; the same
with one job; and a floor, a bare warm fork that executes the cells and does nothing else: no lock, no tests.

What is counted, the same for every side:

- A course of its own for each run, without journal, gradebook entries or known behaviours of an earlier one. Making
  the course (`nbgrader generate_assignment`, copying the submissions) is outside, reading the scores too.
- The whole command, its start-up and its end inside, from its start until it has ended.
- Every submission once a round. Stock nbgrader takes its share of them in each round, and all of them once in
  the whole run: it is too slow for more. Its start-up, until it takes up the first submission, would then be
  paid once a round; it is counted once, as the others pay it once for all submissions.
- Processor seconds, user and system, of the command and everything it started, also of what outlived its
  parent (`meter` adopts it).
- Memory: the proportional set sizes (PSS, a page that n processes share counts 1/n for each) of all these
  processes added up at one moment, and the largest of these sums. Looked at a few times a second, so that
  looking takes under 4 % of one core: a lower bound. A locked room shows its own share to root alone.
- Stock nbgrader does not recognise mistakes, does not lock and writes no card; ours does, inside its time. Its
  kernels import what the tests need, and nothing else of ours.

The figures are medians over the rounds. The sides take turns in both directions, so that a machine that gets
slower is slower for all of them.
"""
