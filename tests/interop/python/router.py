"""The router under test as a child process.

The binary is CAUSEWAY_BIN, else target/debug/causeway, else target/release/causeway. It is started
as `causeway run -c FILE` on free ports, with the configuration that all interop suites share.
"""

import os
import pathlib
import re
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
TEMPLATE = ROOT / "tests" / "interop" / "router.conf"
USERS_TEMPLATE = ROOT / "tests" / "interop" / "users.conf"
PORT_NAMES = ("PORT", "PORT_NO", "PORT_IN", "PORT_OUT", "PORT_SMALL")
START_SECONDS = 20
STOP_SECONDS = 20
OPEN_FILES = 8192

# A listener for brokers, whose port is called PORT_BROKER.
BROKERS = """
listener {
    name: brokers
    host: 127.0.0.1
    port: @PORT_BROKER@
    role: route-container
    authenticatePeer: no
    saslMechanisms: ANONYMOUS
}
"""


def binary():
    """The path of the router to test."""
    named = os.environ.get("CAUSEWAY_BIN")
    if named:
        return named
    for profile in ("debug", "release"):
        path = ROOT / "target" / profile / "causeway"
        if path.exists():
            return str(path)
    raise FileNotFoundError("no causeway in target/debug or target/release; set CAUSEWAY_BIN")


def raise_open_files():
    """Lets this process and the router hold some thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def hold_ports(count):
    """Sockets bound to `count` different ports that nobody listens on.

    As long as they are held, who asks for any free port gets another; the router, which reuses
    addresses as they do, can still listen on these.
    """
    held = [socket.socket() for _ in range(count)]
    for one in held:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(("127.0.0.1", 0))
    return held


class Router:
    """One running router; `ports` maps the names in its configuration to numbers.

    That is the template with `extra` after it, or `text` with these `names`. `prepare` writes files
    into the directory that the router runs in. With `users`, a map of names to passwords, the
    template's router lets in nobody else.
    """

    def __init__(self, extra="", users=None, text=None, names=None, prepare=None):
        raise_open_files()
        self.directory = tempfile.mkdtemp(prefix="causeway-interop-")
        if prepare:
            prepare(self.directory)
        text = text or (USERS_TEMPLATE if users else TEMPLATE).read_text() + extra
        names = names or (("PORT",) if users else PORT_NAMES)
        names += tuple(sorted(set(re.findall("@(PORT_[A-Z]+)@", extra))))
        self.held = hold_ports(len(names))
        self.ports = {name: one.getsockname()[1] for name, one in zip(names, self.held)}
        for user, password in (users or {}).items():
            subprocess.run(
                [binary(), "user", "add", user, "--file", "users"], input=password + "\n",
                cwd=self.directory, check=True, text=True, stdout=subprocess.DEVNULL)
        for name, port in self.ports.items():
            text = text.replace("@%s@" % name, str(port))
        conf = os.path.join(self.directory, "router.conf")
        with open(conf, "w") as out:
            out.write(text)
        self.log = os.path.join(self.directory, "router.log")
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [binary(), "run", "-c", conf], stdout=log, stderr=log, cwd=self.directory)
        try:
            for port in self.ports.values():
                self._wait(port)
        except BaseException:
            self.stop()
            raise

    @property
    def port(self):
        """The port of the listener with default settings."""
        return self.ports["PORT"]

    def _wait(self, port):
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None:
                raise RuntimeError("the router ended with %s:\n%s" % (
                    self.process.returncode, self.output()))
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError("no listener on %d:\n%s" % (port, self.output()))
                time.sleep(0.02)

    def output(self):
        """What the router printed so far."""
        with open(self.log, errors="replace") as log:
            return log.read()

    def running(self):
        """True while the process lives."""
        return self.process.poll() is None

    def terminate(self):
        """Asks the router to stop, as an operator would."""
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Ends the router; returns its exit code."""
        if self.running():
            self.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            for one in self.held:
                one.close()
            shutil.rmtree(self.directory, ignore_errors=True)


class RouterCase(unittest.TestCase):
    """A test class with a router of its own."""

    # What its configuration has beside the template.
    extra = ""

    @classmethod
    def setUpClass(cls):
        cls.router = cls.start()

    @classmethod
    def start(cls):
        return Router(cls.extra)

    @classmethod
    def tearDownClass(cls):
        output = cls.router.output()
        alive = cls.router.running()
        code = cls.router.stop()
        if not alive or code != 0:
            raise AssertionError("the router ended with %s:\n%s" % (code, output[-4000:]))


def causeway_only(reason):
    """Marks what Causeway does otherwise than the routers it replaces.

    INTEROP_REFERENCE=1 says that such another router is under test.
    """
    return unittest.skipIf(os.environ.get("INTEROP_REFERENCE") == "1", reason)
