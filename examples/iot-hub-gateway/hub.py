#!/usr/bin/env python3
"""A stand-in for an IoT hub in the cloud, as far as a device sees one.

It speaks AMQP inside TLS only, with SASL ANONYMOUS: who somebody is, tokens say. A device puts its
token to `$cbs` and hears a status code; then it may send to `devices/ID/messages/events` and
receive from `devices/ID/messages/devicebound`. What the device does with a command is the feedback:
accepted, it is done; rejected, it is a dead letter; released, it comes again. A token that ends,
or a device that says nothing for long, has its links detached, with an error that says so.

What happens is printed, a line each. What is written on standard input as `ID TEXT` is a command
for that device.
"""

import argparse
import collections
import os
import re
import time

import trustme
from proton import Condition, Message, SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector

import signature
import words

CBS = "$cbs"
ADDRESS = re.compile(r"/?devices/([^/]+)/messages/(events|devicebound)", re.IGNORECASE)
CREDIT = 50
DELIVERIES_MAX = 10
LOOK_SECONDS = 0.1
UNAUTHORIZED = "amqp:unauthorized-access"
NOT_FOUND = "amqp:not-found"
FORCED = "amqp:link:detach-forced"

Command = collections.namedtuple("Command", "number text deliveries")


def certificate(directory):
    """A certificate for localhost in `directory`, and the authority that signed it."""
    names = [os.path.join(directory, name) for name in ("hub-ca.pem", "hub.pem", "hub.key")]
    if not all(os.path.exists(name) for name in names):
        authority = trustme.CA()
        made = authority.issue_cert("localhost", "127.0.0.1")
        authority.cert_pem.write_to_path(names[0])
        made.cert_chain_pems[0].write_to_path(names[1])
        made.private_key_pem.write_to_path(names[2])
    return names[1:]


class Device:
    """What the hub knows of a device: its key, its links, and the commands that wait for it."""

    def __init__(self, key):
        self.key = key
        self.queue = collections.deque()
        self.links = []
        self.sent = {}
        self.heard = time.monotonic()

    def put_back(self, tags):
        """Commands that nobody has answered for are next in the queue again."""
        self.queue.extendleft(self.sent.pop(tag) for tag in reversed(tags))


class Hub(MessagingHandler):
    """All of it, on one thread."""

    def __init__(self, arguments, tell):
        super().__init__(prefetch=0, auto_accept=False)
        self.arguments = arguments
        self.tell = tell
        self.devices = {name: Device(key) for name, key in arguments.device}
        self.commands = 0
        self.typed = EventInjector()

    def resource(self, device):
        """What a token of the device is for."""
        return "%s/devices/%s" % (self.arguments.name, device)

    # Connections.

    def on_start(self, event):
        domain = SSLDomain(SSLDomain.MODE_SERVER)
        domain.set_credentials(*certificate(self.arguments.certificates), None)
        port = self.arguments.port
        event.container.listen("amqps://127.0.0.1:%d" % port, ssl_domain=domain)
        event.container.selectable(self.typed)
        event.container.schedule(LOOK_SECONDS, self)
        self.tell("listening", port=port, with_="TLS only")

    def on_connection_bound(self, event):
        event.connection.container = "hub"
        event.transport.sasl().allowed_mechs("ANONYMOUS")

    def on_connection_opened(self, event):
        event.connection.tokens = {}
        self.tell("connection", container=event.connection.remote_container,
                  with_=event.transport.ssl().protocol_name())

    def on_disconnected(self, event):
        for device in self.devices.values():
            for link in list(device.links):
                if link.connection == event.connection:
                    self.forget(link)

    # Links.

    def on_link_opening(self, event):
        link = event.link
        address = link.remote_source.address if link.is_sender else link.remote_target.address
        matched = ADDRESS.fullmatch(address or "")
        if address == CBS:
            link.reply_to = link.remote_target.address
        elif matched is None or (matched[2].lower() == "events") == link.is_sender:
            return self.refuse(event, NOT_FOUND, "there is no such address here: %s" % address)
        elif matched[1] not in self.tokens(link):
            return self.refuse(event, UNAUTHORIZED, "put a token to %s first" % CBS)
        else:
            device = self.devices[matched[1]]
            device.links.append(link)
            device.heard = time.monotonic()
            link.device = matched[1]
            self.tell("attached", device=matched[1], link=matched[2].lower())
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        if link.is_receiver:
            link.flow(CREDIT)

    def refuse(self, event, name, text):
        """A link that is not to be: it is answered without a terminus, then detached."""
        self.tell("refused", condition=name, text=text)
        event.container.schedule(0, Detach(event.link, name, text))

    def tokens(self, link):
        """Devices that have shown themselves on the link's connection, and until when."""
        now = time.time()
        return {name for name, end in link.connection.tokens.items() if end > now}

    def detach(self, device, name, text):
        """Takes a device's links away."""
        for link in list(self.devices[device].links):
            self.forget(link)
            link.condition = Condition(name, text)
            link.close()
        self.tell("detached", device=device, condition=name, text=text)

    def forget(self, link):
        """What was under way on a link that is gone."""
        device = self.devices[link.device]
        device.links.remove(link)
        device.put_back([tag for tag in device.sent if tag[0] == link.name])

    def on_link_closing(self, event):
        if any(event.link in device.links for device in self.devices.values()):
            self.forget(event.link)

    on_link_error = on_link_closing

    def on_timer_task(self, event):
        for name, device in self.devices.items():
            if not device.links:
                continue
            if name not in self.tokens(device.links[0]):
                self.detach(name, UNAUTHORIZED, "the token has expired")
            elif time.monotonic() - device.heard > self.arguments.idle_seconds:
                self.detach(name, FORCED, "idle for more than %g seconds"
                            % self.arguments.idle_seconds)
        event.container.schedule(LOOK_SECONDS, self)

    # From devices.

    def on_message(self, event):
        event.link.flow(1)
        if event.link.target.address == CBS:
            self.accept(event.delivery)
            self.answer(event)
            return
        name = event.link.device
        self.devices[name].heard = time.monotonic()
        body = event.message.body
        is_data = isinstance(body, (bytes, memoryview))
        text = bytes(body).decode(errors="replace") if is_data else str(body)
        # First it is kept, then it is accepted: so nothing that was accepted is lost.
        self.tell("telemetry", device=name, text=text)
        self.accept(event.delivery)

    def answer(self, event):
        """The status of a token that was put."""
        request, connection = event.message, event.connection
        properties = request.properties or {}
        prefix, _, name = str(properties.get("name")).rpartition("/devices/")
        try:
            if (properties.get("operation"), properties.get("type")) != (
                    "put-token", signature.TYPE):
                raise signature.Bad("only put-token, of %s, is understood" % signature.TYPE)
            if prefix != self.arguments.name or name not in self.devices:
                raise signature.Bad("there is no such device")
            key = self.devices[name].key
            connection.tokens[name] = signature.check(request.body, self.resource(name), key)
            status, text = 200, "OK"
        except signature.Bad as bad:
            status, text = 401, str(bad)
        self.tell("token", device=name, status=status, text=text)
        reply = Message(correlation_id=request.id, properties={
            "status-code": status, "status-description": text})
        self.reply(connection, request.reply_to, reply)

    def reply(self, connection, reply_to, message):
        """Sends to the link from `$cbs` that the request names; many may share the connection."""
        link = connection.link_head(0)
        while link is not None:
            if link.is_sender and getattr(link, "reply_to", None) == reply_to and link.credit:
                message.address = reply_to
                link.send(message).settle()
                return
            link = link.next(0)

    # To devices.

    def on_typed(self, event):
        name, _, text = event.subject.partition(" ")
        if name not in self.devices:
            self.tell("unknown", device=name)
            return
        self.commands += 1
        self.devices[name].queue.append(Command(self.commands, text, 0))
        self.tell("queued", device=name, text=text)
        for link in self.devices[name].links:
            self.pump(link)

    def on_sendable(self, event):
        if event.link.source.address != CBS:
            self.pump(event.link)

    def pump(self, link):
        """Sends what waits for a device, as far as it has asked for it."""
        device = self.devices[link.device]
        while link.is_sender and link.credit > 0 and device.queue:
            command = device.queue.popleft()
            message = Message(
                id=str(command.number), body=command.text, delivery_count=command.deliveries,
                address="/devices/%s/messages/devicebound" % link.device)
            tag = link.send(message).tag
            device.sent[link.name, tag] = command._replace(deliveries=command.deliveries + 1)

    def feedback(self, event, said):
        """What a device did with a command."""
        name = event.link.device
        device = self.devices[name]
        device.heard = time.monotonic()
        command = device.sent.pop((event.link.name, event.delivery.tag), None)
        if command is None:
            return
        self.tell("feedback", device=name, text=command.text, said=said)
        if said == "released" and command.deliveries < DELIVERIES_MAX:
            device.queue.appendleft(command)
        elif said != "accepted":
            self.tell("dead-letter", device=name, text=command.text)

    def on_accepted(self, event):
        if event.link.source.address != CBS:
            self.feedback(event, "accepted")

    def on_rejected(self, event):
        self.feedback(event, "rejected")

    def on_released(self, event):
        self.feedback(event, "released")
        self.pump(event.link)


class Detach(MessagingHandler):
    """Detaches a link a moment later."""

    def __init__(self, link, name, text):
        super().__init__()
        self.link = link
        self.condition = Condition(name, text)

    def on_timer_task(self, _event):
        self.link.condition = self.condition
        self.link.close()


def device(text):
    """`ID=KEY` as a pair."""
    name, _, key = text.partition("=")
    if not name or not key:
        raise argparse.ArgumentTypeError("write ID=KEY, with the key in base64")
    return name, key


def main():
    """Runs a hub until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=5671)
    parser.add_argument("--name", default="localhost", help="what tokens call the hub")
    parser.add_argument("--device", type=device, action="append", default=[], metavar="ID=KEY",
                        help="a device and its key in base64; may be given again")
    parser.add_argument("--certificates", default=".", metavar="DIRECTORY",
                        help="where hub-ca.pem, hub.pem and hub.key are, or are made")
    parser.add_argument("--idle-seconds", type=float, default=600)
    words.add_option(parser)
    arguments = parser.parse_args()
    hub = Hub(arguments, words.teller(arguments))
    words.listen(lambda line: hub.typed.trigger(ApplicationEvent("typed", subject=line)))
    words.run(Container(hub))


if __name__ == "__main__":
    main()
