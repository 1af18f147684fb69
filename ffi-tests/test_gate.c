/* The gate: opening, features, closing. */
#define _GNU_SOURCE
#include "harness.h"

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
            features.ns_id <= 1 && features.mount_proof <= 1,
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
  STATUS(nsgate_gate_close(gate, 0, NULL, &error), NSGATE_INVALID_HANDLE, &error, "closing ends the handle");
  STATUS(nsgate_chroot_open(gate, volume(), NULL, &other, &error), NSGATE_INVALID_HANDLE, &error, "nothing can be opened through it");
  STATUS(nsgate_chroot_release(chroot, NULL, &error), NSGATE_CLOSED, &error, "objects keep their own handles");
  OK(nsgate_chroot_free(chroot, &error), &error, "which are freed as ever");
  OK(nsgate_map_free(map, &error), &error, "the map's, too");
}

static void closed_while_open(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate);
  OK(nsgate_gate_close(gate, 0, NULL, &error), &error, "a gate closes while a chroot is open");
  nsgate_stat stat;
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), &error, "which works on");
  OK(nsgate_chroot_free(chroot, &error), &error, "and is let go when it is freed");
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
  int closed = 0, odd = 0;
  for (int i = 0; i < 4; i++) {
    void *status;
    pthread_join(threads[i], &status);
    if ((intptr_t)status == NSGATE_OK) closed++;
    else if ((intptr_t)status != NSGATE_INVALID_HANDLE) odd++;
  }
  CHECK(closed >= 1 && odd == 0, "of four threads that close a gate %d do, the others find it closed", closed);
}

void test_gate(void) {
  defaults();
  closing();
  closed_while_open();
  closed_from_everywhere();
}
