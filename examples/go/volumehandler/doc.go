// Package volumehandler serves the volumes of sandboxes by NFSv3, each sandbox its own.
//
// It shows how a handler keeps the contract of a subscriber while clients do whatever they like:
//
//   - Who connects is found by its address ([nsgate.Map.GetByHostPort]), and joins the sandbox's life
//     under the same lock that OnNetworkRelease takes. The map forgets the address before it tells
//     subscribers: so whoever joined is always told to leave.
//   - A mounted volume is attached to the sandbox. If the network was released meanwhile, Attach
//     refuses, and the chroot is closed again; otherwise the map releases it. A mount can't be left over.
//   - OnNetworkRelease is bookkeeping: it drops the life's entries and cancels its context. It waits
//     for no request, no volume and no client.
//   - From then on file handles of that life answer NFS3ERR_STALE. Its connections stay a while to say
//     so, and are closed.
//   - A volume is opened once per life, however many clients mount it at once, and is closed by the last
//     UMNT or by UMNTALL. Mounts and connections of a life are limited.
//
// Requests of one connection run one after the other, on its goroutine.
package volumehandler
