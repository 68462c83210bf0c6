"""A service that decides who may connect, asked by TLS; Proton stands in for it."""

import os
import shutil
import tempfile
import threading
import time
import unittest

from proton import ConnectionException, Message, SSLDomain, symbol
from proton.handlers import MessagingHandler
from proton.reactor import ApplicationEvent, Container, EventInjector
from proton.utils import BlockingConnection

import certificates
from router import Router, causeway_only, hold_ports

SECONDS = 20
RELOAD_SECONDS = 30
CONF = """
router {
    id: Relay
}
listener {
    host: 127.0.0.1
    port: @PORT@
    saslPlugin: service
    authenticatePeer: yes
}
authServicePlugin {
    name: service
    host: localhost
    port: %(port)d
    sslProfile: secured
}
sslProfile {
    name: secured
    caCertFile: %(folder)s/trusted.pem
    %(own)s
}
"""
OWN = """certFile: %(folder)s/client.pem
    privateKeyFile: %(folder)s/client.key"""


class Service(MessagingHandler):
    """Lets everybody in as `alice`; all of it is in the hands of one thread."""

    def __init__(self, folder, asks_certificate):
        super().__init__()
        self.held = hold_ports(1)
        self.port = self.held[0].getsockname()[1]
        path = lambda name: os.path.join(folder, name)
        self.domain = SSLDomain(SSLDomain.MODE_SERVER)
        self.domain.set_credentials(path("server.pem"), path("server.key"), None)
        if asks_certificate:
            self.domain.set_trusted_ca_db(path("ca.pem"))
            self.domain.set_peer_authentication(SSLDomain.VERIFY_PEER, path("ca.pem"))
        self.protocols = []
        self.listening = threading.Event()
        self.leave = EventInjector()
        self.acceptor = None
        self.container = Container(self)
        self.thread = threading.Thread(target=self.container.run, daemon=True)

    def start(self):
        self.thread.start()
        if not self.listening.wait(SECONDS):
            raise TimeoutError("the service does not listen")

    def stop(self):
        self.leave.trigger(ApplicationEvent("leave"))
        self.thread.join(SECONDS)
        self.held[0].close()

    def on_start(self, event):
        event.container.selectable(self.leave)
        url = "amqps://127.0.0.1:%d" % self.port
        self.acceptor = event.container.listen(url, ssl_domain=self.domain)
        self.listening.set()

    def on_leave(self, _event):
        self.leave.close()
        self.acceptor.close()
        self.container.stop()

    def on_connection_opening(self, event):
        self.protocols.append(event.transport.ssl().protocol_name())
        event.connection.properties = {symbol("authenticated-identity"): {"sub": "alice"}}


@causeway_only("the host of a service is not checked")
class Secured(unittest.TestCase):
    """Who gets in, and what the log says."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="causeway-interop-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.authority = certificates.make(self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def trust(self, authority):
        """The router trusts this one from now on, and no other."""
        shutil.copy(self.path(authority), self.path("new.pem"))
        os.replace(self.path("new.pem"), self.path("trusted.pem"))

    def begin(self, trusted="ca.pem", own="", asks_certificate=False):
        """A service, and a router that asks it."""
        self.trust(trusted)
        self.service = Service(self.folder, asks_certificate)
        self.service.start()
        self.addCleanup(self.service.stop)
        names = {"folder": self.folder, "port": self.service.port}
        self.router = Router(text=CONF % dict(names, own=own % names), names=("PORT",))
        self.addCleanup(self.router.stop)

    def connect(self):
        connection = BlockingConnection("127.0.0.1:%d" % self.router.port, timeout=SECONDS,
                                        allowed_mechs="ANONYMOUS")
        self.addCleanup(connection.close)
        return connection

    def refused(self, why):
        """Nobody gets in, and the log says why."""
        with self.assertRaisesRegex(ConnectionException, "Authentication failed"):
            self.connect()
        line = [line for line in self.router.output().splitlines() if "AUTHSERVICE" in line][-1]
        self.assertIn("AUTHSERVICE (warning) Downstream disconnected: ", line)
        self.assertIn(why, line)
        self.assertIn("(SASL plugin service)", line)

    def users(self, connection):
        receiver = connection.create_receiver(None, dynamic=True)
        sender = connection.create_sender("$management")
        sender.send(Message(
            reply_to=receiver.link.remote_source.address, body={"attributeNames": ["user"]},
            properties={"operation": "QUERY", "entityType": "org.apache.qpid.dispatch.connection"}))
        return [row[0] for row in receiver.receive(SECONDS).body["results"]]

    def test_the_service_says_who_somebody_is(self):
        self.begin()
        self.assertEqual(self.users(self.connect()), ["alice"])
        self.assertEqual(self.service.protocols, ["TLSv1.3"])
        self.assertIn("AUTHSERVICE (info) authenticated as alice", self.router.output())

    def test_the_service_may_want_a_certificate(self):
        self.begin(own=OWN, asks_certificate=True)
        self.assertEqual(self.users(self.connect()), ["alice"])

    def test_the_service_wants_a_certificate_and_there_is_none(self):
        self.begin(asks_certificate=True)
        self.refused("the peer wants a certificate of this router (certFile)")

    def test_a_service_for_another_host(self):
        made = self.authority.issue_cert("elsewhere.example")
        made.cert_chain_pems[0].write_to_path(self.path("server.pem"))
        made.private_key_pem.write_to_path(self.path("server.key"))
        self.begin()
        self.refused("is for elsewhere.example, not for localhost (host, verifyHostname)")

    def test_an_authority_is_trusted_as_soon_as_its_file_is_there(self):
        self.begin(trusted="stranger.pem")
        self.refused("signed by no authority that is trusted (caCertFile)")
        self.assertEqual(self.service.protocols, [])
        self.trust("ca.pem")
        deadline = time.monotonic() + RELOAD_SECONDS
        while "its files were read anew" not in self.router.output():
            self.assertLess(time.monotonic(), deadline, self.router.output())
            time.sleep(0.1)
        self.assertEqual(self.users(self.connect()), ["alice"])


if __name__ == "__main__":
    unittest.main()
