//! Both ends of a connection, with the wire between them in the test's hand.

use amqp_proto::{RecvBuf, SendQueue, Transform};
use tls::{ClientCertificate, Material, Profile};

/// One end.
pub(crate) struct End {
    pub(crate) transform: Box<dyn Transform>,
    pub(crate) output: SendQueue,
    pub(crate) wire: SendQueue,
    pub(crate) input: RecvBuf,
    pub(crate) error: Option<String>,
}

impl End {
    pub(crate) fn new(transform: Box<dyn Transform>) -> Self {
        Self {
            transform,
            output: SendQueue::new(),
            wire: SendQueue::new(),
            input: RecvBuf::new(),
            error: None,
        }
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.output.inline().extend_from_slice(bytes);
    }

    /// What it has for the wire.
    pub(crate) fn sealed(&mut self) -> Vec<u8> {
        self.transform
            .seal(&mut self.output, &mut self.wire)
            .unwrap();
        let bytes = self.wire.to_bytes();
        self.wire.consume(bytes.len());
        bytes
    }

    /// Takes bytes from the wire, in pieces of this size.
    pub(crate) fn hear(&mut self, bytes: &[u8], piece: usize) {
        for piece in bytes.chunks(piece.max(1)) {
            let heard = self.transform.open(&mut piece.to_vec(), &mut self.input);
            self.error = self
                .error
                .take()
                .or(heard.err().map(|error| error.to_string()));
        }
    }
}

/// A connector and a listener.
pub(crate) struct Two {
    pub(crate) client: End,
    pub(crate) server: End,
    /// Bytes of each piece in which the wire carries what is sent.
    pub(crate) piece: usize,
}

/// A profile that has no errors.
pub(crate) fn profile(material: Material) -> Profile {
    Profile::new(material).unwrap()
}

impl Two {
    /// Of these profiles; the client has dialled `host`.
    pub(crate) fn new(client: Material, host: &str, server: Material) -> Self {
        Self::asking(client, host, server, ClientCertificate::No)
    }

    pub(crate) fn asking(
        client: Material,
        host: &str,
        server: Material,
        asked: ClientCertificate,
    ) -> Self {
        Self {
            client: End::new(profile(client).connect(host, true).unwrap()),
            server: End::new(profile(server).accept(true, asked).unwrap()),
            piece: usize::MAX,
        }
    }

    /// Carries what both say until neither has anything to say.
    pub(crate) fn run(mut self) -> Self {
        loop {
            let (up, down) = (self.client.sealed(), self.server.sealed());
            if up.is_empty() && down.is_empty() {
                return self;
            }
            self.server.hear(&up, self.piece);
            self.client.hear(&down, self.piece);
        }
    }

    /// Why the client, else the server, has failed.
    pub(crate) fn errors(&self) -> (String, String) {
        let text = |end: &End| end.error.clone().unwrap_or_default();
        (text(&self.client), text(&self.server))
    }
}

/// A session that data can pass.
pub(crate) fn established(material: Material, trust: Material, host: &str) -> Two {
    let two = Two::new(trust, host, material).run();
    assert_eq!(two.errors(), (String::new(), String::new()));
    assert!(two.client.transform.is_ready() && two.server.transform.is_ready());
    two
}
