//! The judge as a whole: timelines that read as scripts, and properties that hold for any evidence.

mod any;
mod costs;
mod foreseen;
mod incident;
mod letting_go;
mod losing_nodes;
mod masks;
mod names;
mod orders;
mod play;
mod properties;
mod recalled;
mod rules;
mod summaries;
mod timelines;
mod turnover;
mod uncounted;
mod waves;
