//! What a path is called in reports, messages and spans.

use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A path as it is, but for control characters, by which a customer's file name could forge a line of
/// a log, and for what is no UTF-8; cut where it would bury the rest.
pub(crate) struct Label<'a>(pub(crate) &'a Path);

/// Bytes of a path that are shown.
const SHOWN: usize = 1024;

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.as_os_str().as_bytes();
        for chunk in path[..path.len().min(SHOWN)].utf8_chunks() {
            let mut left = chunk.valid();
            while let Some((at, control)) = left.char_indices().find(|(_, c)| c.is_control()) {
                write!(f, "{}{}", &left[..at], control.escape_default())?;
                left = &left[at + control.len_utf8()..];
            }
            f.write_str(left)?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        match path.len() > SHOWN {
            true => f.write_str("..."),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_label_is_one_short_line() {
        for (path, expected) in [
            (&b"/volumes/7 \"a\\b\""[..], "/volumes/7 \"a\\b\""),
            ("/caf\u{e9}".as_bytes(), "/caf\u{e9}"),
            (b"a\nERROR \x1b[2Jb", "a\\nERROR \\u{1b}[2Jb"),
            (b"a\xff\xffb\xc3", "a\u{fffd}\u{fffd}b\u{fffd}"),
            ("a\u{85}b".as_bytes(), "a\\u{85}b"),
        ] {
            let label = Label(Path::new(OsStr::from_bytes(path))).to_string();
            assert_eq!(label, expected);
        }
        let long = "n".repeat(1 << 22);
        let label = Label(Path::new(&long)).to_string();
        assert_eq!(label, format!("{}...", &long[..SHOWN]));
    }
}
