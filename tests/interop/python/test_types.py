"""What a message is made of passes the router byte for byte."""

import decimal
import unittest
import uuid

import proton
from proton import Array, Described, Message, symbol

import encodings_of_amqp as amqp
from peer import Delivery, Loop
from router import RouterCase, causeway_only


class Bytes(RouterCase):
    """Hand-made encodings; no library's opinion on either side."""

    def passes(self, cases, address):
        """Sends all cases at once and compares the bytes in order."""
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            receiver = wire.receiver(address, credit=200, top_up=True)
            sender = wire.sender(address)
            sent = [(name, data, sender.send(data)) for name, data in cases]
            for (name, data, delivery), received in zip(sent, receiver.take(len(sent))):
                with self.subTest(name):
                    self.assertEqual(received.data, data)
                    self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_primitives_in_a_value(self):
        self.passes([(name, amqp.section(amqp.VALUE, data)) for name, data in amqp.primitives()],
                    "types.primitives")

    def test_compounds_in_a_value(self):
        # A router that looks into bodies would have to limit how deep; this one must not look.
        cases = [*amqp.compounds(), ("nested 1000 deep", amqp.nested(1000))]
        self.passes([(name, amqp.section(amqp.VALUE, data)) for name, data in cases],
                    "types.compounds")

    def test_primitives_as_application_properties(self):
        body = amqp.section(amqp.VALUE, amqp.NULL)
        self.passes([(name, amqp.section(amqp.APPLICATION_PROPERTIES, amqp.map32(
            amqp.string("key"), data)) + body) for name, data in amqp.primitives()],
            "types.properties")

    def test_everything_in_user_annotations(self):
        every = list(amqp.primitives()) + list(amqp.compounds())
        self.annotations_pass([case for case in every if case[1][0] != 0])

    @causeway_only("the router it replaces has no bound on nesting in annotations")
    def test_annotations_nested_too_deep_are_rejected(self):
        message = amqp.section(
            amqp.MESSAGE_ANNOTATIONS, amqp.map32(amqp.symbol("x-user"), amqp.nested(40)))
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            wire.receiver("types.deep")
            state = wire.sender("types.deep").deliver(message + amqp.section(amqp.VALUE, amqp.NULL))
            self.assertEqual(state, Delivery.REJECTED)

    @causeway_only("the router it replaces rejects described annotation values")
    def test_described_values_in_user_annotations(self):
        self.annotations_pass([case for case in amqp.compounds() if case[1][0] == 0])

    def annotations_pass(self, every):
        """Sends each encoding as a user annotation."""
        body = amqp.section(amqp.VALUE, amqp.NULL)
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            receiver = wire.receiver("types.annotations", credit=200, top_up=True)
            sender = wire.sender("types.annotations")
            for name, data in every:
                with self.subTest(name):
                    pair = amqp.symbol("x-user") + data
                    state = sender.deliver(amqp.section(amqp.MESSAGE_ANNOTATIONS, amqp.map32(
                        amqp.symbol("x-user"), data)) + body)
                    self.assertEqual(state, Delivery.ACCEPTED)
                    got = receiver.one().data
                    # The router may choose between the short and the long map, nothing else.
                    self.assertEqual(got[:3], b"\x00\x53\x72")
                    self.assertTrue(got.endswith(pair + body))
                    self.assertIn(len(got) - len(pair) - len(body), (3 + 3, 3 + 9))

    def test_sections(self):
        self.passes(list(amqp.sections()), "types.sections")

    def test_an_empty_message_is_rejected(self):
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            receiver = wire.receiver("types.empty")
            sender = wire.sender("types.empty")
            delivery = sender.send(b"")
            self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
            self.assertEqual(delivery.remote.condition.name, "amqp:decode-error")
            sender.send(amqp.section(amqp.VALUE, amqp.NULL))
            self.assertEqual(receiver.one().data, amqp.section(amqp.VALUE, amqp.NULL))

    def test_a_broken_section_is_rejected(self):
        """A message-annotations section that is a string is a decode error, not a message."""
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            wire.receiver("types.broken")
            sender = wire.sender("types.broken")
            broken = amqp.section(amqp.MESSAGE_ANNOTATIONS, amqp.string("no map"))
            delivery = sender.send(broken + amqp.section(amqp.VALUE, amqp.NULL))
            self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
            self.assertEqual(delivery.remote.condition.name, "amqp:decode-error")


class Values(RouterCase):
    """The same through Proton's own encoder and decoder."""

    BODIES = (
        None, True, False, 0, -1, 2**40, 1.5, "text", "漢字", b"bytes", symbol("sym"),
        proton.ubyte(200), proton.ushort(60000), proton.uint(4000000000), proton.ulong(2**63),
        proton.byte(-100), proton.short(-30000), proton.int32(-5), proton.float32(0.5),
        proton.timestamp(1234567890123), proton.char("é"), proton.decimal32(0x22500001),
        proton.decimal64(0x2234000000000001), proton.decimal128(bytes(range(16))),
        uuid.UUID(int=2**100), [], [1, "two", None, [3.0]], {}, {"k": [1, {"n": None}]},
        Described(symbol("example:thing"), ["value"]),
        Array(proton.UNDESCRIBED, proton.Data.INT, 1, 2, 3),
        Array(symbol("unit"), proton.Data.STRING, "a", "b"),
    )

    def test_bodies(self):
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            receiver = wire.receiver("values.bodies")
            sender = wire.sender("values.bodies")
            for body in self.BODIES:
                with self.subTest(repr(body)):
                    sender.send(Message(body=body))
                    message = receiver.one().message
                    # Proton gives binary as a view into the message, and decimal128 as bytes.
                    got = message.body
                    if isinstance(body, bytes):
                        got = bytes(got)
                    self.assertEqual(got, body)
                    if not isinstance(body, bytes):
                        self.assertIs(type(got), type(body))

    def test_every_field(self):
        message = Message(
            durable=True, priority=7, ttl=30.0, first_acquirer=True, delivery_count=3,
            id="message", user_id=b"guest", address="values.fields", subject="subject",
            reply_to="reply", correlation_id=uuid.UUID(int=5), content_type="text/plain",
            content_encoding="gzip", expiry_time=1700000000.0, creation_time=1600000000.0,
            group_id="group", group_sequence=9, reply_to_group_id="reply-group",
            instructions={symbol("x-opt-instruction"): 1},
            annotations={symbol("x-opt-annotation"): "a"},
            properties={"number": 1, "text": "t", "none": None, "yes": True},
            body={"decimal": str(decimal.Decimal("1.10"))})
        with Loop() as loop:
            wire = loop.connect(self.router.port)
            receiver = wire.receiver("values.fields")
            wire.sender("values.fields").send(message)
            got = receiver.one().message
            for field in ("durable", "priority", "ttl", "first_acquirer", "delivery_count", "id",
                          "user_id", "address", "subject", "reply_to", "correlation_id",
                          "content_type", "content_encoding", "expiry_time", "creation_time",
                          "group_id", "group_sequence", "reply_to_group_id", "instructions",
                          "annotations", "properties", "body"):
                with self.subTest(field):
                    self.assertEqual(getattr(got, field), getattr(message, field))


if __name__ == "__main__":
    unittest.main()
