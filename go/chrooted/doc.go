// Package chrooted is package nsgate behind the interface of a chroot that is a thread with a mount
// namespace of its own: for programs that have such a thing and want to keep their code.
//
//   - [Chroot] confines file operations to a directory, and [Chrooted] has them as methods.
//   - Everything comes from a [nsgate.Gate], by default one for the process, opened on first use.
//   - [Chrooted.Close] waits until the chroot is gone, with a deadline; [Chrooted.CloseAsync] doesn't.
//
// New code uses package nsgate itself. docs/migrating.md shows both sides.
//
// # What is different
//
// A thread with a mount namespace of its own, an unshare, a bind and a pivot_root, is what is replaced.
// Beside it:
//
//   - Operations of one chroot run at the same time, on their callers' threads. One that hangs delays no
//     other. There is a limit to how many may (nsgate.WithFileOperations): beyond it they wait, and then
//     answer [nsgate.ErrFull].
//   - Nothing is written to the volume: a read-only one and a full one can be opened, and nobody sees a
//     directory for the old root.
//   - Devices and set-user-id bits don't work, and mounts that the host makes later don't appear, unless
//     [WithChrootOptions] says so.
//   - [Chrooted.Do] returns a panic as an error instead of ending the program, and goroutines that its
//     function starts run outside. Several run at once; their number is the gate's.
//   - [Chrooted.Close] lets running operations finish as it did, but gives up waiting after a while; the
//     release then goes on by itself. From inside a Do of the same chroot it used to hang; now it
//     doesn't wait.
//   - [Chrooted.EvalSymlinks] always returns an absolute path, also for a relative one.
//   - [Chrooted.ReadDir] leaves out an entry that vanishes meanwhile, where it failed.
//   - [Chrooted.TempFile] takes no notice of TMPDIR: an empty directory is "/tmp" in the chroot.
//   - os.SameFile knows the results of Stat of package os only; [nsgate.SameFile] knows those of here.
//   - Magic links, as in a /proc that is mounted in the volume, are not followed (ELOOP).
//   - [IsNSorErr] takes namespaces only, no longer any file of a proc file system.
package chrooted
