"""Certificates for tests, made on the spot: `certificates.py FOLDER`.

An authority (`ca.pem`), certificates by it for the router (`server`) and a client (`client`), and
those of a stranger: his authority (`stranger.pem`) and a client's by it (`forged`).
"""

import os
import sys

import trustme


def make(directory):
    """Writes all of them into a folder; returns the authority."""
    authority, stranger = trustme.CA(), trustme.CA()
    path = lambda name: os.path.join(directory, name)
    authority.cert_pem.write_to_path(path("ca.pem"))
    stranger.cert_pem.write_to_path(path("stranger.pem"))
    for name, issuer, host in (("server", authority, "localhost"), ("client", authority, "device"),
                               ("forged", stranger, "device")):
        hosts = ("127.0.0.1", host) if name == "server" else (host,)
        made = issuer.issue_cert(*hosts, common_name=host)
        made.cert_chain_pems[0].write_to_path(path(name + ".pem"))
        made.private_key_pem.write_to_path(path(name + ".key"))
    return authority


if __name__ == "__main__":
    os.makedirs(sys.argv[1], exist_ok=True)
    make(sys.argv[1])
