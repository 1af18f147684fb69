/*
 * What an event costs a C program: marking a life as running with three subscribers that do nothing, and
 * with none. Beside it, in the same run, three such callbacks called from a list under a mutex.
 *
 *     benches/run c
 *     build/bench-c [ROUNDS]
 *
 * Prints lines for benches/table.awk.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "nsgate.h"

enum { LIVES = 100, BATCH = 80, SUBSCRIBERS = 3, MOST_ROUNDS = 1000 };

static const char *const names[SUBSCRIBERS] = {"limiter", "metrics", "volumes"};

/* Averages over a batch each, whose median is free of the clock's own cost, and single operations. */
struct samples {
  double averages[MOST_ROUNDS];
  double singles[MOST_ROUNDS * (LIVES - BATCH)];
  size_t average_count, single_count;
};

static nsgate_error error;

static void expect(nsgate_status status, const char *what) {
  if (status == NSGATE_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, nsgate_status_name(status), error.message);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Times an operation on each of the lives: a batch together, the others one by one. */
static void measure(struct samples *samples, void (*operation)(void *, int), void *with) {
  double started = now();
  int i;
  for (i = 0; i < BATCH; i++) operation(with, i);
  samples->averages[samples->average_count++] = (now() - started) / BATCH;
  for (; i < LIVES; i++) {
    started = now();
    operation(with, i);
    samples->singles[samples->single_count++] = now() - started;
  }
}

static nsgate_status on_insert(void *user_data, nsgate_sandbox sandbox, void *sandbox_data, void *context) {
  (void)user_data, (void)sandbox, (void)sandbox_data, (void)context;
  return NSGATE_OK;
}

/* A map whose lives are marked as running. */
struct marked {
  nsgate_map map;
  nsgate_sandbox lives[LIVES];
};

static void create(struct marked *marked, nsgate_gate gate, int subscribers) {
  nsgate_subscriber subscriber;
  int i;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.on_insert = on_insert;
  expect(nsgate_map_create(gate, &marked->map, &error), "create");
  for (i = 0; i < subscribers; i++) {
    nsgate_string name = {names[i], strlen(names[i])};
    uint64_t subscription;
    expect(nsgate_map_subscribe(marked->map, name, &subscriber, &subscription, &error), "subscribe");
  }
}

static void mark_running(void *marked, int i) {
  nsgate_sandbox life = ((struct marked *)marked)->lives[i];
  expect(nsgate_sandbox_mark_running(life, NULL, NULL, &error), "mark_running");
}

static void mark_all(struct marked *marked, struct samples *samples) {
  int i;
  for (i = 0; i < LIVES; i++) {
    char id[2][32];
    nsgate_string sandbox_id = {id[0], (size_t)sprintf(id[0], "sandbox-%d", i)};
    nsgate_string lifecycle_id = {id[1], (size_t)sprintf(id[1], "life-%d", i)};
    expect(nsgate_map_register(marked->map, sandbox_id, lifecycle_id, NULL, NULL, &marked->lives[i], &error),
           "register");
  }
  measure(samples, mark_running, marked);
  for (i = 0; i < LIVES; i++) {
    expect(nsgate_sandbox_mark_stopped(marked->lives[i], NULL, NULL, &error), "mark_stopped");
    expect(nsgate_sandbox_free(marked->lives[i], &error), "free");
  }
}

/* The least that a list of callbacks is. */
static struct {
  pthread_mutex_t mutex;
  nsgate_status (*volatile calls[SUBSCRIBERS])(void *, nsgate_sandbox, void *, void *);
} list = {PTHREAD_MUTEX_INITIALIZER, {on_insert, on_insert, on_insert}};

static void call_all(void *unused, int i) {
  nsgate_sandbox none = {0};
  (void)unused, (void)i;
  pthread_mutex_lock(&list.mutex);
  for (i = 0; i < SUBSCRIBERS; i++) expect(list.calls[i](NULL, none, NULL, NULL), "call");
  pthread_mutex_unlock(&list.mutex);
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

static double quantile(double *samples, size_t count, size_t percent) {
  qsort(samples, count, sizeof *samples, by_value);
  return samples[(count * percent + 99) / 100 - 1];
}

static double median(struct samples *samples) { return quantile(samples->averages, samples->average_count, 50); }

static double p99(struct samples *samples) { return quantile(samples->singles, samples->single_count, 99); }

/* Tab-separated: language, work, median, p99, against, median, p99, sort of goal, goal. */
static void line(const char *work, double middle, const char *high, const char *against, struct samples *other) {
  printf("C\t%s\t%.1f\t%s\t%s\t%.1f\t%.1f\tshow\t0\n", work, middle, high, against, median(other), p99(other));
}

int main(int argc, char **argv) {
  static struct samples three, none, bare, warm_up;
  static struct marked with, without;
  nsgate_report report;
  nsgate_gate gate;
  char high[32];
  int round, rounds = argc > 1 ? atoi(argv[1]) : 301;

  if (rounds < 1 || rounds > MOST_ROUNDS) {
    fprintf(stderr, "usage: %s [ROUNDS, 1 to %d]\n", argv[0], MOST_ROUNDS);
    return 2;
  }
  fprintf(stderr, "c: map\n");
  expect(nsgate_gate_open(NULL, &gate, &error), "open");
  create(&with, gate, SUBSCRIBERS);
  create(&without, gate, 0);
  mark_all(&with, &warm_up);
  mark_all(&without, &warm_up);
  for (round = 0; round < rounds; round++) {
    mark_all(&with, &three);
    mark_all(&without, &none);
    measure(&bare, call_all, NULL);
  }
  snprintf(high, sizeof high, "%.1f", p99(&three));
  line("mark_running, 3 empty subscribers", median(&three), high, "no subscriber", &none);
  /* A difference of p99s would mean nothing. */
  line("event to 3 empty subscribers", median(&three) - median(&none), "NaN", "3 calls under a mutex", &bare);

  expect(nsgate_map_free(with.map, &error), "free");
  expect(nsgate_map_free(without.map, &error), "free");
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  expect(nsgate_gate_close(gate, INT64_C(10000000000), &report, &error), "close");
  return report.remaining == 0 ? 0 : 1;
}
