//! `electra profile`.

use std::fmt::Write;
use std::time::{Duration, Instant};

use electra::{Engine, ModelFile};
use electra_core::tokenizer::SpecialIds;
use electra_core::{Config, Kernels, Step, Work};
use serde_json::json;

use crate::args::{ProfileArgs, open_model};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &ProfileArgs) -> Result<(), Failure> {
    let file = open_model(args.engine.model.as_ref())?;
    let mut engine = Engine::new(&file, &args.engine.options())?;
    let ids = ids(&file, &args.text, args.tokens, engine.max_tokens())?;
    let profile = Profile::measure(&mut engine, &ids, args.runs.get())?;
    let mut output = Output::new();
    output.line(&if args.print.json { profile.json() } else { profile.text() }, 0)?;
    Ok(output.finish()?)
}

/// Returns the tokens of the text between `[CLS]` and `[SEP]`. They are repeated or cut to `tokens`
/// in total, if that is given.
fn ids(file: &ModelFile, text: &str, tokens: Option<usize>, most: usize) -> Result<Vec<u16>, Failure> {
    let pieces = file.tokenizer().pieces(text).map_err(|error| Failure::run(error.to_string()))?;
    let words: Vec<u16> = pieces.map(|token| token.id).collect();
    let wanted = tokens.unwrap_or(words.len() + 2);
    if !(3..=most).contains(&wanted) {
        let message = format!("{wanted} tokens, expected 3 to {most}: see --tokens and --max-tokens");
        return Err(Failure::Usage(message));
    }
    if words.is_empty() {
        return Err(Failure::Usage("the text has no tokens".to_owned()));
    }
    let SpecialIds { cls, sep, .. } = file.model().vocabulary().special();
    let words = words.iter().copied().cycle().take(wanted - 2);
    Ok(std::iter::once(cls).chain(words).chain(std::iter::once(sep)).collect())
}

struct Profile {
    kernels: Kernels,
    config: Config,
    tokens: usize,
    threads: usize,
    runs: usize,
    /// Int8 multiply-accumulates per second of a loop without other work, on one core.
    peak: f64,
    fastest: Fastest,
}

/// Smallest times of several runs. Other work on the machine only adds time, so the smallest of
/// many times is close to the time of the run itself. On a busy machine, the median includes other
/// work.
#[derive(Default)]
struct Fastest {
    steps: Vec<(Step, Duration)>,
    work: Vec<(Work, Duration)>,
    /// Time and multiply-accumulates of the feed-forward GEMMs of all layers.
    gemms: Option<(Duration, u64)>,
}

impl Fastest {
    fn add(&mut self, steps: Vec<(Step, Duration)>, work: Vec<(Work, Duration)>, gemms: (Duration, u64)) {
        keep_smaller(&mut self.steps, steps);
        keep_smaller(&mut self.work, work);
        self.gemms = Some(self.gemms.map_or(gemms, |fastest| fastest.min(gemms)));
    }
}

fn keep_smaller<K>(fastest: &mut Vec<(K, Duration)>, times: Vec<(K, Duration)>) {
    if fastest.is_empty() {
        *fastest = times;
        return;
    }
    for (fastest, (_, time)) in fastest.iter_mut().zip(times) {
        fastest.1 = fastest.1.min(time);
    }
}

impl Profile {
    fn measure(engine: &mut Engine, ids: &[u16], runs: usize) -> Result<Self, Failure> {
        let mut peak = 0f64;
        let mut fastest = Fastest::default();
        engine.time_steps(ids)?;
        // Peak and steps are measured alternately, so both see the same state of the machine.
        for _ in 0..runs {
            peak = peak.max(multiply_rate(engine.kernels()));
            let (steps, work) = (engine.time_steps(ids)?, engine.time_work(ids)?);
            fastest.add(steps, work, engine.time_gemms(ids.len())?);
        }
        Ok(Self {
            kernels: engine.kernels(),
            config: *engine.file().model().config(),
            tokens: ids.len(),
            threads: engine.threads(),
            runs,
            peak,
            fastest,
        })
    }

    fn rows(&self) -> Vec<Row> {
        let row = |(step, time): &(Step, Duration)| {
            let name = match step {
                Step::Embedding => "embedding".to_owned(),
                Step::Attention(layer) => format!("layer {layer} attention"),
                Step::FeedForward(layer) => format!("layer {layer} feed-forward"),
                Step::Head => "head".to_owned(),
            };
            Row { name, time: *time, macs: step.macs(&self.config, self.tokens) }
        };
        self.fastest.steps.iter().map(row).collect()
    }

    fn total(&self) -> Row {
        let rows = self.rows();
        let (time, macs) = (rows.iter().map(|row| row.time).sum(), rows.iter().map(|row| row.macs).sum());
        Row { name: "total".to_owned(), time, macs }
    }

    /// Returns the kinds of work of a run on one thread. Only the products have
    /// multiply-accumulates.
    fn work(&self) -> Vec<Row> {
        let macs = self.total().macs;
        let row = |(work, time): &(Work, Duration)| {
            let macs = if *work == Work::Products { macs } else { 0 };
            Row { name: work.name().to_owned(), time: *time, macs }
        };
        self.fastest.work.iter().map(row).collect()
    }

    fn gemms(&self) -> Row {
        let (time, macs) = self.fastest.gemms.unwrap_or_default();
        Row { name: "feed-forward GEMMs alone".to_owned(), time, macs }
    }

    fn text(&self) -> String {
        let total = self.total();
        let mut lines = vec![
            format!(
                "kernels {}, at most {:.1} G int8 multiply-accumulates per second and core (measured in a \
                 loop without other work)",
                self.kernels.name(),
                self.peak / 1e9
            ),
            format!(
                "{} tokens, {} threads, smallest time of {} runs per step",
                self.tokens, self.threads, self.runs
            ),
            format!("{:<26}{:>10}{:>8}{:>10}{:>10}{:>9}", "", "ms", "share", "M MACs", "G MACs/s", "of peak"),
        ];
        let line = |row: &Row, threads: usize| {
            let share = 100.0 * row.time.as_secs_f64() / total.time.as_secs_f64();
            // The GEMMs run on one thread. Their time is not a share of the time of several
            // threads.
            let share = if threads == self.threads { format!("{share:.1} %") } else { "-".to_owned() };
            format!(
                "{:<26}{:>10.4}{:>8}{:>10.2}{:>10.1}{:>7.1} %",
                row.name,
                1e3 * row.time.as_secs_f64(),
                share,
                row.macs as f64 / 1e6,
                row.rate() / 1e9,
                100.0 * row.rate() / (self.peak * threads as f64)
            )
        };
        lines.extend(self.rows().iter().map(|row| line(row, self.threads)));
        lines.push(line(&total, self.threads));
        lines.push(line(&self.gemms(), 1));
        lines.push(String::new());
        lines.push("kinds of work, on one thread, with their share of the sum:".to_owned());
        let work = self.work();
        let sum: Duration = work.iter().map(|row| row.time).sum();
        for row in &work {
            let share = 100.0 * row.time.as_secs_f64() / sum.as_secs_f64();
            let mut line = format!("{:<26}{:>10.4}{share:>6.1} %", row.name, 1e3 * row.time.as_secs_f64());
            if row.macs > 0 {
                let rate = row.rate();
                let (macs, share) = (row.macs as f64 / 1e6, 100.0 * rate / self.peak);
                write!(line, "{macs:>10.2}{:>10.1}{share:>7.1} %", rate / 1e9).unwrap_or_default();
            }
            lines.push(line);
        }
        lines.join("\n")
    }

    fn json(&self) -> String {
        let row = |row: &Row, threads: usize| {
            json!({
                "name": row.name,
                "ms": 1e3 * row.time.as_secs_f64(),
                "macs": row.macs,
                "share_of_peak": row.rate() / (self.peak * threads as f64),
            })
        };
        json!({
            "kernels": self.kernels.name(),
            "peak_macs_per_second": self.peak,
            "tokens": self.tokens,
            "threads": self.threads,
            "runs": self.runs,
            "statistic": "smallest",
            "steps": self.rows().iter().map(|step| row(step, self.threads)).collect::<Vec<_>>(),
            "total": row(&self.total(), self.threads),
            "feed_forward_gemms": row(&self.gemms(), 1),
            "work": self.work().iter().map(|kind| {
                json!({ "name": kind.name, "ms": 1e3 * kind.time.as_secs_f64() })
            }).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

struct Row {
    name: String,
    time: Duration,
    macs: u64,
}

impl Row {
    /// Returns the multiply-accumulates per second.
    fn rate(&self) -> f64 {
        self.macs as f64 / self.time.as_secs_f64()
    }
}

/// Measures the multiply-accumulates per second of a loop without other work that takes at least
/// 0.3 ms.
fn multiply_rate(kernels: Kernels) -> f64 {
    const LONG_ENOUGH: Duration = Duration::from_micros(300);
    let mut rounds = 1000;
    loop {
        let start = Instant::now();
        let macs = kernels.multiply_only(rounds);
        let time = start.elapsed();
        if time >= LONG_ENOUGH {
            return macs as f64 / time.as_secs_f64();
        }
        rounds *= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Simulates runs of ten units of time, in which the GEMMs take six. The machine slows down one
    /// step in every third run and the GEMMs in two of three runs.
    #[test]
    fn a_busy_machine_does_not_make_a_part_longer_than_the_whole() {
        let unit = Duration::from_micros(100);
        let mut fastest = Fastest::default();
        for run in 0..20u32 {
            let [step, gemms] = [1 + run % 3 % 2 * 4, 1 + u32::from(run % 3 > 0) * 2];
            let steps = vec![(Step::Attention(0), 4 * unit * step), (Step::FeedForward(0), 6 * unit)];
            let work = vec![(Work::Softmax, unit * step), (Work::Gelu, 2 * unit)];
            fastest.add(steps, work, (6 * unit * gemms, 1000));
        }
        assert_eq!(fastest.steps, [(Step::Attention(0), 4 * unit), (Step::FeedForward(0), 6 * unit)]);
        assert_eq!(fastest.work, [(Work::Softmax, unit), (Work::Gelu, 2 * unit)]);
        assert_eq!(fastest.gemms, Some((6 * unit, 1000)));
    }
}
