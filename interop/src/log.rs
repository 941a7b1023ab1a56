//! Where the events of the feature `tracing` go.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;

/// A log of all that is worth an `INFO`, and of each step of a shutdown.
pub fn to<W: for<'a> MakeWriter<'a> + Send + Sync + 'static>(writer: W) -> impl Subscriber {
    let targets =
        Targets::new().with_default(LevelFilter::INFO).with_target("winddown", LevelFilter::DEBUG);
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(targets)
}
