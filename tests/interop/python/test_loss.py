"""Consumers and producers that go away with work in hand."""

import unittest

from proton import Message

from peer import Delivery, Loop
from router import RouterCase, causeway_only


class LossCase(RouterCase):
    """A producer on one connection, the rest on others."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.producer = self.loop.connect(self.router.port)
        self.consumer = self.loop.connect(self.router.port)

    def leave(self, how, receiver):
        """One of the ways for a consumer to go."""
        if how == "detach":
            self.consumer.detach(receiver)
        elif how == "end":
            receiver.link.session.close()
        elif how == "close":
            self.consumer.close()
        else:
            self.consumer.cut()
        if not how == "end":
            self.consumer = self.loop.connect(self.router.port)


WAYS = ("detach", "end", "close", "cut")


class Consumers(LossCase):
    """What the producer hears when its consumer goes."""

    def test_sent_and_unsettled_is_modified(self):
        for how in WAYS:
            with self.subTest(how):
                receiver = self.consumer.receiver(
                    "loss.sent." + how, manual=True, session=self.consumer.session())
                sender = self.producer.sender("loss.sent." + how)
                delivery = sender.send(Message(body="x"))
                receiver.one()
                self.leave(how, receiver)
                self.assertEqual(sender.outcome(delivery), Delivery.MODIFIED)
                self.assertTrue(delivery.remote.failed)
                self.assertFalse(delivery.remote.undeliverable)

    def test_still_queued_is_released(self):
        for how in WAYS:
            with self.subTest(how):
                receiver = self.consumer.receiver(
                    "loss.queued." + how, credit=2, manual=True, session=self.consumer.session())
                sender = self.producer.sender("loss.queued." + how)
                deliveries = [sender.send(Message(body=i)) for i in range(10)]
                receiver.take(2)
                self.leave(how, receiver)
                states = [sender.outcome(delivery) for delivery in deliveries]
                self.assertEqual(states[:2], [Delivery.MODIFIED] * 2)
                self.assertEqual(states[2:], [Delivery.RELEASED] * 8)

    def test_settled_before_leaving_stays_settled(self):
        receiver = self.consumer.receiver("loss.settled", manual=True)
        sender = self.producer.sender("loss.settled")
        deliveries = [sender.send(Message(body=i)) for i in range(50)]
        for record in receiver.take(50):
            record.accept()
        receiver.link.close()
        for delivery in deliveries:
            self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    @causeway_only("the router it replaces releases what waited for the lost consumer")
    def test_queued_goes_to_another_consumer(self):
        """What the lost consumer had not been sent is offered to the one that stays."""
        leaving = self.consumer.receiver("closest.moves", credit=0)
        staying = self.producer.receiver("closest.moves", credit=100)
        sender = self.producer.sender("closest.moves")
        deliveries = [sender.send(Message(body=i)) for i in range(20)]
        self.loop.until(lambda: len(staying.queue) == 10, "half of them")
        self.leave("cut", leaving)
        for delivery in deliveries:
            self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)
        self.assertEqual(sorted(record.body for record in staying.queue), list(range(20)))

    def test_another_consumer_gets_what_is_sent_later(self):
        leaving = self.consumer.receiver("closest.later")
        staying = self.producer.receiver("closest.later")
        sender = self.producer.sender("closest.later")
        for i in range(10):
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
        self.assertEqual(len(leaving.queue), 5)
        self.leave("cut", leaving)
        # Until the router has noticed, a message may still go to the lost consumer.
        while sender.deliver(Message(body="probe")) != Delivery.ACCEPTED:
            pass
        for i in range(10):
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
        self.assertEqual([record.body for record in staying.queue][-10:], list(range(10)))

    @causeway_only("the router it replaces says released although a part was sent")
    def test_a_stream_to_a_lost_consumer_is_modified(self):
        receiver = self.consumer.receiver("loss.stream", manual=True)
        sender = self.producer.sender("loss.stream")
        delivery = sender.begin()
        sender.link.stream(b"\x00\x53\x75\xb0\x00\x20\x00\x00" + bytes(1 << 20))
        self.loop.until(lambda: receiver.growing and receiver.growing.parts, "a first part")
        self.consumer.cut()
        sender.link.stream(bytes(1 << 20))
        sender.link.advance()
        self.assertEqual(sender.outcome(delivery), Delivery.MODIFIED)
        self.consumer = self.loop.connect(self.router.port)
        again = self.consumer.receiver("loss.stream")
        later = self.producer.sender("loss.stream")
        self.assertEqual(later.deliver(Message(body="next")), Delivery.ACCEPTED)
        self.assertEqual(again.one().body, "next")


class Producers(LossCase):
    """What the consumer sees when the producer goes."""

    def test_complete_messages_arrive(self):
        for how in ("detach", "close"):
            for settled in (False, True):
                with self.subTest(how=how, settled=settled):
                    address = "loss.producer.%s.%s" % (how, settled)
                    receiver = self.consumer.receiver(address, credit=0)
                    wire = self.loop.connect(self.router.port)
                    sender = wire.sender(address)
                    for i in range(20):
                        sender.send(Message(body=i), settled)
                    if how == "detach":
                        wire.detach(sender)
                    else:
                        wire.close()
                    receiver.grant(20)
                    bodies = [record.body for record in receiver.take(20)]
                    self.assertEqual(bodies, list(range(20)))

    def test_outcomes_for_nobody_do_no_harm(self):
        receiver = self.consumer.receiver("loss.nobody", manual=True)
        wire = self.loop.connect(self.router.port)
        sender = wire.sender("loss.nobody")
        for i in range(20):
            sender.send(Message(body=i))
        held = receiver.take(20)
        wire.cut()
        for record in held:
            record.accept()
        other = self.producer.sender("loss.nobody")
        delivery = other.send(Message(body="next"))
        record = receiver.one()
        self.assertEqual(record.body, "next")
        record.accept()
        self.assertEqual(other.outcome(delivery), Delivery.ACCEPTED)


class Links(LossCase):
    """Ends of links and connections."""

    def test_detach_is_answered(self):
        receiver = self.consumer.receiver("loss.detach")
        sender = self.producer.sender("loss.detach")
        self.consumer.detach(receiver)
        self.producer.detach(sender)
        self.assertIsNone(receiver.condition)
        self.assertIsNone(sender.condition)

    def test_a_name_can_be_used_again(self):
        for i in range(5):
            receiver = self.consumer.receiver("loss.name", name="same")
            sender = self.producer.sender("loss.name", name="same")
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
            self.assertEqual(receiver.one().body, i)
            self.consumer.detach(receiver)
            self.producer.detach(sender)

    def test_close_is_answered(self):
        self.producer.close()
        self.assertIsNone(self.producer.condition)


if __name__ == "__main__":
    unittest.main()
