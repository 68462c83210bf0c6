"""Where messages go: distribution, anonymous senders, refusals, names of addresses."""

import collections
import unittest

from proton import Message

import encodings_of_amqp as amqp
from peer import Delivery, Loop
from router import RouterCase


class AddressCase(RouterCase):
    """Two consumers and a producer, each on a connection of its own."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.producer = self.loop.connect(self.router.port)
        self.first = self.loop.connect(self.router.port)
        self.second = self.loop.connect(self.router.port)


class Multicast(AddressCase):
    """Every consumer gets a copy; the producer gets the best of all outcomes."""

    def outcome_of(self, address, *states):
        """One message to as many consumers as there are states; what the producer hears."""
        receivers = [self.first.receiver(address, manual=True) for _ in states]
        sender = self.producer.sender(address)
        delivery = sender.send(Message(body="copy"))
        for receiver, state in zip(receivers, states):
            self.assertFalse(delivery.settled)
            record = receiver.one()
            self.assertEqual(record.body, "copy")
            record.settle(state)
        return sender.outcome(delivery)

    def test_each_gets_a_copy(self):
        receivers = [self.first.receiver("multicast.copies"),
                     self.first.receiver("multicast.copies"),
                     self.second.receiver("multicast.copies")]
        sender = self.producer.sender("multicast.copies")
        for i in range(50):
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
        for receiver in receivers:
            self.assertEqual([record.body for record in receiver.take(50)], list(range(50)))

    def test_presettled_copies_are_settled(self):
        receivers = [wire.receiver("multicast.settled") for wire in (self.first, self.second)]
        self.producer.sender("multicast.settled").send(Message(body="x"), settled=True)
        for receiver in receivers:
            self.assertTrue(receiver.one().settled_first)

    def test_merged_outcomes(self):
        accepted, rejected = Delivery.ACCEPTED, Delivery.REJECTED
        released, modified = Delivery.RELEASED, Delivery.MODIFIED
        cases = (
            ((accepted, accepted), accepted), ((released, accepted), accepted),
            ((rejected, accepted), rejected), ((accepted, modified), accepted),
            ((modified, released), modified), ((released, released), released),
            ((released, modified, accepted, rejected), rejected))
        for number, (states, expected) in enumerate(cases):
            with self.subTest(states):
                self.assertEqual(
                    self.outcome_of("multicast.merge.%d" % number, *states), expected)

    def test_waits_for_the_last(self):
        """A consumer that says nothing holds back the outcome, not the other's copies."""
        slow = self.first.receiver("multicast.slow", manual=True)
        quick = self.second.receiver("multicast.slow")
        sender = self.producer.sender("multicast.slow")
        deliveries = [sender.send(Message(body=i)) for i in range(20)]
        quick.take(20)
        held = slow.take(20)
        self.assertFalse(any(delivery.settled for delivery in deliveries))
        for record in held:
            record.accept()
        for delivery in deliveries:
            self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)

    def test_nobody_there(self):
        sender = self.producer.sender(None)
        self.assertEqual(
            sender.deliver(Message(address="multicast.nobody")), Delivery.RELEASED)

    def test_a_consumer_that_leaves_does_not_spoil_it(self):
        leaving = self.first.receiver("multicast.leave", manual=True)
        staying = self.second.receiver("multicast.leave")
        sender = self.producer.sender("multicast.leave")
        delivery = sender.send(Message(body="x"))
        leaving.one()
        staying.one()
        self.first.detach(leaving)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)


class Anycast(AddressCase):
    """One consumer of several."""

    def share(self, address, count, settle=True):
        """Sends `count` messages to two manual consumers; returns how many each got."""
        receivers = [wire.receiver(address, credit=count, manual=True)
                     for wire in (self.first, self.second)]
        sender = self.producer.sender(address)
        shares = collections.Counter()
        for i in range(count):
            delivery = sender.send(Message(body=i))
            self.loop.until(lambda: any(one.queue for one in receivers), "a delivery")
            for number, receiver in enumerate(receivers):
                while receiver.queue:
                    record = receiver.queue.popleft()
                    shares[number] += 1
                    if settle:
                        record.accept()
            if settle:
                self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)
        return shares[0], shares[1]

    def test_closest_takes_turns(self):
        self.assertEqual(self.share("closest.turns", 40), (20, 20))

    def test_closest_takes_turns_whatever_is_unsettled(self):
        self.assertEqual(self.share("closest.unsettled", 40, settle=False), (20, 20))

    def test_balanced_takes_turns_among_the_idle(self):
        self.assertEqual(self.share("balanced.turns", 40), (20, 20))

    def test_balanced_evens_out_the_unsettled(self):
        self.assertEqual(self.share("balanced.unsettled", 40, settle=False), (20, 20))

    def test_balanced_prefers_the_one_that_settles(self):
        stuck = self.first.receiver("balanced.stuck", credit=100, manual=True)
        busy = self.second.receiver("balanced.stuck", credit=100)
        sender = self.producer.sender("balanced.stuck")
        for i in range(60):
            before = len(stuck.queue)
            delivery = sender.send(Message(body=i))
            self.loop.until(lambda: delivery.settled or len(stuck.queue) > before, "a delivery")
        self.assertEqual(len(stuck.queue), 1)
        self.assertEqual(len(busy.queue), 59)

    def test_default_is_balanced(self):
        self.assertEqual(self.share("anything.else", 20, settle=False), (10, 10))

    def test_each_message_once(self):
        # Credit for all of them at each: who settles sooner is given more, and what one was given
        # waits for its credit, whatever the other has.
        receivers = [wire.receiver("balanced.once", credit=1000)
                     for wire in (self.first, self.second)]
        sender = self.producer.sender("balanced.once")
        deliveries = [sender.send(Message(body=i)) for i in range(1000)]
        self.loop.until(lambda: all(one.settled for one in deliveries), "settlement")
        bodies = [record.body for receiver in receivers for record in receiver.queue]
        self.assertEqual(sorted(bodies), list(range(1000)))

    def test_order_per_consumer(self):
        receivers = [wire.receiver("closest.order", credit=600)
                     for wire in (self.first, self.second)]
        sender = self.producer.sender("closest.order")
        deliveries = [sender.send(Message(body=i)) for i in range(500)]
        self.loop.until(lambda: all(one.settled for one in deliveries), "settlement")
        for receiver in receivers:
            bodies = [record.body for record in receiver.queue]
            self.assertEqual(bodies, sorted(bodies))


class Anonymous(AddressCase):
    """A sender without address: each message says where it goes."""

    def test_many_addresses(self):
        receivers = {name: self.first.receiver(name) for name in ("anon.a", "anon.b", "anon.c")}
        sender = self.producer.sender(None)
        for i in range(30):
            for name in receivers:
                message = Message(address=name, body=i)
                self.assertEqual(sender.deliver(message), Delivery.ACCEPTED)
        for receiver in receivers.values():
            self.assertEqual([record.body for record in receiver.take(30)], list(range(30)))

    def test_unknown_address_is_released(self):
        sender = self.producer.sender(None)
        self.assertEqual(sender.deliver(Message(address="anon.nobody")), Delivery.RELEASED)

    def test_credit_survives_released_messages(self):
        sender = self.producer.sender(None)
        for i in range(600):
            sender.send(Message(address="anon.nobody.%d" % (i % 7)))
        self.first.receiver("anon.after")
        self.assertEqual(sender.deliver(Message(address="anon.after")), Delivery.ACCEPTED)

    def test_no_address_is_rejected(self):
        sender = self.producer.sender(None)
        delivery = sender.send(Message(body="where to?"))
        self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
        self.assertEqual(delivery.remote.condition.name, "amqp:precondition-failed")
        self.assertEqual(
            delivery.remote.condition.description, "Routing failure: no address present")

    def test_no_properties_at_all_is_rejected(self):
        sender = self.producer.sender(None)
        delivery = sender.send(amqp.section(amqp.VALUE, amqp.NULL))
        self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
        self.assertEqual(delivery.remote.condition.name, "amqp:precondition-failed")

    def test_unavailable_address_is_rejected(self):
        sender = self.producer.sender(None)
        delivery = sender.send(Message(address="unavailable.x"))
        self.assertEqual(sender.outcome(delivery), Delivery.REJECTED)
        self.assertEqual(delivery.remote.condition.name, "amqp:not-found")
        self.assertEqual(delivery.remote.condition.description,
                         "Deliveries cannot be sent to an unavailable address")

    def test_a_link_address_wins_over_the_message(self):
        named = self.first.receiver("anon.link")
        other = self.first.receiver("anon.other")
        sender = self.producer.sender("anon.link")
        self.assertEqual(
            sender.deliver(Message(address="anon.other", body="x")), Delivery.ACCEPTED)
        self.assertEqual(named.one().body, "x")
        self.assertFalse(other.queue)

    def test_multicast(self):
        receivers = [wire.receiver("multicast.anon") for wire in (self.first, self.second)]
        sender = self.producer.sender(None)
        self.assertEqual(
            sender.deliver(Message(address="multicast.anon", body=1)), Delivery.ACCEPTED)
        for receiver in receivers:
            self.assertEqual(receiver.one().body, 1)

    def test_annotated_and_wide_sections_before_the_address(self):
        """The address is found behind every other section, in any encoding."""
        receiver = self.first.receiver("anon.wide")
        sender = self.producer.sender(None)
        text = b"anon.wide"
        one = b"\x54\x01"
        message = (
            amqp.section(amqp.HEADER, amqp.list32(amqp.TRUE))
            + amqp.section(amqp.DELIVERY_ANNOTATIONS, amqp.map32(amqp.symbol("d"), one))
            + amqp.section(amqp.MESSAGE_ANNOTATIONS, amqp.map8(
                amqp.symbol("m"), amqp.list8(one, amqp.map8())))
            + b"\x00\x80" + bytes(7) + bytes([amqp.PROPERTIES])
            + amqp.list32(b"\x98" + bytes(16), amqp.NULL, amqp.long(0xB1, text))
            + amqp.section(amqp.VALUE, amqp.NULL))
        delivery = sender.send(message)
        self.assertEqual(sender.outcome(delivery), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().data, message)


class Refused(AddressCase):
    """Links that are not possible."""

    def assert_refused(self, link, name, description):
        """The link was attached without a terminus and closed with this error."""
        self.loop.until(lambda: link.closed, "a detach")
        self.assertFalse(link.attached)
        self.assertEqual(link.condition.name, name)
        self.assertEqual(link.condition.description, description)

    def test_unavailable_target(self):
        self.assert_refused(
            self.producer.sender("unavailable.t", wait=False), "amqp:not-found", "Node not found")

    def test_unavailable_source(self):
        self.assert_refused(
            self.first.receiver("unavailable.s", wait=False), "amqp:not-found", "Node not found")

    def test_receiver_without_address(self):
        def nothing(link):
            link.source.dynamic = False
        self.assert_refused(
            self.first.receiver(None, wait=False, setup=nothing), "qd:no-route-to-dest",
            "No route to the destination node")

    def test_coordinator(self):
        def coordinator(link):
            link.target.type = link.target.COORDINATOR
        link = self.producer.sender(None, wait=False, setup=coordinator)
        self.loop.until(lambda: link.closed, "a detach")
        self.assertEqual(link.condition.name, "amqp:precondition-failed")
        self.assertIn("can't coordinate transactions", link.condition.description)

    def test_the_connection_lives_on(self):
        self.assert_refused(
            self.producer.sender("unavailable.x", wait=False), "amqp:not-found", "Node not found")
        receiver = self.producer.receiver("refused.after")
        sender = self.producer.sender("refused.after")
        self.assertEqual(sender.deliver(Message(body=1)), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, 1)


class Names(AddressCase):
    """Ways to write an address."""

    def test_spellings_of_one_address(self):
        receiver = self.first.receiver("names/one")
        for spelling in ("names/one", "/names/one", "amqp:/names/one", "//host/names/one",
                         "amqp://host:5672/names/one", "names/one/"):
            with self.subTest(spelling):
                sender = self.producer.sender(spelling)
                self.assertEqual(sender.deliver(Message(body=spelling)), Delivery.ACCEPTED)
                self.assertEqual(receiver.one().body, spelling)

    def test_letters_of_all_alphabets(self):
        for address in ("naïve", "очередь", "队列/一", "a b c", "x" * 1000):
            with self.subTest(address):
                receiver = self.first.receiver(address)
                self.assertEqual(receiver.address, address)
                sender = self.producer.sender(address)
                self.assertEqual(sender.deliver(Message(body=1)), Delivery.ACCEPTED)
                receiver.one()

    def test_case_matters(self):
        upper = self.first.receiver("Names.Case")
        lower = self.first.receiver("names.case")
        self.producer.sender("names.case").deliver(Message(body="lower"))
        self.producer.sender("Names.Case").deliver(Message(body="upper"))
        self.assertEqual(upper.one().body, "upper")
        self.assertEqual(lower.one().body, "lower")

    def test_prefixes_match_whole_words(self):
        """`multicast` is a prefix of multicast.x and multicast/x, not of multicastx."""
        for address, copies in (("multicast/x", 2), ("multicast", 2), ("multicastx", 1)):
            with self.subTest(address):
                receivers = [self.first.receiver(address) for _ in range(2)]
                sender = self.producer.sender(address)
                self.assertEqual(sender.deliver(Message(body=1)), Delivery.ACCEPTED)
                self.loop.until(
                    lambda: sum(len(one.queue) for one in receivers) == copies, "copies")

    def test_termini_are_echoed(self):
        def details(link):
            link.source.address = "names.echo"
            link.source.durability = link.source.CONFIGURATION
            link.source.expiry_policy = link.source.EXPIRE_NEVER
            link.source.timeout = 7
            link.source.distribution_mode = link.source.DIST_MODE_COPY
            link.target.address = "here"
        link = self.first.receiver("names.echo", setup=details).link
        self.assertEqual(link.remote_source.address, "names.echo")
        self.assertEqual(link.remote_source.durability, link.source.CONFIGURATION)
        self.assertEqual(link.remote_source.expiry_policy, link.source.EXPIRE_NEVER)
        self.assertEqual(link.remote_source.timeout, 7)
        self.assertEqual(link.remote_source.distribution_mode, link.source.DIST_MODE_COPY)
        self.assertEqual(link.remote_target.address, "here")


class Phases(AddressCase):
    """Waypoints."""

    def test_through_a_waypoint(self):
        def waypoint_in(link):
            link.source.capabilities.put_symbol("qd.waypoint")

        def waypoint_out(link):
            link.target.capabilities.put_symbol("qd.waypoint")
        final = self.first.receiver("waypoint.w")
        into = self.second.receiver("waypoint.w", setup=waypoint_in)
        out = self.second.sender("waypoint.w", setup=waypoint_out)
        sender = self.producer.sender("waypoint.w")
        self.assertEqual(sender.deliver(Message(body="raw")), Delivery.ACCEPTED)
        passing = into.one().body
        self.assertEqual(passing, "raw")
        self.assertFalse(final.queue)
        self.assertEqual(out.deliver(Message(body="cooked")), Delivery.ACCEPTED)
        self.assertEqual(final.one().body, "cooked")


if __name__ == "__main__":
    unittest.main()
