//! Writes include/nsgate.h: the overview, and one page per object of src/capi.
//!
//! The header is rendered into OUT_DIR first; the committed one is replaced only when it differs, and
//! where that is not possible (a read-only checkout, a vendored crate) it is left to the test that
//! compares the two.

use std::path::Path;
use std::{env, fmt::Write, fs};

/// The files of src/capi that C sees, in reading order.
const PAGES: &[&str] = &[
    "status",
    "string",
    "time",
    "handle",
    "callback",
    "gate",
    "event",
    "queue",
    "job",
    "namespace",
    "entered",
    "chroot",
    "file",
    "attributes",
    "directory",
    "address",
    "map",
    "sandbox",
    "subscriber",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cbindgen.toml");
    println!("cargo::rerun-if-changed=src/capi.rs");
    println!("cargo::rerun-if-changed=src/capi");
    println!("cargo::rerun-if-changed=include/nsgate.h");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,{}", soname());
    // Its threads outlive a dlclose.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    let root = Path::new(&root);
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");

    let header = header(root);
    fs::write(Path::new(&out).join("nsgate.h"), &header).expect("OUT_DIR can be written");
    replace(&root.join("include/nsgate.h"), &header);
}

/// By the part of the version that changes when the ABI breaks: before 1.0 that may be each minor one.
fn soname() -> String {
    let part = |name: &str| env::var(name).expect("cargo sets the version");
    match part("CARGO_PKG_VERSION_MAJOR").as_str() {
        "0" => format!("libnsgate.so.0.{}", part("CARGO_PKG_VERSION_MINOR")),
        major => format!("libnsgate.so.{major}"),
    }
}

fn header(root: &Path) -> String {
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml"))
        .expect("cbindgen.toml is well-formed");
    let mut text = String::from("#ifndef NSGATE_H\n#define NSGATE_H\n\n");
    comment(&mut text, &introduction(&root.join("src/capi.rs")));
    text.push_str("\n#include <stddef.h>\n#include <stdint.h>\n\n");
    for part in ["MAJOR", "MINOR", "PATCH"] {
        let number = env::var(format!("CARGO_PKG_VERSION_{part}")).expect("cargo sets the version");
        writeln!(text, "#define NSGATE_VERSION_{part} {number}").unwrap();
    }
    let version = env::var("CARGO_PKG_VERSION").expect("cargo sets the version");
    writeln!(text, "#define NSGATE_VERSION \"{version}\"").unwrap();
    text.push_str(PRELUDE);
    for page in PAGES {
        let path = root.join(format!("src/capi/{page}.rs"));
        text.push('\n');
        comment(&mut text, &introduction(&path));
        text.push('\n');
        text.push_str(render(&config, &path).trim());
        text.push('\n');
    }
    text.push_str("\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
    text
}

/// A page's constants, types and functions.
fn render(config: &cbindgen::Config, path: &Path) -> String {
    let mut config = config.clone();
    let source = fs::read_to_string(path).expect("the pages are there");
    // cbindgen leaves out types that no function of the same page mentions.
    config.export.include = source
        .lines()
        .filter_map(|line| {
            let rest = line
                .strip_prefix("pub struct ")
                .or_else(|| line.strip_prefix("pub type "))?;
            rest.split([' ', ';', '=']).next().map(str::to_string)
        })
        .collect();
    let bindings = cbindgen::Builder::new()
        .with_config(config)
        .with_src(path)
        .generate()
        .expect("cbindgen understands the page");
    let mut text = Vec::new();
    bindings.write(&mut text);
    let text = String::from_utf8(text).expect("the page is UTF-8");
    tidy(&text)
}

/// Comments of one line on one line, constants without gaps, no blank at the end of a line.
fn tidy(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut tidied = String::new();
    let mut at = 0;
    while at < lines.len() {
        match lines[at..] {
            [open, middle, close, ..]
                if open.trim_start() == "/**" && close.trim_start() == "*/" =>
            {
                let indent = &open[..open.len() - 3];
                let words = middle.trim_start().trim_start_matches('*').trim_start();
                writeln!(tidied, "{indent}/** {words} */").unwrap();
                at += 3;
            }
            [define, "", "/**", ref rest @ ..]
                if define.starts_with("#define") && comments_constant(rest) =>
            {
                writeln!(tidied, "{define}").unwrap();
                at += 2;
            }
            _ => {
                writeln!(tidied, "{}", lines[at]).unwrap();
                at += 1;
            }
        }
    }
    tidied
}

/// Whether what follows the comment that `lines` goes on with is a constant.
fn comments_constant(lines: &[&str]) -> bool {
    let mut lines = lines.iter().skip_while(|line| line.trim_start() != "*/");
    lines.nth(1).is_some_and(|line| line.starts_with("#define"))
}

/// The `//!` lines at the head of a file.
fn introduction(path: &Path) -> Vec<String> {
    let source = fs::read_to_string(path).expect("the pages are there");
    source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line).replace('`', ""))
        .collect()
}

fn comment(text: &mut String, lines: &[String]) {
    text.push_str("/*\n");
    for line in lines {
        writeln!(text, "{}", format!(" * {line}").trim_end()).unwrap();
    }
    text.push_str(" */\n");
}

/// By rename, so that nobody ever includes half a header.
fn replace(path: &Path, content: &str) {
    if fs::read_to_string(path).is_ok_and(|there| there == content) {
        return;
    }
    let new = path.with_extension(format!("new.{}", std::process::id()));
    let written = fs::create_dir_all(path.parent().expect("the path has a directory"))
        .and_then(|()| fs::write(&new, content))
        .and_then(|()| fs::rename(&new, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&new);
        println!(
            "cargo::warning={} is out of date and cannot be replaced: {error}",
            path.display()
        );
    }
}

const PRELUDE: &str = r#"
/** Has the compiler warn where the answer of a call is ignored that must not be. */
#if defined(__GNUC__)
#define NSGATE_MUST_USE __attribute__((warn_unused_result))
#else
#define NSGATE_MUST_USE
#endif

/** An nsgate_string of a literal: nsgate_chroot_mkdir(chroot, NSGATE_STR("logs"), 0755, &error). */
#ifdef __cplusplus
#define NSGATE_STR(literal) (nsgate_string{"" literal, sizeof("" literal) - 1})
#else
#define NSGATE_STR(literal) ((nsgate_string){"" literal, sizeof("" literal) - 1})
#endif

/** The name of an nsgate_directory_entry: name_length bytes and a NUL, right behind the entry. */
#define NSGATE_ENTRY_NAME(entry) ((const char *)((entry) + 1))

#ifdef __cplusplus
extern "C" {
#endif
"#;
