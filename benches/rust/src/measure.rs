//! Timing loops, medians and p99, and the lines that benches/run turns into a table.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// What one contender took, in nanoseconds per operation.
#[derive(Default)]
pub struct Samples {
    /// Averages over a batch each: the median of these is free of the clock's own cost.
    pub averages: Vec<f64>,
    /// Single operations, for the p99.
    pub singles: Vec<f64>,
}

impl Samples {
    pub fn median(&self) -> f64 {
        quantile(&self.averages, 0.5)
    }

    pub fn p99(&self) -> f64 {
        quantile(&self.singles, 0.99)
    }

    pub fn average(&mut self, total: Duration, count: usize) {
        self.averages.push(total.as_nanos() as f64 / count as f64);
    }

    pub fn single(&mut self, took: Duration) {
        self.singles.push(took.as_nanos() as f64);
    }

    /// One operation that is long enough to be timed by itself.
    pub fn both(&mut self, took: Duration) {
        self.average(took, 1);
        self.single(took);
    }
}

pub fn quantile(samples: &[f64], q: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * q).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// One side of a comparison: a name, and a round that adds to its samples.
pub struct Contender<'a> {
    name: &'static str,
    round: Box<dyn FnMut(&mut Samples) + 'a>,
}

impl<'a> Contender<'a> {
    pub fn new(name: &'static str, round: impl FnMut(&mut Samples) + 'a) -> Contender<'a> {
        Contender {
            name,
            round: Box::new(round),
        }
    }

    /// A contender whose operation can be repeated at will.
    pub fn repeat<R>(
        name: &'static str,
        batch: usize,
        mut operation: impl FnMut() -> R + 'a,
    ) -> Contender<'a> {
        Contender::new(name, move |samples| {
            let started = Instant::now();
            for _ in 0..batch {
                black_box(operation());
            }
            samples.average(started.elapsed(), batch);
            for _ in 0..batch.div_ceil(4) {
                let started = Instant::now();
                black_box(operation());
                samples.single(started.elapsed());
            }
        })
    }
}

/// What a measurement should reach.
pub enum Goal {
    /// At most so many times the other.
    AtMost(f64),
    /// Less than the other.
    Faster,
    /// None: the number is there to be read.
    Show,
}

/// Runs the contenders in turns until each had `rounds`; the first is nsgate.
pub fn contest(rounds: usize, contenders: Vec<Contender<'_>>) -> Vec<(&'static str, Samples)> {
    let mut contenders: Vec<_> = contenders
        .into_iter()
        .map(|contender| (contender, Samples::default()))
        .collect();
    let mut discarded = Samples::default();
    for (contender, _) in &mut contenders {
        (contender.round)(&mut discarded); // warms caches
    }
    for _ in 0..rounds {
        for (contender, samples) in &mut contenders {
            (contender.round)(samples);
        }
    }
    contenders
        .into_iter()
        .map(|(contender, samples)| (contender.name, samples))
        .collect()
}

/// Runs the contenders and prints a line for nsgate beside each other one.
pub fn compare(work: &str, rounds: usize, ours: Contender<'_>, others: Vec<(Contender<'_>, Goal)>) {
    let mut contenders = vec![ours];
    let mut goals = Vec::new();
    for (contender, goal) in others {
        contenders.push(contender);
        goals.push(goal);
    }
    let results = contest(rounds, contenders);
    let (_, first) = &results[0];
    if goals.is_empty() {
        line(work, first.median(), first.p99(), None, &Goal::Show);
    }
    for ((name, samples), goal) in results[1..].iter().zip(&goals) {
        let other = Some((*name, samples.median(), samples.p99()));
        line(work, first.median(), first.p99(), other, goal);
    }
}

/// Tab-separated: language, work, median, p99, against, median, p99, sort of goal, goal.
pub fn line(work: &str, median: f64, p99: f64, other: Option<(&str, f64, f64)>, goal: &Goal) {
    let (name, other_median, other_p99) = other.unwrap_or(("-", f64::NAN, f64::NAN));
    let goal = match goal {
        Goal::AtMost(times) => format!("at-most\t{times}"),
        Goal::Faster => "faster\t1".to_owned(),
        Goal::Show => "show\t0".to_owned(),
    };
    println!(
        "Rust\t{work}\t{median:.1}\t{p99:.1}\t{name}\t{other_median:.1}\t{other_p99:.1}\t{goal}"
    );
}

/// A line whose goal is a time for the caller, not a ratio.
pub fn line_within(work: &str, samples: &Samples, limit: Duration) {
    println!(
        "Rust\t{work}\t{:.1}\t{:.1}\ta limit\t{}\tNaN\twithin\t1",
        samples.median(),
        samples.p99(),
        limit.as_nanos()
    );
}
