"""messageLoggingComponents: what the log shows of messages, and when."""

import unittest

from proton import Message, symbol, timestamp

import encodings_of_amqp as amqp
from peer import Delivery, Loop
from router import RouterCase
from test_requests import PREFIX

SHOWN = """
listener {
    name: shows-all
    host: 127.0.0.1
    port: @PORT_SHOWN@
    authenticatePeer: no
    saslMechanisms: ANONYMOUS
    messageLoggingComponents: all
}

listener {
    name: shows-some
    host: 127.0.0.1
    port: @PORT_SOME@
    authenticatePeer: no
    saslMechanisms: ANONYMOUS
    logMessage: subject,user-id
}

log {
    module: MESSAGE
    enable: trace+
    outputFile: stderr
}
"""

LARGE = 1024 * 1024


class Shown(RouterCase):
    """One router, of which two listeners show messages and the others do not."""

    extra = SHOWN

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)

    def rows(self, text):
        """What the log says of messages, where it contains a text."""
        rows = [line for line in self.router.output().splitlines() if "MESSAGE (trace)" in line]
        return [row.split("(trace) ", 1)[1] for row in rows if text in row]

    def wait_for(self, text, count):
        self.loop.until(lambda: len(self.rows(text)) >= count, "%d rows with %s" % (count, text))
        rows = self.rows(text)
        self.assertEqual(len(rows), count, rows)
        return rows

    def test_all_of_a_message_is_shown_where_it_comes_and_where_it_goes(self):
        # Larger than any frame, so that it goes out while it is still coming.
        message = Message(
            id="123455", user_id=b"user", address="elsewhere", subject="to all",
            reply_to="back", correlation_id=89, content_type="text/html; charset=utf-8",
            content_encoding="gzip", expiry_time=2, creation_time=1487772623.883,
            group_id="g1", group_sequence=3, reply_to_group_id="g0",
            properties={"list": [10, 20], "other": symbol("O_one"), "at": timestamp(0)},
            body="X" * LARGE)
        consumer = self.loop.connect(self.router.ports["PORT_SHOWN"], max_frame_size=512)
        producer = self.loop.connect(self.router.ports["PORT_SHOWN"], max_frame_size=512)
        receiver = consumer.receiver("shown.all", name="taker")
        sender = producer.sender("shown.all", name="giver")
        self.assertEqual(sender.deliver(message), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().message.id, "123455")
        received, sent = self.wait_for('"123455"', 2)
        self.assertRegex(received, r"^\[C\d+\]: Received Message\{")
        self.assertRegex(sent, r"^\[C\d+\]: Sent Message\{")
        self.assertTrue(received.endswith("on link 'giver' ( -> shown.all)"), received)
        self.assertTrue(sent.endswith("on link 'taker' (shown.all -> )"), sent)
        for row in (received, sent):
            self.assertRegex(row, (
                r'Message\{message-id="123455", user-id=b"user", to="elsewhere", '
                r'subject="to all", reply-to="back", correlation-id=89, '
                r'content-type=:"text/html; charset=utf-8", content-encoding=:"gzip", '
                r'absolute-expiry-time="[^"]* [^"]*:02.000 [^"]*", '
                r'creation-time="2017-02-2[^"]*:23.883 [+-]\d{4}", '
                r'group-id="g1", group-sequence=3, reply-to-group-id="g0", '
                r'app-properties=\{"list"=\[10, 20\], "other"=:"O_one", "at"="[^"]*"\}\}'))

    def test_each_connection_shows_what_its_listener_names(self):
        consumer = self.loop.connect(self.router.ports["PORT_SOME"])
        producer = self.loop.connect(self.router.port)
        receiver = consumer.receiver(None)
        sender = producer.sender(receiver.address)
        message = Message(id=1, subject='a "b"', user_id=b"me", body="x")
        self.assertEqual(sender.deliver(message), Delivery.ACCEPTED)
        receiver.one()
        row, = self.wait_for(receiver.address, 1)
        self.assertIn(': Sent Message{user-id=b"me", subject="a \\22b\\22"} on link ', row)

    def test_what_has_no_properties_or_is_taken_back_has_a_row_too(self):
        sender = self.loop.connect(self.router.ports["PORT_SHOWN"]).sender("shown.bare")
        receiver = self.loop.connect(self.router.port).receiver("shown.bare")
        bare = amqp.section(amqp.VALUE, amqp.string("bare"))
        self.assertEqual(sender.deliver(bare), Delivery.ACCEPTED)
        delivery = sender.begin()
        sender.link.stream(amqp.section(amqp.DATA, amqp.binary(b"y" * 40000))[:20000])
        self.loop.turn(0)
        delivery.abort()
        self.assertEqual(sender.deliver(bare), Delivery.ACCEPTED)
        receiver.take(2)
        first, aborted, last = self.wait_for("shown.bare", 3)
        self.assertIn(": Received Message{} on link ", first)
        self.assertIn(": Received aborted message on link ", aborted)
        self.assertEqual(last, first)

    def test_a_stream_that_is_taken_back_has_a_row_when_it_comes_and_one_when_it_goes(self):
        sender = self.loop.connect(self.router.ports["PORT_SHOWN"]).sender("shown.stream")
        self.loop.connect(self.router.port).receiver("shown.stream")
        delivery = sender.begin()
        sender.link.stream(amqp.section(amqp.DATA, amqp.binary(b"y" * 1000000))[:400000])
        self.wait_for("shown.stream", 1)
        delivery.abort()
        first, aborted = self.wait_for("shown.stream", 2)
        self.assertIn(": Received Message{} on link ", first)
        self.assertIn(": Received aborted message on link ", aborted)

    def test_rows_begin_and_end_with_the_level(self):
        wire = self.loop.connect(self.router.port)
        replies = wire.receiver(None)
        manager = wire.sender("$management")
        shown = self.loop.connect(self.router.ports["PORT_SHOWN"])
        receiver = shown.receiver("shown.level")
        sender = shown.sender("shown.level")

        def change(enable):
            request = Message(
                reply_to=replies.address, body={"enable": enable}, correlation_id=1,
                properties={"operation": "UPDATE", "type": PREFIX + "log",
                            "identity": "log/MESSAGE"})
            self.assertEqual(manager.deliver(request), Delivery.ACCEPTED)
            self.assertEqual(replies.one().message.properties["statusCode"], 200)

        def passes(subject):
            self.assertEqual(sender.deliver(Message(subject=subject)), Delivery.ACCEPTED)
            receiver.one()

        passes("one")
        change("info+")
        passes("two")
        change("trace+")
        passes("three")
        self.wait_for('"three"', 2)
        self.assertEqual(len(self.rows('"one"')), 2)
        self.assertEqual(self.rows('"two"'), [])


if __name__ == "__main__":
    unittest.main()
