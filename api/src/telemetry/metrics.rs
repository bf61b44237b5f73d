//! The building blocks of metrics. Labels are closed sets: never an id, a path as sent, or an error's text. Each part of the
//! process owns its families and registers them. docs/metrics.md describes each for operators; a test compares it with the code.

use std::marker::PhantomData;
use std::sync::OnceLock;

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, Gauge, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

pub use crate::domain::text_enum::Label;

/// Upper bounds of the buckets of a histogram of times, in seconds.
pub const TIME_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

/// Defines an enum whose variants are the values of a label.
macro_rules! label {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        $crate::domain::text_enum::texts!($name { $($variant = $text),+ });
    };
}

pub(crate) use label;

/// The labels of a family: one [`Label`], or a tuple of them.
pub trait Labels: Copy {
    /// An array with the value of each label.
    type Texts: AsRef<[&'static str]> + IntoIterator<Item = &'static str>;

    /// The number of combinations of the labels' values.
    const COUNT: usize;

    /// The index of this combination, below [`Labels::COUNT`]; no two combinations have the same.
    fn index(self) -> usize;

    /// The value of each label, in the order of the label names.
    fn texts(self) -> Self::Texts;

    /// Iterates over every combination, [`Labels::COUNT`] of them.
    fn all() -> impl Iterator<Item = Self>;
}

fn position<L: Label>(label: L) -> usize {
    L::ALL.iter().position(|other| *other == label).unwrap_or_default()
}

impl<L: Label> Labels for L {
    type Texts = [&'static str; 1];

    const COUNT: usize = L::ALL.len();

    fn index(self) -> usize {
        position(self)
    }

    fn texts(self) -> Self::Texts {
        [self.as_str()]
    }

    fn all() -> impl Iterator<Item = Self> {
        L::ALL.iter().copied()
    }
}

impl<A: Label, B: Label> Labels for (A, B) {
    type Texts = [&'static str; 2];

    const COUNT: usize = A::ALL.len() * B::ALL.len();

    fn index(self) -> usize {
        position(self.0) * B::ALL.len() + position(self.1)
    }

    fn texts(self) -> Self::Texts {
        [self.0.as_str(), self.1.as_str()]
    }

    fn all() -> impl Iterator<Item = Self> {
        A::ALL.iter().flat_map(|a| B::ALL.iter().map(|b| (*a, *b)))
    }
}

impl<A: Label, B: Label, C: Label> Labels for (A, B, C) {
    type Texts = [&'static str; 3];

    const COUNT: usize = A::ALL.len() * B::ALL.len() * C::ALL.len();

    fn index(self) -> usize {
        (self.0, self.1).index() * C::ALL.len() + position(self.2)
    }

    fn texts(self) -> Self::Texts {
        [self.0.as_str(), self.1.as_str(), self.2.as_str()]
    }

    fn all() -> impl Iterator<Item = Self> {
        <(A, B)>::all().flat_map(|(a, b)| C::ALL.iter().map(move |c| (a, b, *c)))
    }
}

/// A kind of metric that a [`Family`] can consist of: counter or gauge.
pub trait Metric: Clone {
    /// The prometheus crate's type for a family of this metric.
    type Vec: Collector + Clone + 'static;

    /// Makes a family with the label names `names`, without registering it. Fails if a name is not valid.
    fn family(opts: Opts, names: &[&str]) -> Result<Self::Vec, prometheus::Error>;

    /// The metric of `family` with these label values, made if it is not there yet.
    fn series(family: &Self::Vec, values: &[&str]) -> Self;
}

macro_rules! metric {
    ($metric:ident, $family:ident) => {
        impl Metric for $metric {
            type Vec = $family;

            fn family(opts: Opts, names: &[&str]) -> Result<Self::Vec, prometheus::Error> {
                $family::new(opts, names)
            }

            fn series(family: &Self::Vec, values: &[&str]) -> Self {
                family.with_label_values(values)
            }
        }
    };
}

metric!(IntCounter, IntCounterVec);
metric!(IntGauge, IntGaugeVec);
metric!(Gauge, GaugeVec);

/// Metrics of one name, one for each combination of the values of `L`. Each series is looked up once and then kept.
pub struct Family<L, M: Metric> {
    inner: M::Vec,
    series: Box<[OnceLock<M>]>,
    labels: PhantomData<fn(L)>,
}

impl<L: Labels, M: Metric> Family<L, M> {
    /// Registers a family whose series all exist from the start, at 0. Prometheus would not see the first event of a series that
    /// appears with it. Fails if `name` is registered already.
    pub fn new(registry: &Registry, name: &str, help: &str, names: L::Texts) -> Result<Self, prometheus::Error> {
        let family = Self::sparse(registry, name, help, names)?;
        L::all().for_each(|labels| drop(family.get(labels).clone()));
        Ok(family)
    }

    /// Registers a family whose series appear when they are first used, for metrics of which 0 would be a wrong value. Fails if
    /// `name` is registered already.
    pub fn sparse(registry: &Registry, name: &str, help: &str, names: L::Texts) -> Result<Self, prometheus::Error> {
        let names: Vec<&str> = names.into_iter().collect();
        let inner = registered(registry, M::family(Opts::new(name, help), &names)?)?;
        Ok(Self { inner, series: (0..L::COUNT).map(|_| OnceLock::new()).collect(), labels: PhantomData })
    }

    /// The metric with these labels.
    #[expect(clippy::indexing_slicing, reason = "an index is below COUNT, the length of the series")]
    pub fn get(&self, labels: L) -> &M {
        self.series[labels.index()].get_or_init(|| M::series(&self.inner, labels.texts().as_ref()))
    }
}

/// Registers `metric` and returns it; fails if its name is registered already.
pub fn registered<C: Collector + Clone + 'static>(registry: &Registry, metric: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

/// Registers a counter without labels; fails if `name` is registered already.
pub fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    registered(registry, IntCounter::new(name, help)?)
}

/// Registers a gauge without labels; fails if `name` is registered already.
pub fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    registered(registry, IntGauge::new(name, help)?)
}

/// Registers a histogram of seconds, with [`TIME_BUCKETS`] and without labels; fails if `name` is registered already.
pub fn times(registry: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    registered(registry, Histogram::with_opts(HistogramOpts::new(name, help).buckets(TIME_BUCKETS.to_vec()))?)
}

/// A new registry with the metrics of the process itself and `doacoes_build_info`.
pub fn registry() -> Result<Registry, prometheus::Error> {
    let registry = Registry::new();
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    let build = IntGaugeVec::new(Opts::new("doacoes_build_info", "1; the label is the release that runs."), &["version"])?;
    registered(&registry, build)?.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    Ok(registry)
}

/// All metrics of `registry` in the text format of Prometheus.
pub fn render(registry: &Registry) -> Result<Vec<u8>, prometheus::Error> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}

/// One more of what a gauge counts, until it is dropped.
pub struct Present(IntGauge);

impl Present {
    /// Counts one.
    #[must_use]
    pub fn of(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    #![expect(unreachable_pub, reason = "the macro makes public enums")]
    use super::*;

    label! {
        /// A color.
        pub enum Color {
            /// Red.
            Red = "red",
            /// Blue.
            Blue = "blue",
        }
    }

    label! {
        /// A label with three values, for the tests.
        pub enum Width {
            /// Small.
            Small = "small",
            /// Large.
            Large = "large",
            /// Huge.
            Huge = "huge",
        }
    }

    fn text(registry: &Registry) -> String {
        let text = String::from_utf8(render(registry).unwrap()).unwrap();
        text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_family_begins_at_zero_and_counts_each_combination_by_itself() {
        let registry = Registry::new();
        let family: Family<(Color, Width), IntCounter> = Family::new(&registry, "things", "Things.", ["color", "size"]).unwrap();
        for (number, labels) in (1..).zip(<(Color, Width)>::all()) {
            family.get(labels).inc_by(number);
        }
        let expected =
            [(4, "blue", "huge"), (5, "blue", "large"), (6, "blue", "small"), (1, "red", "small"), (2, "red", "large"), (3, "red", "huge")];
        for (_, color, size) in expected {
            assert!(text(&registry).contains(&format!("things{{color=\"{color}\",size=\"{size}\"}} ")), "{color} {size}");
        }
        assert_eq!(family.get((Color::Red, Width::Huge)).get(), 3);
        assert_eq!(family.get((Color::Blue, Width::Small)).get(), 4);
        let begun: Family<Color, IntGauge> = Family::new(&registry, "begun", "Begun.", ["color"]).unwrap();
        assert!(text(&registry).contains("begun{color=\"blue\"} 0"));
        begun.get(Color::Blue).set(7);
        assert!(text(&registry).contains("begun{color=\"blue\"} 7") && text(&registry).contains("begun{color=\"red\"} 0"));
    }

    #[test]
    fn a_sparse_family_shows_only_what_was_set() {
        let registry = Registry::new();
        let family: Family<Color, Gauge> = Family::sparse(&registry, "age", "Age.", ["color"]).unwrap();
        assert_eq!(text(&registry), "");
        family.get(Color::Red).set(1.5);
        assert_eq!(text(&registry), "age{color=\"red\"} 1.5");
        assert!(Family::<Color, Gauge>::new(&registry, "age", "Age.", ["color"]).is_err(), "a name is registered once");
    }
}
