"""Credit and drain."""

import unittest

from proton import Message

from peer import Delivery, Loop
from router import RouterCase

CAPACITY = 250
SMALL_CAPACITY = 3


class FlowCase(RouterCase):
    """One connection, closed after the test."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.wire = self.loop.connect(self.router.port)

    def quiet(self):
        """A round trip on the connection: what the router had to say before it has been said."""
        other = self.loop.connect(self.router.port)
        address = "quiet.%d" % id(other)
        other.receiver(address)
        self.assertEqual(self.wire.sender(address).deliver(Message()), Delivery.ACCEPTED)
        other.close()


class Credit(FlowCase):
    """What a producer may send."""

    def test_no_credit_before_there_is_a_consumer(self):
        sender = self.wire.sender("credit.later")
        self.quiet()
        self.assertEqual(sender.credit, 0)
        self.wire.receiver("credit.later")
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")

    def test_credit_whatever_the_consumer_grants(self):
        self.wire.receiver("credit.nothing", credit=0)
        sender = self.wire.sender("credit.nothing")
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")

    def test_capacity_of_the_listener(self):
        wire = self.loop.connect(self.router.ports["PORT_SMALL"])
        wire.receiver("credit.small")
        sender = wire.sender("credit.small")
        self.loop.until(lambda: sender.credit == SMALL_CAPACITY, "credit")

    def test_anonymous_sender_has_credit_at_once(self):
        sender = self.wire.sender(None)
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")

    def test_unsettled_deliveries_hold_credit(self):
        receiver = self.wire.receiver("credit.held", credit=1000, manual=True)
        sender = self.wire.sender("credit.held")
        deliveries = [sender.send(Message(body=i)) for i in range(CAPACITY)]
        held = receiver.take(CAPACITY)
        self.quiet()
        self.assertEqual(sender.credit, 0)
        for record in held:
            record.accept()
        self.loop.until(lambda: all(one.settled for one in deliveries), "settlement")
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")

    def test_presettled_deliveries_do_not(self):
        receiver = self.wire.receiver("credit.free", credit=10 * CAPACITY)
        sender = self.wire.sender("credit.free")
        for i in range(5 * CAPACITY):
            sender.send(Message(body=i), settled=True)
        receiver.take(5 * CAPACITY)
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")

    def test_many_times_the_capacity(self):
        receiver = self.wire.receiver("credit.many", credit=50, top_up=True)
        sender = self.wire.sender("credit.many")
        deliveries = [sender.send(Message(body=i)) for i in range(8 * CAPACITY)]
        got = receiver.take(8 * CAPACITY)
        self.assertEqual([record.body for record in got], list(range(8 * CAPACITY)))
        self.loop.until(lambda: all(one.settled for one in deliveries), "settlement")

    def test_a_consumer_gets_no_more_than_it_granted(self):
        receiver = self.wire.receiver("credit.exact", credit=7)
        sender = self.wire.sender("credit.exact")
        for i in range(20):
            sender.send(Message(body=i))
        receiver.take(7)
        self.quiet()
        self.assertEqual(len(receiver.queue), 0)
        receiver.grant(13)
        self.assertEqual([record.body for record in receiver.take(13)], list(range(7, 20)))

    def test_two_links_of_a_session_are_independent(self):
        blocked = self.wire.receiver("credit.blocked", credit=0)
        flowing = self.wire.receiver("credit.flowing", credit=100)
        to_blocked = self.wire.sender("credit.blocked")
        to_flowing = self.wire.sender("credit.flowing")
        for i in range(100):
            to_blocked.send(Message(body=i))
            to_flowing.send(Message(body=i))
        flowing.take(100)
        self.assertEqual(len(blocked.queue), 0)
        blocked.grant(100)
        blocked.take(100)


class ProducerDrain(FlowCase):
    """What happens to a producer whose last consumer has gone."""

    def test_released_drained_and_credited_again(self):
        receiver = self.wire.receiver("gone.once")
        sender = self.wire.sender("gone.once")
        self.assertEqual(sender.deliver(Message(body=1)), Delivery.ACCEPTED)
        self.wire.detach(receiver)
        # The drain comes with the first that finds no consumer. One that was sent on before all of
        # the router knew that the last has gone comes home, is released and asks for nothing.
        for i in range(CAPACITY // 2):
            self.assertEqual(sender.deliver(Message(body=2 + i)), Delivery.RELEASED)
            if sender.link.drain_mode:
                break
        self.loop.until(lambda: sender.link.drain_mode, "the router's drain")
        sender.link.drained()
        self.assertEqual(sender.credit, 0)
        self.quiet()
        again = self.wire.receiver("gone.once")
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")
        self.assertFalse(sender.link.drain_mode)
        self.assertEqual(sender.deliver(Message(body=3)), Delivery.ACCEPTED)
        self.assertEqual(again.one().body, 3)

    def test_a_producer_that_ignores_the_drain(self):
        receiver = self.wire.receiver("gone.ignored")
        sender = self.wire.sender("gone.ignored")
        self.assertEqual(sender.deliver(Message(body=1)), Delivery.ACCEPTED)
        self.wire.detach(receiver)
        for i in range(10):
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.RELEASED)
        self.wire.receiver("gone.ignored")
        self.loop.until(lambda: sender.credit == CAPACITY, "credit")
        self.assertEqual(sender.deliver(Message(body=3)), Delivery.ACCEPTED)


class ConsumerDrain(FlowCase):
    """Drain asked by a consumer."""

    def test_drain_with_fewer_messages_than_credit(self):
        receiver = self.wire.receiver("drain.few", credit=0)
        sender = self.wire.sender("drain.few")
        for i in range(5):
            sender.send(Message(body=i))
        self.quiet()
        receiver.link.drain(20)
        self.assertEqual([record.body for record in receiver.take(5)], list(range(5)))
        self.loop.until(lambda: receiver.link.credit == 0, "the end of the drain")
        self.assertFalse(receiver.link.draining())

    def test_drain_with_nothing_to_send(self):
        receiver = self.wire.receiver("drain.none", credit=10)
        receiver.link.drain(0)
        self.loop.until(lambda: receiver.link.credit == 0, "the end of the drain")
        self.assertEqual(len(receiver.queue), 0)

    def test_drain_with_more_messages_than_credit(self):
        receiver = self.wire.receiver("drain.many", credit=0)
        sender = self.wire.sender("drain.many")
        for i in range(10):
            sender.send(Message(body=i))
        self.quiet()
        receiver.link.drain(4)
        receiver.take(4)
        self.quiet()
        self.assertEqual(len(receiver.queue), 0)
        receiver.grant(6)
        self.assertEqual([record.body for record in receiver.take(6)], list(range(4, 10)))

    def test_normal_operation_after_a_drain(self):
        receiver = self.wire.receiver("drain.after", credit=10)
        sender = self.wire.sender("drain.after")
        for round_number in range(20):
            receiver.link.drain(0)
            self.loop.until(lambda: receiver.link.credit == 0, "the end of the drain")
            receiver.link.drain_mode = False
            receiver.grant(2)
            for i in range(2):
                self.assertEqual(
                    sender.deliver(Message(body=(round_number, i))), Delivery.ACCEPTED)
            receiver.take(2)
            receiver.grant(10)

    def test_drain_without_credit_is_not_answered(self):
        receiver = self.wire.receiver("drain.zero", credit=0)
        self.quiet()
        before = receiver.flows
        receiver.link.drain(0)
        self.quiet()
        self.assertEqual(receiver.flows, before)

    def test_drain_on_one_link_leaves_another_alone(self):
        drained = self.wire.receiver("drain.this", credit=10)
        other = self.wire.receiver("drain.that", credit=10)
        drained.link.drain(0)
        self.loop.until(lambda: drained.link.credit == 0, "the end of the drain")
        self.assertEqual(other.link.credit, 10)
        self.assertEqual(self.wire.sender("drain.that").deliver(Message()), Delivery.ACCEPTED)


class SettledOverflow(FlowCase):
    """Settled messages nobody takes are dropped: the head and the newest stay."""

    def test_head_and_newest_stay(self):
        wire = self.loop.connect(self.router.ports["PORT_SMALL"])
        receiver = wire.receiver("overflow", credit=0)
        sender = self.wire.sender("overflow")
        for i in range(8):
            sender.send(Message(body=i), settled=True)
        # An unsettled one is never dropped, and says that all before it are where they belong.
        last = sender.send(Message(body="last"))
        self.quiet()
        receiver.grant(10)
        self.assertEqual(sender.outcome(last), Delivery.ACCEPTED)
        bodies = [record.body for record in receiver.queue]
        self.assertEqual(bodies[0], 0)
        self.assertEqual(bodies[-2:], [7, "last"])
        self.assertLessEqual(len(bodies), SMALL_CAPACITY + 1)


if __name__ == "__main__":
    unittest.main()
