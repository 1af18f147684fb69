//! Entering with the caller's own thread, and coming back exactly.

use std::fs;
use std::path::Path;
use std::thread;

use nsgate::{Error, MountNamespace, Status};

use crate::host::{self, Volume, close, gate, host};

/// On a thread of its own, which ends with what was done to it.
fn on_a_thread(body: impl FnOnce() + Send) {
    thread::scope(|scope| scope.spawn(body).join()).unwrap();
}

#[test]
fn restore_brings_back_namespace_root_and_working_directory() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    fs::create_dir_all(volume.path().join("root/inner")).unwrap();
    let namespace = MountNamespace::create(&gate).unwrap();
    on_a_thread(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        nix::unistd::chdir(&volume.path().join("root/inner")).unwrap();
        let before = host::standing();
        let inside = namespace.enter().unwrap();
        assert_ne!(host::standing()[0], before[0]);
        inside.restore().unwrap();
        assert_eq!(host::standing(), before);
        // A root that is not the namespace's root. /proc can't be read from there.
        let look = || {
            fs::read_dir("/")
                .unwrap()
                .map(|e| e.unwrap().file_name())
                .collect::<Vec<_>>()
        };
        nix::unistd::chroot(&volume.path().join("root")).unwrap();
        assert_eq!(look(), ["inner"]);
        let inside = namespace.enter().unwrap();
        assert!(look().len() > 1);
        inside.restore().unwrap();
        assert_eq!(look(), ["inner"]);
        assert_eq!(nix::unistd::getcwd().unwrap(), Path::new("/inner"));
    });
    drop(namespace);
    close(&gate);
}

#[test]
fn enters_nest_and_are_restored_last_in_first_out() {
    let _host = host();
    let gate = gate();
    let first = MountNamespace::create(&gate).unwrap();
    let second = MountNamespace::create(&gate).unwrap();
    on_a_thread(|| {
        let before = host::standing();
        let outer = first.enter().unwrap();
        let between = host::standing();
        let inner = second.enter().unwrap();
        let wrong = outer.restore().unwrap_err();
        assert_eq!(wrong.error.status(), Status::WrongOrder);
        let outer = wrong.entered.expect("the guard comes back");
        inner.restore().unwrap();
        assert_eq!(host::standing(), between);
        outer.restore().unwrap();
        assert_eq!(host::standing(), before);
    });
    drop((first, second));
    close(&gate);
}

#[test]
fn guards_that_are_dropped_in_the_wrong_order_still_end_at_home() {
    let _host = host();
    let gate = gate();
    let first = MountNamespace::create(&gate).unwrap();
    let second = MountNamespace::create(&gate).unwrap();
    on_a_thread(|| {
        let before = host::standing();
        let outer = first.enter().unwrap();
        let inner = second.enter().unwrap();
        drop(outer);
        assert_eq!(host::standing(), before);
        drop(inner);
        assert_eq!(host::standing(), before);
    });
    on_a_thread(|| {
        let before = host::standing();
        let outer = first.enter().unwrap();
        let between = host::standing();
        let (middle, inner) = (second.enter().unwrap(), second.enter().unwrap());
        drop(middle);
        assert_eq!(host::standing(), between);
        // What it entered is over already.
        inner.restore().unwrap();
        assert_eq!(host::standing(), between);
        outer.restore().unwrap();
        assert_eq!(host::standing(), before);
    });
    drop((first, second));
    close(&gate);
}

#[test]
fn a_working_directory_that_was_deleted_is_still_the_working_directory() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let directory = volume.path().join("gone");
    fs::create_dir(&directory).unwrap();
    let namespace = MountNamespace::create(&gate).unwrap();
    on_a_thread(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        nix::unistd::chdir(&directory).unwrap();
        let inside = namespace.enter().unwrap();
        fs::remove_dir(&directory).unwrap();
        inside.restore().unwrap();
        // As if the thread had never left.
        assert_eq!(nix::unistd::getcwd(), Err(nix::errno::Errno::ENOENT));
        assert!(
            host::standing()[2]
                .to_str()
                .unwrap()
                .ends_with("gone (deleted)")
        );
        nix::unistd::chdir("/").unwrap();
    });
    drop(namespace);
    close(&gate);
}

#[test]
fn a_working_directory_that_cannot_be_restored_is_named() {
    let _host = host();
    let gate = gate();
    let volume = Volume::new();
    let directory = volume.path().join("private");
    fs::create_dir(&directory).unwrap();
    nix::unistd::chown(&directory, Some(1.into()), Some(1.into())).unwrap_or(());
    let namespace = MountNamespace::create(&gate).unwrap();
    on_a_thread(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS).unwrap();
        nix::unistd::chdir(&directory).unwrap();
        let inside = namespace.enter().unwrap();
        let mode = nix::sys::stat::Mode::empty();
        nix::sys::stat::fchmodat(
            nix::fcntl::AT_FDCWD,
            &directory,
            mode,
            nix::sys::stat::FchmodatFlags::FollowSymlink,
        )
        .unwrap();
        let (search, read) = (1u64 << 1, 1u64 << 2);
        with_capabilities_dropped(search | read, || {
            let failed = inside.restore().unwrap_err();
            let error = Error::from(failed);
            assert_eq!(error.os_error(), Some(libc::EACCES));
            let text = error.to_string();
            assert!(
                text.contains("the working directory could not be restored"),
                "{text}"
            );
            assert!(text.contains("fchdir("), "{text}");
        });
        // Namespace and root are the thread's own again.
        assert_eq!(
            host::standing()[0],
            fs::read_link("/proc/self/ns/mnt").unwrap()
        );
    });
    drop(namespace);
    close(&gate);
}

/// Runs `body` without these effective capabilities of the calling thread.
fn with_capabilities_dropped(mask: u64, body: impl FnOnce()) {
    let header = [0x2008_0522u32, 0];
    let mut data = [[0u32; 3]; 2];
    // SAFETY: header and data have version 3's layout.
    let got = unsafe { libc::syscall(libc::SYS_capget, &header, &mut data) };
    assert_eq!(got, 0);
    let full = data;
    data[0][0] &= !(mask as u32);
    let set = |data: &[[u32; 3]; 2]| {
        // SAFETY: header and data have version 3's layout.
        let answer = unsafe { libc::syscall(libc::SYS_capset, &header, data) };
        assert_eq!(answer, 0);
    };
    set(&data);
    body();
    set(&full);
}

#[test]
fn a_released_namespace_is_not_entered() {
    let _host = host();
    let gate = gate();
    let namespace = MountNamespace::create(&gate).unwrap();
    namespace.release().unwrap();
    assert_eq!(namespace.enter().unwrap_err().status(), Status::Closed);
    close(&gate);
}
