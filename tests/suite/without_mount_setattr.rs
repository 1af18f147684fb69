//! Chroots as on Linux 5.10 and 5.11, which have no mount_setattr(2): the namespace is made at once,
//! and everything else is the same.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sys::statvfs::{FsFlags, fstatvfs};
use nsgate::{Chroot, ChrootOptions, Gate, OpenOptions, Outcome, Proof, Status};

use crate::chroot::{self, open};
use crate::chroot_inside as inside;
use crate::chroot_release as release;
use crate::forbid::without;
use crate::host::{Volume, close, gate, host, soon};

/// Runs `body` where the gate finds no mount_setattr.
fn on_linux_5_10(body: impl FnOnce() + Send) {
    without(libc::SYS_mount_setattr, body);
}

fn bind(source: &Path, target: &Path, flags: MsFlags) {
    let none = None::<&str>;
    mount(Some(source), target, none, MsFlags::MS_BIND, none).unwrap();
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | flags;
    mount(none, target, none, flags, none).unwrap();
}

/// What the mount at `path` in the chroot has.
fn flags(chroot: &Chroot, path: &str) -> FsFlags {
    let file = chroot.open_file(path, OpenOptions::new(libc::O_PATH));
    fstatvfs(file.unwrap()).unwrap().flags()
}

#[test]
fn chroots_are_opened_run_in_and_released_as_ever() {
    let tests: [fn(); 16] = [
        chroot::a_job_has_the_volume_as_its_root,
        chroot::volumes_that_take_no_change_can_be_opened,
        chroot::what_is_no_volume_is_refused,
        chroot::attributes_hold_for_operations_and_for_jobs,
        chroot::mounts_below_the_volume_come_along_unless_they_should_not,
        chroot::a_slave_sees_later_mounts_of_the_host_and_gives_none_back,
        chroot::two_thousand_chroots_take_no_thread,
        inside::it_is_opened_before_and_after_code_ran_in_the_outer_one,
        inside::what_is_no_directory_in_the_chroot_is_refused,
        inside::it_has_the_mounts_and_no_more_rights_than_the_outer_one,
        inside::it_is_opened_from_inside_another_where_a_thread_is_left,
        release::a_release_waits_for_running_operations_and_refuses_new_ones,
        release::closing_while_many_operate_closes_each_descriptor_once,
        release::dropping_the_last_handle_releases,
        release::more_than_the_capacity_is_full_at_once_and_room_comes_back,
        release::opening_and_releasing_leaves_the_volume_as_it_was,
    ];
    for test in tests {
        on_linux_5_10(test);
    }
}

#[test]
fn the_attributes_hold_before_anything_ran_inside_on_every_mount() {
    let _host = host();
    on_linux_5_10(|| {
        let gate = gate();
        assert!(!gate.features().mount_setattr);
        let (volume, other) = (Volume::new(), Volume::new());
        other.file("file", "");
        // Names that mountinfo escapes, a mount below a mount, and a mount on a file.
        other.file("deeper\\040/file", "");
        for name in ["a b", "a b/deeper\\040", "plain"] {
            let target = volume.path().join(name);
            fs::create_dir_all(&target).unwrap();
            bind(
                other.path(),
                &target,
                MsFlags::MS_NOEXEC | MsFlags::MS_NOATIME,
            );
        }
        volume.file("mounted file", "");
        let file = volume.path().join("mounted file");
        bind(&other.path().join("file"), &file, MsFlags::empty());
        let mut options = ChrootOptions::default();
        options.read_only = true;
        let chroot = Chroot::open(&gate, volume.path(), &options).unwrap();
        let wanted = FsFlags::ST_RDONLY | FsFlags::ST_NOSUID | FsFlags::ST_NODEV;
        for path in [".", "plain", "a b", "a b/deeper\\040", "mounted file"] {
            assert!(flags(&chroot, path).contains(wanted), "{path}");
        }
        // What a mount had, it keeps.
        let kept = wanted | FsFlags::ST_NOEXEC | FsFlags::ST_NOATIME;
        assert!(flags(&chroot, "plain").contains(kept));
        assert!(!flags(&chroot, ".").contains(FsFlags::ST_NOEXEC));
        let write = chroot.create("plain/new", 0o644).unwrap_err();
        assert_eq!(write.os_error(), Some(libc::EROFS));
        // The host's own mounts are what they were.
        File::create(volume.path().join("plain/new")).unwrap();
        drop(chroot);
        close(&gate);
        for name in ["mounted file", "plain", "a b/deeper\\040", "a b"] {
            nix::mount::umount(&volume.path().join(name)).unwrap();
        }
    });
}

#[test]
fn a_mount_beneath_another_that_would_keep_its_own_attributes_is_refused() {
    let _host = host();
    on_linux_5_10(|| {
        let gate = gate();
        let (volume, other) = (Volume::new(), Volume::new());
        let place = volume.path().join("place");
        fs::create_dir(&place).unwrap();
        let all = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        bind(other.path(), &place, MsFlags::empty());
        bind(other.path(), &place, all);
        let refused = Chroot::open(&gate, volume.path(), &ChrootOptions::default());
        let error = refused.unwrap_err();
        assert_eq!(error.status(), Status::Unsupported);
        assert!(error.to_string().contains("\"/place\""), "{error}");
        assert_eq!(gate.stats().reserved, 0);
        // Without what is mounted below, there is nothing to refuse; nor where both have all.
        let mut options = ChrootOptions::default();
        options.recursive = false;
        let shallow = Chroot::open(&gate, volume.path(), &options).unwrap();
        nix::mount::umount(&place).unwrap();
        let none = None::<&str>;
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | all;
        mount(none, &place, none, flags, none).unwrap();
        bind(other.path(), &place, all);
        drop((shallow, open(&gate, &volume)));
        close(&gate);
        for _ in 0..2 {
            nix::mount::umount(&place).unwrap();
        }
    });
}

#[test]
fn its_submounts_are_there_to_the_end() {
    let _host = host();
    on_linux_5_10(|| {
        let gate: Gate = gate();
        let volume = Volume::new();
        volume.file("below/file", "");
        let below = Volume::new();
        below.file("inner", "");
        bind(below.path(), &volume.path().join("below"), MsFlags::empty());
        symlink("/below/inner", volume.path().join("link")).unwrap();
        let chroot = open(&gate, &volume);
        assert!(chroot.stat("link").is_ok());
        let id = chroot.namespace_id().unwrap();
        assert_eq!(chroot.namespace_id().unwrap(), id);
        let ticket = chroot.release().unwrap();
        let event = gate.releases().wait(ticket, Some(soon())).unwrap();
        // Of what was below nothing is known.
        assert_eq!(event.outcome, Outcome::Released(Proof::Unverified));
        close(&gate);
        nix::mount::umount(&volume.path().join("below")).unwrap();
    });
}
