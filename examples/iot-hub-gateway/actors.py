"""The programs of the scene as child processes, what they say, and an ear on a wire."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

WAIT_SECONDS = 30
STOP_SECONDS = 10
HEARD_MAX = 1 << 20
LAST_CHARACTERS = 4000
LAST_EVENTS = 20
COLOURS = {"hub": 34, "gateway": 35, "device": 32, "meter": 36, "sleeper": 36, "intruder": 31,
           "stranger": 31, "wire": 33}


class Missing(Exception):
    """Something that was to be seen was not; the text says what."""


def say(who, text):
    """A line of the scene."""
    name = "%-8s" % who
    if sys.stdout.isatty():
        name = "\033[%dm%s\033[0m" % (COLOURS.get(who, 0), name)
    print("   %s  %s" % (name, text), flush=True)


def free_port():
    """A port of this machine that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(true, what):
    """Waits until `true` returns something that is, and returns that."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        result = true()
        if result:
            return result
        if time.monotonic() > deadline:
            raise Missing(what)
        time.sleep(0.05)


class Program:
    """A child process that writes into a file."""

    def __init__(self, name, command, directory, **options):
        self.name = name
        self.path = os.path.join(directory, name + ".log")
        with open(self.path, "ab") as log:
            options.setdefault("stdout", log)
            self.process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.PIPE, stderr=log, text=True, **options)

    def new_chapter(self):
        """What was heard so far does not count any more."""

    def last(self):
        """The end of what it has written."""
        with open(self.path, errors="replace") as log:
            return log.read()[-LAST_CHARACTERS:]

    def kill(self):
        """Ends it as a crash does."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it in order; returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def close(self):
        """Ends it, and what there is to talk to it."""
        self.stop()
        for end in (self.process.stdin, self.process.stdout):
            if end is not None:
                end.close()


class Actor(Program):
    """A program that tells what happens, an object a line."""

    def __init__(self, name, command, directory):
        super().__init__(name, [*command, "--json"], directory, stdout=subprocess.PIPE)
        self.events = []
        self.begin = 0
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self):
        for line in self.process.stdout:
            self.events.append(json.loads(line))

    def tell(self, line):
        """Types a line."""
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def new_chapter(self):
        self.begin = len(self.events)

    def last(self):
        return "\n".join([*map(str, self.events[-LAST_EVENTS:]), super().last()])

    def heard(self, event, **facts):
        """All that it told of this."""
        wanted = {"event": event, **facts}.items()
        return [told for told in self.events[self.begin:] if wanted <= told.items()]

    def wait(self, event, count=1, **facts):
        """Waits for it to have told this so many times, and returns the last of them."""
        what = "%s does not say: %s %s" % (self.name, event, facts or "")
        return until(lambda: self.heard(event, **facts)[count - 1:count], what)[0]


class Wire:
    """A listener that passes on to another port, and remembers what clients said."""

    def __init__(self, port):
        self.to = port
        self.bytes = bytearray()
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            near, _ = self.listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", self.to))
            except OSError:
                near.close()
                continue
            self.connections += 1
            for one, other, ear in ((near, far, self.bytes), (far, near, None)):
                threading.Thread(target=self._pass, args=(one, other, ear), daemon=True).start()

    @staticmethod
    def _pass(one, other, ear):
        try:
            while True:
                said = one.recv(65536)
                if not said:
                    break
                if ear is not None and len(ear) < HEARD_MAX:
                    ear.extend(said)
                other.sendall(said)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
