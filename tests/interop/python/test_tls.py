"""TLS with Proton and with Python's own library: certificates are made on the spot."""

import socket
import ssl
import time
import unittest

from proton import ConnectionException, Message, SSLDomain
from proton.reactor import AtMostOnce
from proton.utils import BlockingConnection

from certified import CertifiedCase
from router import Router, causeway_only

SECONDS = 10
NAMES = ("TLS", "BOTH", "MUTUAL", "MESH")
CONF = """
router {
    id: Tls
    mode: interior
}
listener {
    name: tls
    host: 127.0.0.1
    port: @TLS@
    sslProfile: server
    requireSsl: yes
}
listener {
    name: both
    host: 127.0.0.1
    port: @BOTH@
    sslProfile: server
}
listener {
    name: mutual
    host: 127.0.0.1
    port: @MUTUAL@
    sslProfile: server
    requireSsl: yes
    authenticatePeer: yes
    saslMechanisms: EXTERNAL
}
listener {
    name: mesh
    host: 127.0.0.1
    port: @MESH@
    role: inter-router
    sslProfile: server
    requireSsl: yes
}
sslProfile {
    name: server
    caCertFile: ca.pem
    certFile: server.pem
    privateKeyFile: server.key
}
"""
NEIGHBOR = """
router {
    id: %s
    mode: interior
}
listener {
    host: 127.0.0.1
    port: @PORT@
}
connector {
    host: %s
    port: %d
    role: inter-router
    sslProfile: client
}
sslProfile {
    name: client
    caCertFile: %s
}
"""


@causeway_only("certificates of this kind")
class Tls(CertifiedCase):
    """What clients with TLS see."""

    options = {"text": CONF, "names": NAMES}

    def domain(self, ca="ca.pem", own=None):
        domain = SSLDomain(SSLDomain.MODE_CLIENT)
        domain.set_trusted_ca_db(self.path(ca))
        domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
        if own:
            domain.set_credentials(self.path(own + ".pem"), self.path(own + ".key"), None)
        return domain

    def connect(self, port, **options):
        connection = BlockingConnection(
            "amqps://localhost:%d" % self.router.ports[port], timeout=SECONDS,
            ssl_domain=self.domain(**options))
        self.addCleanup(connection.close)
        return connection

    def send(self, port, address, body):
        """Sends a message by a connection of its own, which is gone afterwards."""
        connection = self.connect(port)
        sender = connection.create_sender(address, options=AtMostOnce())
        connection.wait(lambda: sender.link.credit > 0)
        sender.send(Message(body=body))
        connection.close()

    def wait_for_log(self, words):
        deadline = time.monotonic() + SECONDS
        while words not in self.router.output():
            self.assertLess(time.monotonic(), deadline, "%s\n%s" % (words, self.router.output()))
            time.sleep(0.02)

    def context(self, ca="ca.pem"):
        return ssl.create_default_context(cafile=self.path(ca))

    def raw(self, port="TLS"):
        plain = socket.create_connection(("127.0.0.1", self.router.ports[port]), SECONDS)
        self.addCleanup(plain.close)
        return plain

    def manage(self, operation, body=None, **properties):
        with_plain = BlockingConnection(
            "amqp://127.0.0.1:%d" % self.router.ports["BOTH"], timeout=SECONDS)
        self.addCleanup(with_plain.close)
        receiver = with_plain.create_receiver(None, dynamic=True)
        sender = with_plain.create_sender("$management")
        sender.send(Message(reply_to=receiver.link.remote_source.address, body=body,
                            properties=dict(properties, operation=operation)))
        return receiver.receive(SECONDS)

    def rows(self, kind):
        body = self.manage("QUERY", {"attributeNames": []},
                           entityType="org.apache.qpid.dispatch." + kind).body
        return [dict(zip(body["attributeNames"], row)) for row in body["results"]]

    def test_messages_of_all_sizes(self):
        for port in ("TLS", "BOTH"):
            connection = self.connect(port)
            receiver = connection.create_receiver("tls.sizes." + port)
            sender = connection.create_sender("tls.sizes." + port, options=AtMostOnce())
            for size in (0, 100, 16384, 1000000):
                sender.send(Message(body=b"x" * size))
                self.assertEqual(len(receiver.receive(SECONDS).body), size)

    def test_plain_text_and_tls_on_one_port(self):
        plain = BlockingConnection("amqp://127.0.0.1:%d" % self.router.ports["BOTH"],
                                   timeout=SECONDS)
        self.addCleanup(plain.close)
        receiver = plain.create_receiver("tls.both")
        self.send("BOTH", "tls.both", "x")
        self.assertEqual(receiver.receive(SECONDS).body, "x")

    def test_plain_text_where_tls_is_required(self):
        plain = self.raw()
        plain.sendall(b"AMQP\x00\x01\x00\x00")
        self.assertEqual(plain.recv(100), b"", "not a byte is answered")
        self.wait_for_log("the peer speaks plain text where TLS is required (requireSsl)")

    def test_what_management_shows(self):
        self.connect("TLS").create_sender("tls.shown")
        rows = [row for row in self.rows("connection") if row["ssl"]]
        self.assertTrue(rows)
        self.assertEqual({row["sslProto"] for row in rows}, {"TLSv1.3"})
        self.assertEqual({row["isEncrypted"] for row in rows}, {True})
        self.assertTrue(rows[0]["sslCipher"].startswith("TLS_AES_"))
        self.assertIn(rows[0]["sslSsf"], (128, 256))
        profile = self.rows("sslProfile")[0]
        self.assertRegex(profile["certificateExpires"], r"^\d{4}-\d\d-\d\dT")
        self.assertIsNone(profile.get("password"))

    def test_versions(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.context()
            context.minimum_version = context.maximum_version = version
            with context.wrap_socket(self.raw(), server_hostname="localhost") as secured:
                secured.sendall(b"AMQP\x00\x01\x00\x00")
                self.assertEqual(secured.recv(8), b"AMQP\x00\x01\x00\x00")

    def test_the_router_says_farewell(self):
        context = self.context()
        with context.wrap_socket(self.raw(), server_hostname="localhost",
                                 suppress_ragged_eofs=False) as secured:
            secured.sendall(b"AMQP\x00\x09\x00\x00")
            while secured.recv(4096):
                pass

    def test_an_authority_that_is_not_trusted(self):
        with self.assertRaises(ConnectionException):
            self.connect("TLS", ca="stranger.pem")
        self.wait_for_log("the peer trusts no authority that signed this router's certificate")

    def test_a_certificate_makes_a_user(self):
        self.connect("MUTUAL", own="client").create_sender("tls.mutual")
        users = [row["user"] for row in self.rows("connection") if row["sasl"] == "EXTERNAL"]
        self.assertEqual(len(users), 1)
        self.assertIn("CN=device", users[0])

    def test_clients_without_a_certificate_or_with_a_forged_one(self):
        for own in (None, "forged"):
            with self.assertRaises(ConnectionException):
                self.connect("MUTUAL", own=own)
        self.wait_for_log("peer did not return a certificate")
        self.wait_for_log("signed by no authority that is trusted")

    def test_bytes_that_are_damaged_or_missing(self):
        for bytes_ in (b"\x16\x03\x01\x40\x01" + b"\x00" * 100,
                       b"\x16\x03\x01\x00\x04\x01\x00\xff\xff", b"\x16\x02\x00\x00\x01\x00",
                       b"\x16\x03\x01\xff\xff"):
            plain = self.raw()
            plain.sendall(bytes_)
            plain.shutdown(socket.SHUT_WR)
            while True:
                try:
                    if not plain.recv(4096):
                        break
                except ConnectionResetError:
                    break
        self.connect("TLS")

    def test_new_files_serve_new_connections(self):
        old = self.connect("BOTH")
        receiver = old.create_receiver("tls.reload")

        def serial():
            with self.context().wrap_socket(self.raw(), server_hostname="localhost") as secured:
                return secured.getpeercert()["serialNumber"]

        before = serial()
        with open(self.path("server.pem"), "w") as out:
            out.write("half a certificate")
        self.assertEqual(self.manage("UPDATE", {}, type="org.apache.qpid.dispatch.sslProfile",
                                     name="server").properties["statusCode"], 400)
        self.wait_for_log("what was read before stays in force")
        self.assertEqual(serial(), before)
        made = self.authority.issue_cert("127.0.0.1", "localhost")
        made.cert_chain_pems[0].write_to_path(self.path("server.pem"))
        made.private_key_pem.write_to_path(self.path("server.key"))
        deadline = time.monotonic() + 3 * SECONDS
        while serial() == before:
            self.assertLess(time.monotonic(), deadline, self.router.output())
            time.sleep(0.2)
        self.send("TLS", "tls.reload", "x")
        self.assertEqual(receiver.receive(SECONDS).body, "x")

    def neighbor(self, name, host, ca):
        text = NEIGHBOR % (name, host, self.router.ports["MESH"], self.path(ca))
        neighbor = Router(text=text, names=("PORT",))
        self.addCleanup(neighbor.stop)
        return neighbor

    def test_routers_are_connected_by_tls(self):
        for host in ("localhost", "127.0.0.1"):
            neighbor = self.neighbor("By-" + host, host, "ca.pem")
            far = BlockingConnection("amqp://127.0.0.1:%d" % neighbor.port, timeout=SECONDS)
            self.addCleanup(far.close)
            receiver = far.create_receiver("tls.far." + host)
            self.wait_for_log("encrypted=TLSv1.3")
            deadline = time.monotonic() + SECONDS
            while not any(row["name"].endswith("tls.far." + host) and row["remoteCount"]
                          for row in self.rows("router.address")):
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.1)
            self.send("TLS", "tls.far." + host, b"x" * 300000)
            self.assertEqual(len(receiver.receive(SECONDS).body), 300000)

    def test_a_connector_that_cannot_trust_its_server_says_so(self):
        neighbor = self.neighbor("Stranger", "127.0.0.1", "stranger.pem")
        deadline = time.monotonic() + SECONDS
        while "signed by no authority that is trusted (caCertFile)" not in neighbor.output():
            self.assertLess(time.monotonic(), deadline, neighbor.output())
            time.sleep(0.02)


if __name__ == "__main__":
    unittest.main()
