//go:build linux && cgo

package capi

// #include "shim.h"
// #cgo noescape nsgate_go_find
// #cgo nocallback nsgate_go_find
// #cgo noescape nsgate_go_find_by_address
// #cgo nocallback nsgate_go_find_by_address
// #cgo noescape nsgate_go_find_by_lifecycle
// #cgo nocallback nsgate_go_find_by_lifecycle
// #cgo noescape nsgate_map_count
// #cgo nocallback nsgate_map_count
// #cgo noescape nsgate_go_map_assign_network
// #cgo nocallback nsgate_go_map_assign_network
// #cgo noescape nsgate_go_snapshot
// #cgo nocallback nsgate_go_snapshot
import "C"

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"
)

// What a snapshot is of.
const (
	SnapshotAll     = C.NSGATE_SNAPSHOT_ALL
	SnapshotRunning = C.NSGATE_SNAPSHOT_RUNNING
)

func sandboxMap(id uint64) C.nsgate_map { return C.nsgate_map{id: C.uint64_t(id)} }

// MapCreate makes a map.
func MapCreate(g uint64, out *uint64, e *Error) int32 {
	var handle C.nsgate_map
	status := C.nsgate_map_create(gate(g), &handle, e.c())
	*out = uint64(handle.id)
	return e.answer(status)
}

// MapFree ends the handle and the map.
func MapFree(id uint64, e *Error) int32 {
	return e.answer(C.nsgate_map_free(sandboxMap(id), e.c()))
}

// MapRegister registers a life, whose value the callbacks find by its number.
func MapRegister(id uint64, sandboxID, lifecycleID string, life any, out *uint64, e *Error) int32 {
	key := lives.Add(life)
	if key == 0 {
		e.Set(StatusFull, "too many sandboxes")
		return StatusFull
	}
	var handle C.nsgate_sandbox
	status := C.nsgate_go_register(sandboxMap(id), str(sandboxID), str(lifecycleID), C.uint64_t(key), &handle, e.c())
	if status != C.NSGATE_OK {
		dropped(&lives, key)
	}
	*out = uint64(handle.id)
	return e.answer(status)
}

// MapFind returns the value of the running life of a sandbox, nil if there is none.
func MapFind(id uint64, sandboxID string) any {
	collect()
	return life(C.nsgate_go_find(sandboxMap(id), str(sandboxID)))
}

// MapFindByAddress returns the value of the life that has a network address, nil if there is none. An
// IPv4 address is mapped into IPv6.
func MapFindByAddress(id uint64, address [16]byte) any {
	collect()
	first, second := binary.NativeEndian.Uint64(address[:8]), binary.NativeEndian.Uint64(address[8:])
	return life(C.nsgate_go_find_by_address(sandboxMap(id), C.uint64_t(first), C.uint64_t(second)))
}

// addressChanges is the library's, and never moves.
var addressChanges = (*uint64)(unsafe.Pointer(C.nsgate_address_changes()))

// AddressChanges counts the changes of who owns an address, in all maps. What MapFindByAddress answered
// holds as long as this is what it was before.
func AddressChanges() uint64 { return atomic.LoadUint64(addressChanges) }

// MapFindByLifecycle returns the value of a life, nil if there is none.
func MapFindByLifecycle(id uint64, lifecycleID string) any {
	collect()
	return life(C.nsgate_go_find_by_lifecycle(sandboxMap(id), str(lifecycleID)))
}

// MapRetain is MapFindByLifecycle, and gives a reference to the life's handle. If the value is nil, it
// gives none.
func MapRetain(id uint64, lifecycleID string, out *uint64) any {
	var handle C.nsgate_sandbox
	key := C.nsgate_go_retain(sandboxMap(id), str(lifecycleID), &handle)
	if key == 0 {
		return nil
	}
	value := life(key)
	if value == nil { // it has left the map since
		C.nsgate_sandbox_free(handle, nil)
		return nil
	}
	*out = uint64(handle.id)
	return value
}

func life(key C.uint64_t) any {
	collect()
	value, _ := lives.Get(uint64(key))
	return value
}

func (a *Address) c() *C.nsgate_address { return (*C.nsgate_address)(unsafe.Pointer(a)) }

// MapCount counts the running lives and all of them.
func MapCount(id uint64, running, all *int, e *Error) int32 {
	var r, a C.size_t
	status := C.nsgate_map_count(sandboxMap(id), &r, &a, e.c())
	*running, *all = int(r), int(a)
	return e.answer(status)
}

// MapSnapshot returns the values of the lives that there are.
func MapSnapshot(id uint64, which uint32, out *[]any, e *Error) int32 {
	for capacity := 64; ; {
		keys := make([]uint64, capacity)
		var count C.size_t
		status := C.nsgate_go_snapshot(sandboxMap(id), C.uint32_t(which), (*C.uint64_t)(unsafe.SliceData(keys)), C.size_t(capacity), &count, e.c())
		if status != C.NSGATE_OK {
			return e.answer(status)
		}
		if int(count) > capacity {
			capacity = int(count) + int(count)/8
			continue
		}
		values := make([]any, 0, count)
		for _, key := range keys[:count] {
			if value, ok := lives.Get(key); ok {
				values = append(values, value)
			}
		}
		*out = values
		return StatusOK
	}
}

// MapChange is SandboxChange by the lifecycle id.
func MapChange(change Change, id uint64, lifecycleID string, call uint64, out *Answer) int32 {
	return out.Error.answer(C.nsgate_go_map_change(C.uint32_t(change), sandboxMap(id), str(lifecycleID), C.uint64_t(call),
		(*C.uint32_t)(&out.Changed), (*C.uint64_t)(&out.Outermost), out.Error.c()))
}

// MapAssignNetwork is SandboxAssignNetwork by the lifecycle id.
func MapAssignNetwork(id uint64, lifecycleID string, address Address, changed *bool, e *Error) int32 {
	var c C.uint32_t
	status := C.nsgate_go_map_assign_network(sandboxMap(id), str(lifecycleID), address.c(), &c, e.c())
	*changed = c != 0
	return e.answer(status)
}

// MapNetworkReleased is SandboxNetworkReleased by the address and the lifecycle id.
func MapNetworkReleased(id uint64, address Address, lifecycleID string, call uint64, out *Answer) int32 {
	return out.Error.answer(C.nsgate_go_map_network_released(sandboxMap(id), address.c(), str(lifecycleID), C.uint64_t(call),
		(*C.uint32_t)(&out.Changed), (*C.uint64_t)(&out.Outermost), out.Error.c()))
}

// MapSubscribe adds a subscriber.
func MapSubscribe(id uint64, name string, subscriber Subscriber, withRelease bool, key, out *uint64, e *Error) int32 {
	*key = subscribers.Add(subscriber)
	var with C.uint32_t
	if withRelease {
		with = 1
	}
	status := C.nsgate_go_subscribe(sandboxMap(id), str(name), C.uint64_t(*key), with, (*C.uint64_t)(out), e.c())
	if status != C.NSGATE_OK {
		dropped(&subscribers, *key)
	}
	return e.answer(status)
}

// MapUnsubscribe ends a subscriber; its Ended is called after its last call.
func MapUnsubscribe(id, subscription uint64, e *Error) int32 {
	return e.answer(C.nsgate_map_unsubscribe(sandboxMap(id), C.uint64_t(subscription), e.c()))
}

// MapUnsubscribeWait ends a subscriber and waits for its last call. It holds the thread.
func MapUnsubscribeWait(id, subscription uint64, e *Error) int32 {
	return e.answer(C.nsgate_map_unsubscribe_wait(sandboxMap(id), C.uint64_t(subscription), e.c()))
}

// MapSubscriberStats reads the statistics of a subscriber.
func MapSubscriberStats(id, subscription uint64, out *SubscriberStats, e *Error) int32 {
	out.size = uint32(unsafe.Sizeof(*out))
	return e.answer(C.nsgate_map_subscriber_stats(sandboxMap(id), C.uint64_t(subscription), (*C.nsgate_subscriber_stats)(unsafe.Pointer(out)), e.c()))
}
