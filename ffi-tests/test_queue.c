/* The release queue through the ABI: tickets, waiting, events, subscriptions, figures. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

/* A job that waits until it is let go. */
struct gate_keeper {
  volatile int started, let_go, ended;
};

static int32_t hold(void *user_data) {
  struct gate_keeper *keeper = user_data;
  add(&keeper->started, 1);
  while (get(&keeper->let_go) == 0) pause_shortly();
  add(&keeper->ended, 1);
  return 0;
}

static uint64_t submit_held(nsgate_gate gate, struct gate_keeper *keeper) {
  nsgate_error error;
  nsgate_job job;
  uint64_t ticket = 0;
  NEED(nsgate_job_reserve(gate, NSGATE_STR("held"), hold, keeper, NULL, &job, &error) == 0, "%s", error.message);
  NEED(nsgate_job_submit(job, &ticket, &error) == 0, "%s", error.message);
  NEED(nsgate_job_free(job, &error) == 0, "%s", error.message);
  return ticket;
}

static void tickets(nsgate_gate gate) {
  nsgate_error error;
  nsgate_event event;
  nsgate_chroot chroot = open_chroot(gate);
  uint64_t ticket = 0;
  OK(nsgate_chroot_release(chroot, &ticket, &error), &error, "a release gives a ticket");
  CHECK(ticket != 0, "which is not 0");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "it can be waited for");
  EQUAL(event.ticket, ticket, "the event is of that ticket");
  EQUAL(event.kind, NSGATE_KIND_CHROOT, "of a chroot");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "released");
  CHECK(event.proof == NSGATE_PROOF_VERIFIED || event.proof == NSGATE_PROOF_UNVERIFIED, "with proof, or without when the kernel can't tell");
  EQUAL(event.os_error, 0, "without an error");
  EQUAL(event.before_release_failed, 0, "no step before it failed");
  nsgate_event again;
  OK(nsgate_gate_wait(gate, ticket, 0, &again, &error), &error, "the outcome is remembered");
  EQUAL(again.sequence, event.sequence, "it is the same event");
  OK(nsgate_gate_wait(gate, ticket, 0, NULL, &error), &error, "the event need not be wanted");
  STATUS(nsgate_gate_wait(gate, 0, 0, NULL, &error), NSGATE_NOT_FOUND, &error, "0 is no ticket");
  STATUS(nsgate_gate_wait(gate, UINT64_MAX, 0, NULL, &error), NSGATE_NOT_FOUND, &error, "nor is any number");
  STATUS(nsgate_gate_wait(gate, ticket, -1, NULL, &error), NSGATE_INVALID_ARGUMENT, &error, "a negative time-out is refused");
  STATUS(nsgate_gate_cancel(gate, ticket, &error), NSGATE_INVALID_STATE, &error, "what has ended cannot be cancelled");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

static void waiting(nsgate_gate gate) {
  nsgate_error error;
  struct gate_keeper keeper = {0, 0, 0};
  nsgate_stats before, after;
  before.size = after.size = sizeof before;
  OK(nsgate_gate_stats(gate, &before, &error), &error, "how much was submitted");
  uint64_t ticket = submit_held(gate, &keeper);
  OK(nsgate_gate_stats(gate, &after, &error), &error, "and after one more");
  EQUAL(after.adds, before.adds + 1, "it is one more");
  OK(nsgate_gate_fence_at(gate, before.adds, 0, &error), &error, "a fence before it has passed");
  STATUS(nsgate_gate_fence_at(gate, after.adds, 0, &error), NSGATE_TIMED_OUT, &error, "one behind it has not");
  STATUS(nsgate_gate_fence_at(gate, UINT64_MAX, 1000000, &error), NSGATE_TIMED_OUT, &error, "nor has one behind all");
  STATUS(nsgate_gate_fence_at(gate, after.adds, -1, &error), NSGATE_INVALID_ARGUMENT, &error, "a negative time-out is refused");
  STATUS(nsgate_gate_wait(gate, ticket, 0, NULL, &error), NSGATE_TIMED_OUT, &error, "a time-out of 0 looks and does not wait");
  STATUS(nsgate_gate_wait(gate, ticket, 1000000, NULL, &error), NSGATE_TIMED_OUT, &error, "a short one ends");
  STATUS(nsgate_gate_fence(gate, 1000000, &error), NSGATE_TIMED_OUT, &error, "so does a fence");
  CHECK(wait_for(&keeper.started, 1), "the job starts");
  nsgate_report report;
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  OK(nsgate_gate_drain(gate, 1000000, &report, &error), &error, "a drain reports when its time is over");
  EQUAL(report.remaining, 1, "that one remains");
  nsgate_report_item items[4];
  size_t count = 0;
  OK(nsgate_gate_report_items(gate, items, 4, &count, &error), &error, "what remains is listed");
  EQUAL(count, 1, "one item");
  CHECK(count == 1 && items[0].ticket == ticket && strcmp(items[0].label, "held") == 0, "with its ticket and label");
  EQUAL(items[0].kind, NSGATE_KIND_JOB, "a job");
  EQUAL(items[0].state, NSGATE_ITEM_RUNNING, "that runs");
  count = 7;
  OK(nsgate_gate_report_items(gate, NULL, 0, &count, &error), &error, "the list can be counted only");
  EQUAL(count, 1, "to one");
  nsgate_stats stats;
  stats.size = sizeof stats;
  OK(nsgate_gate_stats(gate, &stats, &error), &error, "its stats");
  EQUAL(stats.in_flight, 1, "one is in flight");
  add(&keeper.let_go, 1);
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "the fence passes when the job has ended");
  EQUAL(get(&keeper.ended), 1, "and not before");
  OK(nsgate_gate_fence_at(gate, after.adds, 0, &error), &error, "both fences behind it have passed");
  OK(nsgate_gate_fence_at(gate, UINT64_MAX, LONG_TIME, &error), &error, "for good");
  OK(nsgate_gate_drain(gate, LONG_TIME, &report, &error), &error, "the drain, too");
  EQUAL(report.remaining, 0, "nothing remains");
}

struct events {
  struct counter counter;
  volatile int of_ticket;
  uint64_t ticket, last_sequence;
  bool in_order;
};

static void on_event(void *user_data, const nsgate_event *event) {
  struct events *events = user_data;
  if (event->sequence <= events->last_sequence) events->in_order = false;
  events->last_sequence = event->sequence;
  if (event->ticket == __atomic_load_n(&events->ticket, __ATOMIC_SEQ_CST)) add(&events->of_ticket, 1);
  add(&events->counter.calls, 1);
}
static void destroy_events(void *user_data) { add(&((struct events *)user_data)->counter.destroyed, 1); }

static void subscriptions(nsgate_gate gate) {
  nsgate_error error;
  struct events events = {{0, 0}, 0, 0, 0, true};
  uint64_t subscription = 0;
  OK(nsgate_gate_subscribe(gate, on_event, &events, destroy_events, &subscription, &error), &error, "events are subscribed to");
  CHECK(subscription != 0, "with an id that is not 0");
  for (int i = 0; i < 20; i++) {
    nsgate_chroot chroot = open_chroot(gate);
    uint64_t ticket;
    NEED(nsgate_chroot_release(chroot, &ticket, &error) == 0, "%s", error.message);
    if (i == 7) __atomic_store_n(&events.ticket, ticket, __ATOMIC_SEQ_CST);
    NEED(nsgate_chroot_free(chroot, &error) == 0, "%s", error.message);
  }
  CHECK(wait_for(&events.counter.calls, 20), "each release is told");
  EQUAL(get(&events.counter.destroyed), 0, "the user data is still there");
  OK(nsgate_gate_unsubscribe_wait(gate, subscription, &error), &error, "the subscription ends");
  EQUAL(get(&events.counter.calls), 20, "each was told once");
  CHECK(events.in_order, "in order");
  EQUAL(get(&events.counter.destroyed), 1, "the user data is destroyed once");
  STATUS(nsgate_gate_unsubscribe(gate, subscription, &error), NSGATE_NOT_FOUND, &error, "it ends once");
  STATUS(nsgate_gate_unsubscribe_wait(gate, 4711, &error), NSGATE_NOT_FOUND, &error, "any number is safe");
  OK(nsgate_gate_subscribe(gate, on_event, &events, NULL, &subscription, &error), &error, "without a destroy function it works, too");
  OK(nsgate_gate_unsubscribe(gate, subscription, &error), &error, "and ends");
}

static void ring(nsgate_gate gate) {
  nsgate_error error;
  nsgate_event events[64];
  size_t count;
  int fd = -1;
  OK(nsgate_gate_event_fd(gate, &fd, &error), &error, "the event descriptor");
  struct pollfd poller = {fd, POLLIN, 0};
  do OK(nsgate_gate_read_events(gate, events, 64, &count, &error), &error, "old events are read");
  while (count != 0);
  EQUAL(poll(&poller, 1, 0), 0, "it is not readable without events");
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "it is closed on exec");
  uint64_t tickets[3];
  for (int i = 0; i < 3; i++) {
    nsgate_chroot chroot = open_chroot(gate);
    NEED(nsgate_chroot_release(chroot, &tickets[i], &error) == 0, "%s", error.message);
    NEED(nsgate_chroot_free(chroot, &error) == 0, "%s", error.message);
  }
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "three releases end");
  EQUAL(poll(&poller, 1, 60000), 1, "it becomes readable");
  size_t read = 0;
  uint64_t sum = 0, last = 0;
  bool in_order = true;
  for (int i = 0; i < 6000 && read < 3; i++) {
    /* One at a time: the rest stays. */
    NEED(nsgate_gate_read_events(gate, events, 1, &count, &error) == 0, "%s", error.message);
    if (count == 0) pause_shortly();
    else {
      in_order = in_order && events[0].sequence > last;
      last = events[0].sequence;
      sum += events[0].ticket;
    }
    read += count;
  }
  EQUAL(read, 3, "three events are read");
  EQUAL(sum, tickets[0] + tickets[1] + tickets[2], "of the three tickets");
  CHECK(in_order, "oldest first");
  EQUAL(poll(&poller, 1, 0), 0, "then it is quiet again");
  OK(nsgate_gate_read_events(gate, NULL, 0, &count, &error), &error, "nothing can be read into nothing");
  EQUAL(count, 0, "which gives none");
}

static void from_inside(void *user_data, const nsgate_event *event) {
  (void)event;
  uint64_t *numbers = user_data; /* gate, subscription, results */
  numbers[7] = (uint64_t)nsgate_gate_begin_close((nsgate_gate){numbers[0]}, NULL);
  nsgate_gate gate = {numbers[0]};
  numbers[2] = (uint64_t)nsgate_gate_fence(gate, NSGATE_NO_DEADLINE, NULL);
  numbers[3] = (uint64_t)nsgate_gate_unsubscribe_wait(gate, numbers[1], NULL);
  numbers[4] = (uint64_t)nsgate_gate_close(gate, NSGATE_NO_DEADLINE, NULL, NULL);
  numbers[5] = (uint64_t)nsgate_gate_unsubscribe(gate, numbers[1], NULL);
  __atomic_store_n(&numbers[6], 1, __ATOMIC_SEQ_CST);
}

static void no_deadlock(nsgate_gate gate) {
  nsgate_error error;
  uint64_t numbers[8] = {gate.id, 0, 0, 0, 0, 0, 0, 0};
  OK(nsgate_gate_subscribe(gate, from_inside, numbers, NULL, &numbers[1], &error), &error, "a subscription that calls back");
  nsgate_chroot chroot = open_chroot(gate);
  OK(nsgate_chroot_free(chroot, &error), &error, "a chroot is freed, and so released");
  for (int i = 0; i < 6000 && __atomic_load_n(&numbers[6], __ATOMIC_SEQ_CST) == 0; i++) pause_shortly();
  EQUAL(numbers[6], 1, "its callback returns");
  STATUS((nsgate_status)numbers[2], NSGATE_WOULD_DEADLOCK, NULL, "a fence from inside would wait for itself");
  STATUS((nsgate_status)numbers[3], NSGATE_WOULD_DEADLOCK, NULL, "so would the wait for its own end");
  STATUS((nsgate_status)numbers[4], NSGATE_WOULD_DEADLOCK, NULL, "so would the close of the gate");
  STATUS((nsgate_status)numbers[7], NSGATE_WOULD_DEADLOCK, NULL, "which it can't begin either");
  STATUS((nsgate_status)numbers[5], NSGATE_OK, NULL, "it can end itself");
}

/* More than are listed. */
enum { MANY = 1500, LISTED = 1024 };

static void many_remain(nsgate_gate gate) {
  nsgate_error error;
  struct gate_keeper keeper = {0, 0, 0};
  uint64_t first = submit_held(gate, &keeper);
  for (int i = 1; i < MANY; i++) submit_held(gate, &keeper);
  static nsgate_report_item items[MANY + 8];
  size_t count = 0;
  OK(nsgate_gate_report_items(gate, NULL, 0, &count, &error), &error, "many can be counted");
  EQUAL(count, MANY, "to the last");
  memset(items, 0, sizeof items);
  OK(nsgate_gate_report_items(gate, items, 2, &count, &error), &error, "two are asked for");
  EQUAL(count, MANY, "all are counted");
  CHECK(items[0].ticket == first && items[1].ticket != first && items[2].ticket == 0, "the two oldest are listed");
  OK(nsgate_gate_report_items(gate, items, MANY + 8, &count, &error), &error, "all are asked for");
  EQUAL(count, MANY, "and counted");
  CHECK(items[LISTED - 1].ticket != 0 && items[LISTED].ticket == 0, "the oldest are listed");
  nsgate_report report;
  report.size = sizeof report;
  OK(nsgate_gate_drain(gate, 0, &report, &error), &error, "a drain that does not wait");
  EQUAL(report.remaining, MANY, "counts them, too");
  add(&keeper.let_go, 1);
  OK(nsgate_gate_drain(gate, LONG_TIME, &report, &error), &error, "all end");
  EQUAL(report.remaining, 0, "to the last");
}

static void full(void) {
  nsgate_error error;
  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.capacity = 3;
  nsgate_gate gate;
  nsgate_chroot chroots[3], more;
  more.id = 42;
  OK(nsgate_gate_open(&options, &gate, &error), &error, "a gate with three places");
  for (int i = 0; i < 3; i++) chroots[i] = open_chroot(gate);
  STATUS(nsgate_chroot_open(gate, volume(), NULL, &more, &error), NSGATE_FULL, &error, "a fourth chroot finds it full");
  EQUAL(more.id, 42, "and no handle is given");
  OK(nsgate_chroot_free(chroots[0], &error), &error, "one is freed");
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "and released");
  chroots[0] = open_chroot(gate);
  for (int i = 0; i < 3; i++) OK(nsgate_chroot_free(chroots[i], &error), &error, "its place is free again; chroot %d is freed", i);
  close_gate(gate);
}

void test_queue(void) {
  nsgate_gate gate = open_gate();
  tickets(gate);
  waiting(gate);
  subscriptions(gate);
  ring(gate);
  no_deadlock(gate);
  many_remain(gate);
  close_gate(gate);
  full();
}
