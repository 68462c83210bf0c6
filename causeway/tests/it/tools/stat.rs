//! `causeway stat` and `qdstat`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use causeway::{ClusterSettings, Topology};

use super::{err, json, out, run, run_at};
use crate::harness::{CAUSEWAY, Router, converged, signal};

const ROUTED: &str = "linkRoute {\n prefix: lr\n direction: in\n containerId: c\n}\n\
    linkRoute {\n pattern: other/#\n direction: out\n containerId: c\n}\n\
    autoLink {\n address: queue.a\n direction: in\n containerId: c\n}\n\
    autoLink {\n address: queue.a\n direction: out\n externalAddress: ext.a\n containerId: c\n}\n";

/// Runs `qdstat` on a router; its output without the line of the date, which is checked.
fn qdstat(router: &Router, arguments: &[&str]) -> String {
    let all: Vec<&str> = arguments.iter().copied().chain(["-b", "URL"]).collect();
    without_date(&out(&run("qdstat", router, &all)))
}

fn without_date(text: &str) -> String {
    let (date, rest) = text.split_once('\n').unwrap_or((text, ""));
    let shape: String = date
        .chars()
        .map(|c| if c.is_ascii_digit() { '9' } else { c })
        .collect();
    assert_eq!(shape, "9999-99-99 99:99:99.999999 UTC", "{text}");
    rest.to_owned()
}

#[test]
fn the_incumbent_s_tables_are_laid_out_as_scripts_know() {
    let router = Router::start(ROUTED);
    assert_eq!(
        qdstat(&router, &["--linkroutes"]),
        "Tested\n\nLink Routes\n  address  dir  distrib       status\n  \
         ======================================\n  \
         lr       in   linkBalanced  inactive\n  \
         other/#  out  linkBalanced  inactive\n"
    );
    assert_eq!(
        qdstat(&router, &["--autolinks"]),
        "Tested\n\nAutoLinks\n  addr     dir  phs  extAddr  link  status    lastErr\n  \
         =====================================================\n  \
         queue.a  in   1                   inactive  \n  \
         queue.a  out  0    ext.a          inactive  \n"
    );
    assert_eq!(
        qdstat(&router, &["--autolinks", "--csv", "--limit", "1"]),
        "Tested\n\nAutoLinks\n\
         \"addr\",\"dir\",\"phs\",\"extAddr\",\"link\",\"status\",\"lastErr\"\n\
         \"queue.a\",\"in\",\"1\",,,\"inactive\",\n"
    );
    let general = qdstat(&router, &[]);
    let mut lines = general.lines().skip(2);
    assert_eq!(lines.next(), Some("Router Statistics"));
    assert_eq!(
        lines.next(),
        Some("  attr                             value")
    );
    assert_eq!(
        lines.next().map(str::trim_end),
        Some(&*format!("  {}", "=".repeat(47)))
    );
    let version = format!(
        "  Version                          {}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(lines.next(), Some(&*version));
    assert_eq!(
        lines.next(),
        Some("  Mode                             standalone")
    );
    assert_eq!(
        lines.next(),
        Some("  Router Id                        Tested")
    );
    assert!(
        general.contains("\n  Link Routes                      2\n"),
        "{general}"
    );
}

#[test]
fn live_tables_have_the_incumbent_s_columns() {
    let router = Router::start("");
    for (option, title, heads) in [
        (
            "-c",
            "Connections",
            "id host container role proto dir security authentication tenant last dlv uptime",
        ),
        (
            "-l",
            "Router Links",
            "type dir conn id id peer class addr phs cap pri undel unsett deliv presett psdrop \
             acc rej rel mod delay rate stuck cred blkd",
        ),
        (
            "-lv",
            "Router Links",
            "type dir conn id id peer class addr phs cap pri undel unsett deliv presett psdrop \
             acc rej rel mod delay rate stuck cred blkd admin oper name",
        ),
        (
            "-av",
            "Router Addresses",
            "class addr phs distrib pri in-proc local remote in out thru fallback to-proc \
             from-proc",
        ),
    ] {
        let text = qdstat(&router, &[option]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..3], ["Tested", "", title], "{text}");
        let words: Vec<&str> = lines[3].split_whitespace().collect();
        assert_eq!(words.join(" "), heads);
        assert!(lines[4].trim_start().chars().all(|c| c == '='), "{text}");
        assert!(lines.len() > 5, "{text}");
    }
    // Who asks does not authenticate.
    let connections = qdstat(&router, &["-c"]);
    let row = connections.lines().last().unwrap();
    assert!(
        row.contains("  normal  amqp   in   no-security  no-auth  "),
        "{row}"
    );
    assert!(row.ends_with("000:00:00:00  000:00:00:00"), "{row}");
}

#[test]
fn what_there_is_not_is_said_as_it_always_was() {
    let router = Router::start("");
    let after_header = |arguments: &[&str]| {
        let text = qdstat(&router, arguments);
        text.strip_prefix("Tested\n\n").unwrap().to_owned()
    };
    assert_eq!(
        after_header(&["-n"]),
        "Router is Standalone - No Router List\n"
    );
    assert_eq!(
        after_header(&["--autolinks"]),
        "AutoLinks\nNo AutoLinks found\n"
    );
    assert_eq!(
        after_header(&["--linkroutes"]),
        "Link Routes\nNo Link Routes found\n"
    );
    let bare = |option: &str| out(&run("qdstat", &router, &[option, "-b", "URL"]));
    assert_eq!(bare("--vhosts"), "No Vhosts\n");
    assert_eq!(bare("--vhostgroups"), "No Vhosts\n");
    assert_eq!(bare("--vhoststats"), "No Vhost Stats\n");
    let log = bare("--log");
    let line = log
        .lines()
        .find(|line| line.contains("Container Name: Tested"));
    let words: Vec<&str> = line.unwrap().split_whitespace().collect();
    assert_eq!(words[5..7], ["SERVER", "(info)"], "{log}");
    assert_eq!(words[3].len(), "23:23:52".len(), "{log}");
    let all = qdstat(&router, &["--all-entities"]);
    let order = [
        "Router Links",
        "Router Addresses",
        "Connections",
        "AutoLinks",
        "Link Routes",
    ];
    let places: Vec<_> = order
        .iter()
        .map(|title| all.find(&format!("\n{title}\n")))
        .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{all}"
    );
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_the_usage() {
    let router = Router::start("");
    for arguments in [
        &["-c", "-l"][..],
        &["--nonsense"],
        &["--all-routers", "-r", "A"],
    ] {
        let output = run("qdstat", &router, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let said = err(&output);
        assert!(said.starts_with("usage: qdstat "), "{said}");
        assert!(said.contains("\nqdstat: error: "), "{said}");
    }
    let help = run("qdstat", &router, &["--help"]);
    assert!(out(&help).contains("Usage: qdstat"), "{}", out(&help));
}

#[test]
fn all_routers_of_a_network_answer_through_one() {
    let settings = ClusterSettings {
        routers: 2,
        topology: Topology::Line,
        ..ClusterSettings::default()
    };
    let cluster = converged(settings);
    let url = cluster.url("A").unwrap();
    let nodes = without_date(&out(&run_at("qdstat", &url, &["-n", "-v", "-b", "URL"])));
    let lines: Vec<&str> = nodes.lines().collect();
    assert_eq!(lines[2], "Routers in the Network");
    assert!(
        lines[3].starts_with("Last Topology Change: ") && lines[3].ends_with(" GMT"),
        "{nodes}"
    );
    let heads = "router-id next-hop link ver cost neighbors valid-origins";
    assert_eq!(
        lines[4].split_whitespace().collect::<Vec<_>>().join(" "),
        heads
    );
    assert_eq!(
        lines[6].split_whitespace().collect::<Vec<_>>(),
        ["A", "(self)", "-", "1", "['B']", "[]"]
    );
    let b = lines[7].split_whitespace().collect::<Vec<_>>();
    assert_eq!((b[0], b[1], b[4], b[5]), ("B", "-", "1", "['A']"));
    let all = without_date(&out(&run_at(
        "qdstat",
        &url,
        &["--all-routers", "-b", "URL"],
    )));
    assert!(all.starts_with("Router  A\n\nRouter Statistics\n"), "{all}");
    assert!(
        all.contains("\n\nRouter  B\n\nRouter Statistics\n"),
        "{all}"
    );
    let other = without_date(&out(&run_at("qdstat", &url, &["-r", "B", "-b", "URL"])));
    assert!(other.starts_with("B\n\nRouter Statistics\n"), "{other}");
    let both = json(&run_at(
        "causeway",
        &url,
        &["stat", "--all-routers", "-g", "--json", "--url", "URL"],
    ));
    assert_eq!(both["B"][0]["id"], "B");
    assert_eq!(both["A"][0]["id"], "A");
    let asked = ["stat", "nodes", "connectors", "--all-routers", "--csv"];
    let table = out(&run_at(
        "causeway",
        &url,
        &[&asked[..], &["--url", "URL"]].concat(),
    ));
    let (nodes, connectors) = table.split_once("\n\n").unwrap();
    let begin = |text: &str| -> Vec<String> {
        let fields = text.lines().map(|line| line.split(',').take(2));
        fields
            .map(|two| two.collect::<Vec<_>>().join(","))
            .collect()
    };
    let expected = [
        r#""router","router-id""#,
        r#""A","A""#,
        r#""A","B""#,
        r#""B","A""#,
        r#""B","B""#,
    ];
    assert_eq!(begin(nodes), expected, "{table}");
    let heads = connectors
        .lines()
        .filter(|line| line.starts_with("\"router\","));
    assert_eq!(heads.count(), 1, "{table}");
}

#[test]
fn a_router_by_itself_is_all_routers() {
    let router = Router::start("");
    let asked = ["stat", "--all-routers", "--csv", "-a", "--url", "URL"];
    let table = out(&run("causeway", &router, &asked));
    assert!(table.starts_with("\"router\",\"class\","), "{table}");
    let id = table.lines().nth(1).and_then(|line| line.split(',').next());
    assert!(id.is_some_and(|id| id.len() > 2), "{table}");
}

#[test]
fn of_several_tables_those_are_chosen_from_that_have_the_column() {
    let router = Router::start(ROUTED);
    let stat = |arguments: &[&str]| {
        let all = [&["stat", "--url", "URL"][..], arguments].concat();
        run("causeway", &router, &all)
    };
    let filter = ["--filter", "addr=$m*"];
    let text = out(&stat(&[&["--all-entities"][..], &filter].concat()));
    assert!(
        text.contains("Addresses\n") && text.contains("$management"),
        "{text}"
    );
    assert!(!text.contains("Memory Pools"), "{text}");
    let some = json(&stat(&[&["-a", "-m", "--json"][..], &filter].concat()));
    assert!(!some["addresses"].as_array().unwrap().is_empty());
    assert!(some.get("memory").is_none(), "{some}");
    let sorted = stat(&["-a", "-m", "--sort=addr"]);
    assert!(out(&sorted).contains("Memory Pools"), "{}", err(&sorted));
    let none = stat(&["-a", "-m", "--filter", "nobody=x"]);
    assert!(
        err(&none).contains("none of these tables"),
        "{}",
        err(&none)
    );
    let none = stat(&["-a", "-m", "--sort=nobody"]);
    assert!(err(&none).contains("no column `nobody`"), "{}", err(&none));
}

#[test]
fn rows_are_chosen_and_sorted() {
    let router = Router::start(ROUTED);
    let stat = |arguments: &[&str]| {
        let all = [&["stat", "--url", "URL"][..], arguments].concat();
        run("causeway", &router, &all)
    };
    let csv = out(&stat(&[
        "-a",
        "--csv",
        "--filter",
        "class=mobile",
        "--filter",
        "addr=$m*",
    ]));
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(
        lines[1].starts_with("\"mobile\",\"$management\",\"0\",\"closest\""),
        "{csv}"
    );
    let sorted = json(&stat(&["--autolinks", "--json", "--sort=-direction"]));
    assert_eq!(sorted[0]["direction"], "out");
    let limited = json(&stat(&[
        "--autolinks",
        "--json",
        "--sort=dir",
        "--limit",
        "1",
    ]));
    assert_eq!(
        (limited.as_array().unwrap().len(), &limited[0]["direction"]),
        (1, &"in".into())
    );
    let unknown = stat(&["-a", "--filter", "colour=red"]);
    assert_eq!(unknown.status.code(), Some(1));
    let said = err(&unknown);
    assert!(
        said.contains("no column `colour` in Addresses") && said.contains("distrib"),
        "{said}"
    );
    let routes = out(&stat(&["--linkroutes", "-v"]));
    assert!(
        routes.contains("other/#") && routes.contains("container"),
        "{routes}"
    );
    for option in ["--vhosts", "--vhostgroups", "--vhoststats", "--edge"] {
        let text = out(&stat(&[option]));
        assert!(text.ends_with("\n  none\n"), "{text}");
    }
    let log = out(&stat(&["--log", "--filter", "text=*Container Name*"]));
    assert!(
        log.ends_with("Container Name: Tested\n") && log.lines().count() == 1,
        "{log}"
    );
}

#[test]
fn the_log_that_is_read_has_what_was_said_just_before() {
    let router = Router::start("log {\n module: AGENT\n enable: debug+\n}\n");
    for _ in 0..5 {
        let log = run("qdstat", &router, &["--log", "--limit=1", "-b", "URL"]);
        let line = out(&log);
        assert!(
            line.contains("AGENT (debug)") && line.contains("GET-LOG"),
            "{line}"
        );
    }
}

#[test]
fn a_table_is_watched_until_it_is_enough() {
    let router = Router::start("");
    let url = format!("amqp://127.0.0.1:{}", router.port);
    let mut watching = Command::new(CAUSEWAY)
        .args(["stat", "-c", "--url", &url, "--watch=50ms"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let titles = lines
        .map_while(Result::ok)
        .filter(|line| line == "Connections");
    assert_eq!(titles.take(3).count(), 3);
    signal(watching.id(), "INT");
    watching.wait().unwrap();
}
