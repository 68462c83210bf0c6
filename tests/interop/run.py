#!/usr/bin/env python3
"""Runs the interop suites: run.py [python] [node] [rust], all of them by default.

What the clients need is installed into target/interop by their own package managers; nothing else
is touched. A client that cannot be installed counts as a failure. The router is CAUSEWAY_BIN, else
target/debug/causeway, else target/release/causeway. With INTEROP_REFERENCE=1 the router under test
is one that Causeway replaces, and what Causeway does otherwise is skipped.

The last line is `N passed, N failed, N skipped`; the exit code is 1 if anything failed.
"""

import concurrent.futures
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "target" / "interop"
OPEN_FILES = 8192
INSTALL_SECONDS = 1200
RUN_SECONDS = 600


class Failed(Exception):
    """A step that did not work; the text says which."""


def step(name, command, seconds, **options):
    """Runs a command that must succeed; its output is shown only if it does not."""
    try:
        done = subprocess.run(command, timeout=seconds, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed("%s: %s" % (name, error)) from error
    if done.returncode:
        raise Failed("%s:\n%s" % (name, done.stdout))
    return done.stdout


def suite(name, command, **options):
    """Runs a suite, showing what it prints; returns its output and whether it succeeded."""
    print("== %s" % name, flush=True)
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **options) as process:
        watch = threading.Timer(RUN_SECONDS, process.kill)
        watch.start()
        try:
            for line in process.stdout:
                sys.stdout.write(line)
                sys.stdout.flush()
                lines.append(line)
            code = process.wait()
        finally:
            watch.cancel()
    return "".join(lines), code == 0


def counted(text, pattern):
    """The sum of the numbers that `pattern` finds."""
    return sum(int(number) for number in re.findall(pattern, text, re.MULTILINE))


def totals(passed, failed, skipped, fine):
    """A suite's counts; one that failed without saying where counts as one failure."""
    if not fine and not failed:
        failed = 1
    if fine and not passed:
        print("no test was run")
        failed = 1
    return passed, failed, skipped


def python_home():
    """A Python with Proton, in a virtual environment of its own."""
    home = WORK / "python"
    wanted = (HERE / "python" / "requirements.txt").read_text()
    stamp = home / "installed.txt"
    python = home / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        step("create a virtual environment", [sys.executable, "-m", "venv", str(home)],
             INSTALL_SECONDS)
        step("install python-qpid-proton",
             [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r",
              str(HERE / "python" / "requirements.txt")], INSTALL_SECONDS)
        stamp.write_text(wanted)
    return python


def certificates():
    """Where certificates are that every suite uses; they are made if they are not there."""
    home = WORK / "certificates"
    if not (home / "forged.key").exists():
        step("make certificates",
             [str(python_home()), "-B", str(HERE / "python" / "certificates.py"), str(home)],
             INSTALL_SECONDS)
    return dict(os.environ, INTEROP_CERTIFICATES=str(home))


def run_python(python):
    """Proton's Python client."""
    environment = dict(os.environ, PYTHONDONTWRITEBYTECODE="1")
    text, fine = suite("python", [str(python), "-m", "unittest", "discover", "-v"],
                       cwd=HERE / "python", env=environment)
    ran = counted(text, r"^Ran (\d+) tests? in ")
    skipped = counted(text, r"^(?:OK|FAILED) \(.*?skipped=(\d+)")
    # A test with several failing subtests is one failing test, but how many failed is what counts.
    failed = len(set(re.findall(r"^(?:FAIL|ERROR): (\S+ \([\w.]+\))", text, re.MULTILINE)))
    return totals(max(ran - skipped - failed, 0), failed, skipped, fine)


def node_home():
    """Where rhea and ws are, installed by npm from the lock file."""
    home = WORK / "node"
    home.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "node" / "package-lock.json").read_text()
    stamp = home / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / "node" / name, home / name)
        step("install rhea and ws", ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
             INSTALL_SECONDS, cwd=home)
        stamp.write_text(wanted)
    return home


def run_node(home):
    """rhea."""
    environment = dict(certificates(), NODE_PATH=str(home / "node_modules"))
    text, fine = suite("node", ["node", "--test", "--test-concurrency=1", "--test-reporter=spec"],
                       cwd=HERE / "node", env=environment)
    figures = {name: counted(text, r"^ℹ %s (\d+)" % name)
               for name in ("pass", "fail", "cancelled", "skipped")}
    return totals(figures["pass"], figures["fail"] + figures["cancelled"], figures["skipped"],
                  fine)


def rust_home():
    """The manifest of the tests with fe2o3-amqp, built from the lock file."""
    manifest = str(HERE / "rust" / "Cargo.toml")
    step("build the tests with fe2o3-amqp",
         ["cargo", "test", "--locked", "--no-run", "--manifest-path", manifest], INSTALL_SECONDS,
         env=dict(os.environ, CARGO_TARGET_DIR=str(WORK / "rust")))
    return manifest


def run_rust(manifest):
    """fe2o3-amqp, in a workspace of its own."""
    environment = dict(certificates(), CARGO_TARGET_DIR=str(WORK / "rust"))
    text, fine = suite("rust", ["cargo", "test", "--locked", "--no-fail-fast", "--manifest-path",
                                manifest, "--", "--test-threads=2"], env=environment)
    figures = [counted(text, r"^test result: .*? (\d+) %s" % name)
               for name in ("passed", "failed", "ignored")]
    return totals(*figures, fine)


# What installs a suite's client, and what runs the suite with it.
SUITES = {
    "python": (python_home, run_python),
    "node": (node_home, run_node),
    "rust": (rust_home, run_rust),
}


def main(names):
    """Runs the named suites and prints the totals; returns the exit code."""
    unknown = [name for name in names if name not in SUITES]
    if unknown:
        print("no such suite: %s (there are %s)" % (", ".join(unknown), ", ".join(SUITES)))
        return 2
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    names = names or list(SUITES)
    pool = concurrent.futures.ThreadPoolExecutor()
    homes = {name: pool.submit(SUITES[name][0]) for name in names}
    sums = [0, 0, 0]
    for name in names:
        try:
            # All are installed at once; then one suite runs after the other.
            concurrent.futures.wait(homes.values())
            result = SUITES[name][1](homes[name].result())
        except Failed as error:
            print("== %s\n%s" % (name, error))
            result = (0, 1, 0)
        print("%s: %d passed, %d failed, %d skipped" % (name, *result), flush=True)
        sums = [before + more for before, more in zip(sums, result)]
    print("%d passed, %d failed, %d skipped" % tuple(sums))
    return 1 if sums[1] or not sums[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
