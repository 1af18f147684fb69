/* Rule 18: a callback may call anything, also on the same map; what would wait for itself is told so. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>

static nsgate_error error;

#define IS(call, status, ...) STATUS(call, status, &error, __VA_ARGS__)
#define DOES(call, ...) OK(call, &error, __VA_ARGS__)

enum step {
  REGISTER, OTHER_RUNS, OTHER_FOUND, OPEN, ATTACH, NESTED_RELEASE, AGAIN, WAIT_IDLE, STATS, SUBSCRIBE, FENCE, SNAPSHOT, RETAIN, STEPS
};
static const char *const names[] = {"registering another life",    "having it run",
                                    "finding it",                  "opening a chroot",
                                    "attaching it to its own life", "releasing its own network",
                                    "running again",               "waiting for the map to be idle",
                                    "its own figures",             "subscribing another",
                                    "a fence of the gate",         "listing the lives",
                                    "taking a reference"};

struct reentry {
  struct counter counter;
  nsgate_gate gate;
  nsgate_map map;
  nsgate_sandbox other;
  nsgate_chroot chroot;
  uint64_t subscription, second;
  struct counter second_counter;
  nsgate_status answers[STEPS];
  uint32_t nested_changed, again_changed;
  bool in_a_call, nested_at_once;
  int releases, depth, deepest;
};

static nsgate_status count_call(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  (void)sandbox, (void)sandbox_user_data, (void)context;
  add(&((struct counter *)user_data)->calls, 1);
  return NSGATE_OK;
}

static nsgate_status call_everything(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  struct reentry *r = user_data;
  nsgate_status *is = r->answers;
  (void)sandbox_user_data;
  r->depth++;
  if (r->depth > r->deepest) r->deepest = r->depth;
  if (context != NULL) { /* the life that is told first; the other only counts */
    nsgate_sandbox found = {0};
    size_t count = 0;
    nsgate_subscriber_stats stats;
    stats.size = sizeof stats;
    nsgate_subscriber second;
    memset(&second, 0, sizeof second);
    second.size = sizeof second;
    second.user_data = &r->second_counter;
    second.destroy = count_destroyed;
    second.on_network_release = count_call;
    is[REGISTER] = nsgate_map_register(r->map, NSGATE_STR("other"), NSGATE_STR("other"), NULL, NULL, &r->other, NULL);
    is[OTHER_RUNS] = nsgate_sandbox_mark_running(r->other, NULL, NULL, NULL);
    is[OTHER_FOUND] = nsgate_map_find(r->map, NSGATE_STR("other"), &found, NULL, NULL);
    is[OTHER_FOUND] |= nsgate_sandbox_free(found, NULL);
    is[OPEN] = nsgate_chroot_open(r->gate, volume(), NULL, &r->chroot, NULL);
    is[ATTACH] = nsgate_sandbox_attach(sandbox, r->chroot, NULL);
    is[SUBSCRIBE] = nsgate_map_subscribe(r->map, NSGATE_STR("second"), &second, &r->second, NULL);
    is[NESTED_RELEASE] = nsgate_sandbox_network_released(sandbox, NULL, &r->nested_changed, NULL);
    r->nested_at_once = r->releases > 0;
    is[AGAIN] = nsgate_sandbox_mark_running(sandbox, NULL, &r->again_changed, NULL);
    is[WAIT_IDLE] = nsgate_map_wait_idle(r->map, NSGATE_NO_DEADLINE, NULL);
    is[STATS] = nsgate_map_subscriber_stats(r->map, r->subscription, &stats, NULL);
    is[FENCE] = nsgate_gate_fence(r->gate, LONG_TIME, NULL);
    is[SNAPSHOT] = nsgate_map_snapshot(r->map, NSGATE_SNAPSHOT_ALL, NULL, NULL, 0, &count, NULL);
    is[RETAIN] = nsgate_sandbox_retain(sandbox, NULL);
  }
  add(&r->counter.calls, 1);
  r->depth--;
  return NSGATE_OK;
}

static nsgate_status on_network_release(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  struct reentry *r = user_data;
  (void)sandbox, (void)sandbox_user_data, (void)context;
  r->releases++;
  return NSGATE_OK;
}

static void everything(nsgate_gate gate) {
  static struct reentry r;
  nsgate_sandbox sandbox = {0};
  nsgate_subscriber subscriber;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = &r;
  subscriber.destroy = count_destroyed;
  subscriber.on_insert = call_everything;
  subscriber.on_network_release = on_network_release;
  r.gate = gate;
  DOES(nsgate_map_create(gate, &r.map, &error), "a map is made");
  DOES(nsgate_map_subscribe(r.map, NSGATE_STR("first"), &subscriber, &r.subscription, &error), "with a subscriber");
  DOES(nsgate_map_register(r.map, NSGATE_STR("s"), NSGATE_STR("first"), NULL, NULL, &sandbox, &error), "a life is registered");
  DOES(nsgate_sandbox_mark_running(sandbox, &r, NULL, &error), "and runs, which is told");
  for (int step = 0; step < STEPS; step++)
    STATUS(r.answers[step], step == WAIT_IDLE ? NSGATE_WOULD_DEADLOCK : NSGATE_OK, NULL, "from inside: %s", names[step]);
  EQUAL(r.nested_changed, 1, "the network was released by that");
  CHECK(!r.nested_at_once, "which is told after the event at hand, not in the middle of it");
  EQUAL(r.releases, 1, "once");
  EQUAL(r.again_changed, 0, "running again was no change");
  EQUAL(get(&r.counter.calls), 2, "both lives were told of");
  EQUAL(r.deepest, 2, "the other from inside");
  EQUAL(get(&r.second_counter.calls), 1, "one who subscribes meanwhile is told of what comes next");
  DOES(nsgate_sandbox_free(sandbox, &error), "the reference that was taken is freed");
  DOES(nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, &error), "the life ends");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
  DOES(nsgate_sandbox_mark_stopped(r.other, NULL, NULL, &error), "the other ends");
  DOES(nsgate_sandbox_free(r.other, &error), "it is freed");
  DOES(nsgate_chroot_free(r.chroot, &error), "the chroot is freed");
  DOES(nsgate_map_wait_idle(r.map, 0, &error), "the map is empty");
  DOES(nsgate_map_free(r.map, &error), "it is freed");
  /* The end of the chroot may still be told, on a thread of the library. */
  CHECK(wait_for(&r.counter.destroyed, 1) && wait_for(&r.second_counter.destroyed, 1), "with both subscribers");
}

struct last {
  struct counter counter;
  nsgate_map map;
  nsgate_status freed, after;
  volatile int destroyed_inside, inside;
};

static nsgate_status free_the_map(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  struct last *last = user_data;
  (void)sandbox_user_data, (void)context;
  add(&last->inside, 1);
  last->freed = nsgate_map_free(last->map, NULL);
  last->after = nsgate_sandbox_network_released(sandbox, NULL, NULL, NULL);
  if (get(&last->counter.destroyed) != 0) add(&last->destroyed_inside, 1);
  add(&last->counter.calls, 1);
  add(&last->inside, -1);
  return NSGATE_OK;
}

static void map_ends_inside(nsgate_gate gate) {
  static struct last last;
  nsgate_sandbox sandbox = {0};
  nsgate_subscriber subscriber;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = &last;
  subscriber.destroy = count_destroyed;
  subscriber.on_insert = free_the_map;
  DOES(nsgate_map_create(gate, &last.map, &error), "a map is made");
  uint64_t subscription;
  DOES(nsgate_map_subscribe(last.map, NSGATE_STR("last"), &subscriber, &subscription, &error), "with a subscriber");
  DOES(nsgate_map_register(last.map, NSGATE_STR("s"), NSGATE_STR("l"), NULL, NULL, &sandbox, &error), "and a life");
  DOES(nsgate_sandbox_mark_running(sandbox, NULL, NULL, &error), "that runs");
  STATUS(last.freed, NSGATE_OK, NULL, "a callback frees its own map");
  STATUS(last.after, NSGATE_CLOSED, NULL, "the life is closed then");
  EQUAL(get(&last.destroyed_inside), 0, "the subscriber is destroyed");
  EQUAL(get(&last.counter.destroyed), 1, "after its call, once");
  DOES(nsgate_sandbox_free(sandbox, &error), "the life is freed");
}

/* A release of one life is told from another thread while its insert is being told: it waits its turn;
 * and where the callback waits for that thread's own life in turn, one of them is told. */
struct crossing {
  nsgate_map map;
  nsgate_sandbox lives[2];
  pthread_barrier_t barrier;
  volatile int crossed, refused, odd;
};

static nsgate_status cross(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  struct crossing *crossing = user_data;
  (void)sandbox_user_data, (void)context;
  pthread_barrier_wait(&crossing->barrier);
  nsgate_sandbox other = crossing->lives[sandbox.id == crossing->lives[0].id];
  nsgate_status status = nsgate_sandbox_network_released(other, NULL, NULL, NULL);
  add(status == NSGATE_OK ? &crossing->crossed : status == NSGATE_WOULD_DEADLOCK ? &crossing->refused : &crossing->odd, 1);
  return NSGATE_OK;
}

static void *run_life(void *argument) {
  nsgate_sandbox *sandbox = argument;
  return (void *)(intptr_t)nsgate_sandbox_mark_running(*sandbox, NULL, NULL, NULL);
}

static void crossed(nsgate_gate gate) {
  static struct crossing crossing;
  nsgate_subscriber subscriber;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = &crossing;
  subscriber.on_insert = cross;
  NEED(pthread_barrier_init(&crossing.barrier, NULL, 2) == 0, "pthread_barrier_init");
  DOES(nsgate_map_create(gate, &crossing.map, &error), "a map is made");
  uint64_t subscription;
  DOES(nsgate_map_subscribe(crossing.map, NSGATE_STR("crossing"), &subscriber, &subscription, &error), "with a subscriber");
  pthread_t threads[2];
  const char *const lives[] = {"left", "right"};
  for (int i = 0; i < 2; i++)
    DOES(nsgate_map_register(crossing.map, NSGATE_STR("s"), string(lives[i]), NULL, NULL, &crossing.lives[i], &error), "%s is registered", lives[i]);
  for (int i = 0; i < 2; i++) NEED(pthread_create(&threads[i], NULL, run_life, &crossing.lives[i]) == 0, "pthread_create");
  for (int i = 0; i < 2; i++) {
    void *status;
    pthread_join(threads[i], &status);
    EQUAL((intptr_t)status, NSGATE_OK, "%s runs", lives[i]);
  }
  EQUAL(get(&crossing.odd), 0, "each releases the other's network, or is told that it would deadlock");
  EQUAL(get(&crossing.refused), 1, "of the two one is told");
  EQUAL(get(&crossing.crossed), 1, "and the other goes on");
  for (int i = 0; i < 2; i++) {
    DOES(nsgate_sandbox_network_released(crossing.lives[i], NULL, NULL, &error), "%s: its network is released", lives[i]);
    DOES(nsgate_sandbox_mark_stopped(crossing.lives[i], NULL, NULL, &error), "it ends");
    DOES(nsgate_sandbox_free(crossing.lives[i], &error), "it is freed");
  }
  DOES(nsgate_map_free(crossing.map, &error), "the map is freed");
  pthread_barrier_destroy(&crossing.barrier);
}

void test_reentry(void) {
  nsgate_gate gate = open_gate();
  everything(gate);
  map_ends_inside(gate);
  crossed(gate);
  close_gate(gate);
}
