"""A broker's queue in the path of an address, by auto-links, by capabilities, over two routers."""

import collections
import threading
import time
import unittest

from proton import Condition, Message, Timeout, symbol
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector, LinkOption
from proton.utils import BlockingConnection, SyncRequestResponse

from router import BROKERS, Router, RouterCase

SECONDS = 60
GRANT = 10
FIRST_RETRY = 2
PATIENCE = 0.2
AUTO_LINK = "org.apache.qpid.dispatch.router.config.autoLink"

WAYPOINT = """
address {
    prefix: queue
    waypoint: yes
}
"""

BROKER = WAYPOINT + BROKERS + """
autoLink {
    name: to
    address: queue/orders
    direction: out
    containerId: broker
    externalAddress: Q.ORDERS
}
autoLink {
    name: from
    address: queue/orders
    direction: in
    containerId: broker
    externalAddress: Q.ORDERS
}
"""

HEAD = """
router {
    id: @ID@
    mode: interior
}
listener {
    host: 127.0.0.1
    port: @PORT@
    authenticatePeer: no
    saslMechanisms: ANONYMOUS
}
"""

LISTENS = """
listener {
    host: 127.0.0.1
    port: @PORT_MESH@
    role: inter-router
    authenticatePeer: no
    saslMechanisms: ANONYMOUS
}
"""

DIALS = """
connector {
    host: 127.0.0.1
    port: %d
    role: inter-router
}
"""


class Broker(MessagingHandler):
    """Takes links to and from queues of any name, and keeps messages in them."""

    def __init__(self, port):
        super().__init__(prefetch=0, auto_accept=False)
        self.port = port
        self.queues = collections.defaultdict(collections.deque)
        self.takers = []
        self.asked = []
        self.passed = 0
        self.refusal = None
        self.opened = threading.Event()
        self.both = threading.Event()
        self.orders = EventInjector()
        self.wire = None
        self.container = Container(self)
        self.container.container_id = "broker"
        self.thread = threading.Thread(target=self.container.run, daemon=True)

    def __enter__(self):
        self.thread.start()
        if not self.opened.wait(SECONDS):
            raise TimeoutError("the broker is not connected")
        return self

    def __exit__(self, *_):
        self.orders.trigger(ApplicationEvent("leave"))
        self.thread.join(SECONDS)

    def on_start(self, event):
        event.container.selectable(self.orders)
        url = "127.0.0.1:%d" % self.port
        self.wire = event.container.connect(url, reconnect=False)

    def on_leave(self, _event):
        self.orders.close()
        self.wire.close()

    def on_connection_opened(self, _event):
        self.opened.set()

    def on_link_opening(self, event):
        link = event.link
        mine = link.remote_source if link.is_sender else link.remote_target
        self.asked.append((link.is_sender, mine.address))
        if self.refusal:
            link.condition = Condition("amqp:not-found", self.refusal)
            link.close()
            return
        link.source.copy(link.remote_source)
        link.target.copy(link.remote_target)
        if link.is_sender:
            self.takers.append(link)
        else:
            link.flow(GRANT)
        if {True, False} == {is_sender for is_sender, _ in self.asked}:
            self.both.set()

    def on_message(self, event):
        self.queues[event.link.target.address].append(event.message)
        self.accept(event.delivery)
        event.link.flow(1)
        self.pump()

    def on_sendable(self, _event):
        self.pump()

    def pump(self):
        for link in self.takers:
            queue = self.queues[link.source.address]
            while link.credit > 0 and queue:
                link.send(queue.popleft())
                self.passed += 1


class Waypoint(LinkOption):
    """Says that a link is a waypoint's."""

    def apply(self, link):
        terminus = link.source if link.is_receiver else link.target
        terminus.capabilities.put_object(symbol("qd.waypoint"))


def until(what, say=lambda: ""):
    deadline = time.monotonic() + SECONDS
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError(say())
        time.sleep(0.02)


def manage(wire, properties, body):
    """Asks a router's management."""
    ask = SyncRequestResponse(wire, "$management")
    answer = ask.call(Message(properties=properties, body=body))
    ask.sender.close()
    ask.receiver.close()
    return answer


def auto_links(wire):
    """The auto-links of a router by name."""
    answer = manage(wire, {
        "operation": "QUERY", "entityType": AUTO_LINK, "type": AUTO_LINK, "name": "self",
    }, {"attributeNames": []})
    names = answer.body["attributeNames"]
    rows = [dict(zip(names, row)) for row in answer.body["results"]]
    return {row["name"]: row for row in rows}


class AutoLinks(RouterCase):
    """One router."""

    extra = BROKER

    def setUp(self):
        self.wire = BlockingConnection("127.0.0.1:%d" % self.router.port, timeout=SECONDS)
        self.addCleanup(self.wire.close)

    def broker(self):
        return Broker(self.router.ports["PORT_BROKER"])

    def statuses(self):
        rows = auto_links(self.wire)
        return rows["to"]["operStatus"], rows["from"]["operStatus"]

    def wait_for(self, *wanted):
        until(lambda: self.statuses() == wanted, lambda: repr(auto_links(self.wire)))

    def test_messages_go_through_the_queue(self):
        self.assertEqual(self.statuses(), ("inactive", "inactive"))
        with self.broker() as broker:
            self.wait_for("active", "active")
            self.assertEqual(
                sorted(broker.asked), [(False, "Q.ORDERS"), (True, "Q.ORDERS")])
            sender = self.wire.create_sender("queue/orders")
            for number in range(5 * GRANT):
                sender.send(Message(body=number))
            self.assertEqual((len(broker.queues["Q.ORDERS"]), broker.passed), (5 * GRANT, 0))
            receiver = self.wire.create_receiver("queue/orders", credit=5)
            for number in range(5 * GRANT):
                self.assertEqual(receiver.receive().body, number)
                receiver.accept()
            self.assertEqual(broker.passed, 5 * GRANT)
            for row in auto_links(self.wire).values():
                self.assertTrue(row["linkRef"])
                self.assertIsNone(row["lastError"])
            sender.close()
            receiver.close()
        self.wait_for("inactive", "inactive")

    def test_a_broker_that_refuses_is_asked_again(self):
        broker = self.broker()
        broker.refusal = "no such queue"
        with broker:
            self.wait_for("failed", "failed")
            self.assertEqual(auto_links(self.wire)["to"]["lastError"], "no such queue")
            broker.refusal = None
            began = time.monotonic()
            self.wait_for("active", "active")
            self.assertLess(time.monotonic() - began, FIRST_RETRY + 5)
            sender = self.wire.create_sender("queue/orders")
            sender.send(Message(body="at last"))
            sender.close()
        with self.broker():
            self.wait_for("active", "active")

    def test_one_that_is_made_and_deleted_by_management(self):
        def call(operation, body):
            properties = {"operation": operation, "type": AUTO_LINK, "name": "late"}
            return manage(self.wire, properties, body).properties["statusCode"]

        with self.broker() as broker:
            self.wait_for("active", "active")
            made = {"address": "late", "direction": "out", "connection": "brokers"}
            self.assertEqual(call("CREATE", made), 201)
            until(lambda: auto_links(self.wire)["late"]["operStatus"] == "active")
            sender = self.wire.create_sender("late")
            sender.send(Message(body=1))
            self.assertEqual(len(broker.queues["late"]), 1)
            self.assertEqual(call("DELETE", {}), 204)
            self.assertNotIn("late", auto_links(self.wire))
            sender.close()


class WaypointOverTwoRouters(unittest.TestCase):
    """The broker at one router, clients at the other, whichever has dialled."""

    def network(self, broker_dials):
        def start(name, dials, extra):
            text = (HEAD + (dials or LISTENS) + extra).replace("@ID@", name)
            names = ["PORT"] + [
                word for word in ("PORT_MESH", "PORT_BROKER") if "@%s@" % word in text]
            router = Router(text=text, names=tuple(names))
            self.addCleanup(router.stop)
            return router

        first = start("First", None, WAYPOINT if broker_dials else BROKER)
        dials = DIALS % first.ports["PORT_MESH"]
        second = start("Second", dials, BROKER if broker_dials else WAYPOINT)
        return (first, second) if broker_dials else (second, first)

    def connect(self, router):
        wire = BlockingConnection("127.0.0.1:%d" % router.port, timeout=SECONDS)
        self.addCleanup(wire.close)
        return wire

    def check(self, clients, passed):
        """Whether messages from one router go through the waypoint at the other, and back."""
        wire = self.connect(clients)
        sender = wire.create_sender("queue/orders")
        receiver = wire.create_receiver("queue/orders", credit=GRANT)
        for number in range(3 * GRANT):
            sender.send(Message(body=number))
            self.assertEqual(receiver.receive().body, number)
            receiver.accept()
            self.assertEqual(passed(), number + 1, "it went past the waypoint")

    def test_a_queue_by_auto_links(self):
        for broker_dials in (False, True):
            clients, home = self.network(broker_dials)
            with Broker(home.ports["PORT_BROKER"]) as broker:
                self.assertTrue(broker.both.wait(SECONDS))
                self.check(clients, lambda: broker.passed)

    def test_a_waypoint_by_capabilities(self):
        clients, home = self.network(False)
        wire = self.connect(home)
        source = wire.create_receiver("queue/orders", credit=GRANT, options=Waypoint())
        sink = wire.create_sender("queue/orders", options=Waypoint())
        passed = []

        leaving = threading.Event()

        def serve():
            while not leaving.is_set():
                try:
                    message = source.receive(timeout=PATIENCE)
                except Timeout:
                    continue
                source.accept()
                passed.append(message)
                sink.send(message)

        # One thread at a time may use a connection: it is closed only once this one has ended.
        waypoint = threading.Thread(target=serve, daemon=True)
        waypoint.start()
        self.addCleanup(waypoint.join, SECONDS)
        self.addCleanup(leaving.set)
        self.check(clients, lambda: len(passed))


if __name__ == "__main__":
    unittest.main()
