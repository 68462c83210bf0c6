#!/usr/bin/env python3
"""A small device: it speaks plain AMQP 1.0, and has never heard of TLS or SASL.

It puts its token to `$cbs`, sends a reading now and then, and takes commands: `set NUMBER` is done
at once and accepted; `update` finds it busy the first time and is released, so that it comes again;
what it does not understand it rejects. When a link is detached it says why and begins anew. A
reading that nobody has accepted is sent again.
"""

import argparse
import collections
import itertools
import json

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import Container

import signature
import words

CBS = "$cbs"
AGAIN_SECONDS = 1
KEPT_MAX = 1000


class Device(MessagingHandler):
    """One device on one connection."""

    def __init__(self, arguments, tell):
        super().__init__(prefetch=10, auto_accept=False)
        self.arguments = arguments
        self.tell = tell
        self.degrees = 20
        self.busy = True
        self.numbers = itertools.count(1)
        self.attempts = itertools.count(1)
        # Readings that nobody has accepted yet, and under which tags they are under way.
        self.kept = collections.OrderedDict()
        self.under_way = {}
        self.links = {}
        self.shown = False
        self.pause = None

    # The way in: a token, then two links.

    def on_start(self, event):
        self.connect(event.container)
        if self.arguments.every:
            event.container.schedule(self.arguments.every, Reading(self))

    def connect(self, container):
        self.container = container
        self.wire = container.connect(
            "amqp://" + self.arguments.router, sasl_enabled=False, reconnect=False)

    def on_connection_opened(self, event):
        self.tell("connected", with_="%s, no TLS, no SASL" % self.arguments.router)
        self.begin()

    def begin(self):
        """Asks to be let in; a device without a token tries its luck."""
        if self.arguments.no_token:
            return self.attach()
        number = next(self.attempts)
        self.shown = False
        self.reply_to = "%s-cbs-%d" % (self.arguments.id, number)
        self.links["answers"] = self.container.create_receiver(
            self.wire, CBS, target=self.reply_to, name="answers-%d" % number)
        self.links["token"] = self.container.create_sender(
            self.wire, CBS, name="token-%d" % number)

    def put_token(self):
        """Shows itself to the hub, once each time."""
        if self.shown:
            return
        self.shown = True
        resource = "%s/devices/%s" % (self.arguments.hub, self.arguments.id)
        token = signature.make(resource, self.arguments.key, self.arguments.token_seconds)
        self.links["token"].send(Message(
            id="1", reply_to=self.reply_to, body=token, properties={
                "operation": "put-token", "type": signature.TYPE, "name": resource}))

    def attach(self):
        """Opens the way up and the way down."""
        prefix = "devices/%s/messages/" % self.arguments.id
        number = next(self.attempts)
        self.links["up"] = self.container.create_sender(
            self.wire, prefix + "events", name="up-%d" % number)
        self.links["down"] = self.container.create_receiver(
            self.wire, prefix + "devicebound", name="down-%d" % number)

    def is_link(self, link, name):
        return name in self.links and self.links[name] == link

    def on_sendable(self, event):
        if self.is_link(event.link, "token"):
            self.put_token()
        elif self.is_link(event.link, "up"):
            self.send_readings()

    def on_link_opened(self, event):
        if self.is_link(event.link, "up") and event.link.remote_target.address:
            self.tell("attached")

    # What it hears.

    def on_message(self, event):
        if self.is_link(event.link, "answers"):
            self.accept(event.delivery)
            properties = event.message.properties
            status, text = properties["status-code"], properties["status-description"]
            self.tell("token", status=status, text=text)
            for name in ("answers", "token"):
                self.links.pop(name).close()
            if status == 200:
                self.attach()
            else:
                self.later()
            return
        self.obey(event)

    def obey(self, event):
        """Does what a command says, if it can."""
        verb, _, rest = str(event.message.body).partition(" ")
        if verb == "set" and rest.isdigit():
            self.degrees = int(rest)
            said = "accepted"
            self.accept(event.delivery)
        elif verb == "update" and self.busy:
            self.busy = False
            said = "released"
            self.release(event.delivery, delivered=False)
        elif verb == "update":
            said = "accepted"
            self.accept(event.delivery)
        else:
            said = "rejected"
            self.reject(event.delivery)
        self.tell("command", text=event.message.body, said=said)

    # What it says.

    def read(self):
        """One more reading."""
        number = next(self.numbers)
        reading = {"reading": number, "temperature": self.degrees}
        self.kept[number] = json.dumps(reading).encode()
        if len(self.kept) > KEPT_MAX:
            self.kept.popitem(last=False)
        self.send_readings()

    def send_readings(self):
        up = self.links.get("up")
        for number, text in self.kept.items():
            if up is None or up.credit <= 0:
                return
            if number not in self.under_way.values():
                sent = up.send(Message(id=str(number), body=text, inferred=True))
                self.under_way[sent.tag] = number

    def on_accepted(self, event):
        if self.is_link(event.link, "up"):
            number = self.under_way.pop(event.delivery.tag)
            self.kept.pop(number, None)
            self.tell("sent", reading=number)

    def on_rejected(self, event):
        self.on_accepted(event)

    def on_released(self, event):
        if self.is_link(event.link, "up"):
            self.under_way.pop(event.delivery.tag, None)

    # What goes wrong.

    def on_link_error(self, event):
        if event.link not in self.links.values():
            return
        name = next(name for name, link in self.links.items() if link == event.link)
        condition = event.link.remote_condition
        self.tell("detached", link=name, condition=condition.name, text=condition.description)
        del self.links[name]
        self.later()

    def on_disconnected(self, event):
        if self.wire is None:
            return
        self.tell("disconnected", text="there is no gateway")
        self.links.clear()
        self.wire = None
        self.later()

    def later(self):
        """Begins anew in a moment, once for all that has gone wrong."""
        if self.arguments.once:
            self.wire.close()
        elif self.pause is None:
            self.pause = self.container.schedule(AGAIN_SECONDS, Again(self))

    def again(self):
        """The moment has come."""
        self.pause = None
        self.under_way.clear()
        for link in self.links.values():
            link.close()
        self.links.clear()
        if self.wire is None:
            self.connect(self.container)
        else:
            self.begin()


class Again(MessagingHandler):
    """A timer of the device's."""

    def __init__(self, device):
        super().__init__()
        self.device = device

    def on_timer_task(self, _event):
        self.device.again()


class Reading(Again):
    """The clock by which it looks at its thermometer."""

    def on_timer_task(self, event):
        self.device.read()
        event.container.schedule(self.device.arguments.every, self)


def main():
    """Runs a device until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--router", default="127.0.0.1:5672", metavar="HOST:PORT")
    parser.add_argument("--hub", default="localhost", help="what the hub is called in tokens")
    parser.add_argument("--id", default="thermostat")
    parser.add_argument("--key", default="", help="its secret in base64")
    parser.add_argument("--every", type=float, default=1, metavar="SECONDS",
                        help="time between readings; 0: none")
    parser.add_argument("--token-seconds", type=float, default=3600)
    parser.add_argument("--no-token", action="store_true", help="try to get in without a token")
    parser.add_argument("--once", action="store_true", help="end after the first refusal")
    words.add_option(parser)
    arguments = parser.parse_args()
    words.run(Container(Device(arguments, words.teller(arguments))))


if __name__ == "__main__":
    main()
