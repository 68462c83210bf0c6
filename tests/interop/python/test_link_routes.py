"""Link routes: a container behind the router and clients that believe they talk to it."""

import collections
import threading
import unittest

from proton import Message
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, AtMostOnce, Container, EventInjector
from proton.utils import BlockingConnection, LinkDetached, SendException

from router import RouterCase

SECONDS = 60
GRANT = 20
LARGE = 3_000_000


class Hub(MessagingHandler):
    """Keeps what is sent to an address for those who receive from it."""

    def __init__(self, port):
        super().__init__(prefetch=0, auto_accept=False)
        self.port = port
        self.kept = collections.defaultdict(collections.deque)
        self.takers = collections.defaultdict(list)
        self.tags = []
        self.opened = threading.Event()
        self.leave = EventInjector()
        self.wire = None
        self.container = Container(self)
        self.container.container_id = "hub"
        self.thread = threading.Thread(target=self.container.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        if not self.opened.wait(SECONDS):
            raise TimeoutError("the hub is not connected")
        return self

    def __exit__(self, *_):
        self.leave.trigger(ApplicationEvent("leave"))
        self.thread.join(SECONDS)

    def on_start(self, event):
        event.container.selectable(self.leave)
        url = "127.0.0.1:%d" % self.port
        self.wire = event.container.connect(url, reconnect=False)

    def on_leave(self, _event):
        self.leave.close()
        self.wire.close()

    def on_connection_opened(self, _event):
        self.opened.set()

    def on_link_opening(self, event):
        link = event.link
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        if link.is_sender:
            self.takers[link.remote_source.address].append(link)
        else:
            link.flow(GRANT)

    def on_message(self, event):
        address = event.link.target.address
        self.tags.append(event.delivery.tag)
        if event.message.body == "reject":
            self.reject(event.delivery)
        elif event.message.body == "release":
            self.release(event.delivery, delivered=False)
        else:
            self.accept(event.delivery)
            self.kept[address].append(event.message)
        event.link.flow(1)
        for link in self.takers[address]:
            self.pump(link)

    def on_sendable(self, event):
        self.pump(event.link)

    def pump(self, link):
        """Sends what the receiver has asked for."""
        kept = self.kept[link.source.address]
        while link.credit > 0 and kept:
            link.send(kept.popleft())
        if link.drain_mode:
            link.drained()


class LinkRoutes(RouterCase):
    """Clients on the ordinary listener, the hub on one of role route-container."""

    extra = """
listener {
    name: hub
    host: 127.0.0.1
    port: @PORT_HUB@
    role: route-container
    authenticatePeer: no
    saslMechanisms: ANONYMOUS
}
linkRoute {
    prefix: devices
    direction: in
    containerId: hub
}
linkRoute {
    prefix: devices
    direction: out
    containerId: hub
}
"""

    def setUp(self):
        self.wire = self.connect()

    def connect(self):
        wire = BlockingConnection("127.0.0.1:%d" % self.router.port, timeout=SECONDS)
        self.addCleanup(wire.close)
        return wire

    def hub(self):
        return Hub(self.router.ports["PORT_HUB"])

    def test_messages_in_order_and_their_outcomes(self):
        with self.hub() as hub:
            sender = self.wire.create_sender("devices/1/events")
            for number in range(5 * GRANT):
                sender.send(Message(body=number))
            for body in ("reject", "release"):
                with self.assertRaises(SendException):
                    sender.send(Message(body=body))
            sender.send(Message(body="x" * LARGE))
            self.assertEqual(len(set(hub.tags)), len(hub.tags), "the client's own tags")
            self.assertEqual(hub.tags[:3], ["1", "2", "3"])
            receiver = self.wire.create_receiver("devices/1/events", credit=10)
            for number in range(5 * GRANT):
                self.assertEqual(receiver.receive().body, number)
                receiver.accept()
            self.assertEqual(len(receiver.receive().body), LARGE)
            receiver.accept()
            receiver.close()
            sender.close()

    def test_a_lost_hub_and_one_that_is_back(self):
        with self.hub():
            sender = self.wire.create_sender("devices/2")
            sender.send(Message(body=1))
        with self.assertRaises(LinkDetached) as lost:
            while True:
                sender.send(Message(body=2), timeout=SECONDS)
        self.assertEqual(lost.exception.condition, "qd:routed-link-lost")
        with self.assertRaises(LinkDetached) as refused:
            self.connect().create_sender("devices/2")
        self.assertEqual(refused.exception.condition, "qd:no-route-to-dest")
        with self.hub():
            sender = self.connect().create_sender("devices/2")
            sender.send(Message(body=3))

    def test_other_addresses_do_not_lead_there(self):
        with self.hub() as hub:
            receiver = self.wire.create_receiver("devicesx", credit=1)
            sender = self.wire.create_sender("devicesx", options=AtMostOnce())
            sender.send(Message(body="local"))
            self.assertEqual(receiver.receive().body, "local")
            self.assertEqual(hub.tags, [])


if __name__ == "__main__":
    unittest.main()
