//! Chroots of directories in chroots.

use std::fs;
use std::os::unix::fs::symlink;

use nsgate::{Chroot, ChrootOptions, GateOptions, Status};

use crate::chroot::open;
use crate::host::{Volume, close, gate, host};

fn volume() -> Volume {
    let volume = Volume::new();
    volume.file("in/side/file", "yes");
    volume.file("secret", "");
    symlink("/in", volume.path().join("link")).unwrap();
    volume
}

#[test]
pub(crate) fn it_is_opened_before_and_after_code_ran_in_the_outer_one() {
    let _host = host();
    let gate = gate();
    let volume = volume();
    let outer = open(&gate, &volume);
    let options = ChrootOptions::default();
    for _ in 0..2 {
        for path in ["in", "/link/", "../in/side/.."] {
            let inner = outer.open_chroot(path, &options).unwrap();
            assert_eq!(inner.volume().to_str(), Some(path));
            assert!(inner.stat("../secret").is_err());
            let read = || fs::read_to_string("/side/file").unwrap();
            assert_eq!(inner.run(read).unwrap(), "yes");
            let innermost = inner.open_chroot("side", &options).unwrap();
            innermost.run(|| fs::metadata("/file").unwrap()).unwrap();
            assert_eq!(innermost.stat("file").unwrap().size(), 3);
        }
        outer.run(|| ()).unwrap();
    }
    drop(outer);
    close(&gate);
}

#[test]
pub(crate) fn what_is_no_directory_in_the_chroot_is_refused() {
    let _host = host();
    let gate = gate();
    let volume = volume();
    symlink("/proc/self/root", volume.path().join("out")).unwrap();
    let outer = open(&gate, &volume);
    let options = ChrootOptions::default();
    let mut nofollow = ChrootOptions::default();
    nofollow.nofollow = true;
    let errno = |path: &str, options: &ChrootOptions| {
        let error = outer.open_chroot(path, options).unwrap_err();
        assert_eq!(error.status(), Status::Os, "{error}");
        error.os_error().unwrap()
    };
    assert_eq!(errno("secret", &options), libc::ENOTDIR);
    assert_eq!(errno("missing", &options), libc::ENOENT);
    assert_eq!(errno("", &options), libc::ENOENT);
    assert_eq!(errno("out", &options), libc::ENOENT);
    for path in ["link", "link/", "link/side"] {
        assert_eq!(errno(path, &nofollow), libc::ELOOP, "{path}");
    }
    drop(outer.open_chroot("in/side", &nofollow).unwrap());
    let error = outer.open_chroot("a\0b", &options).unwrap_err();
    assert_eq!(error.status(), Status::InvalidArgument);
    outer.release().unwrap();
    let error = outer.open_chroot("in", &options).unwrap_err();
    assert_eq!(error.status(), Status::Closed);
    assert_eq!(gate.stats().reserved, 0);
    close(&gate);
}

#[test]
pub(crate) fn it_has_the_mounts_and_no_more_rights_than_the_outer_one() {
    let _host = host();
    let gate = gate();
    let volume = volume();
    let below = Volume::new();
    below.file("mounted", "");
    let place = volume.path().join("in/side");
    let none = None::<&str>;
    let bind = nix::mount::MsFlags::MS_BIND;
    nix::mount::mount(Some(below.path()), &place, none, bind, none).unwrap();
    let mut options = ChrootOptions::default();
    options.read_only = true;
    let outer = Chroot::open(&gate, volume.path(), &options).unwrap();
    let mut options = ChrootOptions::default();
    options.nodev = false;
    options.nosuid = false;
    let inner = outer.open_chroot("in", &options).unwrap();
    // It stays whole when the outer one goes.
    let ticket = outer.release().unwrap();
    gate.releases().wait(ticket, None).unwrap();
    assert!(inner.stat("side/mounted").is_ok());
    let wanted = libc::ST_RDONLY | libc::ST_NODEV | libc::ST_NOSUID;
    for path in ["/", "side"] {
        assert_eq!(inner.statfs(path).unwrap().flags & wanted, wanted);
    }
    let write = inner.run(|| fs::write("/side/new", "")).unwrap();
    assert_eq!(write.unwrap_err().raw_os_error(), Some(libc::EROFS));
    options.recursive = false;
    let refused = outer.open_chroot("in", &options).unwrap_err();
    assert_eq!(refused.status(), Status::Closed);
    drop(inner);
    close(&gate);
    nix::mount::umount(&place).unwrap();
}

#[test]
pub(crate) fn it_is_opened_from_inside_another_where_a_thread_is_left() {
    let _host = host();
    let gate = gate();
    let (volume, other) = (volume(), Volume::new());
    other.file("in/planted", "");
    let options = ChrootOptions::default();
    let (outer, other) = (open(&gate, &volume), open(&gate, &other));
    let inner = other.run(|| outer.open_chroot("in", &options)).unwrap();
    assert!(inner.unwrap().stat("side").is_ok());
    drop((outer, other));
    close(&gate);

    let mut one = GateOptions::default();
    one.namespace_threads = 1;
    let gate = nsgate::Gate::open(one).unwrap();
    let outer = open(&gate, &volume);
    let refused = outer.run(|| outer.open_chroot("in", &options)).unwrap();
    assert_eq!(refused.unwrap_err().status(), Status::WouldDeadlock);
    assert_eq!(gate.stats().reserved, 1);
    drop(outer);
    close(&gate);
}
