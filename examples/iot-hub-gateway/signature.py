"""Shared access signatures: the tokens by which devices show a hub that they have their key.

A token names a resource, says until when it is good, and carries an HMAC of both by the device's
key, which itself never travels.
"""

import base64
import hashlib
import hmac
import time
import urllib.parse

KIND = "SharedAccessSignature"
TYPE = "servicebus.windows.net:sastoken"


class Bad(Exception):
    """A token that is not to be believed; the text says why."""


def signed(resource, expiry, key):
    """The signature of a resource and a time, by a key in base64."""
    text = "%s\n%d" % (urllib.parse.quote(resource, safe=""), expiry)
    digest = hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


def make(resource, key, seconds):
    """A token that is good for so many seconds from now."""
    expiry = int(time.time() + seconds)
    fields = {"sr": resource, "sig": signed(resource, expiry, key), "se": expiry}
    return "%s %s" % (KIND, urllib.parse.urlencode(fields, quote_via=urllib.parse.quote, safe=""))


def check(token, resource, key):
    """When the token ends, in seconds since 1970; raises `Bad` unless it is good by now."""
    kind, _, rest = str(token).partition(" ")
    fields = dict(urllib.parse.parse_qsl(rest))
    if kind != KIND or not fields.get("se", "").isdecimal() or "sig" not in fields:
        raise Bad("not a %s token" % KIND)
    if fields.get("sr", "").lower() != resource.lower():
        raise Bad("the token is for another resource")
    expiry = int(fields["se"])
    if not hmac.compare_digest(fields["sig"], signed(fields["sr"], expiry, key)):
        raise Bad("the signature is wrong")
    if expiry <= time.time():
        raise Bad("the token has expired")
    return expiry
