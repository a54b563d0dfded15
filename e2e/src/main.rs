//! The lab: one command runs one experiment and writes its report.

fn main() {}
