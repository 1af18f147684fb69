/* What Go needs beside nsgate.h: callbacks for the library, and calls that save a crossing. */
#ifndef NSGATE_GO_SHIM_H
#define NSGATE_GO_SHIM_H

#include "nsgate.h"

/* Offsets that Go's copies of the structs are checked against. */
enum {
  offsetof_retry_attempts = offsetof(nsgate_gate_options, retry_attempts),
  offsetof_unfinished = offsetof(nsgate_stats, unfinished_ns),
  offsetof_event_os_error = offsetof(nsgate_event, os_error),
  offsetof_special_device = offsetof(nsgate_stat, special_device),
  offsetof_attached = offsetof(nsgate_sandbox_details, attached),
};

/* Keys are numbers of a Go registry; they travel through the library as void *. */

/* ---- the mailbox: what library threads have to tell Go ---- */

enum {
  NSGATE_GO_LETTER_JOB_ENDED = 1,
  NSGATE_GO_LETTER_LIFE_ENDED = 2,
  NSGATE_GO_LETTER_SUBSCRIBER_ENDED = 3,
  NSGATE_GO_LETTER_RELEASED = 4,
};

typedef struct {
  uint32_t kind;
  uint32_t reserved;
  uint64_t key;
  uint64_t life;
  nsgate_event event;
} nsgate_go_letter;

/* Opens the mailbox and returns an eventfd, which the caller closes after nsgate_go_mailbox_close, or -errno. */
int nsgate_go_mailbox_open(void);
void nsgate_go_mailbox_close(void);
/* Takes the oldest letter; 0 when there is none. */
int nsgate_go_mailbox_take(nsgate_go_letter *out);
/* Makes the eventfd readable. */
void nsgate_go_mailbox_wake(void);
/* Calls the Go subscriber of a RELEASED letter with this thread marked as being in it. */
void nsgate_go_deliver(const nsgate_go_letter *letter);

/* ---- where the calling thread is ---- */

enum {
  NSGATE_GO_IN_CALLBACK = 1,      /* in a callback of some subscriber */
  NSGATE_GO_IN_RELEASE = 2,       /* in the delivery of a release: the mailbox waits */
  NSGATE_GO_IN_THIS_RELEASE = 4,  /* in the delivery of a release to this very subscriber */
  NSGATE_GO_KNOWN = 8,            /* on a namespace thread that Go knew before it left for its first job */
};
uint32_t nsgate_go_place(uint64_t subscriber);

/* ---- calls ---- */

/* Opens a gate whose namespace threads make themselves known to Go. */
nsgate_status nsgate_go_gate_open(nsgate_gate_options *options, nsgate_gate *out, nsgate_error *error);

nsgate_status nsgate_go_job_reserve(nsgate_gate gate, nsgate_string label, uint64_t key, nsgate_job *out, nsgate_error *error);
nsgate_status nsgate_go_before_release(nsgate_chroot chroot, uint64_t key, nsgate_error *error);

/* Opens a file. *waits: it is one to wait for, which can't seek, such as a FIFO, and has become non-blocking. */
nsgate_status nsgate_go_open_file(nsgate_chroot chroot, nsgate_string path, int32_t flags, uint32_t mode, int *fd, uint32_t *waits, nsgate_error *error);

/* Start a job. From inside a job on a namespace thread it has run when this returns: *ran is 1 then, and done isn't called. */
nsgate_status nsgate_go_chroot_start(nsgate_chroot chroot, uint64_t key, uint32_t *ran, uint64_t *number, nsgate_error *error);
nsgate_status nsgate_go_namespace_start(nsgate_namespace ns, uint64_t key, uint32_t *ran, uint64_t *number, nsgate_error *error);

/* The life's number is given back when nobody is told of it any more, whatever references there are. */
nsgate_status nsgate_go_register(nsgate_map map, nsgate_string sandbox_id, nsgate_string lifecycle_id, uint64_t life, nsgate_sandbox *out, nsgate_error *error);
nsgate_status nsgate_go_subscribe(nsgate_map map, nsgate_string name, uint64_t key, uint32_t with_release, uint64_t *subscription, nsgate_error *error);

/* Find the number of a life's value: 0 if there is none. It may have gone since, which the registry says. */
uint64_t nsgate_go_find(nsgate_map map, nsgate_string sandbox_id);
/* The address as two words, in network order: words stay in registers. */
uint64_t nsgate_go_find_by_address(nsgate_map map, uint64_t first, uint64_t second);
uint64_t nsgate_go_find_by_lifecycle(nsgate_map map, nsgate_string lifecycle_id);
/* The same with a reference to the life, if it is found. */
uint64_t nsgate_go_retain(nsgate_map map, nsgate_string lifecycle_id, nsgate_sandbox *out);
/* Fills lives with the numbers of the values; *count is how many there are, perhaps more than fit. */
nsgate_status nsgate_go_snapshot(nsgate_map map, uint32_t which, uint64_t *lives, size_t capacity, size_t *count, nsgate_error *error);

enum { NSGATE_GO_RUNNING, NSGATE_GO_STOPPING, NSGATE_GO_STOPPED, NSGATE_GO_NETWORK_RELEASED };

/* Changes a life. *outermost is the call in whose callback this thread is, 0 if in none: an event of a
 * change made inside a callback may be told by the frame above, after the change returned. */
nsgate_status nsgate_go_change(uint32_t change, nsgate_sandbox sandbox, uint64_t call, uint32_t *changed, uint64_t *outermost, nsgate_error *error);
/* The same by the lifecycle id. */
nsgate_status nsgate_go_map_change(uint32_t change, nsgate_map map, nsgate_string lifecycle_id, uint64_t call, uint32_t *changed, uint64_t *outermost, nsgate_error *error);
nsgate_status nsgate_go_map_assign_network(nsgate_map map, nsgate_string lifecycle_id, const nsgate_address *address, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_go_map_network_released(nsgate_map map, const nsgate_address *address, nsgate_string lifecycle_id, uint64_t call, uint32_t *changed, uint64_t *outermost, nsgate_error *error);

#endif
