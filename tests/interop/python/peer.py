"""AMQP peers on Proton's engine, many connections driven by one thread.

Proton decides all of the protocol; this file only moves bytes between its transports and sockets
and remembers what came. The engine API is used instead of the reactor because tests need message
bytes as they are on the wire, and sockets that can be cut.
"""

import collections
import itertools
import selectors
import socket
import time

from proton import Collector, Connection, Delivery, Endpoint, Event, Link, Message, Transport

WAIT_SECONDS = 60
TICK_SECONDS = 1
READ_BYTES = 256 * 1024
PART = 1024 * 1024
NAMES = itertools.count(1)


class Received:
    """A delivery that arrived, whole, aborted or still growing."""

    def __init__(self, delivery):
        self.delivery = delivery
        self.parts = []
        self.complete = False
        self.aborted = False
        self.settled_first = False

    @property
    def data(self):
        """The bytes of the message so far."""
        return b"".join(self.parts)

    @property
    def message(self):
        """The message, decoded by Proton."""
        message = Message()
        message.decode(self.data)
        return message

    @property
    def body(self):
        """The decoded body."""
        return self.message.body

    def accept(self):
        """Settles as accepted."""
        self.settle(Delivery.ACCEPTED)

    def settle(self, state=None):
        """Settles, with `state` if one is given."""
        if state is not None:
            self.delivery.update(state)
        self.delivery.settle()


class Sender:
    """A link that sends."""

    def __init__(self, wire, link):
        self.wire = wire
        self.link = link
        self.attached = False
        self.closed = False
        self.condition = None
        self.flows = 0
        self.tags = itertools.count(1)

    @property
    def credit(self):
        """Deliveries that may be sent now."""
        return self.link.credit

    def begin(self):
        """A new delivery, to be filled with `link.stream`."""
        return self.link.delivery("t%d" % next(self.tags))

    def send(self, message, settled=False):
        """Sends a message or its bytes when there is credit; returns the delivery."""
        self.wire.loop.until(lambda: self.credit > 0 or self.closed, "credit to send")
        delivery = self.begin()
        data = message if isinstance(message, bytes) else message.encode()
        # The client moves all it still holds after each frame, so a long message is given in parts;
        # but one given in parts is not known to be settled before its end.
        part = max(len(data), 1) if settled else PART
        for start in range(0, len(data), part):
            self.link.stream(data[start:start + part])
            self.wire.loop.touch(self.wire)
            if start + part < len(data):
                self.wire.loop.until(lambda: delivery.pending <= PART, "room for more")
        self.link.advance()
        if settled:
            delivery.settle()
        self.wire.loop.touch(self.wire)
        return delivery

    def outcome(self, delivery, settled=True):
        """Waits for the router's word on a delivery; returns its state."""
        def told():
            return delivery.settled if settled else (delivery.remote_state or delivery.settled)
        self.wire.loop.until(told, "an outcome")
        return delivery.remote_state

    def deliver(self, message):
        """Sends, waits, returns the outcome."""
        delivery = self.send(message)
        state = self.outcome(delivery)
        delivery.settle()
        return state


class Receiver:
    """A link that receives; it accepts what comes unless `manual`."""

    def __init__(self, wire, link, manual):
        self.wire = wire
        self.link = link
        self.manual = manual
        self.attached = False
        self.closed = False
        self.condition = None
        self.flows = 0
        self.top_up = 0
        self.queue = collections.deque()
        self.growing = None

    @property
    def address(self):
        """The source address that the router confirmed."""
        return self.link.remote_source.address

    def grant(self, credit):
        """Gives the router `credit` more."""
        self.link.flow(credit)
        self.wire.loop.touch(self.wire)

    def take(self, count=1):
        """Waits for `count` complete deliveries and returns them."""
        self.wire.loop.until(lambda: len(self.queue) >= count, "%d deliveries" % count)
        return [self.queue.popleft() for _ in range(count)]

    def one(self):
        """Waits for one complete delivery."""
        return self.take(1)[0]

    def on_delivery(self, delivery):
        """Moves what is readable into the record of the delivery."""
        # Deliveries of a link do not interleave, so one record is enough. (Proton's tags are no
        # use as keys: it reads them as text, but they are any bytes.)
        if self.growing is None:
            self.growing = Received(delivery)
        record = self.growing
        if delivery.aborted:
            record.aborted = True
            delivery.settle()
        else:
            while delivery.pending:
                record.parts.append(self.link.recv(delivery.pending))
            if delivery.partial:
                return
        self.growing = None
        record.complete = not record.aborted
        record.settled_first = delivery.settled
        if self.link.current and self.link.current == delivery:
            self.link.advance()
        self.queue.append(record)
        if self.top_up and self.link.credit < self.top_up // 2:
            self.link.flow(self.top_up - self.link.credit)
        if record.complete and not self.manual:
            record.accept()


class Wire:
    """One connection: socket, transport and the links on it."""

    def __init__(self, loop, port, sasl=True, container=None, max_frame_size=None,
                 hostname=None, properties=None):
        self.loop = loop
        self.connection = Connection()
        self.connection.container = container or "peer-%d" % next(NAMES)
        if hostname:
            self.connection.hostname = hostname
        if properties:
            self.connection.properties = properties
        self.collector = Collector()
        self.connection.collect(self.collector)
        self.transport = Transport()
        if sasl:
            self.transport.sasl().allowed_mechs("ANONYMOUS")
        if max_frame_size:
            self.transport.max_frame_size = max_frame_size
        self.transport.bind(self.connection)
        self.links = {}
        self.default_session = None
        self.ended = False
        self.closed = False
        self.condition = None
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        loop.add(self)
        self.connection.open()

    @property
    def open(self):
        """True once the router has answered the Open."""
        return bool(self.connection.state & Endpoint.REMOTE_ACTIVE)

    def ready(self):
        """Waits for the router's Open."""
        self.loop.until(lambda: self.open or self.closed, "the router's Open")
        return self

    def session(self):
        """A new session."""
        session = self.connection.session()
        session.open()
        return session

    def _session(self, session):
        if session is not None:
            return session
        if self.default_session is None:
            self.default_session = self.session()
        return self.default_session

    def sender(self, address, wait=True, session=None, name=None, setup=None):
        """A sending link to `address` (None: the anonymous terminus)."""
        link = self._session(session).sender(name or "s%d" % next(NAMES))
        link.target.address = address
        if setup:
            setup(link)
        sender = Sender(self, link)
        self._start(link, sender, wait)
        return sender

    def receiver(self, address, credit=100, wait=True, manual=False, session=None, name=None,
                 top_up=False, setup=None):
        """A receiving link from `address` (None: a dynamic one)."""
        link = self._session(session).receiver(name or "r%d" % next(NAMES))
        if address is None:
            link.source.dynamic = True
        else:
            link.source.address = address
        if setup:
            setup(link)
        receiver = Receiver(self, link, manual)
        receiver.top_up = credit if top_up else 0
        self._start(link, receiver, False)
        if credit:
            link.flow(credit)
        if wait:
            self._attached(receiver)
        return receiver

    def _start(self, link, record, wait):
        self.links[link.is_sender, link.name] = record
        link.open()
        self.loop.touch(self)
        if wait:
            self._attached(record)

    def _attached(self, record):
        def done():
            return record.attached or record.closed or self.closed
        self.loop.until(done, "an attach for %r" % record.link.name)

    def detach(self, record):
        """Closes a link and waits for the router's answer."""
        record.link.close()
        self.loop.touch(self)
        self.loop.until(lambda: record.closed or self.closed, "the router's detach")

    def close(self):
        """Closes in order and waits for the router's Close."""
        self.connection.close()
        self.loop.touch(self)
        self.loop.until(lambda: self.closed, "the router's Close")

    def cut(self):
        """Drops the socket, as a crash would."""
        self.loop.remove(self)
        self.socket.close()
        self.ended = self.closed = True

    def on_readable(self):
        """Feeds the transport what the socket has."""
        room = self.transport.capacity()
        if room == 0:
            return
        try:
            data = self.socket.recv(min(room, READ_BYTES)) if room > 0 else b""
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.transport.push(data)
        else:
            self.transport.close_tail()
            self.events()
            self.closed = self.ended = True
            self.loop.remove(self)
            self.socket.close()

    def write(self):
        """Writes what the transport has; True if the socket took all of it."""
        while True:
            pending = self.transport.pending()
            if pending <= 0:
                return True
            try:
                count = self.socket.send(self.transport.peek(pending))
            except BlockingIOError:
                return False
            except OSError:
                self.transport.close_head()
                return True
            self.transport.pop(count)

    def events(self):
        """Handles what the engine has to say."""
        while True:
            event = self.collector.peek()
            if event is None:
                return
            handle = HANDLERS.get(event.type)
            if handle:
                handle(self, event)
            self.collector.pop()

    def _record(self, link):
        return self.links.get((link.is_sender, link.name))

    def _on_delivery(self, event):
        delivery = event.delivery
        record = self._record(delivery.link)
        if isinstance(record, Receiver) and (delivery.readable or delivery.aborted):
            record.on_delivery(delivery)

    def _on_attach(self, event):
        record = self._record(event.link)
        # A refused link is attached with no terminus of ours and detached at once.
        link = event.link
        address = link.remote_target if link.is_sender else link.remote_source
        if record and address.type != 0:
            record.attached = True

    def _on_detach(self, event):
        record = self._record(event.link)
        if record:
            record.closed = True
            record.condition = event.link.remote_condition
        event.link.close()

    def _on_flow(self, event):
        record = self._record(event.link)
        if record:
            record.flows += 1

    def _on_close(self, event):
        self.closed = True
        self.condition = event.connection.remote_condition
        event.connection.close()


HANDLERS = {
    Event.DELIVERY: Wire._on_delivery,
    Event.LINK_REMOTE_OPEN: Wire._on_attach,
    Event.LINK_REMOTE_CLOSE: Wire._on_detach,
    Event.LINK_REMOTE_DETACH: Wire._on_detach,
    Event.LINK_FLOW: Wire._on_flow,
    Event.CONNECTION_REMOTE_CLOSE: Wire._on_close,
}


class Loop:
    """Drives all wires until something is true."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.wires = set()
        self.dirty = set()
        self.blocked = set()
        self.ticked = time.monotonic()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for wire in list(self.wires):
            wire.cut()
        self.selector.close()

    def connect(self, port, wait=True, **options):
        """A new connection; waits for the router's Open unless told otherwise."""
        wire = Wire(self, port, **options)
        return wire.ready() if wait else wire

    def add(self, wire):
        """Takes a wire into the loop."""
        self.wires.add(wire)
        self.dirty.add(wire)
        self.selector.register(wire.socket, selectors.EVENT_READ, wire)

    def remove(self, wire):
        """Lets go of a wire."""
        if wire in self.wires:
            self.wires.discard(wire)
            self.blocked.discard(wire)
            self.selector.unregister(wire.socket)

    def touch(self, wire):
        """Says that a wire may have something to write."""
        self.dirty.add(wire)

    def _flush(self, wires):
        for wire in wires:
            wire.events()
            if wire not in self.wires:
                continue
            done = wire.write()
            if done and wire in self.blocked:
                self.blocked.discard(wire)
                self.selector.modify(wire.socket, selectors.EVENT_READ, wire)
            elif not done and wire not in self.blocked:
                self.blocked.add(wire)
                both = selectors.EVENT_READ | selectors.EVENT_WRITE
                self.selector.modify(wire.socket, both, wire)

    def _tick(self):
        """Lets the transports keep idle connections alive."""
        now = time.monotonic()
        if now - self.ticked >= TICK_SECONDS:
            self.ticked = now
            for wire in self.wires:
                wire.transport.tick(now)
                self.dirty.add(wire)

    def turn(self, seconds):
        """Moves bytes once; waits at most `seconds` for the first."""
        # With few wires all of them are looked at; with many only those that were touched.
        self._tick()
        self._flush(list(self.wires) if len(self.wires) < 50 else list(self.dirty))
        self.dirty.clear()
        ready = set()
        for key, mask in self.selector.select(seconds):
            wire = key.data
            if mask & selectors.EVENT_READ:
                wire.on_readable()
            ready.add(wire)
        self._flush(ready)
        self.dirty |= ready

    def until(self, condition, what, seconds=WAIT_SECONDS):
        """Drives until `condition()` holds; fails loudly if it never does."""
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError("waited %d s for %s" % (seconds, what))
            self.turn(min(left, 1.0))


__all__ = ["Delivery", "Link", "Loop", "Message", "Received", "Receiver", "Sender", "Wire"]
