"""Users and passwords: Proton with its SASL library, by every mechanism of the router's."""

import unittest

from proton import SASL, ConnectionException
from proton.utils import BlockingConnection

from router import Router, causeway_only

MECHANISMS = ("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")
WAIT_SECONDS = 30


@causeway_only("users of a file")
class Users(unittest.TestCase):
    """Who gets in."""

    def setUp(self):
        self.router = Router(users={"alice": "pencil", "bob": "p\u00e4ss=word,"})
        self.addCleanup(self.router.stop)

    def connect(self, mechanism, user, password):
        """A connection, or what Proton says of why there is none."""
        return BlockingConnection(
            "127.0.0.1:%d" % self.router.port, timeout=WAIT_SECONDS, user=user, password=password,
            allowed_mechs=mechanism, allow_insecure_mechs=True)

    def mechanisms(self):
        """Those that this Proton has; without its library it has PLAIN alone."""
        return MECHANISMS if SASL.extended() else ("PLAIN",)

    def test_the_right_password(self):
        for mechanism in self.mechanisms():
            for user, password in (("alice", "pencil"), ("bob", "p\u00e4ss=word,")):
                with self.subTest(mechanism=mechanism, user=user):
                    connection = self.connect(mechanism, user, password)
                    self.assertEqual(connection.conn.transport.sasl().mech, mechanism)
                    connection.close()

    def test_a_wrong_password_and_an_unknown_user(self):
        for mechanism in self.mechanisms():
            told = set()
            for user, password in (("alice", "crayon"), ("mallory", "pencil")):
                with self.subTest(mechanism=mechanism, user=user):
                    with self.assertRaises(ConnectionException) as raised:
                        self.connect(mechanism, user, password)
                    told.add(str(raised.exception))
            # Nobody learns whether there is such a user.
            self.assertEqual(len(told), 1)
            self.assertIn("Authentication failed [mech=%s]" % mechanism, told.pop())

    def test_nobody_in_particular(self):
        with self.assertRaises(ConnectionException):
            self.connect("ANONYMOUS", None, None)
        self.assertNotIn("pencil", self.router.output())
