//! A volume whose file system is a server in this process, which stops answering when it is told to.
//! It has one file, or what another server has: [`fuse_tree`](crate::fuse_tree).

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, OpenFlags, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, Request, Session, SessionACL, WriteFlags,
};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::host::temporary_path;

const DATA: INodeNo = INodeNo(2);
/// Nothing is cached: the kernel asks for everything, each time.
const TTL: Duration = Duration::ZERO;

/// Whether the server answers. One thread serves: where it waits, everything waits.
#[derive(Default)]
pub(crate) struct Answers {
    /// Whether it is silent, and whether somebody waits for an answer.
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Answers {
    pub(crate) fn wait(&self) {
        let mut state = self.state.lock().unwrap();
        while state.0 {
            state.1 = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
        state.1 = false;
    }
}

/// A root directory with one file, "data".
struct Server(Arc<Answers>);

fn attributes(ino: INodeNo) -> FileAttr {
    let is_root = ino == INodeNo::ROOT;
    FileAttr {
        ino,
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: match is_root {
            true => FileType::Directory,
            false => FileType::RegularFile,
        },
        perm: if is_root { 0o755 } else { 0o644 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        flags: 0,
        blksize: 512,
    }
}

impl Filesystem for Server {
    fn lookup(&self, _: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.0.wait();
        match name.to_str() {
            Some("data") => reply.entry(&TTL, &attributes(DATA), Generation(0)),
            _ => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.0.wait();
        reply.attr(&TTL, &attributes(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        self.0.wait();
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _offset: u64,
        _size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.0.wait();
        reply.data(&[]);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        _offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        self.0.wait();
        reply.written(data.len() as u32);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        self.0.wait();
        reply.ok();
    }
}

pub(crate) struct FuseVolume {
    path: PathBuf,
    answers: Arc<Answers>,
    session: Option<BackgroundSession>,
}

impl FuseVolume {
    /// `None`, said on stderr, where this process may not open /dev/fuse; NSGATE_REQUIRE_ROOT=1
    /// makes that a failure.
    pub(crate) fn new(options: &str) -> Option<FuseVolume> {
        FuseVolume::with_server(options, Server)
    }

    /// The same with a server that asks the given answers before it answers.
    pub(crate) fn with_server<S: Filesystem>(
        options: &str,
        server: impl FnOnce(Arc<Answers>) -> S,
    ) -> Option<FuseVolume> {
        let device = match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            Ok(device) => device,
            Err(error) => {
                let required = std::env::var_os("NSGATE_REQUIRE_ROOT");
                assert!(required.is_none(), "/dev/fuse: {error}");
                eprintln!("left out, /dev/fuse is for root: {error}");
                return None;
            }
        };
        Some(FuseVolume::serve(device, options, server).unwrap())
    }

    fn serve<S: Filesystem>(
        device: File,
        options: &str,
        server: impl FnOnce(Arc<Answers>) -> S,
    ) -> io::Result<FuseVolume> {
        let path = temporary_path();
        fs::create_dir(&path)?;
        let fd = device.as_raw_fd();
        let options = format!("fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other{options}");
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("nsgate"),
            &path,
            Some("fuse"),
            flags,
            Some(options.as_str()),
        )?;
        let answers = Arc::new(Answers::default());
        let server = server(answers.clone());
        let device = OwnedFd::from(device);
        let session = Session::from_fd(server, device, SessionACL::All, Config::default())?;
        Ok(FuseVolume {
            path,
            answers,
            session: Some(session.spawn()?),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The server takes no notice of any request from here on.
    pub(crate) fn fall_silent(&self) {
        self.answers.state.lock().unwrap().0 = true;
    }

    /// Waits until a request came that is not answered.
    pub(crate) fn wait_for_request(&self) {
        let state = self.answers.state.lock().unwrap();
        let waits = |state: &mut (bool, bool)| !state.1;
        let long = crate::host::LONG;
        let (_state, result) = self
            .answers
            .changed
            .wait_timeout_while(state, long, waits)
            .unwrap();
        assert!(!result.timed_out(), "nobody asked the server");
    }

    pub(crate) fn answer(&self) {
        self.answers.state.lock().unwrap().0 = false;
        self.answers.changed.notify_all();
    }

    /// Aborts the connection: every request fails from here on, the waiting ones too.
    pub(crate) fn abort(&self) {
        // The answer is EBUSY as a rule; the connection is aborted before it is found out.
        let _ = umount2(&self.path, MntFlags::MNT_FORCE);
    }
}

impl Drop for FuseVolume {
    fn drop(&mut self) {
        self.abort();
        self.answer();
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        if let Some(session) = self.session.take() {
            // An aborted connection ends its server with an error or without one.
            let _ = session.join();
        }
        let _ = fs::remove_dir(&self.path);
    }
}
