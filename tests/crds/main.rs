//! What the custom resources promise: bounds, conditions, columns, and rules that hold and bite.

mod rules;
mod schemas;
mod walk;
