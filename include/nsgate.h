/*
 * nsgate: mount namespaces, chroots and an asynchronous release queue for hosts of many sandboxes.
 *
 * Every fallible function returns nsgate_status and takes an optional nsgate_error last. Outputs are
 * written only on success, the error only on failure. Any handle value is safe to pass.
 */
#ifndef NSGATE_H
#define NSGATE_H

#include <stddef.h>
#include <stdint.h>

#define NSGATE_VERSION_MAJOR 0
#define NSGATE_VERSION_MINOR 1
#define NSGATE_VERSION_PATCH 0
#define NSGATE_VERSION "0.1.0"

#ifdef __cplusplus
#define NSGATE_STR(literal) (nsgate_string{"" literal, sizeof("" literal) - 1})
#else
#define NSGATE_STR(literal) ((nsgate_string){"" literal, sizeof("" literal) - 1})
#endif

#define NSGATE_OK 0
#define NSGATE_INVALID_ARGUMENT 1
#define NSGATE_INVALID_HANDLE 2
#define NSGATE_INVALID_STATE 3
#define NSGATE_CLOSED 4
#define NSGATE_FULL 5
#define NSGATE_NOT_FOUND 6
#define NSGATE_ALREADY_EXISTS 7
#define NSGATE_WRONG_THREAD 8
#define NSGATE_WRONG_ORDER 9
#define NSGATE_WRONG_LIFECYCLE 10
#define NSGATE_TAINTED 11
#define NSGATE_WOULD_DEADLOCK 12
#define NSGATE_TIMED_OUT 13
#define NSGATE_CANCELLED 14
#define NSGATE_UNSUPPORTED 15
#define NSGATE_OS 16
#define NSGATE_PANIC 17
#define NSGATE_CALLBACK_FAILED 18

#define NSGATE_NO_DEADLINE INT64_MAX

#define NSGATE_KIND_CHROOT 1
#define NSGATE_KIND_NAMESPACE 2
#define NSGATE_KIND_DESCRIPTOR 3
#define NSGATE_KIND_UNMOUNT 4
#define NSGATE_KIND_JOB 5

#define NSGATE_OUTCOME_RELEASED 1
#define NSGATE_OUTCOME_FAILED 2
#define NSGATE_OUTCOME_CANCELLED 3
#define NSGATE_OUTCOME_ABANDONED 4

#define NSGATE_PROOF_NONE 0
#define NSGATE_PROOF_VERIFIED 1
#define NSGATE_PROOF_HELD 2
#define NSGATE_PROOF_UNVERIFIED 3

#define NSGATE_ITEM_QUEUED 1
#define NSGATE_ITEM_RUNNING 2
#define NSGATE_ITEM_STUCK 3
#define NSGATE_ITEM_RETRYING 4
#define NSGATE_ITEM_FAILED 5

#define NSGATE_UNMOUNT_DETACH 1

#define NSGATE_CHROOT_READ_ONLY 1
#define NSGATE_CHROOT_ALLOW_SUID 2
#define NSGATE_CHROOT_ALLOW_DEVICES 4
#define NSGATE_CHROOT_NOEXEC 8
#define NSGATE_CHROOT_NOSYMFOLLOW 16
#define NSGATE_CHROOT_SLAVE 32
#define NSGATE_CHROOT_NOT_RECURSIVE 64
#define NSGATE_CHROOT_NOFOLLOW 128

#define NSGATE_RENAME_NOREPLACE 1
#define NSGATE_RENAME_EXCHANGE 2

#define NSGATE_TIMES_NOFOLLOW 1

#define NSGATE_DIRECTORY_WITH_STAT 1

#define NSGATE_SANDBOX_REGISTERED 1
#define NSGATE_SANDBOX_RUNNING 2
#define NSGATE_SANDBOX_STOPPING 3
#define NSGATE_SANDBOX_STOPPED 4

#define NSGATE_NETWORK_NONE 0
#define NSGATE_NETWORK_ASSIGNED 1
#define NSGATE_NETWORK_RELEASED 2

#define NSGATE_SNAPSHOT_ALL 0
#define NSGATE_SNAPSHOT_RUNNING 1

/* The name of a directory entry: name_length bytes and a NUL, right behind the entry. */
#define NSGATE_ENTRY_NAME(entry) ((const char *)((entry) + 1))

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t nsgate_status;

typedef struct nsgate_string { const char *data; size_t length; } nsgate_string;
typedef struct nsgate_error { nsgate_status status; int32_t os_error; char message[248]; } nsgate_error;

typedef struct nsgate_gate { uint64_t id; } nsgate_gate;
typedef struct nsgate_job { uint64_t id; } nsgate_job;
typedef struct nsgate_namespace { uint64_t id; } nsgate_namespace;
typedef struct nsgate_entered { uint64_t id; } nsgate_entered;
typedef struct nsgate_chroot { uint64_t id; } nsgate_chroot;
typedef struct nsgate_directory { uint64_t id; } nsgate_directory;
typedef struct nsgate_map { uint64_t id; } nsgate_map;
typedef struct nsgate_sandbox { uint64_t id; } nsgate_sandbox;

typedef void (*nsgate_destroy_function)(void *user_data);

const char *nsgate_version(void);
const char *nsgate_status_name(nsgate_status status);

/* ---- gate ---- */

typedef struct nsgate_gate_options {
  uint32_t size;
  uint32_t capacity;
  uint32_t event_capacity;
  uint32_t namespace_threads;
  uint32_t blocking_workers;
  uint32_t replacement_workers;
  uint64_t namespace_thread_idle_ns;
  uint64_t native_budget_ns;
  uint64_t blocking_budget_ns;
  uint64_t callback_budget_ns;
  uint64_t retry_first_pause_ns;
  uint64_t retry_longest_pause_ns;
  uint64_t retry_age_ns;
  uint32_t retry_attempts;
  uint32_t reserved;
} nsgate_gate_options;

typedef struct nsgate_features {
  uint32_t size;
  uint32_t mount_setattr;
  uint32_t open_tree_namespace;
  uint32_t fchmodat2;
  uint32_t ns_id;
  uint32_t mount_proof;
} nsgate_features;

typedef struct nsgate_event {
  uint64_t sequence;
  uint64_t ticket;
  uint64_t queued_ns;
  uint64_t worked_ns;
  uint32_t kind;
  uint32_t outcome;
  uint32_t attempts;
  int32_t os_error;
  uint32_t proof;
  uint32_t held_descriptors;
} nsgate_event;

typedef struct nsgate_report {
  uint32_t size;
  uint32_t reserved;
  uint64_t released;
  uint64_t failed;
  uint64_t abandoned;
  uint64_t remaining;
  uint64_t stuck;
} nsgate_report;

typedef struct nsgate_report_item {
  uint64_t ticket;
  uint64_t age_ns;
  uint32_t kind;
  uint32_t state;
  uint32_t attempts;
  int32_t os_error;
  char label[256];
  char detail[256];
} nsgate_report_item;

typedef struct nsgate_histogram {
  uint64_t count;
  uint64_t sum_ns;
  uint64_t buckets[16];
} nsgate_histogram;

typedef struct nsgate_stats {
  uint32_t size;
  uint32_t reserved;
  uint64_t depth;
  uint64_t adds;
  uint64_t in_flight;
  uint64_t released;
  uint64_t failed;
  uint64_t cancelled;
  uint64_t abandoned;
  uint64_t retries;
  uint64_t reserved_places;
  uint64_t capacity;
  uint64_t stuck;
  uint64_t failed_list;
  uint64_t verified;
  uint64_t held;
  uint64_t unverified;
  uint64_t events_dropped;
  uint64_t slow_callbacks;
  uint64_t subscriber_panics;
  uint64_t workers;
  uint64_t replacement_workers;
  uint64_t oldest_queued_ns;
  uint64_t longest_running_ns;
  uint64_t unfinished_ns;
  nsgate_histogram queue_duration;
  nsgate_histogram work_duration;
} nsgate_stats;

typedef void (*nsgate_event_function)(void *user_data, const nsgate_event *event);

nsgate_status nsgate_gate_open(const nsgate_gate_options *options, nsgate_gate *out, nsgate_error *error);
nsgate_status nsgate_gate_close(nsgate_gate gate, int64_t timeout_ns, nsgate_report *report, nsgate_error *error);
nsgate_status nsgate_gate_features(nsgate_gate gate, nsgate_features *out, nsgate_error *error);
nsgate_status nsgate_gate_stats(nsgate_gate gate, nsgate_stats *out, nsgate_error *error);
nsgate_status nsgate_gate_wait(nsgate_gate gate, uint64_t ticket, int64_t timeout_ns, nsgate_event *event, nsgate_error *error);
nsgate_status nsgate_gate_cancel(nsgate_gate gate, uint64_t ticket, nsgate_error *error);
nsgate_status nsgate_gate_fence(nsgate_gate gate, int64_t timeout_ns, nsgate_error *error);
nsgate_status nsgate_gate_drain(nsgate_gate gate, int64_t timeout_ns, nsgate_report *report, nsgate_error *error);
nsgate_status nsgate_gate_report_items(nsgate_gate gate, nsgate_report_item *buffer, size_t capacity, size_t *count, nsgate_error *error);
nsgate_status nsgate_gate_retry_failed(nsgate_gate gate, uint64_t ticket, uint64_t *new_ticket, nsgate_error *error);
nsgate_status nsgate_gate_forget_failed(nsgate_gate gate, uint64_t ticket, nsgate_error *error);
nsgate_status nsgate_gate_event_fd(nsgate_gate gate, int *out, nsgate_error *error);
nsgate_status nsgate_gate_read_events(nsgate_gate gate, nsgate_event *buffer, size_t capacity, size_t *count, nsgate_error *error);
nsgate_status nsgate_gate_subscribe(nsgate_gate gate, nsgate_event_function function, void *user_data, nsgate_destroy_function destroy, uint64_t *subscription, nsgate_error *error);
nsgate_status nsgate_gate_unsubscribe(nsgate_gate gate, uint64_t subscription, nsgate_error *error);
nsgate_status nsgate_gate_unsubscribe_wait(nsgate_gate gate, uint64_t subscription, nsgate_error *error);

/* ---- jobs: the host's own work, descriptors, unmounts ---- */

/* Returns 0, or a positive errno: EBUSY, EINTR, EAGAIN and ENOMEM are tried again, others fail the job. */
typedef int32_t (*nsgate_job_function)(void *user_data);

nsgate_status nsgate_job_reserve(nsgate_gate gate, nsgate_string label, nsgate_job_function function, void *user_data, nsgate_destroy_function destroy, nsgate_job *out, nsgate_error *error);
nsgate_status nsgate_job_reserve_descriptor(nsgate_gate gate, int fd, nsgate_string label, nsgate_job *out, nsgate_error *error);
nsgate_status nsgate_job_reserve_unmount(nsgate_gate gate, nsgate_string path, uint32_t flags, nsgate_job *out, nsgate_error *error);
nsgate_status nsgate_job_submit(nsgate_job job, uint64_t *ticket, nsgate_error *error);
nsgate_status nsgate_job_free(nsgate_job job, nsgate_error *error);

/* ---- mount namespaces ---- */

typedef struct nsgate_namespace_id { uint64_t device; uint64_t inode; uint64_t ns_id; } nsgate_namespace_id;

typedef void (*nsgate_run_function)(void *user_data);
typedef void (*nsgate_done_function)(void *user_data, nsgate_status status, const nsgate_error *error);

nsgate_status nsgate_namespace_open_path(nsgate_gate gate, nsgate_string path, nsgate_namespace *out, nsgate_error *error);
nsgate_status nsgate_namespace_open_pid(nsgate_gate gate, int32_t pid, nsgate_namespace *out, nsgate_error *error);
nsgate_status nsgate_namespace_open_fd(nsgate_gate gate, int fd, nsgate_namespace *out, nsgate_error *error);
nsgate_status nsgate_namespace_open_current(nsgate_gate gate, nsgate_namespace *out, nsgate_error *error);
nsgate_status nsgate_namespace_create(nsgate_gate gate, nsgate_namespace *out, nsgate_error *error);
nsgate_status nsgate_namespace_identify(nsgate_namespace ns, nsgate_namespace_id *out, nsgate_error *error);
nsgate_status nsgate_namespace_enter(nsgate_namespace ns, nsgate_entered *out, nsgate_error *error);
nsgate_status nsgate_entered_restore(nsgate_entered entered, nsgate_error *error);
nsgate_status nsgate_namespace_run(nsgate_namespace ns, nsgate_run_function function, void *user_data, nsgate_error *error);
nsgate_status nsgate_namespace_start(nsgate_namespace ns, nsgate_run_function function, nsgate_done_function done, void *user_data, nsgate_error *error);
nsgate_status nsgate_namespace_release(nsgate_namespace ns, uint64_t *ticket, nsgate_error *error);

/* ---- chroots ---- */

typedef struct nsgate_chroot_options { uint32_t size; uint32_t flags; } nsgate_chroot_options;
typedef struct nsgate_time { int64_t seconds; uint32_t nanoseconds; uint32_t reserved; } nsgate_time;

typedef struct nsgate_stat {
  uint64_t device;
  uint64_t inode;
  uint64_t link_count;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  uint32_t reserved;
  uint64_t special_device;
  int64_t size;
  int64_t block_size;
  int64_t blocks;
  nsgate_time access;
  nsgate_time modification;
  nsgate_time change;
} nsgate_stat;

typedef struct nsgate_statfs {
  int64_t type;
  int64_t block_size;
  uint64_t blocks;
  uint64_t blocks_free;
  uint64_t blocks_available;
  uint64_t files;
  uint64_t files_free;
  int64_t name_length;
  int64_t fragment_size;
  uint64_t flags;
} nsgate_statfs;

typedef struct nsgate_directory_entry {
  uint32_t record_length;
  uint32_t name_length;
  uint32_t kind;
  uint32_t has_stat;
  uint64_t inode;
  nsgate_stat stat;
} nsgate_directory_entry;

nsgate_status nsgate_chroot_open(nsgate_gate gate, nsgate_string volume, const nsgate_chroot_options *options, nsgate_chroot *out, nsgate_error *error);
nsgate_status nsgate_chroot_run(nsgate_chroot chroot, nsgate_run_function function, void *user_data, nsgate_error *error);
nsgate_status nsgate_chroot_start(nsgate_chroot chroot, nsgate_run_function function, nsgate_done_function done, void *user_data, nsgate_error *error);
nsgate_status nsgate_chroot_identify(nsgate_chroot chroot, nsgate_namespace_id *out, nsgate_error *error);
nsgate_status nsgate_chroot_before_release(nsgate_chroot chroot, nsgate_job_function function, void *user_data, nsgate_destroy_function destroy, nsgate_error *error);
nsgate_status nsgate_chroot_release(nsgate_chroot chroot, uint64_t *ticket, nsgate_error *error);
nsgate_status nsgate_chroot_cancel_release(nsgate_chroot chroot, nsgate_error *error);
nsgate_status nsgate_chroot_is_closed(nsgate_chroot chroot, uint32_t *out, nsgate_error *error);
nsgate_status nsgate_chroot_free(nsgate_chroot chroot, nsgate_error *error);

nsgate_status nsgate_chroot_open_file(nsgate_chroot chroot, nsgate_string path, int32_t flags, uint32_t mode, int *fd, nsgate_error *error);
nsgate_status nsgate_chroot_stat(nsgate_chroot chroot, nsgate_string path, nsgate_stat *out, nsgate_error *error);
nsgate_status nsgate_chroot_lstat(nsgate_chroot chroot, nsgate_string path, nsgate_stat *out, nsgate_error *error);
nsgate_status nsgate_chroot_statfs(nsgate_chroot chroot, nsgate_string path, nsgate_statfs *out, nsgate_error *error);
nsgate_status nsgate_chroot_mkdir(nsgate_chroot chroot, nsgate_string path, uint32_t mode, nsgate_error *error);
nsgate_status nsgate_chroot_mkdir_all(nsgate_chroot chroot, nsgate_string path, uint32_t mode, nsgate_error *error);
nsgate_status nsgate_chroot_remove(nsgate_chroot chroot, nsgate_string path, nsgate_error *error);
nsgate_status nsgate_chroot_remove_all(nsgate_chroot chroot, nsgate_string path, nsgate_error *error);
nsgate_status nsgate_chroot_rename(nsgate_chroot chroot, nsgate_string from, nsgate_string to, uint32_t flags, nsgate_error *error);
nsgate_status nsgate_chroot_link(nsgate_chroot chroot, nsgate_string from, nsgate_string to, nsgate_error *error);
nsgate_status nsgate_chroot_symlink(nsgate_chroot chroot, nsgate_string target, nsgate_string link, nsgate_error *error);
nsgate_status nsgate_chroot_read_link(nsgate_chroot chroot, nsgate_string path, char *buffer, size_t capacity, size_t *length, nsgate_error *error);
nsgate_status nsgate_chroot_real_path(nsgate_chroot chroot, nsgate_string path, char *buffer, size_t capacity, size_t *length, nsgate_error *error);
nsgate_status nsgate_chroot_chmod(nsgate_chroot chroot, nsgate_string path, uint32_t mode, nsgate_error *error);
nsgate_status nsgate_chroot_chown(nsgate_chroot chroot, nsgate_string path, uint32_t uid, uint32_t gid, nsgate_error *error);
nsgate_status nsgate_chroot_lchown(nsgate_chroot chroot, nsgate_string path, uint32_t uid, uint32_t gid, nsgate_error *error);
nsgate_status nsgate_chroot_set_times(nsgate_chroot chroot, nsgate_string path, const nsgate_time *access, const nsgate_time *modification, uint32_t flags, nsgate_error *error);
nsgate_status nsgate_chroot_truncate(nsgate_chroot chroot, nsgate_string path, int64_t length, nsgate_error *error);
/* capacity: at least directory.length + prefix.length + 32 */
nsgate_status nsgate_chroot_temp_file(nsgate_chroot chroot, nsgate_string directory, nsgate_string prefix, int *fd, char *buffer, size_t capacity, size_t *length, nsgate_error *error);
nsgate_status nsgate_chroot_open_directory(nsgate_chroot chroot, nsgate_string path, nsgate_directory *out, nsgate_error *error);
nsgate_status nsgate_directory_read(nsgate_directory directory, void *buffer, size_t capacity, uint32_t flags, size_t *used, nsgate_error *error);
nsgate_status nsgate_directory_close(nsgate_directory directory, nsgate_error *error);

/* ---- the sandbox map ---- */

typedef struct nsgate_address { uint32_t family; uint8_t bytes[16]; } nsgate_address;

typedef nsgate_status (*nsgate_sandbox_function)(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *call_context);
typedef nsgate_status (*nsgate_sandbox_release_function)(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, const nsgate_event *event);

typedef struct nsgate_subscriber {
  uint32_t size;
  uint32_t reserved;
  void *user_data;
  nsgate_destroy_function destroy;
  nsgate_sandbox_function on_insert;
  nsgate_sandbox_function on_network_release;
  nsgate_sandbox_release_function on_release;
} nsgate_subscriber;

typedef struct nsgate_subscriber_stats {
  uint32_t size;
  uint32_t reserved;
  uint64_t calls;
  uint64_t slow;
  uint64_t failures;
  uint64_t panics;
  uint64_t longest_ns;
} nsgate_subscriber_stats;

typedef struct nsgate_sandbox_details {
  uint32_t size;
  uint32_t state;
  uint32_t network;
  uint32_t reserved;
  nsgate_address address;
  uint64_t attached;
  char sandbox_id[256];
  char lifecycle_id[256];
} nsgate_sandbox_details;

nsgate_status nsgate_map_create(nsgate_gate gate, nsgate_map *out, nsgate_error *error);
nsgate_status nsgate_map_free(nsgate_map map, nsgate_error *error);
nsgate_status nsgate_map_register(nsgate_map map, nsgate_string sandbox_id, nsgate_string lifecycle_id, void *user_data, nsgate_destroy_function destroy, nsgate_sandbox *out, nsgate_error *error);
nsgate_status nsgate_map_find(nsgate_map map, nsgate_string sandbox_id, nsgate_sandbox *out, void **user_data, nsgate_error *error);
nsgate_status nsgate_map_find_by_address(nsgate_map map, nsgate_address address, nsgate_sandbox *out, void **user_data, nsgate_error *error);
nsgate_status nsgate_map_find_by_lifecycle(nsgate_map map, nsgate_string lifecycle_id, nsgate_sandbox *out, void **user_data, nsgate_error *error);
nsgate_status nsgate_map_count(nsgate_map map, size_t *running, size_t *lifecycles, nsgate_error *error);
nsgate_status nsgate_map_snapshot(nsgate_map map, uint32_t which, nsgate_sandbox *buffer, size_t capacity, size_t *count, nsgate_error *error);
nsgate_status nsgate_map_network_released(nsgate_map map, nsgate_address address, nsgate_string lifecycle_id, void *call_context, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_map_wait_idle(nsgate_map map, int64_t timeout_ns, nsgate_error *error);
nsgate_status nsgate_map_subscribe(nsgate_map map, nsgate_string name, const nsgate_subscriber *subscriber, uint64_t *subscription, nsgate_error *error);
nsgate_status nsgate_map_unsubscribe(nsgate_map map, uint64_t subscription, nsgate_error *error);
nsgate_status nsgate_map_unsubscribe_wait(nsgate_map map, uint64_t subscription, nsgate_error *error);
nsgate_status nsgate_map_subscriber_stats(nsgate_map map, uint64_t subscription, nsgate_subscriber_stats *out, nsgate_error *error);

nsgate_status nsgate_sandbox_assign_network(nsgate_sandbox sandbox, nsgate_address address, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_sandbox_mark_running(nsgate_sandbox sandbox, void *call_context, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_sandbox_mark_stopping(nsgate_sandbox sandbox, void *call_context, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_sandbox_mark_stopped(nsgate_sandbox sandbox, void *call_context, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_sandbox_network_released(nsgate_sandbox sandbox, void *call_context, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_sandbox_attach(nsgate_sandbox sandbox, nsgate_chroot chroot, nsgate_error *error);
nsgate_status nsgate_sandbox_attach_job(nsgate_sandbox sandbox, nsgate_job job, nsgate_error *error);
nsgate_status nsgate_sandbox_detach(nsgate_sandbox sandbox, nsgate_chroot chroot, uint32_t *changed, nsgate_error *error);
nsgate_status nsgate_sandbox_info(nsgate_sandbox sandbox, nsgate_sandbox_details *out, nsgate_error *error);
nsgate_status nsgate_sandbox_user_data(nsgate_sandbox sandbox, void **out, nsgate_error *error);
nsgate_status nsgate_sandbox_retain(nsgate_sandbox sandbox, nsgate_error *error);
nsgate_status nsgate_sandbox_free(nsgate_sandbox sandbox, nsgate_error *error);

#ifdef __cplusplus
}
#endif

#endif
