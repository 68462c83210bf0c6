"""stripAnnotations: what the router adds to and removes from message annotations."""

import unittest

from proton import Message, symbol

import encodings_of_amqp as amqp
from peer import Delivery, Loop
from router import RouterCase

INGRESS, TRACE, TO = "x-opt-qd.ingress", "x-opt-qd.trace", "x-opt-qd.to"
BODY = amqp.section(amqp.VALUE, amqp.string("body"))
MINE = amqp.symbol("x-user") + amqp.string("u")


class Strip(RouterCase):
    """The four settings, for messages that come and for messages that go."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)

    def through(self, arriving, departing, annotations=None, address="strip"):
        """The annotations of a message that came by one listener and left by another."""
        consumer = self.loop.connect(self.router.ports[departing])
        producer = self.loop.connect(self.router.ports[arriving])
        receiver = consumer.receiver(address)
        sender = producer.sender(address)
        message = Message(body="x", annotations=annotations)
        self.assertEqual(sender.deliver(message), Delivery.ACCEPTED)
        found = receiver.one().message.annotations
        consumer.close()
        producer.close()
        return found

    def test_both_adds_nothing(self):
        self.assertFalse(self.through("PORT", "PORT"))

    def test_in_and_no_add_ingress_and_trace(self):
        for departing in ("PORT_IN", "PORT_NO"):
            with self.subTest(departing):
                found = self.through("PORT", departing)
                self.assertEqual(found[symbol(INGRESS)], "0/Interop")
                self.assertEqual(found[symbol(TRACE)], ["0/Interop"])
                self.assertEqual(found[symbol(TO)], "strip")

    def test_out_adds_nothing(self):
        self.assertFalse(self.through("PORT", "PORT_OUT"))

    def test_users_annotations_stay_whatever_the_setting(self):
        mine = {symbol("x-user"): "u", symbol("x-list"): [1, None, {"k": "v"}]}
        for arriving in ("PORT", "PORT_NO", "PORT_IN", "PORT_OUT"):
            for departing in ("PORT", "PORT_NO", "PORT_IN", "PORT_OUT"):
                with self.subTest(arriving=arriving, departing=departing):
                    found = self.through(arriving, departing, mine)
                    self.assertEqual({key: found[key] for key in mine}, mine)
                    added = [key for key in found if key.startswith("x-opt-qd.")]
                    self.assertEqual(bool(added), departing in ("PORT_NO", "PORT_IN"))

    def test_arriving_router_annotations_are_ignored_when_stripped(self):
        forged = {symbol("x-user"): "u", symbol(INGRESS): "0/Elsewhere",
                  symbol(TO): "somewhere.else"}
        for arriving in ("PORT", "PORT_IN"):
            with self.subTest(arriving):
                found = self.through(arriving, "PORT_NO", forged)
                self.assertEqual(found[symbol(INGRESS)], "0/Interop")
                self.assertEqual(found[symbol(TO)], "strip")
                self.assertEqual(found[symbol("x-user")], "u")

    def test_arriving_ingress_is_kept_when_not_stripped(self):
        given = {symbol(INGRESS): "0/Elsewhere"}
        for arriving in ("PORT_NO", "PORT_OUT"):
            with self.subTest(arriving):
                found = self.through(arriving, "PORT_NO", given)
                self.assertEqual(found[symbol(INGRESS)], "0/Elsewhere")

    def test_arriving_trace_is_continued_when_not_stripped(self):
        found = self.through("PORT_NO", "PORT_NO", {symbol(TRACE): ["0/Elsewhere"]})
        self.assertEqual(found[symbol(TRACE)], ["0/Elsewhere", "0/Interop"])

    def test_too_many_hops_are_released(self):
        consumer = self.loop.connect(self.router.ports["PORT_NO"])
        producer = self.loop.connect(self.router.ports["PORT_NO"])
        consumer.receiver("strip.hops")
        sender = producer.sender("strip.hops")
        traced = Message(annotations={symbol(TRACE): ["0/A", "0/B", "0/C", "0/D"]})
        self.assertEqual(sender.deliver(traced), Delivery.RELEASED)
        self.assertEqual(sender.deliver(Message()), Delivery.ACCEPTED)

    def test_bad_router_annotations_are_rejected(self):
        consumer = self.loop.connect(self.router.ports["PORT_NO"])
        producer = self.loop.connect(self.router.ports["PORT_NO"])
        consumer.receiver("strip.bad")
        sender = producer.sender("strip.bad")
        for key, value, text in ((TRACE, "text", "trace annotation is not a list"),
                                 (TRACE, [1], "trace list contains non-string entries"),
                                 (TO, 5, "to-override not a valid string type"),
                                 (INGRESS, 5, "ingress router not a string type")):
            with self.subTest(text):
                delivery = sender.send(Message(annotations={symbol(key): value}))
                self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
                self.assertEqual(delivery.remote.condition.name, "amqp:invalid-field")
                self.assertEqual(delivery.remote.condition.description, text)

    def test_everything_else_stays_byte_for_byte(self):
        """With annotations added, the sections around them are still the producer's bytes."""
        consumer = self.loop.connect(self.router.ports["PORT_NO"])
        producer = self.loop.connect(self.router.port)
        receiver = consumer.receiver("strip.bytes")
        sender = producer.sender("strip.bytes")
        before = amqp.section(amqp.HEADER, amqp.list32(amqp.TRUE)) + amqp.section(
            amqp.DELIVERY_ANNOTATIONS, amqp.map32(amqp.symbol("d"), amqp.NULL))
        after = amqp.section(amqp.PROPERTIES, amqp.list32(
            b"\x98" + bytes(16))) + amqp.section(
            amqp.APPLICATION_PROPERTIES, amqp.map32()) + BODY
        mine = amqp.section(amqp.MESSAGE_ANNOTATIONS, amqp.map8(MINE[:8], MINE[8:]))
        sender.send(before + mine + after)
        data = receiver.one().data
        self.assertTrue(data.startswith(before + b"\x00\x53\x72"))
        self.assertTrue(data.endswith(after))
        middle = data[len(before):len(data) - len(after)]
        self.assertIn(MINE, middle)
        self.assertIn(b"\xa3" + bytes([len(INGRESS)]) + INGRESS.encode(), middle)

    def test_a_message_without_annotations_gets_none(self):
        consumer = self.loop.connect(self.router.port)
        receiver = consumer.receiver("strip.none")
        consumer.sender("strip.none").send(BODY)
        self.assertEqual(receiver.one().data, BODY)


class ToOverride(RouterCase):
    """x-opt-qd.to decides for anonymous senders on listeners that honour it."""

    def test_override(self):
        with Loop() as loop:
            wire = loop.connect(self.router.ports["PORT_NO"])
            meant = wire.receiver("override.meant")
            written = wire.receiver("override.written")
            sender = wire.sender(None)
            message = Message(address="override.written", body="x",
                              annotations={symbol(TO): "override.meant"})
            self.assertEqual(sender.deliver(message), Delivery.ACCEPTED)
            self.assertEqual(meant.one().body, "x")
            self.assertFalse(written.queue)


if __name__ == "__main__":
    unittest.main()
