//! Measures nsgate beside the bare system calls, cap-std and pathrs; benches/run makes the table.
//!
//! Runs in a mount namespace of its own (tests/in-namespace): everything that it mounts is gone with
//! it. Contenders of one comparison take turns in one process, so that what else the machine does
//! meets all of them. A section can be named as argument.

mod bare;
mod files;
mod fixture;
mod map;
mod measure;
mod open;
mod queue;
mod remove_all;
mod run;

use std::error::Error;

use fixture::Fixture;
use nsgate::{Gate, GateOptions};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let fixture = Fixture::new()?;
    let gate = Gate::open(GateOptions::default())?;
    let sections: [(&str, fn(&Gate, &Fixture) -> Outcome); 6] = [
        ("files", files::measure),
        ("remove_all", remove_all::measure),
        ("queue", queue::measure),
        ("map", map::measure),
        ("run", run::measure),
        // Last: it fills the mount table.
        ("open", open::measure),
    ];
    for (name, section) in sections {
        if only.is_empty() || only.iter().any(|wanted| wanted == name) {
            eprintln!("rust: {name}");
            section(&gate, &fixture)?;
        }
    }
    Ok(())
}
