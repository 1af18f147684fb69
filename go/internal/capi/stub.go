//go:build !linux || !cgo

package capi

import (
	"errors"
	"os"
	"sync/atomic"
)

// Every call answers UNSUPPORTED, the first one of which is GateOpen; the others are here for the
// compiler.

// The constants are those of the C header.
const (
	UnmountDetach = 1

	ChrootReadOnly     = 1
	ChrootAllowSuid    = 2
	ChrootAllowDevices = 4
	ChrootNoexec       = 8
	ChrootNosymfollow  = 16
	ChrootSlave        = 32
	ChrootNotRecursive = 64
	ChrootNofollow     = 128

	RenameNoreplace   = 1
	RenameExchange    = 2
	TimesNofollow     = 1
	TempFileRoom      = 32
	DirectoryWithStat = 1

	SnapshotAll     = 0
	SnapshotRunning = 1
)

// Change is a change of a life's state.
type Change uint32

// The changes.
const (
	ChangeRunning Change = iota
	ChangeStopping
	ChangeStopped
	ChangeNetworkReleased
)

// Place tells whether the calling thread is in a subscriber's callback.
type Place uint32

// Parts of a Place.
const (
	InCallback Place = 1 << iota
	InRelease
	InThisRelease
	Known
)

func (e *Error) unsupported() int32 {
	e.Set(StatusUnsupported, "needs Linux, and a build with cgo")
	return StatusUnsupported
}

func Version() string                { return "" }
func StatusName(status int32) string { return "NSGATE_UNKNOWN" }

func OpenMailbox() error                  { return nil }
func CloseMailbox()                       {}
func WhereAmI(subscriber uint64) Place    { return 0 }
func procPin() int                        { return 0 }
func procUnpin()                          {}
func StayAwake(*atomic.Int32, int32) bool { return false }

func GateOpen(options *GateOptions, out *uint64, e *Error) int32      { return e.unsupported() }
func GateBeginClose(id uint64, e *Error) int32                        { return e.unsupported() }
func GateClose(id uint64, timeout int64, out *Report, e *Error) int32 { return e.unsupported() }
func GateFree(id uint64, e *Error) int32                              { return e.unsupported() }
func GateFeatures(id uint64, out *Features, e *Error) int32           { return e.unsupported() }
func GateStats(id uint64, out *Stats, e *Error) int32                 { return e.unsupported() }
func GateLook(id, ticket uint64, out *Event, e *Error) int32          { return e.unsupported() }
func GateCancel(id, ticket uint64, e *Error) int32                    { return e.unsupported() }
func GateFenceAt(id, adds uint64, e *Error) int32                     { return e.unsupported() }
func GateDrain(id uint64, out *Report, e *Error) int32                { return e.unsupported() }
func GateReportItems(id uint64, buffer []ReportItem, count *int, e *Error) int32 {
	return e.unsupported()
}
func GateRetryFailed(id, ticket uint64, out *uint64, e *Error) int32       { return e.unsupported() }
func GateForgetFailed(id, ticket uint64, e *Error) int32                   { return e.unsupported() }
func GateReadEvents(id uint64, buffer []Event, count *int, e *Error) int32 { return e.unsupported() }
func GateEvents(id uint64, out **os.File, e *Error) int32                  { return e.unsupported() }

func ChrootOpen(id uint64, volume string, flags uint32, out *uint64, e *Error) int32 {
	return e.unsupported()
}
func ChrootStart(id uint64, run *Run) int32 { return run.Error.unsupported() }
func (run *Run) TakeBack(g uint64) bool     { return false }
func ChrootOpenChroot(id uint64, path string, flags uint32, out *uint64, e *Error) int32 {
	return e.unsupported()
}
func ChrootIdentify(id uint64, out *NamespaceID, e *Error) int32           { return e.unsupported() }
func ChrootBeforeRelease(id uint64, function func() int32, e *Error) int32 { return e.unsupported() }
func ChrootRelease(id uint64, ticket *uint64, e *Error) int32              { return e.unsupported() }
func ChrootTicket(id uint64, out *uint64, e *Error) int32                  { return e.unsupported() }
func ChrootCancelRelease(id uint64, e *Error) int32                        { return e.unsupported() }
func ChrootIsClosed(id uint64, out *bool, e *Error) int32                  { return e.unsupported() }
func ChrootFree(id uint64, e *Error) int32                                 { return e.unsupported() }

func NamespaceOpenPath(id uint64, path string, out *uint64, e *Error) int32 { return e.unsupported() }
func NamespaceOpenPid(id uint64, pid int32, out *uint64, e *Error) int32    { return e.unsupported() }
func NamespaceOpenFd(id uint64, fd uintptr, out *uint64, e *Error) int32    { return e.unsupported() }
func NamespaceOpenCurrent(id uint64, out *uint64, e *Error) int32           { return e.unsupported() }
func NamespaceCreate(id uint64, out *uint64, e *Error) int32                { return e.unsupported() }
func NamespaceStart(id uint64, run *Run) int32                              { return run.Error.unsupported() }
func NamespaceIdentify(id uint64, out *NamespaceID, e *Error) int32         { return e.unsupported() }
func NamespaceRelease(id uint64, ticket *uint64, e *Error) int32            { return e.unsupported() }

func JobReserve(id uint64, label string, function func() int32, out *uint64, e *Error) int32 {
	return e.unsupported()
}
func JobReserveUnmount(id uint64, path string, flags uint32, out *uint64, e *Error) int32 {
	return e.unsupported()
}
func JobSubmit(id uint64, ticket *uint64, e *Error) int32 { return e.unsupported() }
func JobFree(id uint64, e *Error) int32                   { return e.unsupported() }
func JobReserveFile(id uint64, file *os.File, label string, out *uint64, e *Error) int32 {
	return e.unsupported()
}

func OpenFile(id uint64, path string, flags int32, mode uint32, fd *int, waits *bool, e *Error) int32 {
	return e.unsupported()
}
func SetBlocking(fd int)                                              {}
func FileStat(id uint64, path string, out *Stat, e *Error) int32      { return e.unsupported() }
func FileLstat(id uint64, path string, out *Stat, e *Error) int32     { return e.unsupported() }
func FileStatfs(id uint64, path string, out *Statfs, e *Error) int32  { return e.unsupported() }
func Mkdir(id uint64, path string, mode uint32, e *Error) int32       { return e.unsupported() }
func MkdirAll(id uint64, path string, mode uint32, e *Error) int32    { return e.unsupported() }
func Remove(id uint64, path string, e *Error) int32                   { return e.unsupported() }
func RemoveAll(id uint64, path string, e *Error) int32                { return e.unsupported() }
func Rename(id uint64, from, to string, flags uint32, e *Error) int32 { return e.unsupported() }
func Link(id uint64, from, to string, e *Error) int32                 { return e.unsupported() }
func Symlink(id uint64, target, link string, e *Error) int32          { return e.unsupported() }
func ReadLink(id uint64, path string, buffer []byte, length *int, e *Error) int32 {
	return e.unsupported()
}
func RealPath(id uint64, path string, buffer []byte, length *int, e *Error) int32 {
	return e.unsupported()
}
func Chmod(id uint64, path string, mode uint32, e *Error) int32      { return e.unsupported() }
func Chown(id uint64, path string, uid, gid uint32, e *Error) int32  { return e.unsupported() }
func Lchown(id uint64, path string, uid, gid uint32, e *Error) int32 { return e.unsupported() }
func SetTimes(id uint64, path string, access, modification *Time, flags uint32, e *Error) int32 {
	return e.unsupported()
}
func Truncate(id uint64, path string, length int64, e *Error) int32 { return e.unsupported() }
func TempFile(id uint64, directory, prefix string, fd *int, buffer []byte, length *int, e *Error) int32 {
	return e.unsupported()
}

func DirectoryOpen(id uint64, path string, out *uint64, e *Error) int32 { return e.unsupported() }
func DirectoryRead(id uint64, buffer []uint64, flags uint32, used *int, e *Error) int32 {
	return e.unsupported()
}
func DirectoryClose(id uint64, e *Error) int32 { return e.unsupported() }
func ReadDirent(fd int, buffer []byte) (n int, err error) {
	return 0, errors.ErrUnsupported
}

func MapCreate(id uint64, out *uint64, e *Error) int32 { return e.unsupported() }
func MapFree(id uint64, e *Error) int32                { return e.unsupported() }
func MapRegister(id uint64, sandboxID, lifecycleID string, life any, out *uint64, e *Error) int32 {
	return e.unsupported()
}
func MapFind(id uint64, sandboxID string) any                         { return nil }
func MapFindByAddress(id uint64, address [16]byte) any                { return nil }
func AddressChanges() uint64                                          { return 0 }
func MapFindByLifecycle(id uint64, lifecycleID string) any            { return nil }
func MapRetain(id uint64, lifecycleID string, out *uint64) any        { return nil }
func MapCount(id uint64, running, all *int, e *Error) int32           { return e.unsupported() }
func MapSnapshot(id uint64, which uint32, out *[]any, e *Error) int32 { return e.unsupported() }
func MapChange(change Change, id uint64, lifecycleID string, call uint64, out *Answer) int32 {
	return out.Error.unsupported()
}
func MapAssignNetwork(id uint64, lifecycleID string, address Address, changed *bool, e *Error) int32 {
	return e.unsupported()
}
func MapNetworkReleased(id uint64, address Address, lifecycleID string, call uint64, out *Answer) int32 {
	return out.Error.unsupported()
}
func MapSubscribe(id uint64, name string, subscriber Subscriber, withRelease bool, key, out *uint64, e *Error) int32 {
	return e.unsupported()
}
func MapUnsubscribe(id, subscription uint64, e *Error) int32     { return e.unsupported() }
func MapUnsubscribeWait(id, subscription uint64, e *Error) int32 { return e.unsupported() }
func MapSubscriberStats(id, subscription uint64, out *SubscriberStats, e *Error) int32 {
	return e.unsupported()
}

func SandboxChange(change Change, id, call uint64, out *Answer) int32 {
	return out.Error.unsupported()
}
func SandboxAssignNetwork(id uint64, address Address, changed *bool, e *Error) int32 {
	return e.unsupported()
}
func SandboxAttach(id, chrootID uint64, e *Error) int32                { return e.unsupported() }
func SandboxAttachJob(id, jobID uint64, e *Error) int32                { return e.unsupported() }
func SandboxDetach(id, chrootID uint64, changed *bool, e *Error) int32 { return e.unsupported() }
func SandboxInfo(id uint64, out *SandboxDetails, e *Error) int32       { return e.unsupported() }
func SandboxRetain(id uint64, e *Error) int32                          { return e.unsupported() }
func SandboxFree(id uint64, e *Error) int32                            { return e.unsupported() }
