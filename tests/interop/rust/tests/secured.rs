//! Inside TLS, by every mechanism that the client has.

use std::sync::Arc;

use causeway_interop::{Router, certificate, reference, soon};
use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::sasl_profile::{SaslProfile, SaslScramSha1, SaslScramSha256, SaslScramSha512};
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Trusts an authority, and has a certificate of its own or none.
fn connector(authority: &str, own: Option<&str>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(certificate(authority)).expect("an authority");
    roots.add(trusted).expect("an authority");
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let chain = CertificateDer::from_pem_file(certificate(&format!("{own}.pem")));
            let key = PrivateKeyDer::from_pem_file(certificate(&format!("{own}.key")));
            let chain = vec![chain.expect("a certificate")];
            builder
                .with_client_auth_cert(chain, key.expect("a key"))
                .expect("a pair")
        }
    };
    TlsConnector::from(Arc::new(config))
}

/// Connects; what went wrong, in words, if it is refused.
async fn open(
    port: u16,
    connector: &TlsConnector,
    profile: SaslProfile,
) -> Result<ConnectionHandle<()>, String> {
    let url = format!("amqps://localhost:{port}");
    let builder = Connection::builder().container_id("interop-rust");
    let builder = builder
        .tls_connector(connector.clone())
        .sasl_profile(profile);
    let opened = soon(builder.open(url.as_str())).await;
    opened.map_err(|error| format!("{error:?}"))
}

/// A message comes through, and the connection ends in order.
async fn check(mut connection: ConnectionHandle<()>) {
    let begun = soon(Session::begin(&mut connection)).await;
    let mut session = begun.expect("a Begin");
    let receiver = soon(Receiver::attach(&mut session, "in", "secured")).await;
    let mut receiver = receiver.expect("an Attach");
    let sender = soon(Sender::attach(&mut session, "out", "secured")).await;
    let mut sender = sender.expect("an Attach");
    let sent = async { sender.send("inside").await.expect("an outcome") };
    let received = async {
        let delivery = receiver.recv::<String>().await.expect("a message");
        receiver.accept(&delivery).await.expect("a disposition");
        delivery.into_body()
    };
    let (outcome, text) = soon(async { tokio::join!(sent, received) }).await;
    assert!(outcome.is_accepted());
    assert_eq!(text, "inside");
    soon(session.end()).await.expect("an End");
    soon(connection.close()).await.expect("a Close");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn passwords() {
    if reference() {
        return;
    }
    let router = Router::start_secured(&[("alice", "pencil")]);
    let connector = connector("ca.pem", None);
    let profiles = |password: &str| {
        [
            SaslProfile::Plain {
                username: "alice".to_owned(),
                password: password.to_owned(),
            },
            SaslProfile::ScramSha1(SaslScramSha1::new("alice", password)),
            SaslProfile::ScramSha256(SaslScramSha256::new("alice", password)),
            SaslProfile::ScramSha512(SaslScramSha512::new("alice", password)),
        ]
    };
    for profile in profiles("pencil") {
        check(
            open(router.port("PORT_USERS"), &connector, profile)
                .await
                .expect("an Open"),
        )
        .await;
    }
    for profile in profiles("crayon") {
        let refused = open(router.port("PORT_USERS"), &connector, profile).await;
        assert!(refused.is_err());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn certificates() {
    if reference() {
        return;
    }
    let router = Router::start_secured(&[]);
    let port = router.port("PORT_CERTIFIED");
    let right = connector("ca.pem", Some("client"));
    check(
        open(port, &right, SaslProfile::External)
            .await
            .expect("an Open"),
    )
    .await;
    for own in [None, Some("forged")] {
        let wrong = connector("ca.pem", own);
        assert!(
            open(port, &wrong, SaslProfile::External).await.is_err(),
            "{own:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn anybody_and_a_router_that_is_not_trusted() {
    if reference() {
        return;
    }
    let router = Router::start_secured(&[]);
    let trusting = connector("ca.pem", None);
    let port = router.port("PORT_ANYBODY");
    check(
        open(port, &trusting, SaslProfile::Anonymous)
            .await
            .expect("an Open"),
    )
    .await;
    let port = router.port("PORT_USERS");
    assert!(open(port, &trusting, SaslProfile::Anonymous).await.is_err());
    let wary = connector("stranger.pem", None);
    let error = open(router.port("PORT_ANYBODY"), &wary, SaslProfile::Anonymous).await;
    assert!(error.expect_err("a stranger").contains("UnknownIssuer"));
}
