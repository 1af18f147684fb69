#ifndef NSGATE_H
#define NSGATE_H

/*
 * nsgate: mount namespaces, chroots and an asynchronous release queue for hosts that run many
 * sandboxes. Linux 5.10 or later, x86-64 and arm64.
 *
 * A process opens one gate. From it come chroots (private clones of a directory's mount tree), mount
 * namespaces, jobs and sandbox maps. A chroot serves file operations on the caller's thread, as if
 * its volume were "/", and runs functions whose root it is. When a sandbox's network goes, its map
 * hands everything attached to the sandbox to the gate's release queue and tells the subscribers;
 * that takes microseconds whatever the volumes do. The queue closes, checks that the mounts are gone,
 * and reports each release by its ticket exactly once.
 *
 * Conventions:
 *
 * Errors. Every function that can fail returns nsgate_status and takes an nsgate_error last, which
 * may be NULL. Outputs are written only on success, the error only on failure. Every such function
 * may answer NSGATE_INVALID_ARGUMENT (a NULL, a size, a flag or a string that cannot be),
 * NSGATE_INVALID_HANDLE and NSGATE_PANIC; the docs name what else.
 *
 * Handles and threads. Any value is safe where a handle is asked for. All functions may be called
 * from any thread and at the same time, except where a doc says otherwise. None may be called from a
 * signal handler, nor between fork and exec. A call is no cancellation point: a thread that is cancelled
 * in one (pthread_cancel, deferred) finishes it, and the callbacks that are called on it, first.
 *
 * Ownership. What a function takes for good and what it only borrows for the call is in its doc;
 * strings, options and buffers are always borrowed.
 *
 * Structs that may grow start with their size: set size to sizeof the struct (not of a pointer to it)
 * and the rest to zero. A shorter struct of an older program is filled up with zeros; a longer one of a
 * newer program is refused only if it asks for something this version does not know. Outputs of that
 * kind are filled as far as their size goes. A size that no version ever had, because it is smaller than
 * in the first one or ends within a field, is NSGATE_INVALID_ARGUMENT.
 *
 * Flags and reserved fields: unknown flags and reserved fields that are not zero are refused.
 *
 * Time. Time-outs are nanoseconds from now: 0 looks once and does not wait, NSGATE_NO_DEADLINE waits
 * for ever, and negative ones are refused.
 */

#include <stddef.h>
#include <stdint.h>

#define NSGATE_VERSION_MAJOR 0
#define NSGATE_VERSION_MINOR 1
#define NSGATE_VERSION_PATCH 0
#define NSGATE_VERSION "0.1.0"

/** Has the compiler warn where the answer of a call is ignored that must not be. */
#if defined(__GNUC__)
#define NSGATE_MUST_USE __attribute__((warn_unused_result))
#else
#define NSGATE_MUST_USE
#endif

/** An nsgate_string of a literal: nsgate_chroot_mkdir(chroot, NSGATE_STR("logs"), 0755, &error). */
#ifdef __cplusplus
#define NSGATE_STR(literal) (nsgate_string{"" literal, sizeof("" literal) - 1})
#else
#define NSGATE_STR(literal) ((nsgate_string){"" literal, sizeof("" literal) - 1})
#endif

/** The name of an nsgate_directory_entry: name_length bytes and a NUL, right behind the entry. */
#define NSGATE_ENTRY_NAME(entry) ((const char *)((entry) + 1))

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Statuses and errors
 *
 * Every function that can fail returns an nsgate_status and takes an nsgate_error last, which
 * may be NULL. The error is written when the status is not NSGATE_OK and left alone otherwise;
 * nothing in it has to be freed, and nothing is kept per thread.
 */

/** What became of a call: NSGATE_OK or the reason why not. */
typedef int32_t nsgate_status;

/**
 * Why a call failed. The message ends in a NUL, is UTF-8 as far as the paths in it are, and is cut
 * between two characters where it does not fit.
 */
typedef struct nsgate_error {
  /** The status that was returned. */
  nsgate_status status;
  /** The errno of the system call that failed, or 0. */
  int32_t os_error;
  /** What happened: "chroot /volumes/7: openat2(5, "a/b", ...) = -1 ENOENT (No such file ...)". */
  char message[248];
} nsgate_error;

/** Done. */
#define NSGATE_OK 0
/** An argument is out of its range, NULL where it must not be, or has a NUL inside. */
#define NSGATE_INVALID_ARGUMENT 1
/** The handle is none of this kind: stale, foreign, random or zero. */
#define NSGATE_INVALID_HANDLE 2
/** The object is not in a state that allows this. */
#define NSGATE_INVALID_STATE 3
/** The object was closed or released. */
#define NSGATE_CLOSED 4
/** No place is left; nothing was taken. */
#define NSGATE_FULL 5
/** There is nothing by that name. */
#define NSGATE_NOT_FOUND 6
/** There is something by that name already. */
#define NSGATE_ALREADY_EXISTS 7
/** The object is bound to another thread. */
#define NSGATE_WRONG_THREAD 8
/** Something entered later has to be restored first. */
#define NSGATE_WRONG_ORDER 9
/** The address belongs to another life. */
#define NSGATE_WRONG_LIFECYCLE 10
/** The thread could not be brought back and must not be used any more. */
#define NSGATE_TAINTED 11
/** The call would wait for its own caller. */
#define NSGATE_WOULD_DEADLOCK 12
/** The deadline passed. */
#define NSGATE_TIMED_OUT 13
/** The kernel or the system lacks what this needs. */
#define NSGATE_UNSUPPORTED 14
/** A system call failed; the error's os_error is its errno, the message names the call. */
#define NSGATE_OS 15
/** Code of the library panicked. The object that was used may be closed, but nothing else. */
#define NSGATE_PANIC 16
/** A callback answered with something other than NSGATE_OK. */
#define NSGATE_CALLBACK_FAILED 17

/**
 * Names a status: "NSGATE_OK"; "NSGATE_UNKNOWN" for a number that is none.
 *
 * Ownership: the answer is static. Threads: any.
 */
const char *nsgate_status_name(nsgate_status status);

/**
 * Tells the version of the library that was loaded: "0.1.0". The header's own is NSGATE_VERSION.
 *
 * Ownership: the answer is static. Threads: any.
 */
const char *nsgate_version(void);

/*
 * Strings
 *
 * Paths and names are a pointer and a length: bytes without a NUL inside, borrowed for the call.
 * NULL with length 0 is the empty string. NSGATE_STR("text") makes one of a literal.
 */

/** Bytes that the caller owns. Not NUL-terminated. */
typedef struct nsgate_string {
  /** The first byte; may be NULL when length is 0. */
  const char *data;
  /** The number of bytes. */
  size_t length;
} nsgate_string;

/*
 * Time-outs
 */

/** As a time-out: wait for ever. */
#define NSGATE_NO_DEADLINE INT64_MAX

/*
 * Handles
 *
 * Every object is named by a handle: a struct with one number. A handle may be copied, and used from
 * any thread where nothing else is said; any value whatever is safe to pass. A function whose doc
 * says so ends the handle: from then on, as for zero, a random number or a handle of another kind,
 * every call answers NSGATE_INVALID_HANDLE. No number is ever used again. A handle may be ended while
 * other threads use it: calls that have begun finish as if it were open.
 */

/** What a process sets up once: everything else is made from it. */
typedef struct nsgate_gate {
  /** 0 is no gate. */
  uint64_t id;
} nsgate_gate;

/** Something of the host's whose release has a reserved place in the queue. */
typedef struct nsgate_job {
  /** 0 is no job. */
  uint64_t id;
} nsgate_job;

/** A mount namespace. */
typedef struct nsgate_namespace {
  /** 0 is no namespace. */
  uint64_t id;
} nsgate_namespace;

/** A thread's stay in a namespace. */
typedef struct nsgate_entered {
  /** 0 is no stay. */
  uint64_t id;
} nsgate_entered;

/** A private clone of a directory's mount tree. */
typedef struct nsgate_chroot {
  /** 0 is no chroot. */
  uint64_t id;
} nsgate_chroot;

/** A directory that is being read. */
typedef struct nsgate_directory {
  /** 0 is no directory. */
  uint64_t id;
} nsgate_directory;

/** A registry of sandboxes. */
typedef struct nsgate_map {
  /** 0 is no map. */
  uint64_t id;
} nsgate_map;

/** One life of a sandbox. */
typedef struct nsgate_sandbox {
  /** 0 is no sandbox. */
  uint64_t id;
} nsgate_sandbox;

/*
 * Callbacks
 *
 * A callback gets the user_data it was given with first. Where a destroy function goes with it, the
 * library calls that exactly once, after the last call of the callback, on some thread and under no
 * lock; it may be NULL. When the function that takes a callback fails, nothing was taken: neither
 * the callback nor its destroy function is ever called.
 *
 * A callback may call every function of this library. It must return: neither longjmp nor a C++
 * exception may leave it, nor may it end its thread (pthread_exit), or have it cancelled by letting that
 * in again; the process would end.
 */

/** Destroys the user data of a callback. */
typedef void (*nsgate_destroy_function)(void *user_data);

/*
 * Gate
 *
 * A process opens one gate, usually at its start, and closes it at its end. The gate owns the
 * library's threads and its release queue. Objects made from a gate keep it alive, closed or not.
 */

/** Lets a runtime know a thread of the library's. It must return: the thread's first job waits for it. */
typedef void (*nsgate_thread_start_function)(void);

/** What a gate is opened with. 0 anywhere means the default. */
typedef struct nsgate_gate_options {
  /** sizeof(nsgate_gate_options). */
  uint32_t size;
  /** How many releasable things (chroots, namespaces, jobs) may exist at once. Default 65536. */
  uint32_t capacity;
  /** How many events the ring behind the event descriptor keeps. Default 4096. */
  uint32_t event_capacity;
  /** How many threads may visit namespaces at once; they are made on demand. Default 64. */
  uint32_t namespace_threads;
  /** How many workers may be at jobs that can block; they are made on demand. Default 4. */
  uint32_t blocking_workers;
  /** How many workers may replace stuck ones. Default 16. */
  uint32_t replacement_workers;
  /** After how long an idle namespace thread ends. Default 10 s. */
  uint64_t namespace_thread_idle_ns;
  /** After how long a worker that closes mounts counts as stuck. Default 1 s. */
  uint64_t native_budget_ns;
  /** After how long a worker at a job counts as stuck. Default 5 s. */
  uint64_t blocking_budget_ns;
  /** After how long a callback counts as slow. Default 1 ms. */
  uint64_t callback_budget_ns;
  /** The pause before a release is tried again; it doubles each time. Default 1 ms. */
  uint64_t retry_first_pause_ns;
  /** The longest such pause. Default 1 s. */
  uint64_t retry_longest_pause_ns;
  /** The age at which a release is given up. Default 30 s. */
  uint64_t retry_age_ns;
  /** How often a release is tried before it is given up. Default 10. */
  uint32_t retry_attempts;
  /** Must be 0. */
  uint32_t reserved;
  /**
   * Called on each namespace thread before it leaves the process's mount namespace, and before any
   * job runs on it; may be NULL. For runtimes that may make threads of their own when one that they
   * don't know comes for the first time: a thread that is made from inside stays there.
   */
  nsgate_thread_start_function thread_start;
} nsgate_gate_options;

/** What the gate has released since it was opened, and what is left. */
typedef struct nsgate_report {
  /** sizeof(nsgate_report), set by the caller. */
  uint32_t size;
  /** 0. */
  uint32_t reserved;
  /** Ended as released. */
  uint64_t released;
  /** Ended as failed. */
  uint64_t failed;
  /** Ended as abandoned. */
  uint64_t abandoned;
  /** Submitted and not ended. */
  uint64_t remaining;
  /** Workers over their budget. */
  uint64_t stuck;
} nsgate_report;

/** What the running kernel offers, found by trying. 1 is yes. */
typedef struct nsgate_features {
  /** sizeof(nsgate_features), set by the caller. */
  uint32_t size;
  /**
   * mount_setattr(2): a chroot gets its attributes without a namespace. Linux 5.12; before it the
   * chroot's namespace is made when it is opened.
   */
  uint32_t mount_setattr;
  /**
   * open_tree(2) with OPEN_TREE_NAMESPACE: a namespace straight from a tree. Linux 7.0; not used, as
   * it has a copy of the tree.
   */
  uint32_t open_tree_namespace;
  /** fchmodat2(2): chmod through a descriptor. Linux 6.6. */
  uint32_t fchmodat2;
  /** Namespaces have ids that are never used again. Linux 6.11. */
  uint32_t ns_id;
  /** The end of a mount can be proved, not only expected. */
  uint32_t mount_proof;
  /** Detached trees released at the same time share one grace period of the kernel's. Linux 6.15. */
  uint32_t dissolve_together;
} nsgate_features;

/**
 * Opens a gate: probes the kernel and starts the library's threads.
 *
 * The calling thread must stand where the process does: in its mount namespace and root.
 * CAP_SYS_ADMIN is needed in the user namespace that owns the mount namespace.
 *
 * Ownership: options is borrowed and may be NULL for the defaults. The handle is ended by
 * nsgate_gate_free, best after nsgate_gate_close.
 * Errors: NSGATE_INVALID_STATE when the thread stands elsewhere; NSGATE_UNSUPPORTED when the kernel
 * lacks what there is no safe way without (openat2, Linux 5.6); NSGATE_OS.
 */
nsgate_status nsgate_gate_open(const struct nsgate_gate_options *options,
                               nsgate_gate *out,
                               nsgate_error *error);

/**
 * Takes a function that was started, and whose turn has not come, out of the queue. Neither it nor its
 * done is called, and no release waits for it any more.
 *
 * run: the number from nsgate_chroot_start or nsgate_namespace_start.
 *
 * Ownership: what the start was given as user_data is the caller's alone again.
 * Errors: NSGATE_INVALID_STATE once its turn has come (done is called, or was), or where the gate has no
 * such run.
 */
nsgate_status nsgate_gate_take_back(nsgate_gate gate,
                                    uint64_t run,
                                    nsgate_error *error);

/**
 * Refuses new resources from now on, as nsgate_gate_close does first, and waits for nothing.
 *
 * For hosts that have other things to do until what was handed over is gone, which
 * nsgate_gate_fence_at tells, and close the gate then.
 *
 * Threads: any but a job or callback of this gate.
 * Errors: NSGATE_WOULD_DEADLOCK, with nothing changed, where nsgate_gate_close answers that.
 */
nsgate_status nsgate_gate_begin_close(nsgate_gate gate, nsgate_error *error);

/**
 * Closes a gate: refuses new resources, waits for what was handed over for release, abandons what
 * is left when the time is over, and reports. It may be called again.
 *
 * It never hangs, whatever the volumes do. Chroots, namespaces and maps of the gate stay valid
 * handles; what they still own is let go when they are freed. So does the gate's: the last events,
 * also of what was abandoned, can be read and tickets be waited for until nsgate_gate_free.
 *
 * Ownership: report may be NULL; its size is the caller's.
 * Threads: any but a job or callback of this gate.
 * Errors: NSGATE_WOULD_DEADLOCK from inside a job or callback of this gate.
 */
nsgate_status nsgate_gate_close(nsgate_gate gate,
                                int64_t timeout_ns,
                                struct nsgate_report *report,
                                nsgate_error *error);

/**
 * Ends the handle of a gate, closed or not, and waits for nothing.
 *
 * What was handed over for release is still released, and what was made from the gate keeps it alive.
 *
 * Ownership: ends the handle.
 */
nsgate_status nsgate_gate_free(nsgate_gate gate,
                               nsgate_error *error);

/**
 * Tells what the running kernel offers.
 *
 * Ownership: out.size is the caller's.
 */
nsgate_status nsgate_gate_features(nsgate_gate gate,
                                   struct nsgate_features *out,
                                   nsgate_error *error);

/*
 * Releases: events, reports, figures
 *
 * Whatever is handed over for release gets a ticket, and ends in exactly one outcome: released,
 * failed, cancelled or abandoned. Each outcome is one event, with a number of its own. Events are
 * read from a ring behind a descriptor that poll(2) knows, or told to subscriptions on a thread of the
 * library; a single one can be waited for.
 */

/** A chroot: its mounts and, if code ran inside, its namespace. */
#define NSGATE_KIND_CHROOT 1
/** A mount namespace. */
#define NSGATE_KIND_NAMESPACE 2
/** A descriptor that the host handed over. */
#define NSGATE_KIND_DESCRIPTOR 3
/** A path to unmount, with everything mounted below it. */
#define NSGATE_KIND_UNMOUNT 4
/** The host's own work. */
#define NSGATE_KIND_JOB 5
/** Let go, and gone as far as the proof says. */
#define NSGATE_OUTCOME_RELEASED 1
/** Given up; it is in the list of failed releases. */
#define NSGATE_OUTCOME_FAILED 2
/** Taken back before it started. */
#define NSGATE_OUTCOME_CANCELLED 3
/** The gate closed before it ended. */
#define NSGATE_OUTCOME_ABANDONED 4
/** The outcome is not NSGATE_OUTCOME_RELEASED. */
#define NSGATE_PROOF_NONE 0
/** The kernel says that it is gone, as are the mounts below it. */
#define NSGATE_PROOF_VERIFIED 1
/** It was let go, but something keeps it: a file that is still open, for example. */
#define NSGATE_PROOF_HELD 2
/** The kernel cannot tell; or a chroot has, or may have, mounts below its root: see docs/releases.md. */
#define NSGATE_PROOF_UNVERIFIED 3
/** Waits for its first attempt. */
#define NSGATE_ITEM_QUEUED 1
/** A worker is at it. */
#define NSGATE_ITEM_RUNNING 2
/** A worker is at it for longer than its budget. */
#define NSGATE_ITEM_STUCK 3
/** Waits for its next attempt. */
#define NSGATE_ITEM_RETRYING 4
/** Given up; in the list of failed releases. */
#define NSGATE_ITEM_FAILED 5

/** The end of one release. */
typedef struct nsgate_event {
  /** Counts the gate's events from 1 without a gap; a gap in what is read was dropped. */
  uint64_t sequence;
  /** Which release. */
  uint64_t ticket;
  /** From the submit to the first attempt. */
  uint64_t queued_ns;
  /** From the first attempt to the end. */
  uint64_t worked_ns;
  /** NSGATE_KIND_... */
  uint32_t kind;
  /** NSGATE_OUTCOME_... */
  uint32_t outcome;
  /** How often it was tried. */
  uint32_t attempts;
  /** Of a failed one: the errno, or 0 where no system call stands behind the failure. */
  int32_t os_error;
  /** NSGATE_PROOF_... */
  uint32_t proof;
  /**
   * For NSGATE_PROOF_HELD: how many descriptors of this process hold it, of the 4,096 with the lowest
   * numbers; 0 when something else does.
   */
  uint32_t held_descriptors;
  /** 1 when the step before the release failed; the release went on all the same. */
  uint32_t before_release_failed;
  /** The errno of that step, or 0. */
  int32_t before_release_os_error;
} nsgate_event;

/** One release that has not ended, or that was given up. */
typedef struct nsgate_report_item {
  /** Which release. */
  uint64_t ticket;
  /** How long ago it was submitted. */
  uint64_t age_ns;
  /** NSGATE_KIND_... */
  uint32_t kind;
  /** NSGATE_ITEM_... */
  uint32_t state;
  /** How often it was tried. */
  uint32_t attempts;
  /** The errno of the last failed attempt, or 0. */
  int32_t os_error;
  /** Its path or name; ends in a NUL. */
  char label[256];
  /** Of a stuck one what its thread hangs in, otherwise why the last attempt failed; ends in a NUL. */
  char detail[256];
} nsgate_report_item;

/** How long something took. */
typedef struct nsgate_histogram {
  /** How many were measured. */
  uint64_t count;
  /** Their sum. */
  uint64_t sum_ns;
  /**
   * How many took at most 1, 4, 16, ... 4^14 microseconds and longer than the bucket before; the
   * last bucket has the rest.
   */
  uint64_t buckets[16];
} nsgate_histogram;

/** A look at the release queue. Totals count from the opening of the gate. */
typedef struct nsgate_stats {
  /** sizeof(nsgate_stats), set by the caller. */
  uint32_t size;
  /** 0. */
  uint32_t reserved;
  /** Releases that wait, for a worker or for their next attempt. */
  uint64_t depth;
  /** Releases submitted, in total. */
  uint64_t adds;
  /** Releases that a worker is at. */
  uint64_t in_flight;
  /** Ended as released, in total. */
  uint64_t released;
  /** Ended as failed, in total. */
  uint64_t failed;
  /** Ended as cancelled, in total. */
  uint64_t cancelled;
  /** Ended as abandoned, in total. */
  uint64_t abandoned;
  /** Attempts after the first, in total. */
  uint64_t retries;
  /** Places taken by what has not been submitted: open chroots, namespaces, reserved jobs. */
  uint64_t reserved_places;
  /** The places there are. */
  uint64_t capacity;
  /** Workers over their budget now. */
  uint64_t stuck;
  /** Entries in the list of failed releases. */
  uint64_t failed_list;
  /** Released and proved gone, in total. */
  uint64_t verified;
  /** Released but held by something, in total. */
  uint64_t held;
  /** Released where the kernel cannot tell, in total. */
  uint64_t unverified;
  /** Steps before a release that failed, in total. */
  uint64_t before_release_failed;
  /** Events that left the ring unread, in total, since somebody first asked for events. */
  uint64_t events_dropped;
  /** Events that wait to be told to subscriptions. */
  uint64_t events_pending;
  /** Callbacks over their budget, in total. */
  uint64_t slow_callbacks;
  /** Callbacks that panicked, in total. */
  uint64_t subscriber_panics;
  /** Worker threads there are, the stuck ones included. */
  uint64_t workers;
  /** Of these, how many replace a stuck one. */
  uint64_t replacement_workers;
  /**
   * Age of the oldest release that waits for its first attempt, or for the end of the last use of
   * what it releases.
   */
  uint64_t oldest_queued_ns;
  /** Age of the attempt that has been running longest. */
  uint64_t longest_running_ns;
  /** Ages of all running attempts together. */
  uint64_t unfinished_ns;
  /** From the submit to the first attempt. */
  struct nsgate_histogram queue_duration;
  /** From the first attempt to the end. */
  struct nsgate_histogram work_duration;
} nsgate_stats;

/*
 * Releases: waiting, reading, subscribing
 */

/** Is told of an event, on a thread of the library. The event is valid during the call. */
typedef void (*nsgate_event_function)(void *user_data, const nsgate_event *event);

/**
 * Reads the release queue's figures.
 *
 * Ownership: out.size is the caller's.
 */
nsgate_status nsgate_gate_stats(nsgate_gate gate, nsgate_stats *out, nsgate_error *error);

/**
 * Waits for the end of one release.
 *
 * Outcomes are remembered for as long as there is room; an old one may be forgotten.
 *
 * Ownership: event may be NULL.
 * Threads: any.
 * Errors: NSGATE_TIMED_OUT; NSGATE_NOT_FOUND when there never was such a ticket, or its outcome was
 * forgotten; NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a function that
 * runs inside of what the release is of.
 */
nsgate_status nsgate_gate_wait(nsgate_gate gate,
                               uint64_t ticket,
                               int64_t timeout_ns,
                               nsgate_event *event,
                               nsgate_error *error);

/**
 * Takes back a release that no worker has begun. Its outcome is NSGATE_OUTCOME_CANCELLED, and the
 * chroot or job is its owner's again, as before the submit.
 *
 * What nobody has a handle of any more can't be given back. A chroot or namespace is released again,
 * under a ticket of its own: always so a namespace, whose handle its release ended. A job is dropped.
 *
 * Errors: NSGATE_INVALID_STATE once it has begun or ended; NSGATE_NOT_FOUND when there never was such
 * a ticket.
 */
nsgate_status nsgate_gate_cancel(nsgate_gate gate,
                                 uint64_t ticket,
                                 nsgate_error *error);

/**
 * Waits until everything that was submitted before the call has ended.
 *
 * Errors: NSGATE_TIMED_OUT; NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a
 * function that runs inside of something that was released before the call.
 */
nsgate_status nsgate_gate_fence(nsgate_gate gate,
                                int64_t timeout_ns,
                                nsgate_error *error);

/**
 * Waits until the first so many submissions have ended: a fence for event loops.
 *
 * adds is what nsgate_stats.adds was at some time before; of what was submitted later nothing is waited
 * for. With a timeout of 0 it only looks, as a host may whenever nsgate_gate_event_fd is readable.
 * UINT64_MAX waits until nothing is left.
 *
 * Errors: NSGATE_TIMED_OUT; NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a
 * function that runs inside of something that is to be released.
 */
nsgate_status nsgate_gate_fence_at(nsgate_gate gate,
                                   uint64_t adds,
                                   int64_t timeout_ns,
                                   nsgate_error *error);

/**
 * Waits until nothing is left to release, or the time is over, and reports. It can be called again.
 *
 * That time ran out is no failure: report.remaining tells.
 *
 * Ownership: report may be NULL; its size is the caller's.
 * Errors: NSGATE_WOULD_DEADLOCK from inside a job or a callback of the queue, or from a function that runs
 * inside of something that was released, or is during the call.
 */
nsgate_status nsgate_gate_drain(nsgate_gate gate,
                                int64_t timeout_ns,
                                nsgate_report *report,
                                nsgate_error *error);

/**
 * Lists what has not ended, the oldest 1,024 of it, and then what was given up.
 *
 * Ownership: buffer takes as many as fit; it may be NULL with a capacity of 0. count is how many
 * there are at that moment, also when that is more than are listed.
 */
nsgate_status nsgate_gate_report_items(nsgate_gate gate,
                                       nsgate_report_item *buffer,
                                       size_t capacity,
                                       size_t *count,
                                       nsgate_error *error);

/**
 * Tries a release that was given up once more, under a new ticket.
 *
 * Errors: NSGATE_NOT_FOUND when it is not in the list of failed releases; NSGATE_FULL; NSGATE_CLOSED.
 */
nsgate_status nsgate_gate_retry_failed(nsgate_gate gate,
                                       uint64_t ticket,
                                       uint64_t *new_ticket,
                                       nsgate_error *error);

/**
 * Takes a release that was given up off the list. What it owns is let go.
 *
 * Errors: NSGATE_NOT_FOUND when it is not in the list of failed releases.
 */
nsgate_status nsgate_gate_forget_failed(nsgate_gate gate, uint64_t ticket, nsgate_error *error);

/**
 * Gives the descriptor that is readable while events are in the ring, for poll(2) and its like.
 *
 * Ownership: the descriptor stays the gate's: do not read, write or close it. It is valid until the
 * gate and everything made from it is freed.
 */
nsgate_status nsgate_gate_event_fd(nsgate_gate gate, int *out, nsgate_error *error);

/**
 * Takes events out of the ring, oldest first, without waiting. Each is read by one reader.
 *
 * Ownership: buffer takes as many as fit; count is how many it got, 0 when there is none.
 */
nsgate_status nsgate_gate_read_events(nsgate_gate gate,
                                      nsgate_event *buffer,
                                      size_t capacity,
                                      size_t *count,
                                      nsgate_error *error);

/**
 * Has a function called with every event from now on, in order, on one thread of the library.
 *
 * Ownership: user_data is taken; destroy is called with it after the last call, also when the gate
 * is gone.
 * Threads: the function must not block; nsgate_gate_options.callback_budget_ns measures it.
 * Errors: NSGATE_CLOSED.
 */
nsgate_status nsgate_gate_subscribe(nsgate_gate gate,
                                    nsgate_event_function function,
                                    void *user_data,
                                    nsgate_destroy_function destroy,
                                    uint64_t *subscription,
                                    nsgate_error *error);

/**
 * Ends a subscription and returns at once: no new call starts after it. A call that runs goes on;
 * destroy is called after it.
 *
 * Threads: any, also from inside the subscription's own function.
 * Errors: NSGATE_NOT_FOUND.
 */
nsgate_status nsgate_gate_unsubscribe(nsgate_gate gate, uint64_t subscription, nsgate_error *error);

/**
 * Ends a subscription and returns after its last call ended and destroy was called.
 *
 * Errors: NSGATE_NOT_FOUND; NSGATE_WOULD_DEADLOCK from inside the subscription's own function, with
 * nothing changed.
 */
nsgate_status nsgate_gate_unsubscribe_wait(nsgate_gate gate,
                                           uint64_t subscription,
                                           nsgate_error *error);

/*
 * Jobs: the host's own work, descriptors, unmounts
 *
 * A job has its place in the release queue from its reservation on, so that submitting it cannot
 * fail. Jobs run on workers that may block; errors that pass by themselves (EBUSY, EINTR, EAGAIN,
 * ENOMEM) are tried again, as the gate's options say.
 */

/**
 * Let the kernel take the mounts off the tree at once and the file systems later (MNT_DETACH), when
 * a plain unmount stays busy.
 */
#define NSGATE_UNMOUNT_DETACH 1

/**
 * Does the host's work, on a worker thread. Answers 0, or the errno it failed with: EBUSY, EINTR,
 * EAGAIN and ENOMEM are tried again, others fail the job. It may block; it should not for ever.
 *
 * Signals are blocked there as in a nsgate_run_function, and processes that it starts inherit that.
 */
typedef int32_t (*nsgate_job_function)(void *user_data);

/**
 * Reserves a place for the host's own work.
 *
 * label names it in reports.
 *
 * Ownership: user_data is taken; destroy is called with it once the job can run no more. The job is
 * ended by nsgate_job_free.
 * Errors: NSGATE_FULL; NSGATE_CLOSED when the gate is closed.
 */
nsgate_status nsgate_job_reserve(nsgate_gate gate,
                                 nsgate_string label,
                                 nsgate_job_function function,
                                 void *user_data,
                                 nsgate_destroy_function destroy,
                                 nsgate_job *out,
                                 nsgate_error *error);

/**
 * Reserves a place for closing a descriptor, for those whose close may block.
 *
 * label names it in reports.
 *
 * Ownership: fd is taken, on success only. The job is ended by nsgate_job_free.
 * Errors: NSGATE_OS with EBADF; NSGATE_FULL; NSGATE_CLOSED when the gate is closed.
 */
nsgate_status nsgate_job_reserve_descriptor(nsgate_gate gate,
                                            int fd,
                                            nsgate_string label,
                                            nsgate_job *out,
                                            nsgate_error *error);

/**
 * Reserves a place for unmounting a path, with everything that is mounted below it.
 *
 * The path is looked up here, without following a final symbolic link, and not again: another mount that
 * lies there later is left alone, except before Linux 6.8 one that got the same small id, device and
 * root inode.
 *
 * flags: NSGATE_UNMOUNT_DETACH or 0.
 *
 * Ownership: the job is ended by nsgate_job_free.
 * Errors: NSGATE_OS; NSGATE_FULL; NSGATE_CLOSED when the gate is closed.
 */
nsgate_status nsgate_job_reserve_unmount(nsgate_gate gate,
                                         nsgate_string path,
                                         uint32_t flags,
                                         nsgate_job *out,
                                         nsgate_error *error);

/**
 * Hands a job to the release queue. It does not wait and cannot fail for want of anything.
 *
 * Ownership: the handle stays; after nsgate_gate_cancel the job can be submitted again. ticket may
 * be NULL.
 * Errors: NSGATE_INVALID_STATE when it was submitted already.
 */
nsgate_status nsgate_job_submit(nsgate_job job, uint64_t *ticket, nsgate_error *error);

/**
 * Frees a job's handle. A job that was never submitted, and that nothing is attached to, is given
 * up: it does not run, its descriptor is closed by a worker.
 *
 * Ownership: ends the handle.
 */
nsgate_status nsgate_job_free(nsgate_job job, nsgate_error *error);

/*
 * Mount namespaces
 *
 * A mount namespace that exists (by path, process or descriptor) or that is made here. Functions run
 * in it on threads of the library; the calling thread can enter it, too, and come back exactly.
 */

/** Which mount namespace it is. */
typedef struct nsgate_namespace_id {
  /** Device of the namespace file system. */
  uint64_t device;
  /** The number in "mnt:[4026531841]". Unique as long as somebody holds the namespace. */
  uint64_t inode;
  /** The kernel's own id, never used again; 0 before Linux 6.11. */
  uint64_t ns_id;
} nsgate_namespace_id;

/**
 * Runs in a namespace or chroot, on a thread of the library, with the inside's root as "/" and as
 * working directory. It must load nothing from there (no name service, no dlopen, no locale) and
 * start no thread: that would stay inside.
 *
 * All signals are blocked there, but for those that a thread's own instructions cause. A process that
 * it starts inherits that, unless told otherwise (POSIX_SPAWN_SETSIGMASK, sigprocmask before exec).
 *
 * The thread serves others after it. The umask and blocked signals are put back; a
 * thread that is left with another user or group for files (setfsuid(2)) ends, with NSGATE_TAINTED.
 * Whatever else it changes of its thread (supplementary groups, capabilities, scheduling, network
 * namespace, seccomp filters) it must put back itself.
 */
typedef void (*nsgate_run_function)(void *user_data);

/**
 * Is told how a started function ended, on a thread that is outside. error is NULL when status is
 * NSGATE_OK, and valid during the call otherwise. It must not block.
 */
typedef void (*nsgate_done_function)(void *user_data,
                                     nsgate_status status,
                                     const nsgate_error *error);

/**
 * Opens the namespace behind a path such as /proc/PID/ns/mnt, or a bind mount of one.
 *
 * Ownership: the namespace is ended by nsgate_namespace_release.
 * Errors: NSGATE_OS; NSGATE_INVALID_ARGUMENT when it is no mount namespace; NSGATE_FULL;
 * NSGATE_CLOSED when the gate is closed.
 */
nsgate_status nsgate_namespace_open_path(nsgate_gate gate,
                                         nsgate_string path,
                                         nsgate_namespace *out,
                                         nsgate_error *error);

/**
 * Opens the namespace of a process. That pid is still the process that is meant is the caller's to
 * know.
 *
 * Ownership, errors: as nsgate_namespace_open_path.
 */
nsgate_status nsgate_namespace_open_pid(nsgate_gate gate,
                                        int32_t pid,
                                        nsgate_namespace *out,
                                        nsgate_error *error);

/**
 * Opens the namespace behind a descriptor.
 *
 * Ownership: fd is duplicated and stays the caller's. The namespace is ended by
 * nsgate_namespace_release.
 * Errors: as nsgate_namespace_open_path.
 */
nsgate_status nsgate_namespace_open_fd(nsgate_gate gate,
                                       int fd,
                                       nsgate_namespace *out,
                                       nsgate_error *error);

/**
 * Opens the namespace that the calling thread is in.
 *
 * Ownership, errors: as nsgate_namespace_open_path.
 */
nsgate_status nsgate_namespace_open_current(nsgate_gate gate,
                                            nsgate_namespace *out,
                                            nsgate_error *error);

/**
 * Makes a namespace: a copy of the process's, in which every mount is private.
 *
 * Ownership, errors: as nsgate_namespace_open_path.
 */
nsgate_status nsgate_namespace_create(nsgate_gate gate, nsgate_namespace *out, nsgate_error *error);

/** Tells which namespace it is. */
nsgate_status nsgate_namespace_identify(nsgate_namespace ns,
                                        struct nsgate_namespace_id *out,
                                        nsgate_error *error);

/**
 * Runs a function in the namespace, on a thread of the library, and waits for it.
 *
 * Several run at once, as far as nsgate_gate_options.namespace_threads goes; others wait their turn.
 *
 * Ownership: user_data is borrowed.
 * Threads: any, also from inside a run function.
 * Errors: NSGATE_CLOSED; NSGATE_TAINTED when the function ran but its thread could not come home or
 * is not as it was (it has ended, and nothing is lost but that); NSGATE_WOULD_DEADLOCK from inside a run function when no
 * thread is left; NSGATE_OS, with nothing run.
 */
nsgate_status nsgate_namespace_run(nsgate_namespace ns,
                                   nsgate_run_function function,
                                   void *user_data,
                                   nsgate_error *error);

/**
 * Runs a function in the namespace as nsgate_namespace_run does, and returns at once.
 *
 * done is called exactly once, after the function, if the answer is NSGATE_OK, and never otherwise.
 * Its status is what nsgate_namespace_run would have answered.
 *
 * run, which may be NULL, gets a number for nsgate_gate_take_back: perhaps after done was called, so
 * that it must not lie in what that frees.
 *
 * Ownership: user_data, for both functions, is the caller's to keep until done is called, or the run
 * is taken back.
 * Errors: NSGATE_CLOSED; NSGATE_OS.
 */
nsgate_status nsgate_namespace_start(nsgate_namespace ns,
                                     nsgate_run_function function,
                                     nsgate_done_function done,
                                     void *user_data,
                                     uint64_t *run,
                                     nsgate_error *error);

/**
 * Hands the namespace over for release. Functions that run in it finish first.
 *
 * The namespace itself lives on where others hold it.
 *
 * Ownership: ends the handle. ticket may be NULL.
 */
nsgate_status nsgate_namespace_release(nsgate_namespace ns, uint64_t *ticket, nsgate_error *error);

/*
 * Entering and restoring
 *
 * A thread that enters a namespace sees its mounts until it restores; then it stands exactly where it
 * stood: namespace, root and working directory. From its first enter on it has a root, working
 * directory and umask of its own (CLONE_FS, see unshare(2)). A program whose scheduler moves work
 * between threads uses nsgate_namespace_run instead.
 */

/**
 * Puts the calling thread into the namespace.
 *
 * Enters nest; they are restored in the reverse order. While inside, the thread must not start other
 * threads.
 *
 * Ownership: the stay is ended by nsgate_entered_restore, which this thread must call before it ends;
 * a destructor that runs while it ends is early enough. What is left of a thread that has ended is let
 * go when any other thread restores it, or a gate closes.
 * Errors: NSGATE_CLOSED; NSGATE_OS, and the thread stands where it stood.
 */
NSGATE_MUST_USE
nsgate_status nsgate_namespace_enter(nsgate_namespace ns,
                                     nsgate_entered *out,
                                     nsgate_error *error);

/**
 * Brings the calling thread back to where it stood before the enter.
 *
 * Ownership: ends the handle, except for NSGATE_WRONG_THREAD and NSGATE_WRONG_ORDER.
 * Threads: the one that entered.
 * Errors: NSGATE_WRONG_THREAD; NSGATE_INVALID_STATE, with nothing changed, when that thread has ended,
 * or the library has brought it back because a callback returned without a restore; NSGATE_WRONG_ORDER
 * when something entered later has to be restored first; NSGATE_OS when namespace and root are restored
 * but the working directory is gone (the thread then stands in the root); NSGATE_TAINTED when the thread
 * could not be brought back: it is in a place that it must not be in, and must end without doing
 * anything else.
 */
NSGATE_MUST_USE
nsgate_status nsgate_entered_restore(nsgate_entered entered,
                                     nsgate_error *error);

/*
 * Chroots
 *
 * A chroot is a private view of a directory: its mounts, with attributes of their own, and nothing
 * above them. Opening one takes microseconds, makes no thread and writes nothing to the volume. File
 * operations run on the caller's thread; functions run inside, with the volume as "/", on threads of
 * the library. Any number of them run at the same time.
 *
 * A chroot is released by nsgate_chroot_release, by the sandbox it is attached to, or by the free of
 * its handle, whatever comes first. From then on it refuses new work with NSGATE_CLOSED; what runs
 * finishes.
 */

/** Refuse all changes (EROFS). */
#define NSGATE_CHROOT_READ_ONLY 1
/** Honour setuid, setgid and file capabilities, which are ignored otherwise. */
#define NSGATE_CHROOT_ALLOW_SUID 2
/** Let device files be opened, which is refused otherwise. */
#define NSGATE_CHROOT_ALLOW_DEVICES 4
/** Refuse to execute programs. */
#define NSGATE_CHROOT_NOEXEC 8
/** Follow no symbolic link. EINVAL on Linux 5.12 and 5.13. */
#define NSGATE_CHROOT_NOSYMFOLLOW 16
/**
 * Let mounts that the host makes below the volume later on appear inside, once the chroot has its
 * namespace (nsgate_chroot_identify makes it); none go back. The volume's mount must be shared. A
 * later mount keeps the attributes that the host gives it: what the other flags refuse, devices and
 * setuid as well, holds for the mounts that were there at the open only.
 */
#define NSGATE_CHROOT_SLAVE 32
/** Leave out what is mounted below the volume. */
#define NSGATE_CHROOT_NOT_RECURSIVE 64
/**
 * Refuse a path that leads through a symbolic link, at its end or before (ELOOP); links are followed
 * otherwise.
 */
#define NSGATE_CHROOT_NOFOLLOW 128

/** What a chroot is opened with. */
typedef struct nsgate_chroot_options {
  /** sizeof(nsgate_chroot_options). */
  uint32_t size;
  /** NSGATE_CHROOT_... or 0. */
  uint32_t flags;
} nsgate_chroot_options;

/**
 * Opens a chroot of a directory.
 *
 * Ownership: options is borrowed and may be NULL for the defaults. The handle is ended by
 * nsgate_chroot_free.
 * Errors: NSGATE_OS, with ENOTDIR when the volume is no directory; NSGATE_FULL when no place for its
 * release is left; NSGATE_CLOSED when the gate is closed. Before Linux 5.12 also NSGATE_UNSUPPORTED,
 * where a mount that is to be taken along lies beneath another, and NSGATE_WOULD_DEADLOCK in a job
 * when no other namespace thread is left.
 */
nsgate_status nsgate_chroot_open(nsgate_gate gate,
                                 nsgate_string volume,
                                 const struct nsgate_chroot_options *options,
                                 nsgate_chroot *out,
                                 nsgate_error *error);

/**
 * Opens a chroot of a directory in a chroot, with a place in the release queue of its own.
 *
 * It stays when the outer one is released. What the outer one's mounts refuse it refuses too,
 * whatever its flags say. The path is looked up as by a file operation; the outer chroot's namespace is
 * made if it has none yet.
 *
 * Ownership: options is borrowed and may be NULL for the defaults. The handle is ended by
 * nsgate_chroot_free.
 * Threads: any, also from inside a run function, of another chroot too.
 * Errors: NSGATE_OS, with ENOTDIR when the path leads to no directory; NSGATE_FULL; NSGATE_CLOSED;
 * NSGATE_WOULD_DEADLOCK from inside a run function when no thread is left; NSGATE_TAINTED; as
 * nsgate_chroot_open.
 */
nsgate_status nsgate_chroot_open_chroot(nsgate_chroot chroot,
                                        nsgate_string path,
                                        const struct nsgate_chroot_options *options,
                                        nsgate_chroot *out,
                                        nsgate_error *error);

/**
 * Runs a function inside the chroot, on a thread of the library, and waits for it.
 *
 * The first one makes the chroot's namespace. Several run at once, as far as
 * nsgate_gate_options.namespace_threads goes; others wait their turn.
 *
 * Ownership: user_data is borrowed.
 * Threads: any, also from inside a run function.
 * Errors: NSGATE_CLOSED; NSGATE_TAINTED when the function ran but its thread could not come home or
 * is not as it was (it has ended, and nothing is lost but that); NSGATE_WOULD_DEADLOCK from inside a run function when no
 * thread is left; NSGATE_OS, with nothing run.
 */
nsgate_status nsgate_chroot_run(nsgate_chroot chroot,
                                nsgate_run_function function,
                                void *user_data,
                                nsgate_error *error);

/**
 * Runs a function inside the chroot as nsgate_chroot_run does, and returns at once.
 *
 * done is called exactly once, after the function, if the answer is NSGATE_OK, and never otherwise.
 * Its status is what nsgate_chroot_run would have answered.
 *
 * run, which may be NULL, gets a number for nsgate_gate_take_back: perhaps after done was called, so
 * that it must not lie in what that frees.
 *
 * Ownership: user_data, for both functions, is the caller's to keep until done is called, or the run
 * is taken back.
 * Errors: NSGATE_CLOSED; NSGATE_OS.
 */
nsgate_status nsgate_chroot_start(nsgate_chroot chroot,
                                  nsgate_run_function function,
                                  nsgate_done_function done,
                                  void *user_data,
                                  uint64_t *run,
                                  nsgate_error *error);

/**
 * Tells in which mount namespace functions run; makes it if there is none yet.
 *
 * Errors: NSGATE_CLOSED; NSGATE_OS; where it has to be made also NSGATE_TAINTED and, from inside a run
 * function when no thread is left, NSGATE_WOULD_DEADLOCK.
 */
nsgate_status nsgate_chroot_identify(nsgate_chroot chroot,
                                     nsgate_namespace_id *out,
                                     nsgate_error *error);

/**
 * Has a step of the host's run before the chroot is taken down, on a worker that may block.
 *
 * Its failure is told with the event; the release goes on all the same.
 *
 * Ownership: user_data is taken; destroy is called with it once the step can run no more.
 * Errors: NSGATE_CLOSED; NSGATE_INVALID_STATE when there is a step already.
 */
nsgate_status nsgate_chroot_before_release(nsgate_chroot chroot,
                                           nsgate_job_function function,
                                           void *user_data,
                                           nsgate_destroy_function destroy,
                                           nsgate_error *error);

/**
 * Hands the chroot over for release and returns at once.
 *
 * Ownership: the handle stays, and answers NSGATE_CLOSED. ticket may be NULL.
 * Errors: NSGATE_CLOSED when it was released already.
 */
nsgate_status nsgate_chroot_release(nsgate_chroot chroot, uint64_t *ticket, nsgate_error *error);

/**
 * Gives the ticket of the chroot's release, whoever asked for that: the sandbox it is attached to,
 * perhaps. 0 while it is open.
 */
nsgate_status nsgate_chroot_ticket(nsgate_chroot chroot, uint64_t *out, nsgate_error *error);

/**
 * Takes a release back that no worker has begun: the chroot is open again, and attached to no sandbox.
 *
 * Errors: NSGATE_INVALID_STATE once it has begun, or when nothing was released.
 */
nsgate_status nsgate_chroot_cancel_release(nsgate_chroot chroot,
                                           nsgate_error *error);

/** Tells whether the chroot was released: 1, otherwise 0. */
nsgate_status nsgate_chroot_is_closed(nsgate_chroot chroot, uint32_t *out, nsgate_error *error);

/**
 * Frees the chroot's handle, and releases the chroot if nobody did. One that is attached to a
 * sandbox stays open until that releases it.
 *
 * Ownership: ends the handle.
 */
nsgate_status nsgate_chroot_free(nsgate_chroot chroot, nsgate_error *error);

/*
 * File operations
 *
 * Each answers as the plain system call would answer a process whose root the volume is: absolute
 * symbolic links start at the volume, ".." stops there. They run on the caller's thread, need no
 * namespace, and delay each other no more than plain system calls do. A failed system call is
 * NSGATE_OS with its errno; after the release all of them answer NSGATE_CLOSED. Descriptors that they
 * give stay usable after the release.
 */

/** Fail with EEXIST when something has the new name. */
#define NSGATE_RENAME_NOREPLACE 1
/** Let both change places. */
#define NSGATE_RENAME_EXCHANGE 2

/**
 * Opens or creates a file, as open(2). Any flags of open(2) will do; O_CLOEXEC is always added.
 *
 * mode counts where a file is created, less the umask.
 *
 * Ownership: fd is the caller's.
 */
nsgate_status nsgate_chroot_open_file(nsgate_chroot chroot,
                                      nsgate_string path,
                                      int32_t flags,
                                      uint32_t mode,
                                      int *fd,
                                      nsgate_error *error);

/**
 * Creates a file or empties the one that is there, and opens it to read and write, as open(2) with
 * O_RDWR | O_CREAT | O_TRUNC. mode is less the umask.
 *
 * Ownership: fd is the caller's.
 */
nsgate_status nsgate_chroot_create(nsgate_chroot chroot,
                                   nsgate_string path,
                                   uint32_t mode,
                                   int *fd,
                                   nsgate_error *error);

/** Makes a directory, as mkdir(2). mode is less the umask. */
nsgate_status nsgate_chroot_mkdir(nsgate_chroot chroot,
                                  nsgate_string path,
                                  uint32_t mode,
                                  nsgate_error *error);

/** Makes a directory and those above it that are missing. One that is there is no failure. */
nsgate_status nsgate_chroot_mkdir_all(nsgate_chroot chroot,
                                      nsgate_string path,
                                      uint32_t mode,
                                      nsgate_error *error);

/**
 * Removes a file or an empty directory, as remove(3). What a mount lies on, be it the chroot's or the
 * host's, is EBUSY.
 */
nsgate_status nsgate_chroot_remove(nsgate_chroot chroot,
                                   nsgate_string path,
                                   nsgate_error *error);

/**
 * Removes a file, or a directory with all that is in it. Nothing there is no failure. It follows no
 * symbolic link and enters no mount.
 *
 * Errors: NSGATE_CLOSED also when the chroot is released meanwhile; NSGATE_OS with EBUSY for what has a
 * mount on it (a file below the path only where the calling thread's namespace has the mount, too), with
 * ENAMETOOLONG for what is more than 131,072 levels deep, and the rest goes.
 */
nsgate_status nsgate_chroot_remove_all(nsgate_chroot chroot,
                                       nsgate_string path,
                                       nsgate_error *error);

/**
 * Gives a file another name, as renameat2(2). What a mount lies on, be it the chroot's or the host's,
 * is EBUSY, under either name.
 *
 * flags: NSGATE_RENAME_NOREPLACE, NSGATE_RENAME_EXCHANGE or 0.
 */
nsgate_status nsgate_chroot_rename(nsgate_chroot chroot,
                                   nsgate_string from,
                                   nsgate_string to,
                                   uint32_t flags,
                                   nsgate_error *error);

/** Gives a file a second name, as link(2). */
nsgate_status nsgate_chroot_link(nsgate_chroot chroot,
                                 nsgate_string from,
                                 nsgate_string to,
                                 nsgate_error *error);

/** Makes a symbolic link with any target, as symlink(2). */
nsgate_status nsgate_chroot_symlink(nsgate_chroot chroot,
                                    nsgate_string target,
                                    nsgate_string link,
                                    nsgate_error *error);

/**
 * Reads the target of a symbolic link, as readlink(2).
 *
 * Ownership: buffer takes what fits, without a NUL; it may be NULL with a capacity of 0. length is
 * that of the whole target.
 */
nsgate_status nsgate_chroot_read_link(nsgate_chroot chroot,
                                      nsgate_string path,
                                      char *buffer,
                                      size_t capacity,
                                      size_t *length,
                                      nsgate_error *error);

/**
 * Tells a file's path from the root on, with neither symbolic links nor "." and ".." in it, as
 * realpath(3).
 *
 * Ownership: as nsgate_chroot_read_link.
 */
nsgate_status nsgate_chroot_real_path(nsgate_chroot chroot,
                                      nsgate_string path,
                                      char *buffer,
                                      size_t capacity,
                                      size_t *length,
                                      nsgate_error *error);

/**
 * Creates a file under a new name in a directory, readable and writable for its owner, and opens it.
 *
 * Digits take the place of the last "*" in prefix, or follow it.
 *
 * Ownership: fd is the caller's. buffer takes the file's path, without a NUL; capacity is at least
 * that of directory, prefix and 32 more bytes, so that the name is never lost.
 */
nsgate_status nsgate_chroot_temp_file(nsgate_chroot chroot,
                                      nsgate_string directory,
                                      nsgate_string prefix,
                                      int *fd,
                                      char *buffer,
                                      size_t capacity,
                                      size_t *length,
                                      nsgate_error *error);

/*
 * File operations: attributes
 */

/** Set the times of a symbolic link itself. */
#define NSGATE_TIMES_NOFOLLOW 1

/** A time of a file. */
typedef struct nsgate_time {
  /** Seconds since 1970; negative before. */
  int64_t seconds;
  /** Nanoseconds after that, below 10^9. To set a time: UTIME_NOW, too. */
  uint32_t nanoseconds;
  /** Must be 0. */
  uint32_t reserved;
} nsgate_time;

/** What stat(2) says of a file. */
typedef struct nsgate_stat {
  /** The device that the file is on. */
  uint64_t device;
  /** Its number there. */
  uint64_t inode;
  /** How many names it has. */
  uint64_t link_count;
  /** Type and permissions. */
  uint32_t mode;
  /** Owner. */
  uint32_t uid;
  /** Group. */
  uint32_t gid;
  /** 0. */
  uint32_t reserved;
  /** Of a device file: the device that it stands for. */
  uint64_t special_device;
  /** In bytes. */
  int64_t size;
  /** The size of a block for efficient transfer, in bytes. */
  int64_t block_size;
  /** How many blocks of 512 bytes it takes. */
  int64_t blocks;
  /** Last access. */
  struct nsgate_time access;
  /** Last change of the content. */
  struct nsgate_time modification;
  /** Last change of the attributes. */
  struct nsgate_time change;
} nsgate_stat;

/** What statfs(2) says of a file system. */
typedef struct nsgate_statfs {
  /** EXT4_SUPER_MAGIC and its like, see statfs(2). */
  int64_t type;
  /** The size of a block for efficient transfer, in bytes. */
  int64_t block_size;
  /** All blocks, of fragment_size bytes. */
  uint64_t blocks;
  /** Free ones. */
  uint64_t blocks_free;
  /** Free ones for users without privileges. */
  uint64_t blocks_available;
  /** All inodes. */
  uint64_t files;
  /** Free ones. */
  uint64_t files_free;
  /** The longest name, in bytes. */
  int64_t name_length;
  /** The unit of the counts of blocks, in bytes. */
  int64_t fragment_size;
  /** ST_RDONLY and its like. */
  uint64_t flags;
} nsgate_statfs;

/** Tells what a file is, as stat(2). */
nsgate_status nsgate_chroot_stat(nsgate_chroot chroot,
                                 nsgate_string path,
                                 struct nsgate_stat *out,
                                 nsgate_error *error);

/** Tells what a file is, of a symbolic link what itself is, as lstat(2). */
nsgate_status nsgate_chroot_lstat(nsgate_chroot chroot,
                                  nsgate_string path,
                                  struct nsgate_stat *out,
                                  nsgate_error *error);

/** Tells of the file system that holds a file, as statfs(2). */
nsgate_status nsgate_chroot_statfs(nsgate_chroot chroot,
                                   nsgate_string path,
                                   struct nsgate_statfs *out,
                                   nsgate_error *error);

/** Sets the permissions of a file, as chmod(2). */
nsgate_status nsgate_chroot_chmod(nsgate_chroot chroot,
                                  nsgate_string path,
                                  uint32_t mode,
                                  nsgate_error *error);

/** Sets owner and group of a file, as chown(2). UINT32_MAX leaves one as it is. */
nsgate_status nsgate_chroot_chown(nsgate_chroot chroot,
                                  nsgate_string path,
                                  uint32_t uid,
                                  uint32_t gid,
                                  nsgate_error *error);

/**
 * Sets owner and group of a file, of a symbolic link its own, as lchown(2). UINT32_MAX leaves one as
 * it is.
 */
nsgate_status nsgate_chroot_lchown(nsgate_chroot chroot,
                                   nsgate_string path,
                                   uint32_t uid,
                                   uint32_t gid,
                                   nsgate_error *error);

/**
 * Sets the times of a file, as utimensat(2).
 *
 * access, modification: NULL leaves one as it is. flags: NSGATE_TIMES_NOFOLLOW or 0.
 */
nsgate_status nsgate_chroot_set_times(nsgate_chroot chroot,
                                      nsgate_string path,
                                      const struct nsgate_time *access,
                                      const struct nsgate_time *modification,
                                      uint32_t flags,
                                      nsgate_error *error);

/** Cuts a file to a length or extends it with zeros, as truncate(2). */
nsgate_status nsgate_chroot_truncate(nsgate_chroot chroot,
                                     nsgate_string path,
                                     int64_t length,
                                     nsgate_error *error);

/*
 * Directories
 *
 * A directory is read a buffer at a time, however many entries it has. Entries that come or go
 * meanwhile may or may not be seen; those that stay are seen once.
 */

/** Fill in the stat of each entry. */
#define NSGATE_DIRECTORY_WITH_STAT 1

/**
 * One entry. Its name follows the struct: NSGATE_ENTRY_NAME(entry), with a NUL behind it. The next
 * entry begins record_length bytes after this one.
 */
typedef struct nsgate_directory_entry {
  /** From the start of this entry to that of the next; a multiple of 8. */
  uint32_t record_length;
  /** The length of the name, without its NUL. */
  uint32_t name_length;
  /** DT_REG and its like, see readdir(3); DT_UNKNOWN where the file system does not tell. */
  uint32_t kind;
  /** 1 when stat is filled in. */
  uint32_t has_stat;
  /** The number of the file. Of a mount point: that of the directory beneath the mount. */
  uint64_t inode;
  /**
   * As lstat(2) gives it, or zeros: where it wasn't asked for or can't be told, in a directory
   * that may be read but not searched, for example.
   */
  nsgate_stat stat;
} nsgate_directory_entry;

/**
 * Opens a directory of the chroot, to read it.
 *
 * Ownership: the handle is ended by nsgate_directory_close. It stays usable after the release of the
 * chroot.
 * Errors: as the file operations.
 */
nsgate_status nsgate_chroot_open_directory(nsgate_chroot chroot,
                                           nsgate_string path,
                                           nsgate_directory *out,
                                           nsgate_error *error);

/**
 * Reads the next entries, "." and ".." left out.
 *
 * flags: NSGATE_DIRECTORY_WITH_STAT or 0. An entry that is gone before its stat is left out; one that
 * can't be looked at has none.
 *
 * Ownership: buffer is aligned to 8 bytes and takes whole nsgate_directory_entry records; used is how
 * many bytes they take, 0 at the end.
 * Threads: any; two that read at once take turns.
 * Errors: NSGATE_OS; NSGATE_INVALID_ARGUMENT, too, when not even one entry fits (600 bytes do on most
 * file systems), with nothing lost.
 */
nsgate_status nsgate_directory_read(nsgate_directory directory,
                                    void *buffer,
                                    size_t capacity,
                                    uint32_t flags,
                                    size_t *used,
                                    nsgate_error *error);

/**
 * Closes a directory.
 *
 * Ownership: ends the handle.
 */
nsgate_status nsgate_directory_close(nsgate_directory directory, nsgate_error *error);

/*
 * Addresses
 */

/** An IP address. An IPv4 address that is mapped into IPv6 is the same as the IPv4 address. */
typedef struct nsgate_address {
  /** 4 or 6; 0 in an output: no address. */
  uint32_t family;
  /** In network order; of an IPv4 address the first four, the others 0. */
  uint8_t bytes[16];
} nsgate_address;

/*
 * Sandbox map
 *
 * A map knows which sandboxes there are. A sandbox id may live several times, as checkpoint and
 * resume make it; a lifecycle id is one life, and an nsgate_sandbox handle is one life, too. The
 * running life is found by its sandbox id, the owner of an address by that. A life leaves the map when
 * it is stopped and its network is released or was never assigned.
 */

/** For nsgate_map_snapshot: all lives. */
#define NSGATE_SNAPSHOT_ALL 0
/** For nsgate_map_snapshot: those that run. */
#define NSGATE_SNAPSHOT_RUNNING 1

/**
 * Makes an empty map.
 *
 * Ownership: the handle is ended by nsgate_map_free.
 */
nsgate_status nsgate_map_create(nsgate_gate gate, nsgate_map *out, nsgate_error *error);

/**
 * Closes a map: all lives leave it, what is attached to them is handed to the release queue, the
 * subscribers are ended without being told. Waits for nothing.
 *
 * Ownership: ends the handle. References to its sandboxes stay valid until they are freed.
 */
nsgate_status nsgate_map_free(nsgate_map map, nsgate_error *error);

/**
 * Registers a life of a sandbox.
 *
 * Both ids have 1 to 255 bytes of UTF-8. A sandbox id may have other lives; a lifecycle id may not.
 *
 * Ownership: user_data is taken; destroy is called with it when the life has left the map and the
 * last reference is freed. The handle is one reference, freed by nsgate_sandbox_free.
 * Errors: NSGATE_ALREADY_EXISTS when the lifecycle id is in the map.
 */
nsgate_status nsgate_map_register(nsgate_map map,
                                  nsgate_string sandbox_id,
                                  nsgate_string lifecycle_id,
                                  void *user_data,
                                  nsgate_destroy_function destroy,
                                  nsgate_sandbox *out,
                                  nsgate_error *error);

/**
 * As nsgate_map_register, but references don't keep user_data: for a host whose user data have
 * references of their own life, such as one with a garbage collector.
 *
 * Ownership: user_data is taken; destroy is called with it when nobody is told of the life any more: it
 * has left the map, its events are told, and what was attached has come to its end. A reference that is
 * held longer is still good for everything but nsgate_sandbox_user_data.
 * Errors: as nsgate_map_register.
 */
nsgate_status nsgate_map_register_weak(nsgate_map map,
                                       nsgate_string sandbox_id,
                                       nsgate_string lifecycle_id,
                                       void *user_data,
                                       nsgate_destroy_function destroy,
                                       nsgate_sandbox *out,
                                       nsgate_error *error);

/**
 * Finds the running life of a sandbox: of several the one that began to run last.
 *
 * Ownership: the handle is one reference, freed by nsgate_sandbox_free. Either output may be NULL. What
 * user_data gets is the sandbox's, valid as long as the reference; where out is NULL no reference is
 * made, which is far cheaper, and the caller has to know how long user_data is valid.
 * Errors: NSGATE_NOT_FOUND.
 */
nsgate_status nsgate_map_find(nsgate_map map,
                              nsgate_string sandbox_id,
                              nsgate_sandbox *out,
                              void **user_data,
                              nsgate_error *error);

/**
 * Finds the life that owns an address: from its assignment until its network is released.
 *
 * Ownership, errors: as nsgate_map_find.
 */
nsgate_status nsgate_map_find_by_address(nsgate_map map,
                                         const nsgate_address *address,
                                         nsgate_sandbox *out,
                                         void **user_data,
                                         nsgate_error *error);

/**
 * Points to a number that grows whenever an address gets an owner or loses it, in whatever map: what
 * nsgate_map_find_by_address answered still holds as long as the number is what it was before that call.
 * For callers that keep answers, because a call costs them more than the look-up.
 *
 * Ownership: the number is the library's, and there for good. It is read atomically, with acquire order.
 */
const uint64_t *nsgate_address_changes(void);

/**
 * Finds a life by its own id, in whatever state, as long as it is in the map.
 *
 * Ownership, errors: as nsgate_map_find.
 */
nsgate_status nsgate_map_find_by_lifecycle(nsgate_map map,
                                           nsgate_string lifecycle_id,
                                           nsgate_sandbox *out,
                                           void **user_data,
                                           nsgate_error *error);

/**
 * Counts the lives that run, and all of them.
 *
 * Ownership: either output may be NULL.
 */
nsgate_status nsgate_map_count(nsgate_map map,
                               size_t *running,
                               size_t *lifecycles,
                               nsgate_error *error);

/**
 * Lists the lives there are now, in no order.
 *
 * which: NSGATE_SNAPSHOT_ALL or NSGATE_SNAPSHOT_RUNNING.
 *
 * Ownership: buffer takes as many as fit, each one reference, freed by nsgate_sandbox_free; user_data
 * takes those of the same lives. Both have the capacity; either may be NULL, and both with a capacity of
 * 0. Where buffer is NULL no references are made, and the caller has to know how long the user data are
 * valid. count is how many lives there are.
 */
nsgate_status nsgate_map_snapshot(nsgate_map map,
                                  uint32_t which,
                                  nsgate_sandbox *buffer,
                                  void **user_data,
                                  size_t capacity,
                                  size_t *count,
                                  nsgate_error *error);

/**
 * Releases the network of the life that owns an address, as nsgate_sandbox_network_released, if it is
 * this life: an address that has gone to a successor cannot release that.
 *
 * Ownership: call_context is handed to the callbacks of this call. changed may be NULL; it gets 1, or
 * 0 when that life's network was released before.
 * Errors: NSGATE_WRONG_LIFECYCLE when the address is another life's; NSGATE_NOT_FOUND when there is no
 * such life; NSGATE_WOULD_DEADLOCK.
 */
nsgate_status nsgate_map_network_released(nsgate_map map,
                                          const nsgate_address *address,
                                          nsgate_string lifecycle_id,
                                          void *call_context,
                                          uint32_t *changed,
                                          nsgate_error *error);

/**
 * Waits until no life is in the map, no event of one is being told any more, and all that was attached
 * is handed over. The releases may still go on; nsgate_gate_drain waits for those.
 *
 * Errors: NSGATE_TIMED_OUT; NSGATE_WOULD_DEADLOCK from inside a callback of a map.
 */
nsgate_status nsgate_map_wait_idle(nsgate_map map,
                                   int64_t timeout_ns,
                                   nsgate_error *error);

/*
 * Sandboxes
 *
 * Every change tells whether it changed anything, so that a host can call it from each of its
 * clean-up paths; where there is nothing to change any more, changed is 0 and the status NSGATE_OK.
 * Outputs named changed may be NULL. call_context is handed to the callbacks of that very call.
 *
 * A handle of a sandbox stays valid as long as the life is in its map, and as long as a reference to
 * it is held; registering, finding and listing give one, nsgate_sandbox_retain another, and
 * nsgate_sandbox_free takes one back.
 */

/** In the map, not running yet. */
#define NSGATE_SANDBOX_REGISTERED 1
/** Found by its sandbox id. */
#define NSGATE_SANDBOX_RUNNING 2
/** About to end; no longer found by its sandbox id. */
#define NSGATE_SANDBOX_STOPPING 3
/** Ended. */
#define NSGATE_SANDBOX_STOPPED 4
/** No address yet. */
#define NSGATE_NETWORK_NONE 0
/** The life owns its address. */
#define NSGATE_NETWORK_ASSIGNED 1
/** The address is given up, and what was attached is handed over. */
#define NSGATE_NETWORK_RELEASED 2

/** How a life stands. */
typedef struct nsgate_sandbox_details {
  /** sizeof(nsgate_sandbox_details), set by the caller. */
  uint32_t size;
  /** NSGATE_SANDBOX_... */
  uint32_t state;
  /** NSGATE_NETWORK_... */
  uint32_t network;
  /** 0. */
  uint32_t reserved;
  /** The address that was assigned, also after its release. */
  nsgate_address address;
  /** 0. */
  uint32_t reserved_too;
  /** How many attached things have not come to their end. */
  uint64_t attached;
  /** Ends in a NUL. */
  char sandbox_id[256];
  /** Ends in a NUL. */
  char lifecycle_id[256];
} nsgate_sandbox_details;

/**
 * Assigns the life its address.
 *
 * Errors: NSGATE_ALREADY_EXISTS when another life owns the address; NSGATE_INVALID_STATE when this one
 * has another, or its network is released, or it has ended; NSGATE_CLOSED when the map is closed.
 */
nsgate_status nsgate_sandbox_assign_network(nsgate_sandbox sandbox,
                                            const nsgate_address *address,
                                            uint32_t *changed,
                                            nsgate_error *error);

/**
 * Says that the life runs: it is found by its sandbox id from here on, and subscribers are told
 * (on_insert) before the call returns.
 *
 * Errors: NSGATE_INVALID_STATE when it is stopping or stopped; NSGATE_CLOSED when the map is closed;
 * NSGATE_WOULD_DEADLOCK, with nothing changed, from inside a callback that the callback being called
 * for this life waits for.
 */
nsgate_status nsgate_sandbox_mark_running(nsgate_sandbox sandbox,
                                          void *call_context,
                                          uint32_t *changed,
                                          nsgate_error *error);

/**
 * Says that the life is about to end: it is no longer found by its sandbox id. No subscriber is told;
 * call_context is for later versions.
 *
 * Errors: NSGATE_CLOSED when the map is closed.
 */
nsgate_status nsgate_sandbox_mark_stopping(nsgate_sandbox sandbox,
                                           void *call_context,
                                           uint32_t *changed,
                                           nsgate_error *error);

/**
 * Says that the life has ended. It leaves the map once its network is released, too, or at once if it
 * had none. No subscriber is told; call_context is for later versions.
 *
 * Errors: NSGATE_CLOSED when the map is closed.
 */
nsgate_status nsgate_sandbox_mark_stopped(nsgate_sandbox sandbox,
                                          void *call_context,
                                          uint32_t *changed,
                                          nsgate_error *error);

/**
 * Says that the life's network is gone: nothing can be attached from here on, the address is free for
 * another life, what is attached is handed to the release queue, and subscribers are told
 * (on_network_release) before the call returns. It waits for no release.
 *
 * Errors: as nsgate_sandbox_mark_running, without NSGATE_INVALID_STATE.
 */
nsgate_status nsgate_sandbox_network_released(nsgate_sandbox sandbox,
                                              void *call_context,
                                              uint32_t *changed,
                                              nsgate_error *error);

/**
 * Makes a chroot part of the life: it is released when the life's network is, and subscribers are told
 * of its end (on_release). It may still be released by itself.
 *
 * Ownership: the life keeps the chroot open; the handle stays the caller's, to free at any time.
 * Errors: NSGATE_CLOSED when the network is released or the life has ended (the chroot stays the
 * caller's), or when the chroot is released; NSGATE_ALREADY_EXISTS when it is attached already.
 */
nsgate_status nsgate_sandbox_attach(nsgate_sandbox sandbox,
                                    nsgate_chroot chroot,
                                    nsgate_error *error);

/**
 * Makes a job part of the life: it is submitted when the life's network is released.
 *
 * Ownership: the life keeps the job; the handle stays the caller's, to free at any time.
 * Errors: as nsgate_sandbox_attach; NSGATE_INVALID_STATE when the job was submitted.
 */
nsgate_status nsgate_sandbox_attach_job(nsgate_sandbox sandbox,
                                        nsgate_job job,
                                        nsgate_error *error);

/**
 * Makes a chroot the caller's again. changed is 0 when it was not attached to this life, or its
 * release has been asked for.
 */
nsgate_status nsgate_sandbox_detach(nsgate_sandbox sandbox,
                                    nsgate_chroot chroot,
                                    uint32_t *changed,
                                    nsgate_error *error);

/**
 * Tells how the life stands.
 *
 * Ownership: out.size is the caller's.
 */
nsgate_status nsgate_sandbox_info(nsgate_sandbox sandbox,
                                  struct nsgate_sandbox_details *out,
                                  nsgate_error *error);

/**
 * Gives the user data that the life was registered with.
 *
 * Ownership: it is the sandbox's, valid as long as the handle.
 */
nsgate_status nsgate_sandbox_user_data(nsgate_sandbox sandbox, void **out, nsgate_error *error);

/**
 * Takes one more reference, to keep the handle beyond a callback or beyond the map.
 *
 * Ownership: freed by nsgate_sandbox_free.
 */
nsgate_status nsgate_sandbox_retain(nsgate_sandbox sandbox, nsgate_error *error);

/**
 * Frees one reference. The life itself is not touched: it stays in the map until it is stopped and its
 * network released.
 *
 * Ownership: the handle ends with the last reference, or when the life has left the map, whatever is
 * later.
 * Errors: NSGATE_INVALID_STATE when all references were freed.
 */
nsgate_status nsgate_sandbox_free(nsgate_sandbox sandbox,
                                  nsgate_error *error);

/*
 * Subscribers of a map
 *
 * Subscribers are called on the thread that changed the map, in the order of subscription, under no
 * lock, and for one life never two at a time. A callback may call everything, also on the same map,
 * also its own unsubscribe; what would wait for itself answers NSGATE_WOULD_DEADLOCK. A callback should
 * not block; nsgate_gate_options.callback_budget_ns measures it. An answer other than NSGATE_OK is
 * counted for that subscriber, and the others are called all the same.
 */

/**
 * Is told of a change. The handle is lent for the call (nsgate_sandbox_retain keeps it);
 * call_context is what the changing call was given.
 */
typedef nsgate_status (*nsgate_sandbox_function)(void *user_data,
                                                 nsgate_sandbox sandbox,
                                                 void *sandbox_user_data,
                                                 void *call_context);

/**
 * Is told that something that was attached has come to its end. The handle is lent for the call,
 * the event is valid during it.
 */
typedef nsgate_status (*nsgate_sandbox_release_function)(void *user_data,
                                                         nsgate_sandbox sandbox,
                                                         void *sandbox_user_data,
                                                         const nsgate_event *event);

/** Callbacks for what happens to the sandboxes of a map. Any of them may be NULL. */
typedef struct nsgate_subscriber {
  /** sizeof(nsgate_subscriber). */
  uint32_t size;
  /** Must be 0. */
  uint32_t reserved;
  /** Handed to all of the callbacks first. */
  void *user_data;
  /** Destroys user_data after the last call. */
  nsgate_destroy_function destroy;
  /** The life began to run. */
  nsgate_sandbox_function on_insert;
  /** The life's network was released; what was attached has been handed to the release queue. */
  nsgate_sandbox_function on_network_release;
  /**
   * Something that was attached has come to its end. On a thread of the library, in no order with
   * the other two.
   */
  nsgate_sandbox_release_function on_release;
} nsgate_subscriber;

/** What a subscriber did so far. */
typedef struct nsgate_subscriber_stats {
  /** sizeof(nsgate_subscriber_stats), set by the caller. */
  uint32_t size;
  /** 0. */
  uint32_t reserved;
  /** Calls that ended. */
  uint64_t calls;
  /** Of these, how many were over the budget. */
  uint64_t slow;
  /** Of these, how many answered something other than NSGATE_OK. */
  uint64_t failures;
  /** Of these, how many panicked. */
  uint64_t panics;
  /** The time that the longest took. */
  uint64_t longest_ns;
} nsgate_subscriber_stats;

/**
 * Adds a subscriber after those there are. Events that are being told just now do not reach it.
 *
 * name has 1 to 255 bytes of UTF-8; it is for reports.
 *
 * Ownership: the struct is borrowed, its user_data is taken.
 */
nsgate_status nsgate_map_subscribe(nsgate_map map,
                                   nsgate_string name,
                                   const struct nsgate_subscriber *subscriber,
                                   uint64_t *subscription,
                                   nsgate_error *error);

/**
 * Ends a subscriber and returns at once: no new call of it starts. Calls under way go on; destroy is
 * called after the last.
 *
 * Threads: any, also from inside a callback of the same subscriber.
 * Errors: NSGATE_NOT_FOUND.
 */
nsgate_status nsgate_map_unsubscribe(nsgate_map map,
                                     uint64_t subscription,
                                     nsgate_error *error);

/**
 * Ends a subscriber and returns after its last call ended and destroy was called; also waits for one
 * that was only unsubscribed before.
 *
 * Errors: NSGATE_WOULD_DEADLOCK, with nothing changed, from inside that subscriber, or from inside
 * what it waits for; NSGATE_NOT_FOUND when there is none, or its last call is over.
 */
nsgate_status nsgate_map_unsubscribe_wait(nsgate_map map,
                                          uint64_t subscription,
                                          nsgate_error *error);

/**
 * Tells what a subscriber did so far.
 *
 * Ownership: out.size is the caller's.
 * Errors: NSGATE_NOT_FOUND.
 */
nsgate_status nsgate_map_subscriber_stats(nsgate_map map,
                                          uint64_t subscription,
                                          struct nsgate_subscriber_stats *out,
                                          nsgate_error *error);

#ifdef __cplusplus
}
#endif

#endif
