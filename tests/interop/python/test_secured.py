"""Clients inside TLS, by every mechanism that Proton has; and what the router offers at all."""

import json
import shutil
import socket
import ssl
import subprocess
import threading
import unittest

from proton import SASL, ConnectionException, Message, SSLDomain
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection

from certified import CertifiedCase
from router import ROOT, Router, binary, causeway_only

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


class Secured(CertifiedCase):
    """A test class with a router that speaks nothing but TLS."""

    options = {"text": TEMPLATE.read_text().replace("@CERTIFICATES@", "."), "names": PORTS,
               "users": {"alice": "pencil"}}


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


@causeway_only("its own tools")
class Tools(Secured):
    """`causeway send`, `recv`, `stat` and `bench` inside TLS."""

    def causeway(self, *arguments, port="PORT_ANYBODY", trust="ca.pem", own=None, user=None,
                 url="amqps://%slocalhost:%d", background=False):
        who = user + "@" if user else ""
        command = [binary(), *arguments, "--url", url % (who, self.router.ports[port])]
        if trust:
            command += ["--ssl-trustfile", self.path(trust)]
        if own:
            command += ["--ssl-certificate", self.path(own + ".pem"), "--ssl-key",
                        self.path(own + ".key")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        if background:
            return process
        said, _ = process.communicate(timeout=SECONDS)
        return process.returncode, said

    def test_send_and_recv_by_whatever_the_listener_wants(self):
        ways = ({"port": "PORT_ANYBODY"}, {"port": "PORT_CERTIFIED", "own": "client"},
                {"port": "PORT_USERS", "user": "alice:pencil"})
        for way in ways:
            address = "tools." + way["port"]
            receiver = self.causeway("recv", address, "--count", "2", "--body", background=True,
                                     **way)
            code, said = self.causeway("send", address, "one", "x" * 50000, **way)
            self.assertEqual(code, 0, said)
            self.assertEqual(receiver.communicate(timeout=SECONDS)[0],
                             "one\n%s\n" % ("x" * 50000))

    def test_a_password_is_shown_inside_tls_alone(self):
        code, said = self.causeway("stat", "--sasl-mechanisms", "PLAIN", port="PORT_USERS",
                                   user="alice:pencil")
        self.assertEqual(code, 0, said)
        code, said = self.causeway("stat", port="PORT_USERS", user="alice:crayon")
        self.assertEqual(code, 1, said)
        self.assertIn("Authentication failed", said)
        self.assertNotIn("crayon", said)

    def test_stat_shows_its_own_connection(self):
        code, said = self.causeway("stat", "connections", port="PORT_CERTIFIED", own="client")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"TLSv1\.3\(TLS_AES_\w+\) .*\bCN=device\b.*\(x\.509\)")

    def test_bench_measures_inside_tls(self):
        for size in ("100", "100k"):
            code, said = self.causeway("bench", "--duration", "1s", "--warm-up", "200ms", "--size",
                                       size, "--json")
            self.assertEqual(code, 0, said)
            self.assertGreater(json.loads(said.splitlines()[-1])["received"], 10, said)

    def test_what_goes_wrong_is_told_with_what_to_do(self):
        for arguments, words in (
                ({"trust": "stranger.pem"}, "signed by no authority that is trusted"),
                ({"trust": "server.key"}, "--ssl-trustfile: no certificate in the file"),
                ({"trust": "nowhere.pem"}, "--ssl-trustfile: "),
                ({"port": "PORT_CERTIFIED"}, "--ssl-certificate"),
                ({"port": "PORT_CERTIFIED", "own": "forged"}, "--ssl-certificate"),
                ({"url": "amqp://%slocalhost:%d", "trust": None}, "hung up without a word")):
            code, said = self.causeway("stat", **arguments)
            self.assertEqual(code, 1, said)
            self.assertIn(words, said)


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
