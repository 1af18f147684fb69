/* The gate: opening, features, closing. */
#define _GNU_SOURCE
#include "harness.h"

#include <poll.h>
#include <pthread.h>

static void defaults(void) {
  nsgate_error error;
  nsgate_gate gate, other;
  OK(nsgate_gate_open(NULL, &gate, &error), &error, "a gate opens with the defaults");
  nsgate_stats stats;
  stats.size = sizeof stats;
  OK(nsgate_gate_stats(gate, &stats, &error), &error, "its stats");
  EQUAL(stats.capacity, 65536, "the default capacity");
  EQUAL(stats.adds + stats.released + stats.reserved_places, 0, "nothing was done yet");
  nsgate_features features;
  memset(&features, 0xff, sizeof features);
  features.size = sizeof features;
  OK(nsgate_gate_features(gate, &features, &error), &error, "its features");
  CHECK(features.mount_setattr <= 1 && features.open_tree_namespace <= 1 && features.fchmodat2 <= 1 &&
            features.ns_id <= 1 && features.mount_proof <= 1 && features.dissolve_together <= 1,
        "each is 0 or 1");
  OK(nsgate_gate_open(NULL, &other, &error), &error, "a process may have two gates");
  CHECK(gate.id != other.id && gate.id != 0, "with handles of their own");
  close_gate(other);
  OK(nsgate_gate_stats(gate, &stats, &error), &error, "the first is still open");
  close_gate(gate);
}

static void closing(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate), other;
  nsgate_map map;
  OK(nsgate_map_create(gate, &map, &error), &error, "a map");
  STATUS(nsgate_gate_close(gate, -1, NULL, &error), NSGATE_INVALID_ARGUMENT, &error, "a negative time-out is refused");
  OK(nsgate_chroot_release(chroot, NULL, &error), &error, "a chroot is released");
  nsgate_report report;
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  OK(nsgate_gate_close(gate, NSGATE_NO_DEADLINE, &report, &error), &error, "closing waits for the release");
  EQUAL(report.released, 1, "and reports it");
  STATUS(nsgate_chroot_open(gate, volume(), NULL, &other, &error), NSGATE_CLOSED, &error, "nothing can be opened through it");
  OK(nsgate_gate_close(gate, 0, &report, &error), &error, "it can be closed again");
  EQUAL(report.released, 1, "with the same report");
  OK(nsgate_gate_free(gate, &error), &error, "and freed");
  STATUS(nsgate_gate_close(gate, 0, NULL, &error), NSGATE_INVALID_HANDLE, &error, "that ends the handle");
  STATUS(nsgate_gate_free(gate, &error), NSGATE_INVALID_HANDLE, &error, "once");
  STATUS(nsgate_chroot_release(chroot, NULL, &error), NSGATE_CLOSED, &error, "objects keep their own handles");
  OK(nsgate_chroot_free(chroot, &error), &error, "which are freed as ever");
  OK(nsgate_map_free(map, &error), &error, "the map's, too");
}

static void closed_while_open(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate);
  OK(nsgate_gate_close(gate, 0, NULL, &error), &error, "a gate closes while a chroot is open");
  OK(nsgate_gate_free(gate, &error), &error, "and is freed");
  nsgate_stat stat;
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), &error, "which works on");
  OK(nsgate_chroot_free(chroot, &error), &error, "and is let go when it is freed");
}

static void freed_while_open(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate);
  OK(nsgate_gate_free(gate, &error), &error, "a gate that is not closed is freed");
  nsgate_stat stat;
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), &error, "its chroot works on");
  OK(nsgate_chroot_free(chroot, &error), &error, "and is released when it is freed");
}

static void closing_begins(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate), other;
  OK(nsgate_gate_begin_close(gate, &error), &error, "a close begins");
  STATUS(nsgate_chroot_open(gate, volume(), NULL, &other, &error), NSGATE_CLOSED, &error, "nothing can be opened any more");
  nsgate_stat stat;
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), &error, "what is open works on");
  OK(nsgate_gate_begin_close(gate, &error), &error, "a close may begin twice");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is released");
  OK(nsgate_gate_fence_at(gate, UINT64_MAX, LONG_TIME, &error), &error, "and gone");
  close_gate(gate);
}

static int32_t hold(void *user_data) {
  volatile int *steps = user_data;
  add(&steps[0], 1);
  while (get(&steps[1]) == 0) pause_shortly();
  add(&steps[2], 1);
  return 0;
}

/* Rule 14: each release that was submitted has its one outcome, which can be read. */
static void abandoned(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  int fd = -1;
  OK(nsgate_gate_event_fd(gate, &fd, &error), &error, "somebody wants the events");
  volatile int steps[3] = {0, 0, 0};
  nsgate_job job;
  uint64_t ticket = 0;
  OK(nsgate_job_reserve(gate, NSGATE_STR("held"), hold, (void *)steps, NULL, &job, &error), &error, "a job that hangs");
  OK(nsgate_job_submit(job, &ticket, &error), &error, "is submitted");
  OK(nsgate_job_free(job, &error), &error, "and freed");
  CHECK(wait_for(&steps[0], 1), "and starts");
  nsgate_report report;
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  OK(nsgate_gate_close(gate, 1000000, &report, &error), &error, "the gate closes all the same");
  EQUAL(report.remaining, 1, "one remained");
  EQUAL(report.abandoned, 1, "and was abandoned");
  struct pollfd poller = {fd, POLLIN, 0};
  EQUAL(poll(&poller, 1, 10000), 1, "an event can be read");
  nsgate_event events[4];
  size_t count = 0;
  OK(nsgate_gate_read_events(gate, events, 4, &count, &error), &error, "it is read");
  EQUAL(count, 1, "it is one");
  CHECK(count == 1 && events[0].ticket == ticket && events[0].outcome == NSGATE_OUTCOME_ABANDONED, "of the job, which was abandoned");
  nsgate_event event;
  OK(nsgate_gate_wait(gate, ticket, 0, &event, &error), &error, "its ticket can be waited for");
  EQUAL(event.sequence, 1, "with the same event");
  add(&steps[1], 1);
  CHECK(wait_for(&steps[2], 1), "the job ends after all");
  OK(nsgate_gate_read_events(gate, events, 4, &count, &error), &error, "there are no more events");
  EQUAL(count, 0, "of what had its outcome");
  OK(nsgate_gate_free(gate, &error), &error, "the gate is freed");
}

static void *close_it(void *argument) {
  nsgate_gate *gate = argument;
  nsgate_status status = nsgate_gate_close(*gate, LONG_TIME, NULL, NULL);
  return (void *)(intptr_t)status;
}

static void closed_from_everywhere(void) {
  nsgate_gate gate = open_gate();
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) NEED(pthread_create(&threads[i], NULL, close_it, &gate) == 0, "pthread_create");
  int closed = 0;
  for (int i = 0; i < 4; i++) {
    void *status;
    pthread_join(threads[i], &status);
    closed += (intptr_t)status == NSGATE_OK;
  }
  EQUAL(closed, 4, "four threads may close a gate at once");
  nsgate_error error;
  OK(nsgate_gate_free(gate, &error), &error, "it is freed");
}

void test_gate(void) {
  defaults();
  closing();
  closed_while_open();
  freed_while_open();
  closing_begins();
  abandoned();
  closed_from_everywhere();
}
