//! The page about metrics, the dashboard and the alerts say what a router really serves.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use super::probe::Scene;
use crate::harness::Directory;

/// What stands in the page where the table begins and where it ends.
const BEGIN: &str = "<!-- the table: WRITE_DOCS=1 cargo nextest run -p causeway page -->\n";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

/// All that a router serves that has something of everything.
fn everything() -> String {
    let folder = Directory::new();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let certificate = folder.write("cert.pem", &made.cert.pem());
    let key = folder.write("key.pem", &made.signing_key.serialize_pem());
    let profile = format!(
        "sslProfile {{\n name: server\n certFile: {0}\n privateKeyFile: {1}\n caCertFile: \
         {0}\n}}\n",
        certificate.display(),
        key.display()
    );
    let connector = "connector {\n name: broker\n host: 127.0.0.1\n port: 1\n}\n";
    let scene = Scene::start(
        "addressSeriesMax: 100\n connectionSeriesMax: 100",
        &format!("{profile}{connector}"),
    );
    let url = format!("amqp://{}/orders", scene.place("amqp"));
    let mut receiver = std::process::Command::new(crate::harness::CAUSEWAY);
    receiver
        .args(["recv", "-n", "1", &url])
        .stdout(std::process::Stdio::null());
    let mut receiver = receiver.spawn().unwrap();
    // The count of answers has none before the first.
    scene.get("/healthz");
    let text = loop {
        let text = scene.get("/metrics").body;
        if text.contains("causeway_address_receivers{")
            && text.contains("causeway_connection_links{")
        {
            break text;
        }
    };
    receiver.kill().unwrap();
    receiver.wait().unwrap();
    text
}

/// The table of a page: each metric with its type, labels and meaning.
fn table(text: &str) -> String {
    let mut labels: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let Some((name, rest)) = series.split_once('{') else {
            continue;
        };
        let names = rest.split("=\"").filter_map(|part| {
            let start = part.rfind([',', '"']).map_or(0, |at| at + 1);
            let name = &part[start..];
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            (is_name && !name.is_empty()).then_some(name)
        });
        labels.entry(name).or_default().extend(names);
    }
    let mut table = "| series | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    let mut help = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').unwrap().1;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            let labels = labels.get(name).into_iter().flatten();
            let labels: Vec<_> = labels.map(|label| format!("`{label}`")).collect();
            let labels = labels.join(", ");
            writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
        }
    }
    table
}

/// Words of a text that are names of series.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c));
    let prefixes = ["qdr_", "causeway_", "process_"];
    words
        .filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)))
        .collect()
}

#[test]
fn the_page_of_metrics_is_what_is_served_and_queries_name_what_there_is() {
    let served = everything();
    let path = file("docs/metrics.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, _) = page.split_once(BEGIN).unwrap();
    let wanted = format!("{before}{BEGIN}\n{}", table(&served));
    if env::var_os("WRITE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "docs/metrics.md is out of date: WRITE_DOCS=1 writes it anew"
        );
    }
    let there: BTreeSet<_> = names(&served);
    for name in ["dashboard.json", "alerts.yml"] {
        let text = fs::read_to_string(file("examples/monitoring").join(name)).unwrap();
        let named = names(&text);
        assert!(named.len() > 5, "{name} names {named:?}");
        let unknown: Vec<_> = named.difference(&there).collect();
        assert!(
            unknown.is_empty(),
            "{name} names what is not served: {unknown:?}"
        );
    }
    let unknown: Vec<_> = names(before).difference(&there).copied().collect();
    assert!(
        unknown.is_empty(),
        "the page names what is not served: {unknown:?}"
    );
    let json = fs::read_to_string(file("examples/monitoring/dashboard.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(json["panels"].as_array().unwrap().len() > 10);
}
