"""Every encoding of every AMQP type, written out by hand.

Nothing here uses a client library: what a library would never produce (wide codes for small
values, arrays of zero-width elements, symbolic descriptors) must pass the router all the same.
Codes and layouts are those of amqp-1.0 part 1, section 1.6.
"""

import struct

DATA, SEQUENCE, VALUE = 0x75, 0x76, 0x77
HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS = 0x70, 0x71, 0x72
PROPERTIES, APPLICATION_PROPERTIES, FOOTER = 0x73, 0x74, 0x78

NULL = b"\x40"
TRUE, FALSE = b"\x41", b"\x42"


def fixed(code, form, value):
    """A fixed-width value."""
    return bytes([code]) + struct.pack(">" + form, value)


def short(code, data):
    """A variable-width value with one octet of length."""
    return bytes([code, len(data)]) + data


def long(code, data):
    """A variable-width value with four octets of length."""
    return bytes([code]) + struct.pack(">I", len(data)) + data


def string(text):
    """The usual encoding of a string."""
    data = text.encode()
    return short(0xA1, data) if len(data) < 256 else long(0xB1, data)


def symbol(text):
    """The usual encoding of a symbol."""
    return short(0xA3, text.encode())


def binary(data):
    """The usual encoding of a binary."""
    return short(0xA0, data) if len(data) < 256 else long(0xB0, data)


def compound(code, items, wide):
    """A list or map: `items` are encoded values."""
    body = b"".join(items)
    if wide:
        return bytes([code]) + struct.pack(">II", len(body) + 4, len(items)) + body
    return bytes([code, len(body) + 1, len(items)]) + body


def list8(*items):
    """A list with short length."""
    return compound(0xC0, items, False)


def list32(*items):
    """A list with long length."""
    return compound(0xD0, items, True)


def map8(*items):
    """A map with short length; keys and values alternate."""
    return compound(0xC1, items, False)


def map32(*items):
    """A map with long length; keys and values alternate."""
    return compound(0xD1, items, True)


def array8(constructor, *elements):
    """An array with short length; elements come without constructor."""
    body = constructor + b"".join(elements)
    return bytes([0xE0, len(body) + 1, len(elements)]) + body


def array32(constructor, *elements):
    """An array with long length; elements come without constructor."""
    body = constructor + b"".join(elements)
    return b"\xF0" + struct.pack(">II", len(body) + 4, len(elements)) + body


def described(descriptor, value):
    """A described value."""
    return b"\x00" + descriptor + value


def section(code, value):
    """A message section with the short descriptor."""
    return bytes([0x00, 0x53, code]) + value


def primitives():
    """(name, encoding) of the fixed and variable primitives, each code at its edges."""
    yield from (("null", NULL), ("true", TRUE), ("false", FALSE))
    yield from (("boolean true", b"\x56\x01"), ("boolean false", b"\x56\x00"))
    for code, form, name, values in FIXED:
        for value in values:
            yield "%s %02x %r" % (name, code, value), fixed(code, form, value)
    yield "uint0", b"\x43"
    yield "ulong0", b"\x44"
    yield "float nan with payload", b"\x72\x7f\xc0\x12\x34"
    yield "float signalling nan", b"\x72\x7f\x80\x00\x01"
    yield "double nan with payload", b"\x82\x7f\xf8\x00\x00\x00\x00\xbe\xef"
    yield "double minus zero", b"\x82\x80" + bytes(7)
    yield "decimal32", b"\x74\x22\x50\x00\x01"
    yield "decimal64", b"\x84\x22\x34\x00\x00\x00\x00\x00\x01"
    yield "decimal128", b"\x94\x22\x08" + bytes(13) + b"\x01"
    yield "char latin", b"\x73\x00\x00\x00\x41"
    yield "char astral", b"\x73\x00\x01\xf6\x00"
    yield "uuid", b"\x98" + bytes(range(16))
    for length in (0, 1, 255):
        data = bytes(i % 256 for i in range(length))
        yield "binary8 of %d" % length, short(0xA0, data)
        yield "string8 of %d" % length, short(0xA1, b"s" * length)
        yield "symbol8 of %d" % length, short(0xA3, b"y" * length)
    for length in (0, 5, 256, 70000):
        data = bytes(i % 251 for i in range(length))
        yield "binary32 of %d" % length, long(0xB0, data)
        yield "string32 of %d" % length, long(0xB1, b"s" * length)
        yield "symbol32 of %d" % length, long(0xB3, b"y" * length)
    yield "string of many alphabets", string("aé漢字🚀\u0000z")


FIXED = (
    (0x50, "B", "ubyte", (0, 255)),
    (0x60, "H", "ushort", (0, 65535)),
    (0x52, "B", "smalluint", (0, 255)),
    (0x70, "I", "uint", (0, 7, 2**32 - 1)),
    (0x53, "B", "smallulong", (0, 255)),
    (0x80, "Q", "ulong", (0, 7, 2**64 - 1)),
    (0x51, "b", "byte", (-128, 0, 127)),
    (0x61, "h", "short", (-2**15, 2**15 - 1)),
    (0x54, "b", "smallint", (-128, 127)),
    (0x71, "i", "int", (-2**31, 0, 2**31 - 1)),
    (0x55, "b", "smalllong", (-128, 127)),
    (0x81, "q", "long", (-2**63, 0, 2**63 - 1)),
    (0x72, "f", "float", (0.0, -1.5, float("inf"))),
    (0x82, "d", "double", (0.0, 1e300, float("-inf"))),
    (0x83, "q", "timestamp", (-1, 0, 1_700_000_000_123)),
)


def compounds():
    """(name, encoding) of lists, maps, arrays, described and nested values."""
    one = fixed(0x54, "b", 1)
    yield "list0", b"\x45"
    yield "empty list8", list8()
    yield "empty list32", list32()
    yield "list8 of all kinds", list8(NULL, TRUE, one, string("x"), list8(one), map8(one, one))
    yield "list32 of all kinds", list32(NULL, FALSE, binary(b"\x00\xff"), array8(b"\x50", b"\x07"))
    yield "long list", list32(*([one] * 5000))
    yield "empty map8", map8()
    yield "empty map32", map32()
    yield "map8", map8(string("k"), one, symbol("s"), NULL, one, list8(one))
    yield "map32", map32(string("k"), map32(one, map8()), TRUE, array8(b"\xa1", b"\x01a"))
    yield "map with repeated keys", map8(string("k"), one, string("k"), NULL)
    for code, width in ARRAY_CODES:
        for count in (0, 1, 3):
            elements = [bytes(width)] * count
            yield "array8 %02x of %d" % (code, count), array8(bytes([code]), *elements)
            yield "array32 %02x of %d" % (code, count), array32(bytes([code]), *elements)
    yield "array of strings", array8(b"\xa1", b"\x01a", b"\x00", b"\x02bc")
    yield "array of long symbols", array32(b"\xb3", b"\x00\x00\x00\x01a", b"\x00\x00\x00\x00")
    yield "array of lists", array32(b"\xc0", b"\x02\x01\x40", b"\x01\x00")
    yield "array of maps", array32(b"\xd1", struct.pack(">II", 4, 0))
    yield "array of arrays", array32(b"\xe0", b"\x03\x01\x50\x07", b"\x02\x00\x50")
    yield "array of described", array32(b"\x00" + symbol("t") + b"\xa1", b"\x01a", b"\x01b")
    yield "described by ulong", described(b"\x80" + bytes(7) + b"\x09", one)
    yield "described by smallulong", described(b"\x53\x09", string("v"))
    yield "described by symbol", described(symbol("example:thing:map"), map8(string("k"), one))
    yield "described by string", described(string("anything"), NULL)
    yield "described twice", described(symbol("a"), described(symbol("b"), list8(one)))
    yield "nested 12 deep", nested(12)
    yield "described in list in map", map8(symbol("k"), list8(described(symbol("d"), one)))


def nested(depth):
    """A list in a list and so on."""
    value = list32()
    for _ in range(depth - 1):
        value = list32(value)
    return value


ARRAY_CODES = (
    (0x40, 0), (0x41, 0), (0x42, 0), (0x43, 0), (0x44, 0), (0x45, 0), (0x56, 1), (0x50, 1),
    (0x51, 1), (0x52, 1), (0x53, 1), (0x54, 1), (0x55, 1), (0x60, 2), (0x61, 2), (0x70, 4),
    (0x71, 4), (0x72, 4), (0x73, 4), (0x74, 4), (0x80, 8), (0x81, 8), (0x82, 8), (0x83, 8),
    (0x84, 8), (0x94, 16), (0x98, 16),
)


def sections():
    """(name, message) with every section, alone and together."""
    one = fixed(0x54, "b", 1)
    body = section(VALUE, string("body"))
    header = section(HEADER, list8(TRUE, fixed(0x50, "B", 9), fixed(0x70, "I", 60000), TRUE,
                                   fixed(0x52, "B", 4)))
    delivery = section(DELIVERY_ANNOTATIONS, map8(symbol("x-opt-hop"), one))
    annotations = section(MESSAGE_ANNOTATIONS, map8(
        symbol("x-opt-user"), string("u"), symbol("x-user-list"), list8(one, NULL)))
    application = section(APPLICATION_PROPERTIES, map32(
        string("int"), one, string("text"), string("t"), string("bool"), TRUE, string("null"),
        NULL, string("uuid"), b"\x98" + bytes(16), string("time"), fixed(0x83, "q", 5)))
    footer = section(FOOTER, map8(symbol("x-foot"), binary(b"\x01\x02")))
    yield "value only", body
    yield "null value", section(VALUE, NULL)
    yield "empty data", section(DATA, binary(b""))
    yield "one data", section(DATA, binary(b"payload"))
    yield "three data", section(DATA, binary(b"a")) + section(DATA, binary(b"")) + section(
        DATA, long(0xB0, b"c"))
    yield "one sequence", section(SEQUENCE, list8(one, string("x")))
    yield "three sequences", section(SEQUENCE, b"\x45") + section(
        SEQUENCE, list32(one)) + section(SEQUENCE, list8(NULL))
    yield "header", header + body
    yield "empty header", section(HEADER, b"\x45") + body
    yield "delivery annotations", delivery + body
    yield "message annotations", annotations + body
    yield "properties", section(PROPERTIES, list32(*properties(string("id")))) + body
    for name, identity in IDENTITIES:
        yield "message-id " + name, section(PROPERTIES, list8(identity)) + body
        yield "correlation-id " + name, section(
            PROPERTIES, list8(NULL, NULL, NULL, NULL, NULL, identity)) + body
    yield "application properties", application + body
    yield "footer", body + footer
    yield "all sections", header + delivery + annotations + section(
        PROPERTIES, list32(*properties(string("id")))) + application + body + footer
    wide = bytes([0x00, 0x80]) + bytes(7) + bytes([VALUE])
    yield "long descriptor", wide + string("body")
    yield "symbolic descriptor", described(symbol("amqp:amqp-value:*"), string("body"))
    yield "bytes of no section", b"garbage!!"


IDENTITIES = (
    ("ulong", fixed(0x80, "Q", 2**63)),
    ("smallulong", fixed(0x53, "B", 1)),
    ("uuid", b"\x98" + bytes(range(16))),
    ("binary", binary(b"\x00\x01")),
    ("string", string("m-1")),
)


def properties(identity):
    """All thirteen fields of the properties section."""
    return (
        identity, binary(b"user"), string("to"), string("subject"), string("reply-to"), identity,
        symbol("text/plain"), symbol("gzip"), fixed(0x83, "q", 1_700_000_000_000),
        fixed(0x83, "q", 1_600_000_000_000), string("group"), fixed(0x70, "I", 2**32 - 1),
        string("reply-group"))
