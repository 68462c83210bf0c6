//! Users and passwords, by every mechanism that the client has.

use causeway_interop::{Router, reference, soon};
use fe2o3_amqp::Connection;
use fe2o3_amqp::sasl_profile::{SaslProfile, SaslScramSha1, SaslScramSha256, SaslScramSha512};

fn profiles(user: &str, password: &str) -> [SaslProfile; 4] {
    [
        SaslProfile::Plain {
            username: user.to_owned(),
            password: password.to_owned(),
        },
        SaslProfile::ScramSha1(SaslScramSha1::new(user, password)),
        SaslProfile::ScramSha256(SaslScramSha256::new(user, password)),
        SaslProfile::ScramSha512(SaslScramSha512::new(user, password)),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_knows_the_password_gets_in_and_nobody_else() {
    if reference() {
        return;
    }
    let router = Router::start_with_users(&[("alice", "pencil")]);
    let url = format!("amqp://127.0.0.1:{}", router.port("PORT"));
    let open = async |profile: SaslProfile| {
        let builder = Connection::builder().container_id("interop-rust");
        let builder = builder.sasl_profile(profile);
        soon(builder.open(url.as_str())).await
    };
    for profile in profiles("alice", "pencil") {
        let mut connection = open(profile.clone()).await.expect("an Open");
        soon(connection.close()).await.expect("a Close");
    }
    for (user, password) in [("alice", "crayon"), ("mallory", "pencil")] {
        for profile in profiles(user, password) {
            assert!(open(profile).await.is_err(), "{user}");
        }
    }
}
