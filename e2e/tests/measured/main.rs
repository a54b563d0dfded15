//! What is told by the clock: how long a world takes, how often its pods go, and what a client that
//! measures feels. Each test has the machine to itself, else one test's load is another's latency.

mod lab;
mod world;
