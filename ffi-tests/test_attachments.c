/* Rules 12 and 22: what is attached is handed over with the network, and told when it ends; what comes
 * too late stays the caller's. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>

static nsgate_error error;

#define IS(call, status, ...) STATUS(call, status, &error, __VA_ARGS__)
#define DOES(call, ...) OK(call, &error, __VA_ARGS__)

/* What on_release was told. */
struct releases {
  struct counter counter;
  volatile int chroots, jobs, wrong;
};

static nsgate_status on_release(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, const nsgate_event *event) {
  struct releases *releases = user_data;
  nsgate_sandbox_details details;
  details.size = sizeof details;
  if (nsgate_sandbox_info(sandbox, &details, NULL) != NSGATE_OK || sandbox_user_data != (void *)releases) add(&releases->wrong, 1);
  add(event->kind == NSGATE_KIND_CHROOT ? &releases->chroots : &releases->jobs, 1);
  if (event->outcome != NSGATE_OUTCOME_RELEASED) add(&releases->wrong, 1);
  add(&releases->counter.calls, 1);
  return NSGATE_OK;
}
static void destroy_releases(void *user_data) { add(&((struct releases *)user_data)->counter.destroyed, 1); }

static uint64_t attached(nsgate_sandbox sandbox) {
  nsgate_sandbox_details details;
  details.size = sizeof details;
  NEED(nsgate_sandbox_info(sandbox, &details, &error) == NSGATE_OK, "%s", error.message);
  return details.attached;
}

static bool is_closed(nsgate_chroot chroot) {
  uint32_t closed = 7;
  NEED(nsgate_chroot_is_closed(chroot, &closed, &error) == NSGATE_OK, "%s", error.message);
  return closed == 1;
}

static nsgate_sandbox enroll(nsgate_map map, const char *life, void *user_data) {
  nsgate_sandbox sandbox = {0};
  NEED(nsgate_map_register(map, NSGATE_STR("s"), string(life), user_data, NULL, &sandbox, &error) == NSGATE_OK, "%s", error.message);
  return sandbox;
}

static int32_t job(void *user_data) { return add(&((struct counter *)user_data)->calls, 1), 0; }

static void handed_over(nsgate_gate gate, nsgate_map map) {
  struct releases releases;
  struct counter work = {0, 0};
  nsgate_subscriber subscriber;
  uint64_t subscription = 0;
  memset(&releases, 0, sizeof releases);
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = &releases;
  subscriber.destroy = destroy_releases;
  subscriber.on_release = on_release;
  DOES(nsgate_map_subscribe(map, NSGATE_STR("releases"), &subscriber, &subscription, &error), "a subscriber for releases");
  nsgate_sandbox sandbox = enroll(map, "life", &releases), other = enroll(map, "other", &releases);
  nsgate_chroot kept = open_chroot(gate), freed = open_chroot(gate), gone = open_chroot(gate);
  nsgate_job a_job = {0};
  DOES(nsgate_job_reserve(gate, NSGATE_STR("job"), job, &work, count_destroyed, &a_job, &error), "a job is reserved");
  DOES(nsgate_sandbox_attach(sandbox, kept, &error), "a chroot is attached");
  IS(nsgate_sandbox_attach(sandbox, kept, &error), NSGATE_ALREADY_EXISTS, "once");
  IS(nsgate_sandbox_attach(other, kept, &error), NSGATE_ALREADY_EXISTS, "and to one life");
  DOES(nsgate_sandbox_attach(sandbox, freed, &error), "another");
  DOES(nsgate_sandbox_attach_job(sandbox, a_job, &error), "and a job");
  EQUAL(attached(sandbox), 3, "that makes three");
  DOES(nsgate_chroot_free(freed, &error), "one handle is freed");
  EQUAL(attached(sandbox), 3, "what is attached stays open");
  DOES(nsgate_chroot_release(gone, NULL, &error), "a chroot is released");
  IS(nsgate_sandbox_attach(sandbox, gone, &error), NSGATE_CLOSED, "and can not be attached");
  CHECK(!is_closed(kept), "the other is open");
  EQUAL(get(&work.calls), 0, "the job has not run");
  DOES(nsgate_sandbox_network_released(sandbox, NULL, NULL, &error), "the network is released");
  CHECK(is_closed(kept), "with it the chroot");
  uint64_t ticket = 0;
  nsgate_event event;
  DOES(nsgate_chroot_ticket(kept, &ticket, &error), "whose ticket can be had");
  DOES(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), "and waited for");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "until it is gone");
  nsgate_stat stat;
  IS(nsgate_chroot_stat(kept, NSGATE_STR("/"), &stat, &error), NSGATE_CLOSED, "which refuses work");
  CHECK(wait_for(&releases.counter.calls, 3), "the ends of all three are told");
  EQUAL(get(&releases.chroots), 2, "two chroots");
  EQUAL(get(&releases.jobs), 1, "and a job");
  EQUAL(get(&releases.wrong), 0, "with their life, and its user data");
  EQUAL(get(&work.calls), 1, "the job has run");
  EQUAL(attached(sandbox), 0, "nothing is attached any more");
  IS(nsgate_job_submit(a_job, NULL, &error), NSGATE_INVALID_STATE, "the job was submitted");
  IS(nsgate_sandbox_attach_job(other, a_job, &error), NSGATE_INVALID_STATE, "and can not be attached");

  nsgate_chroot late = open_chroot(gate);
  IS(nsgate_sandbox_attach(sandbox, late, &error), NSGATE_CLOSED, "a chroot that comes too late is refused");
  CHECK(!is_closed(late), "and stays the caller's");
  DOES(nsgate_chroot_stat(late, NSGATE_STR("/"), &stat, &error), "and works");
  DOES(nsgate_sandbox_attach(other, late, &error), "it can be attached elsewhere");
  uint32_t changed = 7;
  DOES(nsgate_sandbox_detach(sandbox, late, &changed, &error), "it is detached from where it is not");
  EQUAL(changed, 0, "which changes nothing");
  DOES(nsgate_sandbox_detach(other, late, &changed, &error), "and from where it is");
  EQUAL(changed, 1, "which does");
  DOES(nsgate_sandbox_attach(other, late, &error), "and attached again");
  DOES(nsgate_sandbox_mark_stopped(other, NULL, NULL, &error), "that life ends without a network");
  CHECK(is_closed(late), "and what is attached is handed over");
  CHECK(wait_for(&releases.counter.calls, 4), "and its end told");
  DOES(nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, &error), "the first ends, too");
  DOES(nsgate_sandbox_detach(other, late, &changed, &error), "what was handed over");
  EQUAL(changed, 0, "is not detached");
  DOES(nsgate_map_unsubscribe_wait(map, subscription, &error), "the subscriber ends");
  EQUAL(get(&releases.counter.destroyed), 1, "and is destroyed");
  nsgate_chroot chroots[] = {kept, gone, late};
  for (int i = 0; i < 3; i++) DOES(nsgate_chroot_free(chroots[i], &error), "a chroot is freed");
  DOES(nsgate_job_free(a_job, &error), "the job is freed");
  CHECK(wait_for(&work.destroyed, 1), "and its user data destroyed");
  DOES(nsgate_sandbox_free(sandbox, &error), "a life is freed");
  DOES(nsgate_sandbox_free(other, &error), "the other, too");
}

static void with_the_map(nsgate_gate gate) {
  nsgate_map map = {0};
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  nsgate_sandbox sandbox = enroll(map, "life", NULL);
  nsgate_chroot chroot = open_chroot(gate), late = open_chroot(gate);
  DOES(nsgate_sandbox_attach(sandbox, chroot, &error), "a chroot is attached");
  DOES(nsgate_map_free(map, &error), "the map is freed");
  CHECK(is_closed(chroot), "and hands the chroot over");
  IS(nsgate_sandbox_attach(sandbox, late, &error), NSGATE_CLOSED, "no other is attached");
  CHECK(!is_closed(late), "it stays the caller's");
  DOES(nsgate_chroot_free(chroot, &error), "the chroot is freed");
  DOES(nsgate_chroot_free(late, &error), "the other, too");
  DOES(nsgate_sandbox_free(sandbox, &error), "the life is freed");
}

/* The race of attach and network_released: whatever comes first, each chroot is released once. */
struct race {
  nsgate_gate gate;
  nsgate_map map;
  pthread_barrier_t barrier;
  nsgate_sandbox sandbox;
  int rounds;
  volatile int attached, refused, odd;
};

static void *attach_always(void *argument) {
  struct race *race = argument;
  nsgate_error inner;
  for (int i = 0; i < race->rounds; i++) {
    nsgate_chroot chroot = {0};
    if (nsgate_chroot_open(race->gate, volume(), NULL, &chroot, &inner) != NSGATE_OK) add(&race->odd, 1);
    pthread_barrier_wait(&race->barrier);
    nsgate_status status = nsgate_sandbox_attach(race->sandbox, chroot, &inner);
    add(status == NSGATE_OK ? &race->attached : status == NSGATE_CLOSED ? &race->refused : &race->odd, 1);
    if (nsgate_chroot_free(chroot, &inner) != NSGATE_OK) add(&race->odd, 1);
    pthread_barrier_wait(&race->barrier);
  }
  return NULL;
}

static void raced(nsgate_gate gate, nsgate_map map) {
  enum { ATTACHERS = 2 };
  static struct race race;
  nsgate_stats before, after;
  before.size = after.size = sizeof before;
  race.gate = gate;
  race.map = map;
  race.rounds = under_valgrind() ? 20 : 500;
  DOES(nsgate_gate_fence(gate, LONG_TIME, &error), "all is quiet");
  DOES(nsgate_gate_stats(gate, &before, &error), "the figures before");
  NEED(pthread_barrier_init(&race.barrier, NULL, ATTACHERS + 1) == 0, "pthread_barrier_init");
  pthread_t threads[ATTACHERS];
  for (int i = 0; i < ATTACHERS; i++) NEED(pthread_create(&threads[i], NULL, attach_always, &race) == 0, "pthread_create");
  int wrong = 0;
  for (int i = 0; i < race.rounds; i++) {
    uint32_t changed = 0;
    race.sandbox = enroll(map, "raced", NULL);
    pthread_barrier_wait(&race.barrier);
    wrong += nsgate_sandbox_network_released(race.sandbox, NULL, &changed, &error) != NSGATE_OK || changed != 1;
    pthread_barrier_wait(&race.barrier);
    wrong += nsgate_sandbox_mark_stopped(race.sandbox, NULL, NULL, &error) != NSGATE_OK;
    wrong += nsgate_sandbox_free(race.sandbox, &error) != NSGATE_OK;
  }
  for (int i = 0; i < ATTACHERS; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&race.barrier);
  EQUAL(wrong, 0, "each network is released");
  EQUAL(get(&race.odd), 0, "each attach is taken, or refused because it came too late");
  EQUAL(get(&race.attached) + get(&race.refused), ATTACHERS * race.rounds, "all were tried");
  DOES(nsgate_gate_fence(gate, LONG_TIME, &error), "all is quiet again");
  DOES(nsgate_gate_stats(gate, &after, &error), "the figures after");
  EQUAL(after.released - before.released, ATTACHERS * race.rounds, "every chroot was released once");
  EQUAL(after.reserved_places, before.reserved_places, "and none is left");
}

void test_attachments(void) {
  nsgate_gate gate = open_gate();
  nsgate_map map = {0};
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  handed_over(gate, map);
  with_the_map(gate);
  raced(gate, map);
  DOES(nsgate_map_wait_idle(map, 0, &error), "the map is empty");
  DOES(nsgate_map_free(map, &error), "the map is freed");
  close_gate(gate);
}
