//! The examples of the standards: RFC 5802 §5 and RFC 7677 §3. That of SHA-512, which no standard
//! has, was worked out with another implementation of the hash functions.

use sasl::{Answer, Client, Credentials, Users};

use crate::{challenge, exchange};

struct Vector {
    mechanism: &'static str,
    client_nonce: &'static str,
    server_nonce: &'static str,
    salt: &'static str,
    /// The verifier of the password, as a file has it.
    keys: &'static str,
    client_final: &'static str,
    server_final: &'static str,
}

const VECTORS: [Vector; 3] = [
    Vector {
        mechanism: "SCRAM-SHA-1",
        client_nonce: "fyko+d2lbbFgONRv9qkxdawL",
        server_nonce: "3rfcNHYJY1ZVvWVs7j",
        salt: "QSXCR+Q6sek8bf92",
        keys: "6dlGYMOdZcOPutkcNY8U2g7vK9Y=:D+CSWLOshSulAsxiupA+qs2/fTE=",
        client_final: "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
                       p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        server_final: "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Vector {
        mechanism: "SCRAM-SHA-256",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        keys: "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
               wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        server_final: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
    Vector {
        mechanism: "SCRAM-SHA-512",
        client_nonce: "rOprNGfwEbeRWgbNEkqO",
        server_nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
        keys: "6AAub3065EYRmyFpM2RNwqK+eGnrkYuEWbXn19LsEmBq\
               zu8QaCXNc1FwpnX9NhH2hK/60dzj9DoO5DvVkOHbvg==:\
               jZHbYjC1aHh0/hKbxyBuGFjDrgjgKTT1esA7awWiKcRZ\
               0o/0b1yWEebBeSVkkCFewf91nLDfKF24mvD5nmE6rA==",
        client_final: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                       p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dyb\
                       EmDYXYTxwnYPJQ==",
        server_final: "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq\
                       199RVG2rR7N7Zw==",
    },
];

impl Vector {
    fn users(&self) -> Users {
        let Self {
            mechanism,
            salt,
            keys,
            ..
        } = self;
        let line = format!("user {mechanism}$4096:{salt}${keys}\n");
        Users::parse(&line, [0; 32]).expect("a file")
    }

    fn client_first(&self) -> String {
        format!("n,,n=user,r={}", self.client_nonce)
    }

    fn server_first(&self) -> String {
        let Self {
            client_nonce,
            server_nonce,
            salt,
            ..
        } = self;
        format!("r={client_nonce}{server_nonce},s={salt},i=4096")
    }
}

#[test]
fn the_server_says_what_the_standard_has() {
    for vector in &VECTORS {
        let mut server = exchange(vector.mechanism);
        let users = vector.users();
        let first = vector.client_first();
        let answer = server.respond(Some(first.as_bytes()), &users, vector.server_nonce);
        assert_eq!(challenge(&answer), vector.server_first());
        let last = server.respond(Some(vector.client_final.as_bytes()), &users, "unused");
        let Answer::Success { user, data } = last else {
            panic!("{} is refused", vector.mechanism);
        };
        assert_eq!(user, "user");
        assert_eq!(data.as_deref(), Some(vector.server_final.as_bytes()));
    }
}

#[test]
fn the_client_says_what_the_standard_has() {
    let credentials = Credentials {
        user: "user".into(),
        password: "pencil".into(),
    };
    for vector in &VECTORS {
        let begun = Client::begin(vector.mechanism, &credentials, vector.client_nonce);
        let (mut client, first) = begun.expect("credentials that can be sent");
        assert_eq!(first, vector.client_first().as_bytes());
        let last = client.respond(vector.server_first().as_bytes());
        assert_eq!(
            last.expect("an answer"),
            vector.client_final.as_bytes(),
            "{}",
            vector.mechanism
        );
        assert_eq!(client.finish(Some(vector.server_final.as_bytes())), Ok(()));
    }
}
