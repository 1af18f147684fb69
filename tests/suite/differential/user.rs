//! A thread that for a while has no more rights over files than an ordinary user.

/// The user to become; 0 where no other exists, in a user namespace that maps one.
pub(crate) fn user() -> u32 {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let is_mapped = map.lines().any(|line| {
        let numbers: Vec<u64> = line
            .split_whitespace()
            .map(|n| n.parse().unwrap())
            .collect();
        (numbers[0]..numbers[0] + numbers[2]).contains(&1001)
    });
    if is_mapped { 1000 } else { 0 }
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Capabilities {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const VERSION_3: u32 = 0x2008_0522;

/// CHOWN, DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER, FSETID.
const OVER_FILES: u32 = 0b1_1111;

/// The calling thread's capabilities and user for files as they were; back when it is dropped.
pub(crate) struct AsUser([Capabilities; 2]);

impl AsUser {
    pub(crate) fn new(user: u32) -> AsUser {
        let mut sets = [Capabilities::default(); 2];
        let header = Header {
            version: VERSION_3,
            pid: 0,
        };
        // SAFETY: the header says two sets, and two there are.
        let value = unsafe { libc::syscall(libc::SYS_capget, &header, sets.as_mut_ptr()) };
        assert_eq!(value, 0);
        let before = AsUser(sets);
        set_file_user(user);
        sets[0].effective &= !OVER_FILES;
        set_capabilities(&sets);
        before
    }
}

impl Drop for AsUser {
    fn drop(&mut self) {
        set_file_user(0);
        set_capabilities(&self.0);
    }
}

fn set_capabilities(sets: &[Capabilities; 2]) {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    // SAFETY: as above.
    let value = unsafe { libc::syscall(libc::SYS_capset, &header, sets.as_ptr()) };
    assert_eq!(value, 0);
}

/// User and group that the calling thread's file accesses are checked and made as.
fn set_file_user(id: u32) {
    // SAFETY: no memory is involved.
    unsafe {
        libc::syscall(libc::SYS_setfsgid, id);
        libc::syscall(libc::SYS_setfsuid, id);
        // The answer is what it was before: ask again by a change that can't be made.
        assert_eq!(libc::syscall(libc::SYS_setfsuid, -1) as u32, id);
    }
}
