//! Tests of the operator against its own binary, its types and the chart.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

mod admission;
mod chart;
mod definition;
mod manifest;
mod schema;
