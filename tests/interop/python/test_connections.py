"""Opening and ending connections, and many of them."""

import socket
import unittest

from proton import Endpoint, Message, symbol

from peer import Delivery, Loop
from router import Router, RouterCase, causeway_only

MANY = 1000


class Opening(RouterCase):
    """What a client sees when it connects."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)

    def test_open(self):
        connection = self.loop.connect(self.router.port).connection
        self.assertEqual(connection.remote_container, "Interop")
        self.assertIn(symbol("ANONYMOUS-RELAY"), connection.remote_offered_capabilities)
        properties = connection.remote_properties
        self.assertTrue(properties[symbol("product")])
        self.assertTrue(properties[symbol("version")])
        self.assertIsInstance(properties[symbol("qd.conn-id")], int)

    def test_idle_timeout_and_frame_size(self):
        transport = self.loop.connect(self.router.port).transport
        self.assertEqual(transport.remote_idle_timeout, 8.0)
        self.assertEqual(transport.remote_max_frame_size, 16384)

    def test_without_sasl(self):
        wire = self.loop.connect(self.router.port, sasl=False)
        wire.receiver("open.plain")
        self.assertEqual(wire.sender("open.plain").deliver(Message()), Delivery.ACCEPTED)

    def test_with_sasl_anonymous(self):
        wire = self.loop.connect(self.router.port)
        self.assertEqual(wire.transport.sasl().mech, "ANONYMOUS")
        self.assertEqual(wire.transport.sasl().outcome, 0)

    def test_many_sessions(self):
        wire = self.loop.connect(self.router.port)
        pairs = []
        for i in range(50):
            session = wire.session()
            address = "open.session.%d" % i
            pairs.append((wire.receiver(address, session=session, name="same"),
                          wire.sender(address, session=session, name="same too")))
        # The names repeat, so the last pair speaks for its session and the rest for no mix-up.
        for i, (receiver, _) in enumerate(pairs):
            self.assertEqual(receiver.address, "open.session.%d" % i)
        receiver, sender = pairs[-1]
        self.assertEqual(sender.deliver(Message(body="x")), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, "x")

    def test_sessions_end_and_begin_again(self):
        wire = self.loop.connect(self.router.port)
        for i in range(20):
            session = wire.session()
            wire.receiver("open.again", session=session)
            sender = wire.sender("open.again", session=session)
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
            session.close()
            self.loop.until(lambda: session.state & Endpoint.REMOTE_CLOSED, "the router's end")

    def test_a_foreign_protocol_is_turned_away(self):
        wire = self.loop.connect(self.router.port)
        with socket.create_connection(("127.0.0.1", self.router.port), 10) as foreign:
            foreign.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while True:
                part = foreign.recv(4096)
                if not part:
                    break
                answer += part
        self.assertTrue(answer.startswith(b"AMQP\x00\x01\x00\x00"))
        self.assertIn(b"amqp:connection:framing-error", answer)
        wire.receiver("open.after")
        self.assertEqual(wire.sender("open.after").deliver(Message()), Delivery.ACCEPTED)


class Many(RouterCase):
    """A thousand of each."""

    def test_links_of_one_connection(self):
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            receivers = [wire.receiver("many.link.%d" % i, credit=2, wait=False)
                         for i in range(MANY // 2)]
            senders = [wire.sender("many.link.%d" % i, wait=False) for i in range(MANY // 2)]
            loop.until(lambda: all(one.attached for one in receivers + senders), "attaches")
            loop.until(lambda: all(one.credit for one in senders), "credit")
            deliveries = [sender.send(Message(body=i)) for i, sender in enumerate(senders)]
            loop.until(lambda: all(one.settled for one in deliveries), "outcomes")
            for delivery in deliveries:
                self.assertEqual(delivery.remote_state, Delivery.ACCEPTED)
            for i, receiver in enumerate(receivers):
                self.assertEqual([record.body for record in receiver.queue], [i])
            for link in receivers + senders:
                link.link.close()
            loop.until(lambda: all(one.closed for one in receivers + senders), "detaches")

    def test_connections(self):
        with Loop() as loop:
            wires = [loop.connect(self.router.port, wait=False) for _ in range(MANY)]
            loop.until(lambda: all(wire.open for wire in wires), "all Opens")
            receivers = [wire.receiver("many.connection.%d" % i, wait=False)
                         for i, wire in enumerate(wires)]
            loop.until(lambda: all(one.attached for one in receivers), "attaches")
            producer = loop.connect(self.router.port)
            sender = producer.sender(None)
            deliveries = [sender.send(Message(address="many.connection.%d" % i, body=i))
                          for i in range(MANY)]
            loop.until(lambda: all(one.settled for one in deliveries), "outcomes")
            for delivery in deliveries:
                self.assertEqual(delivery.remote_state, Delivery.ACCEPTED)
            for i, receiver in enumerate(receivers):
                self.assertEqual([record.body for record in receiver.queue], [i])
            for wire in wires[:MANY // 2]:
                wire.cut()
            sender.deliver(Message(address="many.connection.%d" % (MANY - 1), body="still"))
            self.assertEqual(receivers[-1].queue[-1].body, "still")

    def test_a_copy_for_each_of_many(self):
        with Loop() as loop:
            wires = [loop.connect(self.router.port, wait=False) for _ in range(200)]
            receivers = [wire.receiver("multicast.many", wait=False) for wire in wires]
            loop.until(lambda: all(one.attached for one in receivers), "attaches")
            sender = loop.connect(self.router.port).sender("multicast.many")
            for i in range(5):
                self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
            for receiver in receivers:
                self.assertEqual([record.body for record in receiver.queue], list(range(5)))

    def test_open_and_close_again_and_again(self):
        for _ in range(200):
            with Loop() as loop:
                loop.connect(self.router.port).close()


class Stopping(unittest.TestCase):
    """What clients see when an operator stops the router."""

    @causeway_only("the router it replaces just drops the sockets")
    def test_a_reason_is_given(self):
        router = Router()
        try:
            with Loop() as loop:
                wire = loop.connect(router.port)
                wire.receiver("stopping")
                router.terminate()
                loop.until(lambda: wire.closed, "the router's Close")
                self.assertIsNotNone(wire.condition)
                self.assertEqual(wire.condition.name, "amqp:connection:forced")
        finally:
            self.assertEqual(router.stop(), 0)

    def test_exit_code(self):
        router = Router()
        with Loop() as loop:
            wire = loop.connect(router.port)
            router.terminate()
            loop.until(lambda: wire.ended, "the end of the connection")
        self.assertEqual(router.stop(), 0)


if __name__ == "__main__":
    unittest.main()
