//! `/simulado`: the bank of a developer's machine. Not routed outside Development.

pub mod pay;
