//! What examples/doctor says, with the rights that a gate needs and without them.

use nix::sys::wait::{WaitStatus, waitpid};

use crate::child::forked;
use crate::forbid::without;
use crate::host::host;

#[path = "../../examples/doctor.rs"]
mod program;

fn examine() -> (bool, String) {
    let mut said = Vec::new();
    let works = program::examine(&mut said).unwrap();
    (works, String::from_utf8(said).unwrap())
}

/// The line that begins with `what`, its words.
fn line<'a>(said: &'a str, what: &str) -> Vec<&'a str> {
    let line = said.lines().find_map(|line| line.strip_prefix(what));
    let line = line.unwrap_or_else(|| panic!("nothing about {what}:\n{said}"));
    line.split_whitespace().collect()
}

#[test]
fn it_names_kernel_rights_limits_and_features_and_tries_a_chroot() {
    let _host = host();
    let (works, said) = examine();
    assert!(works, "{said}");
    assert_eq!(line(&said, "CAP_SYS_ADMIN")[0], "yes");
    assert_eq!(line(&said, "chroot ")[0], "works");
    for what in ["kernel", "RLIMIT_NOFILE", "fs/mount-max"] {
        let value = line(&said, what)[0];
        assert!(value.starts_with(|c: char| c.is_ascii_digit()), "{said}");
    }
    for what in ["mount_setattr", "fchmodat2", "namespace ids", "mount proof"] {
        let words = line(&said, what);
        // Nothing is said about what there is.
        assert_eq!(words[0] == "yes", words.len() == 1, "{said}");
    }
}

#[test]
fn it_says_what_is_used_instead() {
    let _host = host();
    let (works, said) = without(libc::SYS_mount_setattr, examine);
    assert!(works, "{said}");
    let words = line(&said, "mount_setattr");
    assert_eq!(words[0], "no");
    assert!(words.len() > 1, "{said}");
}

#[test]
fn it_says_why_there_is_no_gate() {
    let _host = host();
    let (works, said) = without(libc::SYS_openat2, examine);
    assert!(!works, "{said}");
    assert!(
        said.contains("openat2(") && said.contains("ENOSYS"),
        "{said}"
    );
    let child = forked(|| {
        give_up_capabilities();
        let (works, said) = examine();
        assert!(!works, "{said}");
        assert_eq!(line(&said, "CAP_SYS_ADMIN")[0], "no");
        assert!(said.contains("EPERM"), "{said}");
        0
    });
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
}

/// As a process of no special user has none.
fn give_up_capabilities() {
    // struct __user_cap_header_struct: _LINUX_CAPABILITY_VERSION_3, this thread.
    let header = [0x2008_0522_u32, 0];
    let none = [0u32; 6];
    // SAFETY: the structures of that version, which the kernel reads.
    let value = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    assert_eq!(value, 0, "{}", std::io::Error::last_os_error());
}
