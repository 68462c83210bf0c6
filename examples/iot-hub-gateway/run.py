#!/usr/bin/env python3
"""Runs the whole scene: a hub, a gateway, devices; and says what happens.

    python3 run.py [CONFIGURATION]

The gateway is CAUSEWAY_BIN, or is built from this repository. What Python needs besides is
installed into target/examples, unless it is there. CONFIGURATION is gateway.conf unless named. The
exit code is 0 if every step was seen.
"""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

import scene

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODULES = ("proton", "trustme")


def python():
    """A Python that has what the hub and the device need."""
    if all(importlib.util.find_spec(module) for module in MODULES):
        return sys.executable
    home = ROOT / "target" / "examples" / "python"
    stamp = home / "installed.txt"
    wanted = (HERE / "requirements.txt").read_text()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing %s ..." % ", ".join(wanted.split()), flush=True)
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet",
                        "--disable-pip-version-check", "-r", str(HERE / "requirements.txt")],
                       check=True)
        stamp.write_text(wanted)
    return str(home / "bin" / "python")


def causeway():
    """The gateway's binary."""
    named = os.environ.get("CAUSEWAY_BIN")
    if named:
        return os.path.abspath(named)
    print("Building causeway; the first time takes some minutes ...", flush=True)
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "causeway"], cwd=ROOT,
                   check=True)
    return str(ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "release" / "causeway")


def main(arguments):
    """Plays the scene; returns the exit code."""
    configuration = arguments[0] if arguments else str(HERE / "gateway.conf")
    with tempfile.TemporaryDirectory(prefix="iot-hub-gateway-") as directory:
        stage = scene.Stage(python(), causeway(), configuration, directory)
        return 0 if scene.play(stage) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        sys.exit("%s" % error)
    except KeyboardInterrupt:
        sys.exit(130)
