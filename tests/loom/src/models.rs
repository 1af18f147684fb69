//! What is tried. Each model is small, so that all of its interleavings can be.

mod ends;
mod handles;
mod harness;
mod queue;
mod rundown;
mod stuck;
mod subscribers;
mod timer;
