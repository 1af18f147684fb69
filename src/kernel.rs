//! The only place with raw system calls: thin, safe functions whose errors name the call.

pub(crate) mod cancellation;
pub(crate) mod close;
pub(crate) mod descriptor;
pub(crate) mod dissolve;
pub(crate) mod empty_namespace;
pub(crate) mod entries;
pub(crate) mod event_fd;
pub(crate) mod features;
pub(crate) mod file;
pub(crate) mod hung;
pub(crate) mod mount;
pub(crate) mod mount_holders;
pub(crate) mod mount_list;
pub(crate) mod mount_mark;
pub(crate) mod mountinfo;
pub(crate) mod namespace;
pub(crate) mod path;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod remount;
pub(crate) mod served;
pub(crate) mod signals;
pub(crate) mod syscall;
pub(crate) mod unmount;
