//! The test world and the lab.
