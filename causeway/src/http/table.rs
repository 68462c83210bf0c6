//! Every metric that the router serves: name, kind, unit, meaning, and what to make of it. The page
//! about metrics is this table.

use prometheus::proto::MetricType;
use router_core::counters::Counter;

/// One metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: MetricType,
    pub(super) help: &'static str,
    /// The labels of its series.
    pub(super) labels: &'static [&'static str],
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric {
        name,
        kind: MetricType::GAUGE,
        help,
        labels,
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric {
        name,
        kind: MetricType::COUNTER,
        help,
        labels,
    }
}

/// The value of a metric that the incumbent has, too.
#[derive(Clone, Copy, Debug)]
pub(super) enum Column {
    Of(Counter),
    Addresses,
    Routers,
    LinkRoutes,
    AutoLinks,
}

/// The metrics of Qpid Dispatch, under its names and in its order.
pub(super) const INCUMBENT: &[(Metric, Column)] = &[
    (
        gauge("qdr_connections_total", &[], "Connections that are open."),
        Column::Of(Counter::Connections),
    ),
    (
        gauge("qdr_links_total", &[], "Links that are attached."),
        Column::Of(Counter::Links),
    ),
    (
        gauge("qdr_addresses_total", &[], "Addresses that are known."),
        Column::Addresses,
    ),
    (
        gauge("qdr_routers_total", &[], "Other routers that are known."),
        Column::Routers,
    ),
    (
        gauge(
            "qdr_link_routes_total",
            &[],
            "Link routes that are configured.",
        ),
        Column::LinkRoutes,
    ),
    (
        gauge(
            "qdr_auto_links_total",
            &[],
            "Auto-links that are configured.",
        ),
        Column::AutoLinks,
    ),
    (
        counter(
            "qdr_presettled_deliveries_total",
            &[],
            "Deliveries that came in settled.",
        ),
        Column::Of(Counter::PresettledDeliveries),
    ),
    (
        counter(
            "qdr_dropped_presettled_deliveries_total",
            &[],
            "Settled deliveries that were dropped: nobody to receive them, or nobody in time.",
        ),
        Column::Of(Counter::DroppedPresettledDeliveries),
    ),
    (
        counter(
            "qdr_accepted_deliveries_total",
            &[],
            "Deliveries that ended accepted.",
        ),
        Column::Of(Counter::AcceptedDeliveries),
    ),
    (
        counter(
            "qdr_released_deliveries_total",
            &[],
            "Deliveries that ended released: nobody could take them.",
        ),
        Column::Of(Counter::ReleasedDeliveries),
    ),
    (
        counter(
            "qdr_rejected_deliveries_total",
            &[],
            "Deliveries that ended rejected.",
        ),
        Column::Of(Counter::RejectedDeliveries),
    ),
    (
        counter(
            "qdr_modified_deliveries_total",
            &[],
            "Deliveries that ended modified: a receiver gave up, or was lost with them.",
        ),
        Column::Of(Counter::ModifiedDeliveries),
    ),
    (
        counter(
            "qdr_deliveries_ingress_total",
            &[],
            "Deliveries that clients have sent to this router.",
        ),
        Column::Of(Counter::DeliveriesIngress),
    ),
    (
        counter(
            "qdr_deliveries_egress_total",
            &[],
            "Deliveries that this router has sent to clients.",
        ),
        Column::Of(Counter::DeliveriesEgress),
    ),
    (
        counter(
            "qdr_deliveries_transit_total",
            &[],
            "Deliveries that this router has sent to other routers.",
        ),
        Column::Of(Counter::DeliveriesTransit),
    ),
    (
        counter(
            "qdr_deliveries_ingress_route_container_total",
            &[],
            "Deliveries that route containers have sent to this router.",
        ),
        Column::Of(Counter::DeliveriesIngressRouteContainer),
    ),
    (
        counter(
            "qdr_deliveries_egress_route_container_total",
            &[],
            "Deliveries that this router has sent to route containers.",
        ),
        Column::Of(Counter::DeliveriesEgressRouteContainer),
    ),
    (
        counter(
            "qdr_deliveries_delayed_1sec_total",
            &[],
            "Deliveries that ended after more than 1 and at most 10 seconds.",
        ),
        Column::Of(Counter::DeliveriesDelayed1Sec),
    ),
    (
        counter(
            "qdr_deliveries_delayed_10sec_total",
            &[],
            "Deliveries that ended after more than 10 seconds.",
        ),
        Column::Of(Counter::DeliveriesDelayed10Sec),
    ),
    (
        gauge(
            "qdr_deliveries_stuck_total",
            &[],
            "Deliveries now older than 10 seconds; those stuck on both sides count twice.",
        ),
        Column::Of(Counter::DeliveriesStuck),
    ),
    (
        gauge(
            "qdr_links_blocked_total",
            &[],
            "Links to receivers that have had no credit for more than 10 seconds.",
        ),
        Column::Of(Counter::LinksBlocked),
    ),
    (
        counter(
            "qdr_deliveries_redirected_to_fallback_total",
            &[],
            "Deliveries that went to the fallback of their address.",
        ),
        Column::Of(Counter::DeliveriesRedirectedToFallback),
    ),
];

macro_rules! metrics {
    ($($constant:ident = $metric:expr;)*) => {
        $(pub(super) const $constant: Metric = $metric;)*

        /// The metrics of this router's own, in the order in which they are served.
        #[cfg(test)]
        const OWN: &[Metric] = &[$($constant),*];
    };
}

const ADDRESS: &[&str] = &["address", "phase"];
const ADDRESS_WAY: &[&str] = &["address", "phase", "direction"];
const CONNECTION: &[&str] = &["connection", "container", "host", "role"];
const CONNECTION_WAY: &[&str] = &["connection", "container", "host", "role", "direction"];

metrics! {
    BUILD_INFO = gauge(
        "causeway_build_info",
        &["version", "id", "mode"],
        "Always 1; what runs here is in the labels.",
    );
    READY = gauge(
        "causeway_ready",
        &[],
        "1 if the router is ready as /readyz has it, else 0.",
    );
    LISTENER_OPEN = gauge(
        "causeway_listener_open",
        &["listener"],
        "1 if the listener is open, else 0.",
    );
    CONNECTOR_OPEN = gauge(
        "causeway_connector_open",
        &["connector"],
        "1 if the connector is connected, else 0.",
    );
    CERTIFICATE_EXPIRY = gauge(
        "causeway_certificate_expiry_seconds",
        &["profile"],
        "Seconds until the certificate of the sslProfile expires; less than 0 if it has.",
    );
    AUTHORITY_EXPIRY = gauge(
        "causeway_authority_expiry_seconds",
        &["profile"],
        "Seconds until the first authority of the sslProfile expires; less than 0 if it has.",
    );
    IN_FLIGHT = gauge(
        "causeway_deliveries_in_flight",
        &[],
        "Deliveries that are held, or whose settlement is awaited.",
    );
    LATENCY = Metric {
        name: "causeway_delivery_seconds",
        kind: MetricType::HISTOGRAM,
        help: "Time from the arrival of an unsettled delivery at this router to its settlement \
               here; without those that are refused or released at once, and without time for \
               which the worker, or the machine, stood still for more than two seconds.",
        labels: &[],
    };
    WORKER_BUSY = counter(
        "causeway_worker_busy_seconds_total",
        &["worker"],
        "Time that a worker thread has worked, which is at most a second in each second.",
    );
    HTTP_CLIENTS = gauge(
        "causeway_http_connections",
        &[],
        "Connections to HTTP listeners, without those that have become WebSockets.",
    );
    HTTP_REQUESTS = counter(
        "causeway_http_requests_total",
        &["code"],
        "Requests that HTTP listeners have answered, by status code.",
    );
    HTTP_REFUSED = counter(
        "causeway_http_connections_refused_total",
        &[],
        "Connections to HTTP listeners that were closed because there were too many.",
    );
    ADDRESS_INGRESS = counter(
        "causeway_address_deliveries_ingress_total",
        ADDRESS,
        "Deliveries that clients have sent to the address here.",
    );
    ADDRESS_EGRESS = counter(
        "causeway_address_deliveries_egress_total",
        ADDRESS,
        "Deliveries that this router has sent to receivers of the address.",
    );
    ADDRESS_TRANSIT = counter(
        "causeway_address_deliveries_transit_total",
        ADDRESS,
        "Deliveries to the address that this router has sent to other routers.",
    );
    ADDRESS_REDIRECTED = counter(
        "causeway_address_deliveries_redirected_to_fallback_total",
        ADDRESS,
        "Deliveries to the address that went to its fallback.",
    );
    ADDRESS_RECEIVERS = gauge(
        "causeway_address_receivers",
        ADDRESS,
        "Links by which this router sends to receivers of the address.",
    );
    ADDRESS_ROUTERS = gauge(
        "causeway_address_remote_routers",
        ADDRESS,
        "Other routers that have receivers of the address.",
    );
    ADDRESS_CREDIT = gauge(
        "causeway_address_credit",
        ADDRESS_WAY,
        "Deliveries that may be sent: in, by senders to this router; out, by it to receivers.",
    );
    ADDRESS_UNDELIVERED = gauge(
        "causeway_address_undelivered",
        ADDRESS_WAY,
        "Deliveries that wait on links of the address.",
    );
    ADDRESS_UNSETTLED = gauge(
        "causeway_address_unsettled",
        ADDRESS_WAY,
        "Deliveries on links of the address whose settlement is awaited.",
    );
    ADDRESS_STUCK = gauge(
        "causeway_address_stuck",
        ADDRESS_WAY,
        "Deliveries on links of the address that are older than 10 seconds.",
    );
    ADDRESS_BLOCKED = gauge(
        "causeway_address_links_blocked",
        ADDRESS_WAY,
        "Links of the address that have had no credit for more than 10 seconds.",
    );
    ADDRESS_OMITTED = gauge(
        "causeway_address_series_omitted",
        &[],
        "Addresses that have no series because there are more than addressSeriesMax.",
    );
    CONNECTION_LINKS = gauge(
        "causeway_connection_links",
        CONNECTION_WAY,
        "Links of the connection.",
    );
    CONNECTION_CREDIT = gauge(
        "causeway_connection_credit",
        CONNECTION_WAY,
        "Deliveries that may be sent on links of the connection.",
    );
    CONNECTION_UNDELIVERED = gauge(
        "causeway_connection_undelivered",
        CONNECTION_WAY,
        "Deliveries that wait on links of the connection.",
    );
    CONNECTION_UNSETTLED = gauge(
        "causeway_connection_unsettled",
        CONNECTION_WAY,
        "Deliveries on links of the connection whose settlement is awaited.",
    );
    CONNECTION_STUCK = gauge(
        "causeway_connection_stuck",
        CONNECTION_WAY,
        "Deliveries on links of the connection that are older than 10 seconds.",
    );
    CONNECTION_BLOCKED = gauge(
        "causeway_connection_links_blocked",
        CONNECTION_WAY,
        "Links of the connection that have had no credit for more than 10 seconds.",
    );
    CONNECTION_UPTIME = gauge(
        "causeway_connection_uptime_seconds",
        CONNECTION,
        "Time since the connection was made.",
    );
    CONNECTION_OMITTED = gauge(
        "causeway_connection_series_omitted",
        &[],
        "Connections that have no series because there are more than connectionSeriesMax.",
    );
    PROCESS_CPU = counter(
        "process_cpu_seconds_total",
        &[],
        "Processor time that the process has used.",
    );
    PROCESS_START = gauge(
        "process_start_time_seconds",
        &[],
        "When the process began, in seconds since 1970.",
    );
    PROCESS_RESIDENT = gauge(
        "process_resident_memory_bytes",
        &[],
        "Memory that the process has in use.",
    );
    PROCESS_VIRTUAL = gauge(
        "process_virtual_memory_bytes",
        &[],
        "Memory that the process has mapped.",
    );
    PROCESS_FILES = gauge(
        "process_open_fds",
        &[],
        "Files and sockets that the process has open.",
    );
    PROCESS_FILES_MAX = gauge(
        "process_max_fds",
        &[],
        "Files and sockets that the process may have open.",
    );
    PROCESS_THREADS = gauge("process_threads", &[], "Threads of the process.");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test from outside compares the page with what is served; here it is what could be.
    #[test]
    fn the_page_has_every_metric() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let page = std::fs::read_to_string(path).expect("the page is there");
        let incumbent = INCUMBENT.iter().map(|(metric, _)| metric);
        for metric in incumbent.chain(OWN) {
            let row = format!("| `{}` | {:?} |", metric.name, metric.kind).to_lowercase();
            assert!(page.contains(&row), "{row}");
        }
    }

    /// As `promtool check metrics` wants it; the incumbent's names are what they are.
    #[test]
    fn names_have_units_and_counters_end_as_such() {
        for metric in OWN {
            let is_total = metric.name.ends_with("_total");
            assert_eq!(
                is_total,
                metric.kind == MetricType::COUNTER,
                "{}",
                metric.name
            );
            assert!(metric.help.ends_with('.'), "{}", metric.name);
            let is_plain = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(metric.name.chars().all(is_plain), "{}", metric.name);
        }
    }
}
