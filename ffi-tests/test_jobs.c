/* Jobs: the host's own work, descriptors, unmounts. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct work {
  struct counter counter;
  int32_t answers[3];
};

static int32_t answer(void *user_data) {
  struct work *work = user_data;
  int call = add(&work->counter.calls, 1);
  return work->answers[call < 3 ? call - 1 : 2];
}
static void destroy_work(void *user_data) { add(&((struct work *)user_data)->counter.destroyed, 1); }

static nsgate_event run_work(nsgate_gate gate, struct work *work, const char *what) {
  nsgate_error error;
  nsgate_job job;
  nsgate_event event;
  uint64_t ticket = 0;
  memset(&event, 0, sizeof event);
  OK(nsgate_job_reserve(gate, string(what), answer, work, destroy_work, &job, &error), &error, "%s: reserved", what);
  EQUAL(get(&work->counter.calls), 0, "%s: not run yet", what);
  OK(nsgate_job_submit(job, &ticket, &error), &error, "%s: submitted", what);
  STATUS(nsgate_job_submit(job, NULL, &error), NSGATE_INVALID_STATE, &error, "%s: only once", what);
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "%s: ended", what);
  EQUAL(event.kind, NSGATE_KIND_JOB, "%s: a job", what);
  OK(nsgate_job_free(job, &error), &error, "%s: freed", what);
  return event;
}

static void outcomes(nsgate_gate gate) {
  nsgate_error error;
  struct work good = {{0, 0}, {0, 0, 0}};
  nsgate_event event = run_work(gate, &good, "one that works");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "is released");
  EQUAL(event.attempts, 1, "at the first attempt");
  EQUAL(get(&good.counter.calls), 1, "ran once");
  CHECK(wait_for(&good.counter.destroyed, 1), "its user data is destroyed");

  struct work busy = {{0, 0}, {EBUSY, EAGAIN, 0}};
  event = run_work(gate, &busy, "one that is busy twice");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "is released in the end");
  EQUAL(event.attempts, 3, "at the third attempt");
  CHECK(wait_for(&busy.counter.destroyed, 1), "its user data is destroyed");

  struct work bad = {{0, 0}, {EIO, EIO, 0}};
  event = run_work(gate, &bad, "one that fails");
  EQUAL(event.outcome, NSGATE_OUTCOME_FAILED, "is failed");
  EQUAL(event.os_error, EIO, "with its errno");
  EQUAL(event.attempts, 1, "at once");
  nsgate_report_item item;
  size_t count;
  OK(nsgate_gate_report_items(gate, &item, 1, &count, &error), &error, "it is listed");
  EQUAL(item.state, NSGATE_ITEM_FAILED, "as failed");
  EQUAL(item.os_error, EIO, "with the errno");
  EQUAL(get(&bad.counter.destroyed), 0, "its user data is kept for another try");
  uint64_t ticket = 0;
  OK(nsgate_gate_retry_failed(gate, event.ticket, &ticket, &error), &error, "it is tried again");
  CHECK(ticket != 0 && ticket != event.ticket, "under a new ticket");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "and fails again");
  EQUAL(event.outcome, NSGATE_OUTCOME_FAILED, "with the same outcome");
  OK(nsgate_gate_forget_failed(gate, ticket, &error), &error, "it is forgotten");
  STATUS(nsgate_gate_forget_failed(gate, ticket, &error), NSGATE_NOT_FOUND, &error, "once");
  STATUS(nsgate_gate_retry_failed(gate, ticket, &ticket, &error), NSGATE_NOT_FOUND, &error, "and cannot be tried any more");
  CHECK(wait_for(&bad.counter.destroyed, 1), "its user data is destroyed then");

  struct work odd = {{0, 0}, {-5, 0, 0}};
  event = run_work(gate, &odd, "one that answers no errno");
  EQUAL(event.outcome, NSGATE_OUTCOME_FAILED, "is failed");
  EQUAL(event.os_error, 0, "without an errno");
  OK(nsgate_gate_forget_failed(gate, event.ticket, &error), &error, "it is forgotten");
  CHECK(wait_for(&odd.counter.destroyed, 1), "its user data is destroyed");
}

static void given_up(nsgate_gate gate) {
  nsgate_error error;
  nsgate_job job;
  struct work work = {{0, 0}, {0, 0, 0}};
  OK(nsgate_job_reserve(gate, NSGATE_STR("given up"), answer, &work, destroy_work, &job, &error), &error, "a job is reserved");
  OK(nsgate_job_free(job, &error), &error, "and given up");
  CHECK(wait_for(&work.counter.destroyed, 1), "its user data is destroyed");
  EQUAL(get(&work.counter.calls), 0, "it never ran");
  STATUS(nsgate_job_submit(job, NULL, &error), NSGATE_INVALID_HANDLE, &error, "its handle has ended");
}

static bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

static void descriptors(nsgate_gate gate) {
  nsgate_error error;
  nsgate_job job, none;
  nsgate_event event;
  uint64_t ticket;
  int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  NEED(fd >= 0, "open");
  OK(nsgate_job_reserve_descriptor(gate, fd, NSGATE_STR("descriptor"), &job, &error), &error, "a descriptor is reserved for");
  CHECK(is_open(fd), "it stays open until the submit");
  OK(nsgate_job_submit(job, &ticket, &error), &error, "it is submitted");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "and released");
  EQUAL(event.kind, NSGATE_KIND_DESCRIPTOR, "as a descriptor");
  CHECK(!is_open(fd), "it is closed");
  OK(nsgate_job_free(job, &error), &error, "the job is freed");

  STATUS(nsgate_job_reserve_descriptor(gate, -1, NSGATE_STR("x"), &none, &error), NSGATE_OS, &error, "-1 is no descriptor");
  EQUAL(error.os_error, EBADF, "EBADF");
  STATUS(nsgate_job_reserve_descriptor(gate, 1 << 20, NSGATE_STR("x"), &none, &error), NSGATE_OS, &error, "nor is any number");

  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.capacity = 1;
  nsgate_gate small;
  OK(nsgate_gate_open(&options, &small, &error), &error, "a gate with one place");
  nsgate_chroot chroot = open_chroot(small);
  fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  STATUS(nsgate_job_reserve_descriptor(small, fd, NSGATE_STR("x"), &none, &error), NSGATE_FULL, &error, "which is taken");
  CHECK(is_open(fd), "the descriptor stays the caller's");
  close(fd);
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
  close_gate(small);
}

static void unmounts(nsgate_gate gate) {
  nsgate_error error;
  nsgate_job job;
  nsgate_event event;
  uint64_t ticket;
  char path[256], below[300];
  snprintf(path, sizeof path, "%s/mounted", volume_path());
  snprintf(below, sizeof below, "%s/below", path);
  NEED(mkdir(path, 0755) == 0 && mount("ffi", path, "tmpfs", 0, "") == 0, "mounting");
  NEED(mkdir(below, 0755) == 0 && mount("ffi", below, "tmpfs", 0, "") == 0, "mounting below");
  struct stat mounted, there;
  NEED(stat(path, &mounted) == 0, "stat");
  STATUS(nsgate_job_reserve_unmount(gate, string(path), 2, &job, &error), NSGATE_INVALID_ARGUMENT, &error, "unknown flags are refused");
  OK(nsgate_job_reserve_unmount(gate, string(path), 0, &job, &error), &error, "an unmount is reserved for");
  OK(nsgate_job_submit(job, &ticket, &error), &error, "it is submitted");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "and released");
  EQUAL(event.kind, NSGATE_KIND_UNMOUNT, "as an unmount");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "released");
  OK(nsgate_job_free(job, &error), &error, "the job is freed");
  NEED(stat(path, &there) == 0, "stat");
  CHECK(there.st_dev != mounted.st_dev, "the mount is gone, with what was below it");
  NEED(rmdir(path) == 0, "rmdir");
  STATUS(nsgate_job_reserve_unmount(gate, string(path), NSGATE_UNMOUNT_DETACH, &job, &error), NSGATE_OS, &error, "what is not there cannot be unmounted");
  EQUAL(error.os_error, ENOENT, "ENOENT");
}

static int32_t held(void *user_data) {
  volatile int *let_go = user_data;
  while (get(let_go) == 0) pause_shortly();
  return 0;
}

static void cancelled(void) {
  nsgate_error error;
  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.blocking_workers = 1;
  nsgate_gate gate;
  OK(nsgate_gate_open(&options, &gate, &error), &error, "a gate with one worker for jobs");
  nsgate_job blocker, job;
  nsgate_event event;
  volatile int let_go = 0;
  uint64_t ticket, again;
  struct work work = {{0, 0}, {0, 0, 0}};
  NEED(nsgate_job_reserve(gate, NSGATE_STR("blocker"), held, (void *)&let_go, NULL, &blocker, &error) == 0, "reserve");
  NEED(nsgate_job_reserve(gate, NSGATE_STR("waits"), answer, &work, destroy_work, &job, &error) == 0, "reserve");
  OK(nsgate_job_submit(blocker, NULL, &error), &error, "a job keeps the worker");
  OK(nsgate_job_submit(job, &ticket, &error), &error, "another waits behind it");
  OK(nsgate_gate_cancel(gate, ticket, &error), &error, "and is cancelled");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "its ticket has ended");
  EQUAL(event.outcome, NSGATE_OUTCOME_CANCELLED, "as cancelled");
  EQUAL(get(&work.counter.destroyed), 0, "its user data is still there");
  OK(nsgate_job_submit(job, &again, &error), &error, "it can be submitted again");
  CHECK(again != ticket, "under another ticket");
  add(&let_go, 1);
  OK(nsgate_gate_wait(gate, again, LONG_TIME, &event, &error), &error, "and runs then");
  EQUAL(get(&work.counter.calls), 1, "once");
  OK(nsgate_job_free(job, &error), &error, "it is freed");
  OK(nsgate_job_free(blocker, &error), &error, "the other, too");
  CHECK(wait_for(&work.counter.destroyed, 1), "its user data is destroyed");
  close_gate(gate);
}

void test_jobs(void) {
  nsgate_gate gate = open_gate();
  outcomes(gate);
  given_up(gate);
  descriptors(gate);
  unmounts(gate);
  close_gate(gate);
  cancelled();
}
