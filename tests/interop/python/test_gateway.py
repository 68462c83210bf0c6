"""A gateway to a cloud hub: the example's scene, the lines of the README, and a file of 2016."""

import base64
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from router import ROOT, Router, binary, causeway_only

EXAMPLE = ROOT / "examples" / "iot-hub-gateway"
sys.path.insert(0, str(EXAMPLE))

from actors import Actor, free_port, until

SCENE_SECONDS = 240
KEY = base64.b64encode(b"a key of the thermostat's").decode()
# A line of the frame trace: connection, channel, direction, performative and its code, fields.
FRAME = re.compile(r"\[C(\d+)\]:(\d+) (->|<-) @([a-z-]+)\((\d+)\) \[.*\].*")
HEADER = re.compile(r"\[C(\d+)\]:  (->|<-) (AMQP|SASL)")
OLD_WORD = re.compile(
    r" *(container|worker-threads|container-name|ssl-profile|addr|role: on-demand|cert-db|dir|"
    r"require-peer-auth|allow-no-sasl|sasl-mechanisms|idle-timeout-seconds|linkRoutePattern)\b")
CODES = {"open": 16, "begin": 17, "attach": 18, "flow": 19, "transfer": 20, "disposition": 21,
         "detach": 22, "end": 23, "close": 24, "sasl-mechanisms": 64, "sasl-init": 65,
         "sasl-outcome": 68}


@causeway_only("its own example")
class Example(unittest.TestCase):
    """What a newcomer runs."""

    def play(self, *arguments):
        done = subprocess.run(
            [sys.executable, "-B", str(EXAMPLE / "run.py"), *arguments], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=SCENE_SECONDS,
            env=dict(os.environ, CAUSEWAY_BIN=binary()))
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("\n10 of 10 steps were seen.\n", done.stdout)

    def test_the_whole_scene(self):
        self.play()

    def test_the_eight_lines_of_the_readme(self):
        readme = (ROOT / "README.md").read_text()
        text = re.search(r"^```json\n(\[\[\"router\".*?)^```$", readme, re.DOTALL | re.MULTILINE)[1]
        self.assertEqual(len(text.splitlines()), 8)
        self.assertEqual(len(json.loads(text)), 8)
        with tempfile.TemporaryDirectory(prefix="causeway-interop-") as directory:
            path = os.path.join(directory, "gateway.json")
            with open(path, "w") as out:
                out.write(text)
            self.play(path)


class OldFile(unittest.TestCase):
    """A configuration as it was published for the gateway to a cloud hub in 2016."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="causeway-interop-")
        self.addCleanup(scratch.cleanup)
        self.directory = scratch.name
        port = free_port()
        self.hub = self.actor("hub", "--port", str(port), "--certificates", self.directory,
                              "--device", "thermostat=" + KEY)
        self.hub.wait("listening")
        text = (ROOT / "tests" / "interop" / "old-gateway.conf").read_text()
        self.text = text.replace("@HUB@", str(port)).replace(
            "@CA@", os.path.join(self.directory, "hub-ca.pem"))

    def actor(self, name, *options):
        actor = Actor(name, [sys.executable, "-B", str(EXAMPLE / (name + ".py")), *options],
                      self.directory)
        self.addCleanup(actor.close)
        return actor

    def carries_a_device(self, text):
        """Runs a router with this file and a device behind it; returns what the router printed."""
        with mock.patch.dict(os.environ, PN_TRACE_FRM="1"):
            router = Router(text=text, names=("PORT",))
        self.addCleanup(router.stop)
        self.hub.new_chapter()
        device = self.actor("device", "--router", "127.0.0.1:%d" % router.port, "--key", KEY,
                            "--every", "0.2")
        device.wait("attached")
        device.wait("sent", count=2)
        self.hub.wait("telemetry", device="thermostat", count=2)
        for command, said in (("set 23", "accepted"), ("dance", "rejected")):
            self.hub.tell("thermostat " + command)
            self.hub.wait("feedback", text=command, said=said)
        device.stop()
        until(lambda: re.search(r"\[C\d+\] Connection Closed", router.output()),
              "the device's connection does not end")
        self.assertTrue(router.running())
        output = router.output()
        self.assertEqual(router.stop(), 0)
        return output

    def test_it_starts_unchanged_and_warns_once_for_each_old_name(self):
        output = self.carries_a_device(self.text)
        if os.environ.get("INTEROP_REFERENCE") == "1":
            return
        told = re.findall(r"\(warning\) \S+?router\.conf:(\d+): (.*)", output)
        replaced = False
        for line, text in enumerate(self.text.splitlines(), 1):
            if text == "}":
                replaced = False
            warnings = [said for at, said in told if int(at) == line]
            expected = 1 if OLD_WORD.match(text) and not replaced else 0
            self.assertEqual(len(warnings), expected, "%d: %s\n%s" % (line, text, output))
            # What is in a section that is another today is told with the section.
            replaced = replaced or text == "linkRoutePattern {"
        for name, modern in (("addr", "host"), ("certDb", "caCertFile"), ("dir", "direction"),
                             ("containerName", "id"), ("role", "role: route-container")):
            self.assertRegex(output, r"%s\b.*'%s'" % (name, modern))

    @causeway_only("checks its files")
    def test_the_upgraded_file_does_the_same_without_a_warning(self):
        old = os.path.join(self.directory, "old.conf")
        with open(old, "w") as out:
            out.write(self.text.replace("@PORT@", "5672"))
        done = subprocess.run([binary(), "check", "--upgrade", old], text=True, check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertIn("# tokens\n", done.stdout)
        modern = done.stdout.replace("5672", "@PORT@")
        self.assertNotIn("(warning)", self.carries_a_device(modern))

    def test_every_frame_of_both_sides_is_printed(self):
        output = self.carries_a_device(self.text)
        frames = collections.defaultdict(list)
        for line in output.splitlines():
            if line.startswith("[C"):
                frame = FRAME.fullmatch(line)
                self.assertTrue(frame or HEADER.fullmatch(line) or "EMPTY FRAME" in line, line)
                if frame:
                    self.assertEqual(int(frame[5]), CODES[frame[4]], line)
                    frames[frame[1]].append((frame[3], frame[4]))
        self.assertEqual(len(frames), 2, "two connections")
        asked = ("<-", "sasl-mechanisms")
        hub, device = sorted(frames.values(), key=lambda told: asked not in told)
        self.assertEqual(hub[:3], [("<-", "sasl-mechanisms"), ("->", "sasl-init"),
                                   ("<-", "sasl-outcome")])
        self.assertNotIn(("->", "sasl-mechanisms"), device)
        for told, there in ((device, "->"), (hub, "<-")):
            for name in ("open", "begin", "attach", "flow", "transfer", "disposition", "detach"):
                for way in ("->", "<-"):
                    self.assertIn((way, name), told)
            # Token, two readings or more, and the answer; two commands and the device's word.
            self.assertGreaterEqual(told.count((there, "transfer")), 3)
        # What came by the one side left by the other, frame by frame.
        for one, other in (("->", "<-"), ("<-", "->")):
            for name in ("transfer", "attach"):
                self.assertEqual(device.count((one, name)), hub.count((other, name)), name)
        self.assertNotIn(KEY, output)


if __name__ == "__main__":
    unittest.main()
