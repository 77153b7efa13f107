//! Metrics in the text format of Prometheus.

use std::fmt;
use std::sync::Arc;

use electra::HeadKind;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text::{self, CONTENT_TYPE};
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::serve::Service;
use crate::serve::figures::{BOUNDS, DoorCounts};

/// Returns the type and the content of the answer.
pub(super) fn render(service: &Arc<Service>) -> (&'static str, String) {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Figures(Arc::clone(service))));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    (CONTENT_TYPE, text)
}

/// Reads the figures of the service when they are asked for.
struct Figures(Arc<Service>);

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Figures").finish_non_exhaustive()
    }
}

impl Collector for Figures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let pool = &self.0.pool;
        let loaded = pool.loaded();
        let head = match loaded.head() {
            HeadKind::Classification => "classification",
            HeadKind::ReplacedTokenDetection => "replaced-token detection",
        };
        info(
            &mut encoder,
            "electra_build",
            "The service",
            &[("version", env!("CARGO_PKG_VERSION").to_owned())],
        )?;
        let labels = [("name", loaded.name()), ("version", loaded.fingerprint()), ("head", head.to_owned())];
        info(
            &mut encoder,
            "electra_model",
            "The model in use; the version is the checksum of its file",
            &labels,
        )?;

        let figures = &self.0.figures;
        let doors = [("lines", &figures.lines), ("http", &figures.http), ("mqtt", &figures.mqtt)];
        let doors = doors.map(|(name, door)| (name, door.counts()));
        connections(&mut encoder, &doors)?;
        requests(&mut encoder, &doors)?;
        durations(&mut encoder, &doors)?;

        let (texts, tokens) = self.0.figures.processed();
        counter(&mut encoder, "electra_texts", "Texts that the model has processed", texts)?;
        counter(&mut encoder, "electra_tokens", "Tokens of these texts", tokens)?;
        gauge(&mut encoder, "electra_queue_length", "Texts that wait for a worker", pool.waiting())?;
        gauge(&mut encoder, "electra_queue_capacity", "Texts that may wait", pool.capacity)?;
        gauge(&mut encoder, "electra_workers", "Workers", pool.workers())?;
        let help = "Working memory of all workers";
        gauge(&mut encoder, "electra_arena_bytes", help, loaded.arena_bytes)?;
        let scrub = &figures.scrub;
        let help = "Checks of the whole model in memory by --scrub that found no damage";
        counter(&mut encoder, "electra_scrub_rounds", help, scrub.rounds())?;
        let help = "1 if the last check of the model in memory by --scrub found damage, otherwise 0";
        gauge(&mut encoder, "electra_model_damaged", help, scrub.problem().is_some().into())?;
        if let Some(bytes) = resident_bytes() {
            let help =
                "Memory of the process that is not swapped out, with the part of the model file in use";
            gauge(&mut encoder, "process_resident_memory_bytes", help, bytes)?;
        }
        Ok(())
    }
}

/// The counts of each door with its name.
type Doors = [(&'static str, DoorCounts); 3];

fn connections(encoder: &mut DescriptorEncoder<'_>, doors: &Doors) -> fmt::Result {
    let help = "Clients that have connected";
    let mut metric = encoder.encode_descriptor("electra_connections", help, None, MetricType::Counter)?;
    for (door, counts) in doors {
        ConstCounter::new(counts.connections).encode(metric.encode_family(&[("door", *door)])?)?;
    }
    Ok(())
}

fn requests(encoder: &mut DescriptorEncoder<'_>, doors: &Doors) -> fmt::Result {
    let help = "Requests by their outcome: answered, or the kind of the refusal";
    let mut metric = encoder.encode_descriptor("electra_requests", help, None, MetricType::Counter)?;
    for (door, counts) in doors {
        let refusals = counts.refusals.iter().map(|(kind, count)| (*kind, *count));
        for (outcome, count) in std::iter::once(("answered", counts.answers())).chain(refusals) {
            let labels = [("door", *door), ("outcome", outcome)];
            ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, doors: &Doors) -> fmt::Result {
    let help = "Time from a request to its answer";
    let name = "electra_request_duration_seconds";
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (door, counts) in doors {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let buckets: Vec<_> = bounds.zip(counts.times).collect();
        let labels = [("door", *door)];
        let mut metric = metric.encode_family(&labels)?;
        metric.encode_histogram::<NoLabelSet>(counts.seconds, counts.answers(), &buckets, None)?;
    }
    Ok(())
}

fn info(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    labels: &[(&'static str, String)],
) -> fmt::Result {
    encoder.encode_descriptor(name, help, None, MetricType::Info)?.encode_info(&labels)
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: u64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

fn gauge(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: usize) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)
}

/// Returns the resident memory of this process, or `None` where Linux's /proc is not available.
fn resident_bytes() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
