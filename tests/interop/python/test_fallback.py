"""Fallbacks: who gets what nobody else takes, at one router and at two, by capability and by
auto-link."""

import subprocess
import time
import unittest

from proton import Delivery, Message, symbol
from proton.utils import BlockingConnection

from peer import Loop
from router import BROKERS, Router, binary
from test_autolinks import DIALS, HEAD, LISTENS, Broker, manage, until

SECONDS = 60
GRANT = 10
LARGE = 3 * 1024 * 1024
ADDRESS = "org.apache.qpid.dispatch.router.address"

FALLBACK = """
address {
    prefix: queue
    enableFallback: yes
}
"""

BROKER = FALLBACK + BROKERS + """
autoLink {
    address: queue/orders
    direction: out
    connection: brokers
    fallback: yes
}
autoLink {
    address: queue/orders
    direction: in
    connection: brokers
    fallback: yes
}
"""


def as_fallback(link):
    """Says that whoever is at this end serves as the fallback of the address."""
    terminus = link.source if link.is_receiver else link.target
    terminus.capabilities.put_object(symbol("qd.fallback"))


def rows(port):
    """The addresses of a router by their keys."""
    wire = BlockingConnection("127.0.0.1:%d" % port, timeout=SECONDS)
    answer = manage(wire, {
        "operation": "QUERY", "entityType": ADDRESS, "type": ADDRESS, "name": "self",
    }, {"attributeNames": []})
    wire.close()
    names = answer.body["attributeNames"]
    found = [dict(zip(names, row)) for row in answer.body["results"]]
    return {row["key"]: row for row in found}


def knows(port, key, there):
    """Waits until a router knows receivers of an address, or none any more."""
    def has():
        row = rows(port).get(key, {})
        return bool(row.get("subscriberCount", 0) + row.get("remoteCount", 0))
    until(lambda: has() == there, lambda: repr(rows(port)))


class Traffic:
    """One sender that counts what it sends, and what receivers got of it."""

    def __init__(self, loop, sender):
        self.loop = loop
        self.sender = sender
        self.number = 0
        self.accepted = []
        self.open = []

    def send(self, settled=False):
        """Sends the next message if there is credit; whether there was."""
        if self.sender.credit == 0:
            return False
        delivery = self.sender.send(Message(body=self.number), settled)
        if not settled:
            self.open.append((self.number, delivery))
        self.number += 1
        return True

    def collect(self):
        """Takes the outcomes that are there."""
        told = [(number, delivery) for number, delivery in self.open if delivery.settled]
        self.open = [(number, delivery) for number, delivery in self.open if not delivery.settled]
        for number, delivery in told:
            if delivery.remote_state == Delivery.ACCEPTED:
                self.accepted.append(number)
            elif delivery.remote_state not in (Delivery.RELEASED, Delivery.MODIFIED):
                raise AssertionError("%d: %r" % (number, delivery.remote_state))
            delivery.settle()

    def finish(self):
        """Waits for all outcomes."""
        def done():
            self.collect()
            return not self.open
        self.loop.until(done, "the last outcome")


def bodies(receiver):
    """What a receiver has got since the last time."""
    got = [received.body for received in receiver.queue]
    receiver.queue.clear()
    return got


class Scenes:
    """What holds wherever senders, receivers and fallbacks are: `self.port` has the ports."""

    def start(self, *places):
        """A loop, and a connection to each place."""
        loop = Loop()
        self.addCleanup(loop.__exit__)
        return (loop, *(loop.connect(self.port[place]) for place in places))

    def test_each_message_goes_to_who_is_there(self):
        for settled in (False, True):
            address = "queue/who-%s" % settled
            loop, near, far, spare = self.start("sender", "receiver", "fallback")
            fallback = spare.receiver(address, setup=as_fallback, top_up=True)
            traffic = Traffic(loop, near.sender(address))
            for _ in range(50):
                loop.until(traffic.send if not settled else lambda: traffic.send(True), "credit")
            loop.until(lambda: len(fallback.queue) == 50, "the first fifty")
            self.assertEqual(bodies(fallback), list(range(50)))
            primary = far.receiver(address, top_up=True)
            knows(self.port["sender"], "M0" + address, True)
            for _ in range(50):
                loop.until(lambda: traffic.send(settled), "credit")
            loop.until(lambda: len(primary.queue) == 50, "the next fifty")
            self.assertEqual(bodies(primary), list(range(50, 100)))
            self.assertEqual(bodies(fallback), [])
            far.detach(primary)
            knows(self.port["sender"], "M0" + address, False)
            for _ in range(50):
                loop.until(lambda: traffic.send(settled), "credit")
            loop.until(lambda: len(fallback.queue) == 50, "the last fifty")
            self.assertEqual(bodies(fallback), list(range(100, 150)))
            traffic.finish()
            if not settled:
                self.assertEqual(traffic.accepted, list(range(150)))
            row = rows(self.port["sender"])["M0" + address]
            self.assertEqual(row["deliveriesRedirectedToFallback"], 100)

    def test_nothing_is_lost_or_doubled_while_a_receiver_comes_and_goes(self):
        address = "queue/switch"
        loop, near, far, spare = self.start("sender", "receiver", "fallback")
        fallback = spare.receiver(address, setup=as_fallback, top_up=True)
        traffic = Traffic(loop, near.sender(address))
        got = {"primary": [], "fallback": []}
        for _ in range(5):
            primary = far.receiver(address, top_up=True)
            for there in (True, False):
                ends = time.monotonic() + 0.5
                while time.monotonic() < ends:
                    for _ in range(20):
                        traffic.send()
                    loop.turn(0.01)
                    traffic.collect()
                    got["fallback"] += bodies(fallback)
                    got["primary"] += bodies(primary)
                if there:
                    far.detach(primary)
                    got["primary"] += bodies(primary)
        traffic.finish()
        got["fallback"] += bodies(fallback)
        for who, numbers in got.items():
            self.assertTrue(numbers, "nothing for the %s" % who)
            self.assertEqual(numbers, sorted(numbers), who)
        both = got["primary"] + got["fallback"]
        self.assertEqual(len(both), len(set(both)), "received twice")
        lost = set(traffic.accepted) - set(both)
        self.assertEqual(lost, set(), "accepted, and nobody has got it")

    def test_large_messages(self):
        address = "queue/large"
        loop, near, spare = self.start("sender", "fallback")
        fallback = spare.receiver(address, setup=as_fallback)
        sender = near.sender(address)
        for settled in (False, True):
            data = bytes(Message(body="large " * (LARGE // 6)).encode())
            delivery = sender.send(data, settled)
            self.assertTrue(fallback.one().data == data)
            if not settled:
                self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_what_a_receiver_refuses_stays_refused(self):
        address = "queue/refused"
        _, near, far, spare = self.start("sender", "receiver", "fallback")
        fallback = spare.receiver(address, setup=as_fallback)
        primary = far.receiver(address, manual=True)
        sender = near.sender(address)
        knows(self.port["sender"], "M0" + address, True)
        for state in (Delivery.RELEASED, Delivery.REJECTED):
            delivery = sender.send(Message(body="x"))
            primary.one().settle(state)
            self.assertEqual(sender.outcome(delivery), state)
        self.assertEqual(bodies(fallback), [])

    def test_a_sender_waits_where_neither_is_there(self):
        address = "queue/nobody"
        loop, near, spare = self.start("sender", "fallback")
        sender = near.sender(address)
        fallback = spare.receiver(address, setup=as_fallback)
        loop.until(lambda: sender.credit > 0, "credit")
        spare.detach(fallback)
        knows(self.port["sender"], "MF" + address, False)
        self.assertEqual(sender.deliver(Message(body="x")), Delivery.RELEASED)
        loop.until(lambda: sender.link.drain_mode, "a drain")
        spare.receiver(address, setup=as_fallback)
        loop.until(lambda: not sender.link.drain_mode, "the end of the drain")
        self.assertEqual(sender.deliver(Message(body="y")), Delivery.ACCEPTED)

    def test_a_broker_keeps_what_nobody_takes_and_gives_it_back(self):
        address = "queue/orders"
        loop, near, far = self.start("sender", "receiver")
        with Broker(self.port["broker"]) as broker:
            self.assertTrue(broker.both.wait(SECONDS))
            sender = near.sender(address)
            loop.until(lambda: sender.credit > 0, "credit")
            for number in range(3 * GRANT):
                self.assertEqual(sender.deliver(Message(body=number)), Delivery.ACCEPTED)
            self.assertEqual((len(broker.queues[address]), broker.passed), (3 * GRANT, 0))
            primary = far.receiver(address)
            stored = [received.body for received in primary.take(3 * GRANT)]
            self.assertEqual(stored, list(range(3 * GRANT)))
            knows(self.port["sender"], "M0" + address, True)
            self.assertEqual(sender.deliver(Message(body="now")), Delivery.ACCEPTED)
            self.assertEqual(primary.one().body, "now", "past the broker")
            self.assertEqual(broker.passed, 3 * GRANT)
            far.detach(primary)
        until(lambda: not self.has_fallback(address))

    def has_fallback(self, address):
        row = rows(self.port["sender"]).get("MF" + address, {})
        return row.get("subscriberCount", 0) + row.get("remoteCount", 0) > 0


class AtOneRouter(Scenes, unittest.TestCase):
    """Everybody at the same router."""

    @classmethod
    def setUpClass(cls):
        text = HEAD.replace("mode: interior", "mode: standalone").replace("@ID@", "Only")
        cls.router = Router(text=text + BROKER, names=("PORT", "PORT_BROKER"))
        cls.addClassCleanup(cls.router.stop)
        everywhere = dict.fromkeys(("sender", "receiver", "fallback"), cls.router.port)
        cls.port = {**everywhere, "broker": cls.router.ports["PORT_BROKER"]}

    def test_the_tables_show_it(self):
        _, near, spare = self.start("sender", "fallback")
        fallback = spare.receiver("queue/shown", setup=as_fallback)
        near.sender("queue/shown").deliver(Message(body="x"))
        self.assertEqual(fallback.one().body, "x")
        table = subprocess.run(
            [binary(), "stat", "-a", "--url", "127.0.0.1:%d" % self.router.port],
            check=True, text=True, stdout=subprocess.PIPE).stdout
        lines = {tuple(line.split()[1:3]): line.split() for line in table.splitlines()
                 if "queue/shown" in line}
        self.assertEqual(set(lines), {("queue/shown", "0"), ("queue/shown", "F")}, table)
        self.assertEqual(lines["queue/shown", "0"][-1], "1", table)
        self.assertEqual(lines["queue/shown", "F"][-1], "0", table)
        general = subprocess.run(
            [binary(), "stat", "-g", "--url", "127.0.0.1:%d" % self.router.port],
            check=True, text=True, stdout=subprocess.PIPE).stdout
        total = [line.split()[-1] for line in general.splitlines() if "Fallback" in line]
        self.assertGreaterEqual(int(total[0]), 1, general)


class Network(Scenes):
    """Two routers; the broker is at the second."""

    places = {}

    @classmethod
    def setUpClass(cls):
        def start(name, mesh, extra, *names):
            text = (HEAD + mesh + extra).replace("@ID@", name)
            router = Router(text=text, names=("PORT",) + names)
            cls.addClassCleanup(router.stop)
            return router

        first = start("First", LISTENS, FALLBACK, "PORT_MESH")
        dials = DIALS % first.ports["PORT_MESH"]
        second = start("Second", dials, BROKER, "PORT_BROKER")
        cls.port = {who: (first, second)[place].port for who, place in cls.places.items()}
        cls.port["broker"] = second.ports["PORT_BROKER"]


class WithBothReceiversAway(Network, unittest.TestCase):
    """The receiver and its fallback are at the other router."""

    places = {"sender": 0, "receiver": 1, "fallback": 1}


class WithTheReceiverAway(Network, unittest.TestCase):
    """Only the fallback is where the sender is."""

    places = {"sender": 0, "receiver": 1, "fallback": 0}


class WithTheFallbackAway(Network, unittest.TestCase):
    """Only the receiver is where the sender is."""

    places = {"sender": 0, "receiver": 0, "fallback": 1}


if __name__ == "__main__":
    unittest.main()
