"""Clients inside TLS, by every mechanism that Proton has; and what the router offers at all."""

import os
import shutil
import socket
import ssl
import subprocess
import threading
import unittest

from proton import SASL, ConnectionException, Message, SSLDomain
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection

import certificates
from router import ROOT, Router, causeway_only

SECONDS = 30
TEMPLATE = ROOT / "tests" / "interop" / "secured.conf"
PORTS = ("PORT_USERS", "PORT_CERTIFIED", "PORT_ANYBODY")
CONNECTOR = """
router {
    id: Caller
}
listener {
    host: 127.0.0.1
    port: @PORT@
}
sslProfile {
    name: client
    caCertFile: ca.pem
}
connector {
    name: called
    host: %s
    port: %d
    role: route-container
    sslProfile: client
}
"""


class Secured(unittest.TestCase):
    """A test class with a router that speaks nothing but TLS."""

    @classmethod
    def setUpClass(cls):
        text = TEMPLATE.read_text().replace("@CERTIFICATES@", ".")
        cls.router = Router(text=text, names=PORTS, users={"alice": "pencil"},
                            prepare=certificates.make)

    @classmethod
    def tearDownClass(cls):
        output, code = cls.router.output(), cls.router.stop()
        if code:
            raise AssertionError("the router ended with %s:\n%s" % (code, output[-4000:]))

    def path(self, name):
        return os.path.join(self.router.directory, name)


@causeway_only("certificates and users of this kind")
class Mechanisms(Secured):
    """Who gets in, by what."""

    def connect(self, port, own=None, **options):
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(self.path("ca.pem"))
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        if own:
            domain.set_credentials(self.path(own + ".pem"), self.path(own + ".key"), None)
        connection = BlockingConnection(
            "amqps://localhost:%d" % self.router.ports[port], timeout=SECONDS, ssl_domain=domain,
            **options)
        self.addCleanup(connection.close)
        return connection

    def check(self, connection, mechanism):
        """It authenticated so, inside TLS, and can exchange messages."""
        self.assertEqual(connection.conn.transport.sasl().mech, mechanism)
        self.assertEqual(connection.conn.transport.ssl().protocol_name(), "TLSv1.3")
        receiver = connection.create_receiver("secured." + mechanism)
        sender = connection.create_sender("secured." + mechanism, options=AtMostOnce())
        connection.wait(lambda: sender.link.credit > 0)
        sender.send(Message(body=mechanism))
        self.assertEqual(receiver.receive(SECONDS).body, mechanism)

    def test_passwords(self):
        known = ("PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512")
        for mechanism in known if SASL.extended() else known[:1]:
            with self.subTest(mechanism=mechanism):
                self.check(self.connect("PORT_USERS", user="alice", password="pencil",
                                        allowed_mechs=mechanism), mechanism)
                with self.assertRaises(ConnectionException):
                    self.connect("PORT_USERS", user="alice", password="crayon",
                                 allowed_mechs=mechanism)

    def test_a_certificate(self):
        self.check(self.connect("PORT_CERTIFIED", own="client"), "EXTERNAL")
        for own in (None, "forged"):
            with self.assertRaises(ConnectionException):
                self.connect("PORT_CERTIFIED", own=own)

    def test_nobody_in_particular(self):
        self.check(self.connect("PORT_ANYBODY"), "ANONYMOUS")
        for port in ("PORT_USERS", "PORT_CERTIFIED"):
            with self.assertRaises(ConnectionException):
                self.connect(port, allowed_mechs="ANONYMOUS")


@unittest.skipUnless(shutil.which("openssl"), "there is no openssl to ask with")
class Offered(Secured):
    """What OpenSSL's client sees."""

    def ask(self, *options, port="PORT_ANYBODY"):
        """Shakes hands; whether that succeeded, and what was said."""
        done = subprocess.run(
            ["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.router.ports[port],
             "-servername", "localhost", "-CAfile", self.path("ca.pem"), "-verify_return_error",
             "-verify_hostname", "localhost", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace", timeout=SECONDS)
        return "Verify return code: 0 (ok)" in done.stdout and done.returncode == 0, done.stdout

    def test_versions(self):
        for option, protocol in (("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")):
            ok, said = self.ask(option)
            self.assertTrue(ok, said)
            self.assertIn("New, %s, Cipher is " % protocol, said)
            self.assertIn("Verification: OK", said)
        for option in ("-tls1", "-tls1_1"):
            ok, said = self.ask(option, "-cipher", "ALL:@SECLEVEL=0")
            self.assertFalse(ok, said)
            self.assertRegex(said, "alert (protocol version|handshake failure)")
            self.assertIn("New, (NONE)", said)

    def test_suites(self):
        for cipher in ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"):
            ok, said = self.ask("-tls1_2", "-cipher", cipher)
            self.assertTrue(ok, said)
            self.assertIn("Cipher is " + cipher, said)
        for cipher in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "AES256-SHA", "eNULL",
                       "aNULL"):
            ok, said = self.ask("-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
            self.assertFalse(ok, said)
            self.assertIn("alert handshake failure", said)

    def test_what_is_not_offered(self):
        _, said = self.ask("-tls1_2")
        self.assertIn("Compression: NONE", said)
        self.assertNotIn("TLS session ticket:", said)
        self.assertIn("Secure Renegotiation IS", said)
        _, said = self.ask("-tls1_3")
        self.assertNotIn("Early data was accepted", said)
        self.assertNotIn("TLS session ticket:", said)

    def test_a_client_s_certificate_is_asked_where_it_counts(self):
        ok, said = self.ask()
        self.assertTrue(ok, said)
        self.assertIn("No client certificate CA names sent", said)
        own = ("-cert", self.path("client.pem"), "-key", self.path("client.key"))
        ok, said = self.ask("-tls1_2", *own, port="PORT_CERTIFIED")
        self.assertTrue(ok, said)
        self.assertIn("Acceptable client certificate CA names", said)
        ok, said = self.ask("-tls1_2", port="PORT_CERTIFIED")
        self.assertFalse(ok, said)

    def test_a_connector_names_the_server_that_it_wants(self):
        # Addresses are no names: RFC 6066 §3.
        for host, expected in (("localhost", "localhost"), ("127.0.0.1", None)):
            named = []
            done = threading.Event()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.path("server.pem"), self.path("server.key"))
            context.sni_callback = lambda _socket, name, _context: named.append(name)
            with socket.create_server(("127.0.0.1", 0)) as server:
                def serve():
                    try:
                        with context.wrap_socket(server.accept()[0], server_side=True) as secured:
                            named.append(secured.version())
                            named.append(secured.recv(4))
                    finally:
                        done.set()
                threading.Thread(target=serve, daemon=True).start()
                text = CONNECTOR % (host, server.getsockname()[1])
                caller = Router(
                    text=text.replace("ca.pem", self.path("ca.pem")), names=("PORT",))
                self.addCleanup(caller.stop)
                self.assertTrue(done.wait(SECONDS), caller.output())
            self.assertEqual(named, [expected, "TLSv1.3", b"AMQP"])


if __name__ == "__main__":
    unittest.main()
