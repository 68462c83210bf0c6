"""Test classes whose router has certificates in its folder."""

import os

import certificates
from router import Router, RouterCase


class CertifiedCase(RouterCase):
    """A test class with a router of its own, and certificates for it and for clients."""

    # What its router is made with, beside the certificates.
    options = {}

    @classmethod
    def start(cls):
        def prepare(directory):
            cls.authority = certificates.make(directory)
        return Router(prepare=prepare, **cls.options)

    def path(self, name):
        return os.path.join(self.router.directory, name)
