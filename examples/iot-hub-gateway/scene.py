"""The scene, step by step: what is done, and what must be seen for the step to count."""

import base64
import json
import os
import pathlib
import re
import secrets
import subprocess

from actors import Actor, Missing, Program, Wire, free_port, say, until

HERE = pathlib.Path(__file__).resolve().parent
IDLE_SECONDS = 4
SHORT_TOKEN_SECONDS = 4
PLAIN_AMQP = b"AMQP\x00\x01\x00\x00"
DEVICES = ("thermostat", "meter", "sleeper")


class Stage:
    """All that is there: a hub, a gateway, devices, and a wire that is listened to."""

    def __init__(self, python, binary, configuration, directory):
        self.python = [python, "-B"]
        self.binary = binary
        self.directory = directory
        self.hub_port, self.port = free_port(), free_port()
        self.keys = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in DEVICES}
        text = pathlib.Path(configuration).read_text()
        ports = {"5671": str(self.hub_port), "5672": str(self.port)}
        text = re.sub("567[12]", lambda found: ports[found.group()], text)
        name = "gateway" + pathlib.Path(configuration).suffix
        self.configuration = os.path.join(directory, name)
        pathlib.Path(self.configuration).write_text(text)
        self.running = []
        self.told_before = []

    def raise_hub(self):
        """Starts the hub, for the first time or again."""
        command = [*self.python, str(HERE / "hub.py"), "--port", str(self.hub_port),
                   "--certificates", self.directory, "--idle-seconds", str(IDLE_SECONDS)]
        for name, key in self.keys.items():
            command += ["--device", "%s=%s" % (name, key)]
        self.hub = Actor("hub", command, self.directory)
        self.running.append(self.hub)
        self.hub.wait("listening")

    def start_gateway(self):
        """Starts the router."""
        environment = dict(os.environ)
        self.gateway = Program("gateway", [self.binary, "run", "-c", self.configuration],
                               self.directory, env=environment)
        self.running.append(self.gateway)
        self.wire = Wire(self.port)

    def device(self, name, *options, port=None, key=None):
        """Starts a device."""
        command = [*self.python, str(HERE / "device.py"), "--router",
                   "127.0.0.1:%d" % (port or self.port), *options]
        if key:
            command += ["--key", key]
        actor = Actor(name, command, self.directory)
        self.running.append(actor)
        return actor

    def causeway(self, *arguments):
        """Runs a command of the gateway's; returns its exit code, and what it says."""
        done = subprocess.run(
            [self.binary, *arguments, "--url", "amqp://127.0.0.1:%d" % self.port],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        return done.returncode, done.stdout.strip()

    def connector(self):
        """The gateway's connection to the hub, as its management shows it."""
        code, text = self.causeway("stat", "connectors", "--json")
        return json.loads(text)[0] if code == 0 else None

    def new_chapter(self):
        """What has been told so far does not count for the next step."""
        for actor in self.running:
            actor.new_chapter()

    def stop(self):
        """Ends all that runs, and says whether the gateway ended well."""
        codes = {actor: actor.stop() for actor in reversed(self.running)}
        return codes.get(getattr(self, "gateway", None)) == 0

    def told(self, event, **facts):
        """What hubs have told of this, the one that was killed included."""
        wanted = {"event": event, **facts}.items()
        all_told = self.told_before + self.hub.events
        return [told for told in all_told if wanted <= told.items()]


def connects(stage):
    """A hub in the cloud, and a gateway that connects to it by TLS"""
    stage.raise_hub()
    say("hub", "listens on port %d, for TLS only; its certificate was made a moment ago"
        % stage.hub_port)
    stage.start_gateway()
    told = stage.hub.wait("connection", container="gateway")
    if not told["with_"].startswith("TLSv1."):
        raise Missing("TLS between gateway and hub")
    say("hub", "container 'gateway' has connected: %s" % told["with_"])
    row = until(lambda: stage.connector(), "the gateway does not answer its management")
    until(lambda: stage.connector()["connectionStatus"] == "SUCCESS", "no success at the gateway")
    say("gateway", "causeway stat connectors: %s %s, SUCCESS" % (row["name"], row["role"]))


def token(stage):
    """A device comes with plain AMQP, and shows the hub its token"""
    stage.thermostat = stage.device("device", "--id", "thermostat", "--every", "0.5",
                                    port=stage.wire.port, key=stage.keys["thermostat"])
    say("device", "connected: %s" % stage.thermostat.wait("connected")["with_"])
    told = stage.hub.wait("token", device="thermostat", status=200)
    say("hub", "put-token for %s: %d %s" % (told["device"], told["status"], told["text"]))
    stage.thermostat.wait("token", status=200)
    stage.hub.wait("attached", device="thermostat", link="devicebound")
    stage.thermostat.wait("attached")
    say("device", "is told 200, and has its two links: one up, one down")


def telemetry(stage):
    """Readings go up, and each is acknowledged by the hub"""
    for number in (1, 2, 3):
        told = stage.hub.wait("telemetry", device="thermostat", count=number)
        say("hub", "from thermostat: %s" % told["text"])
        stage.thermostat.wait("sent", reading=number)
    say("device", "knows that three readings have arrived")


def commands(stage):
    """Commands come down, and the hub sees what the device makes of each"""
    for text, said in (("set 23", "accepted"), ("dance", "rejected"), ("update", "released")):
        say("hub", "sends: %s" % text)
        stage.hub.tell("thermostat %s" % text)
        stage.thermostat.wait("command", text=text, said=said)
        stage.hub.wait("feedback", device="thermostat", text=text, said=said)
        say("hub", "feedback: %s was %s" % (text, said))
    stage.hub.wait("dead-letter", device="thermostat", text="dance")
    stage.hub.wait("feedback", device="thermostat", text="update", said="accepted")
    say("hub", "what was released went down again; feedback: update was accepted")
    until(lambda: [told for told in stage.hub.heard("telemetry", device="thermostat")
                   if json.loads(told["text"])["temperature"] == 23], "nothing has become warmer")
    say("hub", "from thermostat: 23 degrees")


def strangers(stage):
    """Who has no token gets no link, and no address leads anywhere else"""
    intruder = stage.device("intruder", "--id", "meter", "--no-token", "--once")
    told = intruder.wait("detached", link="up", condition="amqp:unauthorized-access")
    say("intruder", "without a token: %s, %s" % (told["condition"], told["text"]))
    stranger = stage.device("stranger", "--id", "meter", "--once",
                            key=base64.b64encode(b"a guess").decode())
    told = stranger.wait("token", status=401)
    say("stranger", "with a forged token: %d, %s" % (told["status"], told["text"]))
    code, text = stage.causeway("send", "admin/doors", "open")
    if code == 0 or "amqp:not-found" not in text:
        raise Missing("a refusal of admin/doors: %s" % text)
    say("stranger", "to admin/doors: amqp:not-found")


def killed(stage):
    """The hub is killed; the device is told so, and keeps its readings"""
    stage.told_before = stage.hub.events
    stage.hub.kill()
    say("hub", "killed")
    told = stage.thermostat.wait("detached", link="up")
    if told["condition"] != "qd:routed-link-lost":
        raise Missing("qd:routed-link-lost at the device, not %s" % told["condition"])
    say("device", "its link is detached: %s, %s" % (told["condition"], told["text"]))
    row = until(lambda: (lambda row: row["connectionStatus"] != "SUCCESS" and row)(
        stage.connector()), "the gateway does not say that the hub is gone")
    say("gateway", "causeway stat connectors: %s, %s" % (
        row["connectionStatus"], row["connectionMsg"]))


def back(stage):
    """The hub comes back; the device goes on, and nothing is missing"""
    stage.raise_hub()
    say("hub", "listens again")
    stage.hub.wait("connection", container="gateway")
    say("hub", "container 'gateway' has connected")
    stage.thermostat.wait("attached")
    say("device", "has put its token and has its links again")
    last = stage.thermostat.wait("sent", count=3)["reading"]
    have = {json.loads(told["text"])["reading"]
            for told in stage.told("telemetry", device="thermostat")}
    lost = set(range(1, last + 1)) - have
    if lost:
        raise Missing("readings %s at the hub" % sorted(lost))
    say("hub", "has all %d readings that the device was told have arrived" % last)


def expired(stage):
    """A token ends; the device is told so, and shows a new one"""
    meter = stage.device("meter", "--id", "meter", "--token-seconds", str(SHORT_TOKEN_SECONDS),
                         key=stage.keys["meter"])
    meter.wait("attached")
    say("meter", "is in, with a token for %d seconds" % SHORT_TOKEN_SECONDS)
    stage.hub.wait("detached", device="meter", condition="amqp:unauthorized-access")
    told = meter.wait("detached", link="up", condition="amqp:unauthorized-access")
    say("meter", "its link is detached: %s, %s" % (told["condition"], told["text"]))
    meter.wait("token", status=200, count=2)
    meter.wait("attached", count=2)
    say("meter", "is in again, with a new token")
    if stage.thermostat.heard("detached"):
        raise Missing("the other device's peace: the connection to the hub is shared")
    meter.stop()


def idle(stage):
    """A device falls silent; the hub takes its links away"""
    sleeper = stage.device("sleeper", "--id", "sleeper", "--every", "0", "--once",
                           key=stage.keys["sleeper"])
    sleeper.wait("attached")
    say("sleeper", "is in, and says nothing")
    told = sleeper.wait("detached", link="up", condition="amqp:link:detach-forced")
    say("sleeper", "its link is detached: %s, %s" % (told["condition"], told["text"]))


def unaware(stage):
    """And all the while the device knew nothing of TLS"""
    said = bytes(stage.wire.bytes)
    if not said.startswith(PLAIN_AMQP) or b'"temperature": 20' not in said:
        raise Missing("plain AMQP on the device's wire")
    say("wire", "device to gateway: begins with %s, and can be read: %s" % (
        said[:8], said[said.index(b'{"reading": 1,'):].split(b"}")[0].decode() + "}"))
    protocols = {told["with_"] for told in stage.told("connection", container="gateway")}
    say("hub", "from the gateway all came by %s" % " ".join(sorted(protocols)))
    if stage.wire.connections != 1:
        raise Missing("one connection of the device's from the beginning to the end")
    say("device", "has had one connection, from the beginning to the end")


STEPS = (connects, token, telemetry, commands, strangers, killed, back, expired, idle, unaware)


def play(stage):
    """Plays the steps in order; true if every one of them was seen."""
    seen = []
    missing = None
    try:
        for number, step in enumerate(STEPS, 1):
            print("\n%d. %s." % (number, step.__doc__), flush=True)
            stage.new_chapter()
            step(stage)
            seen.append(step)
    except Missing as error:
        missing = str(error)
    finally:
        ended_well = stage.stop()
    print()
    for step in STEPS:
        print("   %-8s  %s" % ("seen" if step in seen else "NOT SEEN", step.__doc__))
    if missing:
        print("\nMissing: %s" % missing)
        for actor in stage.running:
            print("\n-- the last of %s\n%s" % (actor.name, actor.last()))
    elif not ended_well:
        print("\nMissing: the gateway's exit code 0")
    print("\n%d of %d steps were seen." % (len(seen), len(STEPS)))
    return missing is None and ended_well
