//! The same through the C ABI.

use std::ffi::{c_char, c_void};
use std::ptr::{null, null_mut};

use crate::without_memory::without_memory;

/// A handle of any kind: one 64-bit id, passed as a struct of it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Handle(u64);

#[repr(C)]
#[derive(Clone, Copy)]
struct Text {
    data: *const c_char,
    length: usize,
}

type Error = *mut c_void;
type Job = extern "C" fn(*mut c_void) -> i32;

// As include/nsgate.h declares them.
unsafe extern "C" {
    fn nsgate_gate_open(options: *const c_void, out: *mut Handle, error: Error) -> i32;
    fn nsgate_gate_close(gate: Handle, timeout: i64, report: *mut c_void, error: Error) -> i32;
    fn nsgate_gate_fence(gate: Handle, timeout: i64, error: Error) -> i32;
    fn nsgate_chroot_open(
        gate: Handle,
        volume: Text,
        options: *const c_void,
        out: *mut Handle,
        error: Error,
    ) -> i32;
    fn nsgate_chroot_release(chroot: Handle, ticket: *mut u64, error: Error) -> i32;
    fn nsgate_chroot_free(chroot: Handle, error: Error) -> i32;
    fn nsgate_job_reserve(
        gate: Handle,
        label: Text,
        function: Job,
        user_data: *mut c_void,
        destroy: Option<extern "C" fn(*mut c_void)>,
        out: *mut Handle,
        error: Error,
    ) -> i32;
    fn nsgate_job_submit(job: Handle, ticket: *mut u64, error: Error) -> i32;
    fn nsgate_job_free(job: Handle, error: Error) -> i32;
    fn nsgate_map_create(gate: Handle, out: *mut Handle, error: Error) -> i32;
    fn nsgate_map_free(map: Handle, error: Error) -> i32;
    fn nsgate_map_register(
        map: Handle,
        sandbox_id: Text,
        lifecycle_id: Text,
        user_data: *mut c_void,
        destroy: Option<extern "C" fn(*mut c_void)>,
        out: *mut Handle,
        error: Error,
    ) -> i32;
    fn nsgate_sandbox_attach(sandbox: Handle, chroot: Handle, error: Error) -> i32;
    fn nsgate_sandbox_free(sandbox: Handle, error: Error) -> i32;
    fn nsgate_sandbox_network_released(
        sandbox: Handle,
        context: *mut c_void,
        changed: *mut u32,
        error: Error,
    ) -> i32;
}

const MINUTE: i64 = 60_000_000_000;

fn text(text: &'static str) -> Text {
    Text {
        data: text.as_ptr().cast(),
        length: text.len(),
    }
}

/// A new handle, made by a call that gets the place for it.
fn made(make: impl FnOnce(*mut Handle) -> i32) -> Handle {
    let mut handle = Handle::default();
    assert_eq!(make(&mut handle), 0);
    handle
}

extern "C" fn nothing(_: *mut c_void) -> i32 {
    0
}

#[test]
fn everything_is_released_through_the_c_abi_without_memory() {
    // SAFETY: the declarations are those of the header, every pointer is NULL or to a variable, and
    // the texts are for ever.
    unsafe {
        let no = null_mut();
        let gate = made(|out| nsgate_gate_open(null(), out, no));
        let open = || made(|out| nsgate_chroot_open(gate, text("/tmp"), null(), out, no));
        let chroots = [(); 10].map(|()| open());
        without_memory(|| {
            let mut ticket = 0;
            for chroot in chroots {
                assert_eq!(nsgate_chroot_release(chroot, &mut ticket, null_mut()), 0);
            }
        });
        for chroot in chroots {
            assert_eq!(nsgate_chroot_free(chroot, no), 0);
        }
        let job = made(|out| {
            let label = text("job");
            nsgate_job_reserve(gate, label, nothing, no, None, out, no)
        });
        without_memory(|| assert_eq!(nsgate_job_submit(job, null_mut(), null_mut()), 0));
        assert_eq!(nsgate_job_free(job, no), 0);
        let map = made(|out| nsgate_map_create(gate, out, no));
        let sandbox =
            made(|out| nsgate_map_register(map, text("sandbox"), text("life"), no, None, out, no));
        for _ in 0..100 {
            let chroot = open();
            assert_eq!(nsgate_sandbox_attach(sandbox, chroot, no), 0);
            assert_eq!(nsgate_chroot_free(chroot, no), 0);
        }
        let changed = without_memory(|| {
            let mut changed = 0;
            let answer =
                nsgate_sandbox_network_released(sandbox, null_mut(), &mut changed, null_mut());
            (answer, changed)
        });
        assert_eq!(changed, (0, 1));
        // A chroot may go with its handle as well.
        let chroots = [(); 100].map(|()| open());
        without_memory(|| {
            for chroot in chroots {
                assert_eq!(nsgate_chroot_free(chroot, null_mut()), 0);
            }
        });
        assert_eq!(nsgate_gate_fence(gate, MINUTE, no), 0);
        assert_eq!(nsgate_sandbox_free(sandbox, no), 0);
        assert_eq!(nsgate_map_free(map, no), 0);
        assert_eq!(nsgate_gate_close(gate, MINUTE, no, no), 0);
    }
}
