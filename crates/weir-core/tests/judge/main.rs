//! The judge as a whole: timelines that read as scripts, and properties that hold for any evidence.

mod play;
mod timelines;
