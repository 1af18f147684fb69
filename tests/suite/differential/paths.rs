//! Paths that are often there, sometimes nearly, and sometimes beyond what the kernel takes.

use super::random::Random;

pub(crate) type Bytes = Vec<u8>;

/// Paths that were made or tried before, which makes most of the new ones lead somewhere.
#[derive(Clone)]
pub(crate) struct Paths {
    known: Vec<Bytes>,
}

/// More known paths than this would make each of them rare.
const KNOWN: usize = 160;

const NAMES: [&[u8]; 16] = [
    b"a",
    b"b",
    b"c",
    b"d",
    b"file",
    b"f2",
    b"link",
    b"l2",
    b"l3",
    b"deep",
    b"open",
    b"shut",
    b"sticky",
    b"caf\xe9 \xff",
    b"new\nline",
    b" ",
];

impl Paths {
    pub(crate) fn new(known: impl IntoIterator<Item = &'static str>) -> Paths {
        Paths {
            known: known.into_iter().map(Bytes::from).collect(),
        }
    }

    pub(crate) fn remember(&mut self, path: &[u8]) {
        if path.len() > 200 {
            return;
        }
        if self.known.len() == KNOWN {
            self.known.remove(KNOWN / 3);
        }
        self.known.push(path.to_vec());
    }

    pub(crate) fn any(&self, random: &mut Random) -> Bytes {
        let mut path = match random.below(100) {
            0..=64 => random.pick(&self.known),
            65..=92 => components(random),
            93 => Bytes::new(),
            94 => random
                .pick(&[".", "..", "/", "//", "/..", "./", "../..", "/."])
                .into(),
            95 => vec![b'n'; 254 + random.below(4)],
            _ => long(random),
        };
        while random.chance(25) && path.len() < 4200 {
            let end: &[u8] =
                random.pick(&[&b"/"[..], b"//", b"/.", b"/..", b"/a", b"/file", b"/link"]);
            path.extend_from_slice(end);
        }
        if random.chance(10) {
            path.insert(0, b'/');
        }
        path
    }
}

fn components(random: &mut Random) -> Bytes {
    let mut path = Bytes::new();
    for _ in 0..1 + random.below(6) {
        if !path.is_empty() {
            path.push(b'/');
        }
        match random.below(20) {
            0 => path.extend_from_slice(b".."),
            1 => path.push(b'.'),
            2 => path.extend_from_slice(b"deep/1/2/3/4/5/6/7"),
            _ => path.extend_from_slice(random.pick(&NAMES)),
        }
    }
    path
}

/// Around PATH_MAX, by steps that lead nowhere, down one chain or to nothing.
fn long(random: &mut Random) -> Bytes {
    let step: &[u8] = random.pick(&[
        &b"./"[..],
        b"/",
        b"a/../",
        b"link/",
        b"deep/1/../../",
        b"a/",
    ]);
    let length = random.pick(&[256, 1000, 4080, 4090, 4095, 4096, 4097, 5000]);
    let mut path = step.repeat(length / step.len() + 1);
    path.truncate(length.saturating_sub(random.below(6)));
    path
}
