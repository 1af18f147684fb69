// Package nsgatebilly is a chroot of nsgate as a go-billy file system, for libraries that want one, such
// as NFS servers and go-git.
//
// The volume is the boundary: the kernel resolves every name below it, whatever symbolic links are there
// and whatever is renamed meanwhile. What [FS.Chroot] returns keeps to its directory as go-billy's other
// file systems do, by looking at the path first; that is a convenience and no boundary. For a boundary,
// open a chroot of the directory ([nsgate.Chroot.OpenRoot]) and make a file system of that.
//
// It differs from the chroot's own methods where go-billy wants it:
//
//   - Names are cleaned before use, so that "link/.." is the directory that link is in.
//   - Creating, renaming and linking make the directories above the new name.
//   - Opening never waits: what is neither a regular file nor a directory, such as a FIFO, answers
//     EINVAL, as NFS servers do.
//
// What files read and write counts as operations of the chroot, of which there is a limit (see
// [nsgate.WithFileOperations]), and is refused with [nsgate.ErrFull] as they are. A Close that is refused so
// is done later.
//
// A file system has no resources of its own. After the chroot was closed, its methods answer
// fs.ErrClosed; open files stay usable until they are closed.
package nsgatebilly
