// Package nsgate gives hosts of many sandboxes mount namespaces, chroots that cost no thread, and a
// release queue that keeps their teardown off everybody's path.
//
//   - A [Gate] is opened once per process. Everything else is made from it.
//   - A [Chroot] is a private view of a volume. It has the methods of os.Root, is an io/fs file system,
//     and runs Go code whose root directory it is ([Chroot.Do]).
//   - Release never blocks and never fails: its place was reserved when the thing was opened. A [Ticket]
//     tells how it ended.
//   - A [Map] knows the sandboxes, tells a [Subscriber] when one runs and when its network is gone, and
//     releases what is attached to it.
//
// # Threads
//
// File operations run on the caller's thread. Waiting, for a ticket, for a turn in Do, for a drain or for
// a map to be empty, holds no thread and ends with its context. Subscribers run on the goroutine that
// makes the change. Only functions that were given to Do, Reserve and BeforeRelease run on threads of
// the library.
//
// # Errors
//
// File operations answer with *fs.PathError and *os.LinkError around the errno, as package os does.
// Everything else answers with [*Error], which unwraps to the errno and matches the Err values of its
// status: errors.Is(err, ErrClosed). Contexts answer with their own errors.
//
// # Systems
//
// Linux from 5.10 on amd64 and arm64, with cgo, which links the library's archive. Other builds compile,
// and [Open] answers [ErrUnsupported].
package nsgate
