//! From values to the text that Prometheus reads.

use prometheus::TextEncoder;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric as Series, MetricFamily, MetricType,
};
use router_core::latency::Latencies;

use super::table::Metric;

/// The type of that text.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Metrics with their series, in the order in which they were added.
#[derive(Debug, Default)]
pub(super) struct Families(Vec<MetricFamily>);

impl Families {
    /// Adds a metric with its only series.
    pub(super) fn one(&mut self, metric: &Metric, value: f64) {
        self.all(metric, [(&[][..], value)]);
    }

    /// Adds a metric with its only series, if there is a value.
    pub(super) fn maybe(&mut self, metric: &Metric, value: Option<f64>) {
        if let Some(value) = value {
            self.one(metric, value);
        }
    }

    /// Adds a metric with all its series: the values of its labels, and its own.
    pub(super) fn all<'a>(
        &mut self,
        metric: &Metric,
        series: impl IntoIterator<Item = (&'a [&'a str], f64)>,
    ) {
        let series = series.into_iter();
        let series = series.map(|(labels, value)| one_series(metric, labels, value));
        self.push(metric, series.collect());
    }

    /// Adds a histogram.
    pub(super) fn histogram(&mut self, metric: &Metric, times: &Latencies) {
        let buckets = times.cumulative().map(|(bound, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(bound);
            bucket.set_cumulative_count(count);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(times.count());
        histogram.set_sample_sum(times.seconds());
        let mut series = Series::default();
        series.set_histogram(histogram);
        self.push(metric, vec![series]);
    }

    fn push(&mut self, metric: &Metric, series: Vec<Series>) {
        // A metric without series is left out, as the format wants it.
        if series.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(metric.name.to_owned());
        family.set_help(metric.help.to_owned());
        family.set_field_type(metric.kind);
        family.set_metric(series);
        self.0.push(family);
    }

    /// All of it.
    ///
    /// # Errors
    /// The encoder's, in words.
    pub(super) fn to_text(&self) -> Result<String, String> {
        let text = TextEncoder::new().encode_to_string(&self.0);
        text.map_err(|error| error.to_string())
    }
}

fn one_series(metric: &Metric, labels: &[&str], value: f64) -> Series {
    debug_assert_eq!(labels.len(), metric.labels.len(), "{}", metric.name);
    let labels = metric.labels.iter().zip(labels).map(|(name, value)| {
        let mut label = LabelPair::default();
        label.set_name((*name).to_owned());
        label.set_value((*value).to_owned());
        label
    });
    let mut series = Series::from_label(labels.collect());
    match metric.kind {
        MetricType::COUNTER => {
            let mut counter = Counter::default();
            counter.set_value(value);
            series.set_counter(counter);
        }
        _ => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            series.set_gauge(gauge);
        }
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::table::{BUILD_INFO, LATENCY, LISTENER_OPEN};

    #[test]
    fn what_peers_are_called_cannot_break_a_line() {
        let mut families = Families::default();
        families.all(&LISTENER_OPEN, [(&["a\"b\\c\nd"][..], 1.0)]);
        families.all(&BUILD_INFO, []);
        let text = families.to_text().unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1], "# TYPE causeway_listener_open gauge");
        assert_eq!(
            lines[2],
            r#"causeway_listener_open{listener="a\"b\\c\nd"} 1"#
        );
    }

    #[test]
    fn a_histogram_has_its_end_and_its_sum() {
        let mut families = Families::default();
        families.histogram(&LATENCY, &Latencies::default());
        let text = families.to_text().unwrap();
        assert!(text.contains("causeway_delivery_seconds_bucket{le=\"0.000064\"} 0\n"));
        assert!(text.contains("causeway_delivery_seconds_bucket{le=\"+Inf\"} 0\n"));
        assert!(text.ends_with("causeway_delivery_seconds_count 0\n"));
    }
}
