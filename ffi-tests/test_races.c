/* Rule 24 under load: handles that are used, ended and made by several threads at once. Any call is
 * answered with OK or with what a stale handle deserves; everything is let go exactly once. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { THREADS = 4, PLACES = 16 };

static nsgate_error error;
static nsgate_gate gate;
static nsgate_map map;
/* Handles that all threads share. They take what they find, also what another has just ended. */
static volatile uint64_t chroots[PLACES], directories[PLACES], jobs[PLACES], namespaces[PLACES], sandboxes[PLACES];
static volatile int odd, made_data, destroyed_data, lives;

static void count_data(void *user_data) {
  (void)user_data;
  add(&destroyed_data, 1);
}
static int32_t job(void *user_data) { return (void)user_data, 0; }
static void nothing(void *user_data) { (void)user_data; }
static nsgate_status on_change(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  (void)user_data, (void)sandbox_user_data, (void)context;
  nsgate_sandbox_details details;
  details.size = sizeof details;
  return nsgate_sandbox_info(sandbox, &details, NULL);
}

/* Whatever else it is, is shown. */
static void allow(nsgate_status status, const char *what, nsgate_status one, nsgate_status two, nsgate_status three) {
  if (status == NSGATE_OK || status == NSGATE_INVALID_HANDLE || status == one || status == two || status == three) return;
  fprintf(stderr, "%s: %s\n", what, nsgate_status_name(status));
  add(&odd, 1);
}
#define ALLOW3(call, one, two, three) allow((call), #call, one, two, three)
#define ALLOW(call) ALLOW3(call, NSGATE_OK, NSGATE_OK, NSGATE_OK)
#define ALLOW1(call, one) ALLOW3(call, one, NSGATE_OK, NSGATE_OK)

static uint64_t look(volatile uint64_t *place) { return __atomic_load_n(place, __ATOMIC_SEQ_CST); }
static uint64_t swap(volatile uint64_t *place, uint64_t id) { return __atomic_exchange_n(place, id, __ATOMIC_SEQ_CST); }

static void one_chroot(int place) {
  nsgate_chroot new = {0}, old = {look(&chroots[place])}, gone;
  nsgate_stat stat;
  nsgate_directory directory = {0};
  ALLOW1(nsgate_chroot_stat(old, NSGATE_STR("/"), &stat, NULL), NSGATE_CLOSED);
  ALLOW1(nsgate_chroot_run(old, nothing, NULL, NULL), NSGATE_CLOSED);
  if (nsgate_chroot_open_directory(old, NSGATE_STR("/"), &directory, NULL) == NSGATE_OK) {
    nsgate_directory last = {swap(&directories[place], directory.id)};
    if (last.id != 0) ALLOW(nsgate_directory_close(last, NULL));
  }
  ALLOW1(nsgate_chroot_release(old, NULL, NULL), NSGATE_CLOSED);
  ALLOW(nsgate_chroot_open(gate, volume(), NULL, &new, NULL));
  gone.id = swap(&chroots[place], new.id);
  /* Two threads end the same handle: one of them does. */
  if (gone.id != 0) ALLOW(nsgate_chroot_free(gone, NULL));
  ALLOW(nsgate_chroot_free(old, NULL));
}

static void one_directory(int place) {
  nsgate_directory directory = {look(&directories[place])};
  _Alignas(8) char buffer[1024];
  size_t used;
  ALLOW(nsgate_directory_read(directory, buffer, sizeof buffer, 0, &used, NULL));
  if (place % 3 == 0) ALLOW(nsgate_directory_close(directory, NULL));
}

static void one_job(int place) {
  nsgate_job new = {0}, old = {look(&jobs[place])}, gone;
  uint64_t ticket = 0;
  if (nsgate_job_submit(old, &ticket, NULL) == NSGATE_OK)
    ALLOW3(nsgate_gate_cancel(gate, ticket, NULL), NSGATE_INVALID_STATE, NSGATE_NOT_FOUND, NSGATE_OK);
  if (nsgate_job_reserve(gate, NSGATE_STR("raced"), job, NULL, count_data, &new, NULL) != NSGATE_OK) add(&odd, 1);
  add(&made_data, 1);
  gone.id = swap(&jobs[place], new.id);
  if (gone.id != 0) ALLOW(nsgate_job_free(gone, NULL));
  ALLOW(nsgate_job_free(old, NULL));
}

static void one_namespace(int place) {
  nsgate_namespace new = {0}, old = {look(&namespaces[place])}, gone;
  nsgate_namespace_id id;
  ALLOW(nsgate_namespace_identify(old, &id, NULL));
  ALLOW1(nsgate_namespace_run(old, nothing, NULL, NULL), NSGATE_CLOSED);
  ALLOW(nsgate_namespace_open_current(gate, &new, NULL));
  gone.id = swap(&namespaces[place], new.id);
  if (gone.id != 0) ALLOW1(nsgate_namespace_release(gone, NULL, NULL), NSGATE_CLOSED);
  ALLOW1(nsgate_namespace_release(old, NULL, NULL), NSGATE_CLOSED);
}

static void one_sandbox(int place) {
  nsgate_sandbox new = {0}, old = {look(&sandboxes[place])};
  nsgate_chroot chroot = {look(&chroots[place])};
  nsgate_sandbox_details details;
  char life[32];
  details.size = sizeof details;
  ALLOW(nsgate_sandbox_info(old, &details, NULL));
  ALLOW1(nsgate_sandbox_mark_running(old, NULL, NULL, NULL), NSGATE_INVALID_STATE);
  ALLOW3(nsgate_sandbox_attach(old, chroot, NULL), NSGATE_CLOSED, NSGATE_ALREADY_EXISTS, NSGATE_OK);
  if (nsgate_sandbox_retain(old, NULL) == NSGATE_OK) ALLOW1(nsgate_sandbox_free(old, NULL), NSGATE_INVALID_STATE);
  ALLOW(nsgate_sandbox_network_released(old, NULL, NULL, NULL));
  ALLOW(nsgate_sandbox_mark_stopped(old, NULL, NULL, NULL));
  snprintf(life, sizeof life, "%d", add(&lives, 1));
  if (nsgate_map_register(map, NSGATE_STR("s"), string(life), NULL, count_data, &new, NULL) != NSGATE_OK) add(&odd, 1);
  add(&made_data, 1);
  nsgate_sandbox gone = {swap(&sandboxes[place], new.id)};
  if (gone.id != 0) {
    ALLOW(nsgate_sandbox_network_released(gone, NULL, NULL, NULL));
    ALLOW(nsgate_sandbox_mark_stopped(gone, NULL, NULL, NULL));
    ALLOW1(nsgate_sandbox_free(gone, NULL), NSGATE_INVALID_STATE);
  }
}

static void one_subscriber(void) {
  nsgate_subscriber subscriber;
  uint64_t subscription = 0;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.destroy = count_data;
  subscriber.on_insert = on_change;
  subscriber.on_network_release = on_change;
  if (nsgate_map_subscribe(map, NSGATE_STR("raced"), &subscriber, &subscription, NULL) != NSGATE_OK) add(&odd, 1);
  add(&made_data, 1);
  ALLOW(nsgate_map_unsubscribe_wait(map, subscription, NULL));
}

struct racer {
  unsigned seed;
  int rounds;
};

static void *race(void *argument) {
  struct racer *racer = argument;
  for (int i = 0; i < racer->rounds; i++) {
    int place = rand_r(&racer->seed) % PLACES;
    switch (rand_r(&racer->seed) % 6) {
      case 0: one_chroot(place); break;
      case 1: one_directory(place); break;
      case 2: one_job(place); break;
      case 3: one_namespace(place); break;
      case 4: one_sandbox(place); break;
      default: one_subscriber();
    }
  }
  return NULL;
}

static void end_all(void) {
  for (int i = 0; i < PLACES; i++) {
    nsgate_chroot chroot = {chroots[i]};
    nsgate_directory directory = {directories[i]};
    nsgate_job a_job = {jobs[i]};
    nsgate_namespace ns = {namespaces[i]};
    nsgate_sandbox sandbox = {sandboxes[i]};
    ALLOW(nsgate_chroot_free(chroot, NULL));
    ALLOW(nsgate_directory_close(directory, NULL));
    ALLOW(nsgate_job_free(a_job, NULL));
    ALLOW1(nsgate_namespace_release(ns, NULL, NULL), NSGATE_CLOSED);
    ALLOW1(nsgate_sandbox_free(sandbox, NULL), NSGATE_INVALID_STATE);
  }
}

static void handles(void) {
  pthread_t threads[THREADS];
  struct racer racers[THREADS];
  gate = open_gate();
  OK(nsgate_map_create(gate, &map, &error), &error, "a map is made");
  for (int i = 0; i < THREADS; i++) {
    racers[i].seed = 1000 + (unsigned)i;
    racers[i].rounds = under_valgrind() ? 60 : 3000;
    NEED(pthread_create(&threads[i], NULL, race, &racers[i]) == 0, "pthread_create");
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  end_all();
  OK(nsgate_map_free(map, &error), &error, "the map is freed");
  EQUAL(get(&odd), 0, "every call was answered as it should");
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "all releases end");
  nsgate_stats stats;
  stats.size = sizeof stats;
  OK(nsgate_gate_stats(gate, &stats, &error), &error, "the figures");
  EQUAL(stats.reserved_places, 0, "nothing is left open");
  EQUAL(stats.adds, stats.released + stats.cancelled, "all that was handed over ended, as released or cancelled");
  close_gate(gate);
  CHECK(wait_for(&destroyed_data, get(&made_data)), "all user data is destroyed");
  EQUAL(get(&destroyed_data), get(&made_data), "each once");
}

/* A gate that closes while threads open chroots from it. */
struct opener {
  nsgate_gate gate;
  volatile int opened, closed, odd;
};

static void *open_until_closed(void *argument) {
  struct opener *opener = argument;
  for (;;) {
    nsgate_chroot chroot = {0};
    nsgate_status status = nsgate_chroot_open(opener->gate, volume(), NULL, &chroot, NULL);
    if (status == NSGATE_CLOSED || status == NSGATE_INVALID_HANDLE) return add(&opener->closed, 1), NULL;
    if (status != NSGATE_OK && status != NSGATE_FULL) add(&opener->odd, 1);
    if (status != NSGATE_OK) continue;
    add(&opener->opened, 1);
    if (nsgate_chroot_free(chroot, NULL) != NSGATE_OK) add(&opener->odd, 1);
  }
}

static void closing(void) {
  int rounds = under_valgrind() ? 2 : 20, odd_ones = 0, closed = 0;
  for (int i = 0; i < rounds; i++) {
    struct opener opener = {open_gate(), 0, 0, 0};
    pthread_t threads[2];
    for (int t = 0; t < 2; t++) NEED(pthread_create(&threads[t], NULL, open_until_closed, &opener) == 0, "pthread_create");
    wait_for(&opener.opened, 5);
    if (nsgate_gate_close(opener.gate, LONG_TIME, NULL, NULL) != NSGATE_OK) odd_ones++;
    if (nsgate_gate_free(opener.gate, NULL) != NSGATE_OK) odd_ones++;
    for (int t = 0; t < 2; t++) pthread_join(threads[t], NULL);
    odd_ones += get(&opener.odd);
    closed += get(&opener.closed);
  }
  EQUAL(odd_ones, 0, "opening from a gate that closes is answered as it should, %d times", rounds);
  EQUAL(closed, 2 * rounds, "and ends");
}

void test_races(void) {
  handles();
  closing();
}
