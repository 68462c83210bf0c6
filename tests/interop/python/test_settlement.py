"""Outcomes and settlement, from the producer's and the consumer's side."""

import unittest

from proton import Condition, Link, Message, symbol

from peer import Delivery, Loop
from router import RouterCase


class Pair(RouterCase):
    """A producer and a consumer on connections of their own, nothing accepted by itself."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.producer = self.loop.connect(self.router.port)
        self.consumer = self.loop.connect(self.router.port)

    def pair(self, address, setup=None):
        """A manual receiver and a sender on `address`."""
        receiver = self.consumer.receiver(address, manual=True, setup=setup)
        return receiver, self.producer.sender(address)

    def until(self, condition, what):
        """Drives both connections."""
        self.loop.until(condition, what)


class Outcomes(Pair):
    """Each outcome arrives as the consumer gave it."""

    def test_accepted(self):
        receiver, sender = self.pair("outcome.accepted")
        delivery = sender.send(Message(body="a"))
        receiver.one().settle(Delivery.ACCEPTED)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_rejected_with_error(self):
        receiver, sender = self.pair("outcome.rejected")
        delivery = sender.send(Message(body="a"))
        received = receiver.one()
        received.delivery.local.condition = Condition(
            "example:not-today", "come back tomorrow", {symbol("retry-after"): 3600})
        received.settle(Delivery.REJECTED)
        self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
        condition = delivery.remote.condition
        self.assertEqual(condition.name, "example:not-today")
        self.assertEqual(condition.description, "come back tomorrow")
        self.assertEqual(condition.info, {symbol("retry-after"): 3600})

    def test_rejected_without_error(self):
        receiver, sender = self.pair("outcome.rejected.bare")
        delivery = sender.send(Message(body="a"))
        receiver.one().settle(Delivery.REJECTED)
        self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
        self.assertIsNone(delivery.remote.condition)

    def test_released(self):
        receiver, sender = self.pair("outcome.released")
        delivery = sender.send(Message(body="a"))
        receiver.one().settle(Delivery.RELEASED)
        self.assertEqual(sender.outcome(delivery), Delivery.RELEASED)

    def test_modified(self):
        """Flags and annotations pass; through a router a modified delivery has always failed."""
        receiver, sender = self.pair("outcome.modified")
        for failed in (False, True):
            for undeliverable in (False, True):
                with self.subTest(failed=failed, undeliverable=undeliverable):
                    delivery = sender.send(Message(body="a"))
                    received = receiver.one()
                    received.delivery.local.failed = failed
                    received.delivery.local.undeliverable = undeliverable
                    received.delivery.local.annotations = {symbol("x-opt-why"): "because"}
                    received.settle(Delivery.MODIFIED)
                    self.assertEqual(sender.outcome(delivery), Delivery.MODIFIED)
                    self.assertTrue(delivery.remote.failed)
                    self.assertEqual(delivery.remote.undeliverable, undeliverable)
                    self.assertEqual(
                        delivery.remote.annotations, {symbol("x-opt-why"): "because"})
                    delivery.settle()

    def test_received_then_accepted(self):
        receiver, sender = self.pair("outcome.received")
        delivery = sender.send(Message(body="a" * 1000))
        received = receiver.one()
        received.delivery.local.section_number = 3
        received.delivery.local.section_offset = 700
        received.delivery.update(Delivery.RECEIVED)
        self.until(lambda: delivery.remote_state == Delivery.RECEIVED, "the received state")
        self.assertEqual(delivery.remote.section_number, 3)
        self.assertEqual(delivery.remote.section_offset, 700)
        self.assertFalse(delivery.settled)
        received.settle(Delivery.ACCEPTED)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_settled_without_a_state(self):
        receiver, sender = self.pair("outcome.none")
        delivery = sender.send(Message(body="a"))
        receiver.one().settle()
        self.assertEqual(sender.outcome(delivery), 0)

    def test_in_any_order(self):
        """Outcomes belong to their deliveries, whatever the order they are given in."""
        receiver, sender = self.pair("outcome.order")
        states = [Delivery.ACCEPTED, Delivery.RELEASED, Delivery.REJECTED, Delivery.MODIFIED]
        deliveries = [sender.send(Message(body=i)) for i in range(40)]
        arrived = {record.body: record for record in receiver.take(40)}
        for i in sorted(range(40), key=lambda i: (i * 7) % 40):
            arrived[i].settle(states[i % 4])
        for i, delivery in enumerate(deliveries):
            self.assertEqual(sender.outcome(delivery), states[i % 4], i)


class Settlement(Pair):
    """Who settles, and when."""

    def test_presettled_arrives_settled(self):
        receiver, sender = self.pair("settle.pre")
        for i in range(20):
            sender.send(Message(body=i), settled=True)
        arrived = receiver.take(20)
        self.assertTrue(all(record.settled_first for record in arrived))
        self.assertEqual([record.body for record in arrived], list(range(20)))

    def test_unsettled_arrives_unsettled(self):
        receiver, sender = self.pair("settle.un")
        delivery = sender.send(Message(body="a"))
        received = receiver.one()
        self.assertFalse(received.settled_first)
        self.assertFalse(delivery.settled)
        received.accept()
        sender.outcome(delivery)
        self.assertTrue(delivery.settled)

    def test_mixed_on_one_link_keeps_the_order(self):
        receiver, sender = self.pair("settle.mixed")
        for i in range(30):
            sender.send(Message(body=i), settled=i % 3 == 0)
        arrived = receiver.take(30)
        self.assertEqual([record.body for record in arrived], list(range(30)))
        self.assertEqual([record.settled_first for record in arrived],
                         [i % 3 == 0 for i in range(30)])

    def test_receiver_settles_second(self):
        """The outcome comes unsettled; the producer's settlement goes on to the consumer."""
        def second(link):
            link.rcv_settle_mode = Link.RCV_SECOND
        receiver, sender = self.pair("settle.second", setup=second)
        delivery = sender.send(Message(body="a"))
        received = receiver.one()
        received.delivery.update(Delivery.ACCEPTED)
        self.assertEqual(sender.outcome(delivery, settled=False), Delivery.ACCEPTED)
        self.assertFalse(delivery.settled)
        self.assertFalse(received.delivery.settled)
        delivery.settle()
        self.until(lambda: received.delivery.settled, "the producer's settlement")
        received.delivery.settle()

    def test_producer_settles_early(self):
        """The consumer learns it; its own later outcome goes nowhere and harms nothing."""
        receiver, sender = self.pair("settle.early")
        delivery = sender.send(Message(body="a"))
        received = receiver.one()
        delivery.update(Delivery.ACCEPTED)
        delivery.settle()
        self.until(lambda: received.delivery.settled, "the producer's settlement")
        received.settle(Delivery.RELEASED)
        later = sender.send(Message(body="b"))
        receiver.one().accept()
        self.assertEqual(sender.outcome(later), Delivery.ACCEPTED)

    def test_receiver_asks_for_settled(self):
        """A receiver that wants settled deliveries gets them; its producer hears accepted."""
        def settled(link):
            link.snd_settle_mode = Link.SND_SETTLED
        receiver, sender = self.pair("settle.asked", setup=settled)
        delivery = sender.send(Message(body="a"))
        self.assertTrue(receiver.one().settled_first)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_modes_in_the_answer_to_an_attach(self):
        """Mixed and first, whatever was asked for."""
        def asked(link):
            link.snd_settle_mode = Link.SND_UNSETTLED
            link.rcv_settle_mode = Link.RCV_SECOND
        receiver = self.consumer.receiver("settle.modes", setup=asked)
        sender = self.producer.sender("settle.modes", setup=asked)
        for link in (receiver.link, sender.link):
            self.assertEqual(link.remote_snd_settle_mode, Link.SND_MIXED)
            self.assertEqual(link.remote_rcv_settle_mode, Link.RCV_FIRST)

    def test_settling_late_does_not_hold_back_others(self):
        """One unsettled delivery does not stop those behind it."""
        receiver, sender = self.pair("settle.late")
        first = sender.send(Message(body="first"))
        held = receiver.one()
        for i in range(100):
            delivery = sender.send(Message(body=i))
            receiver.one().accept()
            receiver.grant(1)
            self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)
            delivery.settle()
        self.assertFalse(first.settled)
        held.settle(Delivery.RELEASED)
        self.assertEqual(sender.outcome(first), Delivery.RELEASED)


if __name__ == "__main__":
    unittest.main()
