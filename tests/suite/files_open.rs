//! Opening: confinement, flags, and what a path may look like.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nsgate::{ChrootOptions, OpenOptions, Status};

use crate::files::{Files, content, errno};
use crate::host::{LONG, set_descriptor_limit};

fn reading() -> OpenOptions {
    OpenOptions::new(libc::O_RDONLY)
}

#[test]
fn links_and_dots_stay_in_the_volume() {
    let files = Files::new();
    let outside = files.volume.path().with_extension("outside");
    fs::write(&outside, "outside").unwrap();
    files.volume.file("etc/name", "inside");
    files.volume.file("a/b/file", "deep");
    symlink("/etc/name", files.volume.path().join("a/absolute")).unwrap();
    symlink(
        "../../../../../../etc/name",
        files.volume.path().join("a/b/up"),
    )
    .unwrap();
    symlink(&outside, files.volume.path().join("escape")).unwrap();
    for path in [
        "a/absolute",
        "/a/absolute",
        "a/b/up",
        "a/../../../etc/name",
        "//etc//.//name",
    ] {
        assert_eq!(files.read(path), "inside", "{path}");
    }
    assert_eq!(
        files.read("a/absolute/../b/file".replace("absolute/..", ".")),
        "deep"
    );
    assert_eq!(
        errno(files.chroot.open_file("escape", reading())),
        libc::ENOENT
    );
    // A link that leads out creates inside, as it would in a real chroot; here its directory is missing.
    let creating = OpenOptions::new(libc::O_WRONLY | libc::O_CREAT).mode(0o600);
    assert_eq!(
        errno(files.chroot.open_file("escape", creating)),
        libc::ENOENT
    );
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside");
    fs::remove_file(outside).unwrap();
}

#[test]
fn a_dangling_link_is_created_where_it_leads_to_inside() {
    let files = Files::new();
    files.chroot.mkdir("tmp", 0o755).unwrap();
    files.chroot.symlink("/tmp/made", "link").unwrap();
    files.write("link", "text");
    assert_eq!(
        fs::read_to_string(files.volume.path().join("tmp/made")).unwrap(),
        "text"
    );
}

#[test]
fn each_form_of_a_path_answers_as_open_does() {
    let files = Files::new();
    files.volume.file("file", "");
    files.volume.file("dir/file", "");
    files.chroot.symlink("loop", "loop").unwrap();
    let long_name = "n".repeat(255);
    files.write(&long_name, "long");
    assert_eq!(files.read(&long_name), "long");
    let deep = "./".repeat(2047);
    files.chroot.open_file(&deep, reading()).unwrap();
    let cases = [
        ("", libc::ENOENT),
        ("file/", libc::ENOTDIR),
        ("file/.", libc::ENOTDIR),
        ("file/..", libc::ENOTDIR),
        ("missing/..", libc::ENOENT),
        ("loop", libc::ELOOP),
        (&"n".repeat(256), libc::ENAMETOOLONG),
        (&format!("{deep}./"), libc::ENAMETOOLONG),
        (&"a/".repeat(100_000), libc::ENAMETOOLONG),
    ];
    for (path, expected) in cases {
        assert_eq!(
            errno(files.chroot.open_file(path, reading())),
            expected,
            "{path:.40}"
        );
    }
    for path in [".", "..", "/", "//", "/..", "dir/", "dir/.", "dir//..//"] {
        files.chroot.open_file(path, reading()).unwrap();
        let writing = OpenOptions::new(libc::O_WRONLY);
        assert_eq!(
            errno(files.chroot.open_file(path, writing)),
            libc::EISDIR,
            "{path}"
        );
    }
    let creating = OpenOptions::new(libc::O_RDWR | libc::O_CREAT).mode(0o600);
    assert_eq!(
        errno(files.chroot.open_file("new/", creating)),
        libc::EISDIR
    );
    let error = files.chroot.open_file("a\0b", reading()).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
}

#[test]
fn names_are_bytes() {
    let files = Files::new();
    let name = OsStr::from_bytes(b"caf\xe9 \xff\n\x01");
    let mut file = File::from(files.chroot.create(name, 0o644).unwrap());
    file.write_all(b"bytes").unwrap();
    assert_eq!(files.read(name), "bytes");
    let listed: Vec<_> = files
        .chroot
        .read_dir("/")
        .unwrap()
        .map(|e| e.unwrap().name)
        .collect();
    assert_eq!(listed, [name]);
}

#[test]
fn flags_and_mode_mean_what_they_mean_to_open() {
    let files = Files::new();
    let options = OpenOptions::new(libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL).mode(0o6754);
    let file = files.chroot.open_file("file", options).unwrap();
    let flags = nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_GETFD).unwrap();
    assert_eq!(flags & libc::FD_CLOEXEC, libc::FD_CLOEXEC);
    // The host reads its own umask: asking for it would change it.
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    let umask = status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:\t"))
        .unwrap();
    let umask = u32::from_str_radix(umask, 8).unwrap();
    let mode = fs::metadata(files.volume.path().join("file"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o6754 & !umask);
    assert_eq!(errno(files.chroot.open_file("file", options)), libc::EEXIST);
    // A mode without O_CREAT and flags that nobody knows are ignored, as open(2) does.
    let odd = OpenOptions::new(libc::O_RDONLY | 1 << 30).mode(0o777);
    files.chroot.open_file("file", odd).unwrap();
    files.write("file", "longer text");
    let truncating = OpenOptions::new(libc::O_WRONLY | libc::O_TRUNC);
    files.chroot.open_file("file", truncating).unwrap();
    assert_eq!(files.read("file"), "");
    files.chroot.symlink("file", "link").unwrap();
    let nofollow = OpenOptions::new(libc::O_RDONLY | libc::O_NOFOLLOW);
    assert_eq!(errno(files.chroot.open_file("link", nofollow)), libc::ELOOP);
    let directory = OpenOptions::new(libc::O_RDONLY | libc::O_DIRECTORY);
    assert_eq!(
        errno(files.chroot.open_file("file", directory)),
        libc::ENOTDIR
    );
}

#[test]
fn a_file_without_a_name_is_made_in_the_volume() {
    let files = Files::new();
    let options = OpenOptions::new(libc::O_RDWR | libc::O_TMPFILE).mode(0o600);
    let file = File::from(files.chroot.open_file("/", options).unwrap());
    (&file).write_all(b"unnamed").unwrap();
    assert!(files.names("/").is_empty());
    // It can be given a name later: by its descriptor, in a directory that the chroot opened, because
    // the host's path to the volume is on another mount.
    let root = files
        .chroot
        .open_file("/", OpenOptions::new(libc::O_PATH))
        .unwrap();
    let magic = format!("/proc/self/fd/{}", file.as_raw_fd());
    nix::unistd::linkat(
        nix::fcntl::AT_FDCWD,
        magic.as_str(),
        &root,
        "named",
        nix::fcntl::AtFlags::AT_SYMLINK_FOLLOW,
    )
    .unwrap();
    assert_eq!(files.read("named"), "unnamed");
}

#[test]
fn devices_open_only_where_the_mount_allows_it() {
    for nodev in [true, false] {
        let mut options = ChrootOptions::default();
        options.nodev = nodev;
        let files = Files::with_options(&options);
        let source = File::create(files.volume.path().join("null")).unwrap();
        drop(source);
        // A bind of the real device works without the right to make one.
        nix::mount::mount(
            Some("/dev/null"),
            &files.volume.path().join("null"),
            None::<&str>,
            nix::mount::MsFlags::MS_BIND,
            None::<&str>,
        )
        .unwrap();
        let gate = files.chroot.gate();
        let chroot = nsgate::Chroot::open(gate, files.volume.path(), &options).unwrap();
        let opened = chroot.open_file("null", OpenOptions::new(libc::O_RDWR));
        match nodev {
            true => assert_eq!(errno(opened), libc::EACCES),
            false => assert_eq!(content(chroot.open_file("null", reading())), ""),
        }
        chroot.release().unwrap();
    }
}

#[test]
fn a_waiting_open_holds_up_no_other_operation() {
    let files = Files::new();
    nix::unistd::mkfifo(
        &files.volume.path().join("fifo"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    let (opened, wait) = mpsc::channel();
    let chroot = files.chroot.clone();
    let reader = thread::spawn(move || {
        let read = content(chroot.open_file("fifo", reading()));
        opened.send(read).unwrap();
    });
    for number in 0..200 {
        files.write(&format!("file{number}"), "text");
        assert_eq!(files.chroot.stat("file0").unwrap().size(), 4);
    }
    assert!(wait.try_recv().is_err(), "nobody has opened the other end");
    let writer = files
        .chroot
        .open_file("fifo", OpenOptions::new(libc::O_WRONLY))
        .unwrap();
    File::from(writer).write_all(b"through").unwrap();
    assert_eq!(wait.recv_timeout(LONG).unwrap(), "through");
    reader.join().unwrap();
}

#[test]
fn a_thousand_opens_that_hang_hold_up_no_other_operation() {
    const HANGING: usize = 1000;
    let files = Files::new();
    let fifo = files.volume.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    // Each holds a number from the beginning of its open.
    let descriptors = set_descriptor_limit(4 * HANGING as u64);
    let (begun, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..HANGING)
            .map(|_| {
                let hang = || {
                    begun.fetch_add(1, Ordering::SeqCst);
                    let opened = files.chroot.open_file("fifo", reading());
                    ended.fetch_add(1, Ordering::SeqCst);
                    opened.map(drop)
                };
                // The library needs little, and a thousand of the usual ones would be 2 GiB.
                let small = thread::Builder::new().stack_size(128 << 10);
                small.spawn_scoped(scope, hang).unwrap()
            })
            .collect();
        while begun.load(Ordering::SeqCst) < HANGING {
            thread::sleep(Duration::from_millis(1));
        }
        let (worked, wait) = mpsc::channel();
        let work = scope.spawn({
            let files = &files;
            move || {
                for number in 0..200 {
                    let (dir, file) = (format!("dir{number}"), format!("dir{number}/file"));
                    files.chroot.mkdir(&dir, 0o755).unwrap();
                    files.write(&file, "text");
                    assert_eq!(files.chroot.stat(&file).unwrap().size(), 4);
                    assert_eq!(files.read(&file), "text");
                    assert_eq!(files.names(&dir), ["file"]);
                    files.chroot.remove_all(&dir).unwrap();
                }
                worked.send(()).unwrap();
            }
        });
        let in_time = wait.recv_timeout(LONG);
        let ended_early = ended.load(Ordering::SeqCst);
        // Whatever was found: the threads have to come back.
        let writer = fs::OpenOptions::new().read(true).write(true).open(&fifo);
        for thread in threads {
            thread.join().unwrap().unwrap();
        }
        drop(writer);
        work.join().unwrap();
        in_time.expect("the other operations hang, too");
        assert_eq!(ended_early, 0, "nobody has opened the other end");
    });
    set_descriptor_limit(descriptors);
}

#[test]
fn a_descriptor_outlives_the_chroot_and_operations_do_not() {
    let files = Files::new();
    files.write("file", "text");
    let file = files.chroot.open_file("file", reading());
    let mut listing = files.chroot.read_dir("/").unwrap();
    let ticket = files.chroot.release().unwrap();
    files.chroot.gate().releases().wait(ticket, None).unwrap();
    assert_eq!(content(file), "text");
    assert_eq!(listing.next().unwrap().unwrap().name, "file");
    drop(listing);
    let chroot = &files.chroot;
    let refused = [
        chroot.open_file("file", reading()).map(drop),
        chroot.stat("file").map(drop),
        chroot.mkdir("dir", 0o755),
        chroot.remove_all("file"),
        chroot.rename("file", "other", Default::default()),
        chroot.real_path("file").map(drop),
    ];
    for result in refused {
        assert_eq!(result.unwrap_err().status(), Status::Closed);
    }
}
