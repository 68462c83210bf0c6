"""Messages from nothing to 64 MiB, whole and broken off."""

import random
import unittest

from proton import Message

import encodings_of_amqp as amqp
from peer import Delivery, Loop
from router import RouterCase, causeway_only

KIB, MIB = 1024, 1024 * 1024
STREAMED = 512 * KIB
SIZES = (0, 1, 255, 256, 511, 512, 513, 4 * KIB, 16 * KIB - 60, 16 * KIB, 16 * KIB + 1, 64 * KIB,
         128 * KIB - 100, 128 * KIB, 128 * KIB + 1, 256 * KIB, MIB, 5 * MIB + 3)


def payload(size, seed=1):
    """A data section of random bytes."""
    return amqp.section(amqp.DATA, amqp.binary(random.Random(seed).randbytes(size)))


class Sizes(RouterCase):
    """Complete messages."""

    def passes(self, sizes, settled=False, producer_frame=None, consumer_frame=None):
        """Sends one message of each size between two connections."""
        with Loop() as loop:
            consumer = loop.connect(self.router.port, max_frame_size=consumer_frame)
            producer = loop.connect(self.router.port, max_frame_size=producer_frame)
            receiver = consumer.receiver("sizes")
            sender = producer.sender("sizes")
            for size in sizes:
                with self.subTest(size):
                    data = payload(size, size)
                    delivery = sender.send(data, settled)
                    received = receiver.one()
                    self.assertTrue(received.data == data, "the bytes differ")
                    self.assertEqual(received.settled_first, settled)
                    if not settled:
                        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)
                        delivery.settle()

    def test_unsettled(self):
        self.passes(SIZES)

    def test_presettled(self):
        self.passes(SIZES, settled=True)

    def test_smallest_frames(self):
        sizes = [size for size in SIZES if size <= 256 * KIB]
        self.passes(sizes, producer_frame=512, consumer_frame=512)

    def test_large_frames(self):
        self.passes(SIZES, producer_frame=MIB, consumer_frame=MIB)

    def test_64_mib(self):
        self.passes([64 * MIB])

    def test_8_mib_presettled(self):
        self.passes([8 * MIB], settled=True)


class Streams(RouterCase):
    """Messages larger than the router holds."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.consumer = self.loop.connect(self.router.port)
        self.producer = self.loop.connect(self.router.port)

    def test_a_stream_arrives_before_it_ends(self):
        receiver = self.consumer.receiver("streams.early")
        sender = self.producer.sender("streams.early")
        data = payload(2 * STREAMED)
        delivery = sender.begin()
        sender.link.stream(data[:STREAMED])
        self.loop.until(lambda: receiver.growing and receiver.growing.parts, "a first part")
        self.assertFalse(receiver.queue)
        sender.link.stream(data[STREAMED:])
        sender.link.advance()
        self.assertTrue(receiver.one().data == data)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_half_a_small_message_does_not_occupy_a_consumer(self):
        receiver = self.consumer.receiver("streams.half")
        slow = self.producer.sender("streams.half")
        half = slow.begin()
        slow.link.stream(payload(20 * KIB)[:10 * KIB])
        quick = self.producer.sender("streams.half")
        self.assertEqual(quick.deliver(Message(body="quick")), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, "quick")
        slow.link.stream(payload(20 * KIB)[10 * KIB:])
        slow.link.advance()
        self.assertTrue(receiver.one().data == payload(20 * KIB))
        self.assertEqual(slow.outcome(half), Delivery.ACCEPTED)

    def test_aborting_a_small_message_is_invisible(self):
        receiver = self.consumer.receiver("streams.abort.small", credit=1)
        sender = self.producer.sender("streams.abort.small")
        delivery = sender.begin()
        sender.link.stream(payload(40 * KIB)[:20 * KIB])
        self.loop.turn(0)
        delivery.abort()
        self.assertEqual(sender.deliver(Message(body="next")), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, "next")

    def test_aborting_a_stream_is_told(self):
        receiver = self.consumer.receiver("streams.abort.large")
        sender = self.producer.sender("streams.abort.large")
        delivery = sender.begin()
        sender.link.stream(payload(2 * STREAMED)[:STREAMED])
        self.loop.until(lambda: receiver.growing and receiver.growing.parts, "a first part")
        delivery.abort()
        self.assertTrue(receiver.one().aborted)
        self.assertEqual(sender.deliver(Message(body="next")), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, "next")

    def test_a_producer_lost_in_the_middle_of_a_stream(self):
        receiver = self.consumer.receiver("streams.cut")
        sender = self.producer.sender("streams.cut")
        sender.begin()
        sender.link.stream(payload(2 * STREAMED)[:STREAMED])
        self.loop.until(lambda: receiver.growing and receiver.growing.parts, "a first part")
        self.producer.cut()
        self.assertTrue(receiver.one().aborted)

    def test_a_producer_lost_in_the_middle_of_a_small_message(self):
        receiver = self.consumer.receiver("streams.cut.small")
        sender = self.producer.sender("streams.cut.small")
        sender.begin()
        sender.link.stream(payload(40 * KIB)[:20 * KIB])
        self.loop.turn(0)
        self.producer.cut()
        other = self.consumer.sender("streams.cut.small")
        self.assertEqual(other.deliver(Message(body="next")), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, "next")

    def test_a_large_message_followed_by_detach_is_whole(self):
        receiver = self.consumer.receiver("streams.detach")
        sender = self.producer.sender("streams.detach")
        data = payload(4 * MIB)
        sender.send(data, settled=True)
        sender.link.close()
        self.assertTrue(receiver.one().data == data)

    def test_small_messages_beside_a_large_one(self):
        large_in = self.consumer.receiver("streams.large")
        small_in = self.consumer.receiver("streams.small", credit=300)
        large_out = self.producer.sender("streams.large")
        small_out = self.producer.sender("streams.small")
        data = payload(16 * MIB)
        delivery = large_out.send(data)
        for i in range(200):
            small_out.send(Message(body=i))
        self.assertEqual([record.body for record in small_in.take(200)], list(range(200)))
        self.assertTrue(large_in.one().data == data)
        self.assertEqual(large_out.outcome(delivery), Delivery.ACCEPTED)

    def test_large_messages_both_ways(self):
        there, back = payload(8 * MIB, 1), payload(8 * MIB, 2)
        in_there = self.consumer.receiver("streams.there")
        in_back = self.producer.receiver("streams.back")
        out_there = self.producer.sender("streams.there")
        out_back = self.consumer.sender("streams.back")
        first, second = out_there.send(there), out_back.send(back)
        self.assertTrue(in_there.one().data == there)
        self.assertTrue(in_back.one().data == back)
        self.assertEqual(out_there.outcome(first), Delivery.ACCEPTED)
        self.assertEqual(out_back.outcome(second), Delivery.ACCEPTED)

    def test_a_stream_to_many(self):
        receivers = [self.consumer.receiver("multicast.stream") for _ in range(3)]
        sender = self.producer.sender("multicast.stream")
        data = payload(3 * MIB)
        delivery = sender.send(data)
        for receiver in receivers:
            self.assertTrue(receiver.one().data == data)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def refuse_early(self, address):
        """Rejects a stream at its first part; returns both links, the delivery and the rest."""
        receiver = self.consumer.receiver(address, manual=True)
        sender = self.producer.sender(address)
        data = payload(2 * STREAMED)
        delivery = sender.begin()
        sender.link.stream(data[:STREAMED])
        self.loop.until(lambda: receiver.growing and receiver.growing.parts, "a first part")
        receiver.growing.settle(Delivery.REJECTED)
        receiver.link.advance()
        receiver.growing = None
        return receiver, sender, delivery, data[STREAMED:]

    def test_an_outcome_before_the_end_is_told_at_once(self):
        _, _, delivery, _ = self.refuse_early("streams.early.outcome")
        self.loop.until(lambda: delivery.remote_state == Delivery.REJECTED, "the rejection")

    @causeway_only("the router it replaces leaves such a delivery unsettled")
    def test_the_rest_of_a_rejected_stream_is_thrown_away(self):
        receiver, sender, delivery, rest = self.refuse_early("streams.rest")
        sender.link.stream(rest)
        sender.link.advance()
        self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
        later = sender.send(Message(body="next"))
        received = receiver.one()
        while received.aborted:
            received = receiver.one()
        self.assertEqual(received.body, "next")
        received.accept()
        self.assertEqual(sender.outcome(later), Delivery.ACCEPTED)


if __name__ == "__main__":
    unittest.main()
