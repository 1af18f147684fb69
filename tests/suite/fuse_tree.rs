//! A tree of directories and links behind a server that counts what it is asked: how often a path is
//! looked up is a number here and not a time.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, Generation, INodeNo, ReplyAttr, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, Request,
};

use crate::fuse_volume::{Answers, FuseVolume};

/// Nothing is cached: each component of each path is a request.
const TTL: Duration = Duration::ZERO;
const ROOT: u64 = 1;

#[derive(Default)]
struct Node {
    /// What a link leads to; a directory without.
    text: Option<String>,
    /// Names in the order of the listing, also those that were removed.
    listing: Vec<String>,
    names: HashMap<String, u64>,
}

/// What the server was asked.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Asked {
    pub(crate) lookups: u64,
    /// Entries that were listed and directories that were removed.
    listed: u64,
    removed: u64,
    /// The most entries that were listed and not removed.
    pub(crate) pending: u64,
}

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    asked: Asked,
}

/// The tree, for the test that made it.
#[derive(Clone)]
pub(crate) struct FuseTree(Arc<Mutex<State>>);

impl FuseTree {
    pub(crate) fn new() -> FuseTree {
        FuseTree(Arc::new(Mutex::new(State {
            nodes: vec![Node::default()],
            asked: Asked::default(),
        })))
    }

    /// A directory in the directory of that number; the root is 1. Returns its own number.
    pub(crate) fn directory(&self, parent: u64, name: &str) -> u64 {
        self.add(parent, name, Node::default())
    }

    /// Directories inside each other, all of that name; returns the number of the last.
    pub(crate) fn chain(&self, parent: u64, name: &str, levels: usize) -> u64 {
        (0..levels).fold(parent, |parent, _| self.directory(parent, name))
    }

    pub(crate) fn link(&self, parent: u64, name: &str, text: &str) {
        let text = Some(text.to_string());
        self.add(
            parent,
            name,
            Node {
                text,
                ..Node::default()
            },
        );
    }

    fn add(&self, parent: u64, name: &str, node: Node) -> u64 {
        let mut state = self.0.lock().unwrap();
        state.nodes.push(node);
        let number = state.nodes.len() as u64;
        let parent = state.node(parent);
        parent.listing.push(name.into());
        parent.names.insert(name.into(), number);
        number
    }

    pub(crate) fn serve(&self) -> Option<FuseVolume> {
        FuseVolume::with_server("", |answers| Server(self.clone(), answers))
    }

    /// What it was asked while `call` ran.
    pub(crate) fn asked<R>(&self, call: impl FnOnce() -> R) -> (R, Asked) {
        self.0.lock().unwrap().asked = Asked::default();
        let answer = call();
        (answer, self.0.lock().unwrap().asked)
    }

    /// How many names the root has.
    pub(crate) fn names(&self) -> usize {
        self.0.lock().unwrap().node(ROOT).names.len()
    }
}

impl State {
    fn node(&mut self, number: u64) -> &mut Node {
        &mut self.nodes[number as usize - 1]
    }

    fn attributes(&mut self, number: u64) -> FileAttr {
        let is_link = self.node(number).text.is_some();
        FileAttr {
            ino: INodeNo(number),
            size: 0,
            blocks: 0,
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: match is_link {
                true => FileType::Symlink,
                false => FileType::Directory,
            },
            perm: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            flags: 0,
            blksize: 512,
        }
    }
}

struct Server(FuseTree, Arc<Answers>);

impl Server {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.1.wait();
        self.0.0.lock().unwrap()
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        state.asked.lookups += 1;
        let name = name.to_str().unwrap();
        match state.node(parent.0).names.get(name).copied() {
            Some(number) => reply.entry(&TTL, &state.attributes(number), Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.state().attributes(ino.0));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        let mut state = self.state();
        let text = state.node(ino.0).text.clone().unwrap();
        reply.data(text.as_bytes());
    }

    fn readdir(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut state = self.state();
        let node = state.node(ino.0);
        let mut listed = 0;
        for (index, name) in node.listing.iter().enumerate().skip(offset as usize) {
            let Some(number) = node.names.get(name) else {
                continue;
            };
            let kind = FileType::Directory;
            if reply.add(INodeNo(*number), index as u64 + 1, kind, name) {
                break;
            }
            listed += 1;
        }
        let asked = &mut state.asked;
        asked.listed += listed;
        asked.pending = asked.pending.max(asked.listed - asked.removed);
        reply.ok();
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        let name = name.to_str().unwrap();
        let Some(number) = state.node(parent.0).names.get(name).copied() else {
            return reply.error(Errno::ENOENT);
        };
        if !state.node(number).names.is_empty() {
            return reply.error(Errno::ENOTEMPTY);
        }
        state.node(parent.0).names.remove(name);
        state.asked.removed += 1;
        reply.ok();
    }
}
