"""Request and response over dynamic addresses; the management node as a plain client sees it."""

import unittest
import uuid

from proton import Condition, Message

from peer import Delivery, Loop
from router import RouterCase, causeway_only

PREFIX = "org.apache.qpid.dispatch."


class Dynamic(RouterCase):
    """Addresses that the router makes up."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.client = self.loop.connect(self.router.port)
        self.server = self.loop.connect(self.router.port)

    def test_form_of_the_address(self):
        receiver = self.client.receiver(None)
        self.assertRegex(receiver.address, r"^amqp:/_topo/0/Interop/temp\.[A-Za-z0-9+_]{15}$")
        self.assertTrue(receiver.link.remote_source.dynamic)

    def test_addresses_differ(self):
        addresses = {self.client.receiver(None).address for _ in range(50)}
        self.assertEqual(len(addresses), 50)

    def test_request_and_response(self):
        requests = self.server.receiver("service", top_up=True)
        responder = self.server.sender(None)
        replies = self.client.receiver(None, credit=300)
        sender = self.client.sender("service")
        for i in range(200):
            sender.send(Message(reply_to=replies.address, correlation_id=i, body="ask %d" % i))
        answered = {}
        for _ in range(200):
            request = requests.one().message
            response = Message(address=request.reply_to, correlation_id=request.correlation_id,
                               body=request.body.replace("ask", "answer"))
            self.assertEqual(responder.deliver(response), Delivery.ACCEPTED)
        for record in replies.take(200):
            message = record.message
            answered[message.correlation_id] = message.body
        self.assertEqual(answered, {i: "answer %d" % i for i in range(200)})

    def test_named_reply_sender(self):
        """A responder may also attach a link to the reply address."""
        replies = self.client.receiver(None)
        sender = self.server.sender(replies.address)
        self.assertEqual(sender.deliver(Message(body="x")), Delivery.ACCEPTED)
        self.assertEqual(replies.one().body, "x")

    def test_the_address_ends_with_the_link(self):
        replies = self.client.receiver(None)
        address = replies.address
        responder = self.server.sender(None)
        self.assertEqual(responder.deliver(Message(address=address)), Delivery.ACCEPTED)
        self.client.detach(replies)
        self.assertEqual(responder.deliver(Message(address=address)), Delivery.RELEASED)

    @causeway_only("the router it replaces lets anyone consume from a dynamic address")
    def test_only_its_creator_consumes(self):
        address = self.client.receiver(None).address
        stranger = self.server.receiver(address, wait=False)
        self.loop.until(lambda: stranger.closed or stranger.attached, "an answer")
        self.assertFalse(stranger.attached)
        self.loop.until(lambda: stranger.closed, "a detach")
        self.assertIsNotNone(stranger.condition)

    def test_dynamic_target(self):
        def dynamic(link):
            link.target.dynamic = True
        sender = self.client.sender(None, setup=dynamic)
        address = sender.link.remote_target.address
        self.assertRegex(address, r"^amqp:/_\$temp\.[A-Za-z0-9+_]{15}$")
        receiver = self.server.receiver(address)
        self.assertEqual(sender.deliver(Message(body="x")), Delivery.ACCEPTED)
        self.assertEqual(receiver.one().body, "x")


class Management(RouterCase):
    """`$management` asked by a client that knows only AMQP."""

    def setUp(self):
        self.loop = Loop()
        self.addCleanup(self.loop.__exit__)
        self.wire = self.loop.connect(self.router.port, container="interop-manager")
        self.replies = self.wire.receiver(None)
        self.sender = self.wire.sender("$management")

    def ask(self, operation, body=None, correlation=None, **properties):
        """One request; returns the response message."""
        request = Message(
            reply_to=self.replies.address, body={} if body is None else body,
            correlation_id=correlation or "c-%s" % operation,
            properties=dict(properties, operation=operation))
        self.assertEqual(self.sender.deliver(request), Delivery.ACCEPTED)
        response = self.replies.one().message
        self.assertEqual(response.correlation_id, correlation or "c-%s" % operation)
        return response

    def query(self, entity, *attributes, **properties):
        """The rows of a QUERY as dictionaries."""
        response = self.ask("QUERY", {"attributeNames": list(attributes)},
                            entityType=PREFIX + entity, name="self",
                            type="org.amqp.management", **properties)
        self.assertEqual(response.properties["statusCode"], 200)
        self.assertEqual(response.properties["statusDescription"], "OK")
        names = response.body["attributeNames"]
        if attributes:
            self.assertEqual(names, list(attributes))
        return [dict(zip(names, row)) for row in response.body["results"]]

    def test_router(self):
        rows = self.query("router")
        self.assertEqual(len(rows), 1)
        self.assertEqual(rows[0]["id"], "Interop")
        self.assertEqual(rows[0]["mode"], "standalone")

    def test_own_connection(self):
        rows = self.query("connection", "container", "role", "dir", "opened")
        own = [row for row in rows if row["container"] == "interop-manager"]
        self.assertIn(
            {"container": "interop-manager", "role": "normal", "dir": "in", "opened": True}, own)

    def test_links_and_addresses(self):
        receiver = self.wire.receiver("managed.address")
        sender = self.wire.sender("managed.address")
        for i in range(5):
            self.assertEqual(sender.deliver(Message(body=i)), Delivery.ACCEPTED)
        receiver.take(5)
        links = [row for row in self.query("router.link", "owningAddr", "linkDir", "linkType")
                 if row["owningAddr"] == "M0managed.address"]
        self.assertEqual(sorted(row["linkDir"] for row in links), ["in", "out"])
        self.assertEqual({row["linkType"] for row in links}, {"endpoint"})
        addresses = [row for row in self.query(
            "router.address", "name", "subscriberCount", "deliveriesIngress", "deliveriesEgress")
            if row["name"] == "M0managed.address"]
        self.assertEqual(addresses, [{
            "name": "M0managed.address", "subscriberCount": 1, "deliveriesIngress": 5,
            "deliveriesEgress": 5}])

    def test_paging(self):
        for i in range(10):
            self.wire.receiver("paged.%d" % i)
        everything = [row["name"] for row in self.query("router.address", "name")]
        paged = []
        while True:
            page = self.query("router.address", "name", offset=len(paged), count=3)
            self.assertLessEqual(len(page), 3)
            if not page:
                break
            paged += [row["name"] for row in page]
        self.assertEqual(paged, everything)

    def test_configured_addresses(self):
        rows = self.query("router.config.address", "prefix", "distribution")
        self.assertIn({"prefix": "multicast", "distribution": "multicast"}, rows)
        self.assertIn({"prefix": "closest", "distribution": "closest"}, rows)

    def test_create_use_and_delete_an_address(self):
        created = self.ask("CREATE", {"prefix": "made", "distribution": "multicast"},
                           name="made-by-hand", type=PREFIX + "router.config.address")
        self.assertEqual(created.properties["statusCode"], 201)
        self.assertEqual(created.body["name"], "made-by-hand")
        receivers = [self.wire.receiver("made.x") for _ in range(2)]
        self.assertEqual(
            self.wire.sender("made.x").deliver(Message(body=1)), Delivery.ACCEPTED)
        for receiver in receivers:
            self.assertEqual(receiver.one().body, 1)
        deleted = self.ask("DELETE", name="made-by-hand", type=PREFIX + "router.config.address")
        self.assertEqual(deleted.properties["statusCode"], 204)
        missing = self.ask("READ", name="made-by-hand", type=PREFIX + "router.config.address")
        self.assertEqual(missing.properties["statusCode"], 404)

    def test_correlation_of_any_type(self):
        for correlation in ("text", 7, uuid.UUID(int=77), b"\x00\xff"):
            with self.subTest(type(correlation)):
                request = Message(
                    reply_to=self.replies.address, correlation_id=correlation, body={},
                    properties={"operation": "QUERY", "entityType": PREFIX + "router"})
                self.assertEqual(self.sender.deliver(request), Delivery.ACCEPTED)
                message = self.replies.one().message
                got = message.correlation_id
                self.assertEqual(bytes(got) if isinstance(correlation, bytes) else got,
                                 correlation)

    def test_unknown_type_and_operation(self):
        unknown = self.ask("QUERY", entityType="no.such.type")
        self.assertEqual(unknown.properties["statusCode"], 400)
        self.assertIn("no.such.type", unknown.properties["statusDescription"])
        self.assertEqual(self.ask(
            "FROBNICATE", name="self", type="org.amqp.management").properties["statusCode"], 501)

    def test_node_operations(self):
        types = self.ask("GET-TYPES", name="self", type="org.amqp.management").body
        for name in ("router", "connection", "listener", "router.link", "router.address"):
            self.assertIn(PREFIX + name, types)
        operations = self.ask("GET-OPERATIONS", name="self", type="org.amqp.management").body
        self.assertIn("READ", operations[PREFIX + "router.address"])
        attributes = self.ask("GET-ATTRIBUTES", name="self", type="org.amqp.management").body
        self.assertIn("distribution", attributes[PREFIX + "router.config.address"])
        nodes = self.ask("GET-MGMT-NODES", name="self", type="org.amqp.management").body
        self.assertEqual(nodes, [])

    def test_by_its_long_names(self):
        for address in ("_local/$management", "amqp:/_topo/0/Interop/$management"):
            with self.subTest(address):
                self.sender = self.wire.sender(address)
                self.assertEqual(self.query("router", "id"), [{"id": "Interop"}])

    def test_through_an_anonymous_sender(self):
        sender = self.wire.sender(None)
        request = Message(
            address="$management", reply_to=self.replies.address, body={},
            properties={"operation": "QUERY", "entityType": PREFIX + "router"})
        self.assertEqual(sender.deliver(request), Delivery.ACCEPTED)
        self.assertEqual(self.replies.one().message.properties["statusCode"], 200)

    def test_closing_a_connection(self):
        victim = self.loop.connect(self.router.port, container="interop-victim")
        rows = [row for row in self.query("connection", "container", "identity")
                if row["container"] == "interop-victim"]
        self.assertEqual(len(rows), 1)
        response = self.ask("UPDATE", {"adminStatus": "deleted"}, identity=rows[0]["identity"],
                            type=PREFIX + "connection")
        self.assertEqual(response.properties["statusCode"], 200)
        self.loop.until(lambda: victim.ended, "the end of the connection")
        self.assertNotEqual(victim.condition, Condition("amqp:internal-error"))


if __name__ == "__main__":
    unittest.main()
