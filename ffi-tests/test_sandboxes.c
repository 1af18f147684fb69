/* Rules 18 to 23, the lives: every state change tells whether it changed anything; references. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>

static nsgate_error error;

#define IS(call, status, ...) STATUS(call, status, &error, __VA_ARGS__)
#define DOES(call, ...) OK(call, &error, __VA_ARGS__)

static nsgate_sandbox enroll(nsgate_map map, const char *life, void *user_data) {
  nsgate_sandbox sandbox = {0};
  DOES(nsgate_map_register(map, NSGATE_STR("s"), string(life), user_data, user_data == NULL ? NULL : count_destroyed, &sandbox, &error),
       "%s is registered", life);
  return sandbox;
}

enum change { RUNNING, STOPPING, STOPPED, NETWORK };

static nsgate_status (*const changes[])(nsgate_sandbox, void *, uint32_t *, nsgate_error *) = {
    nsgate_sandbox_mark_running, nsgate_sandbox_mark_stopping, nsgate_sandbox_mark_stopped, nsgate_sandbox_network_released};
static const char *const names[] = {"running", "stopping", "stopped", "network released"};

static void change(nsgate_sandbox sandbox, enum change which, uint32_t wanted, const char *when) {
  uint32_t changed = 7;
  DOES(changes[which](sandbox, NULL, &changed, &error), "%s: %s", when, names[which]);
  EQUAL(changed, wanted, "%s: %s", when, wanted ? "a change" : "no change");
}

static void is(nsgate_sandbox sandbox, uint32_t state, uint32_t network, const char *when) {
  nsgate_sandbox_details details;
  memset(&details, 0xff, sizeof details);
  details.size = sizeof details;
  DOES(nsgate_sandbox_info(sandbox, &details, &error), "%s: looked at", when);
  EQUAL(details.state, state, "%s: its state", when);
  EQUAL(details.network, network, "%s: its network", when);
  EQUAL(details.reserved + details.reserved_too, 0, "%s: nothing else", when);
}

static void states(nsgate_map map) {
  nsgate_sandbox sandbox = enroll(map, "whole", NULL);
  is(sandbox, NSGATE_SANDBOX_REGISTERED, NSGATE_NETWORK_NONE, "new");
  DOES(nsgate_sandbox_assign_network(sandbox, ADDRESS(1), NULL, &error), "it gets an address");
  change(sandbox, RUNNING, 1, "new");
  change(sandbox, RUNNING, 0, "again");
  is(sandbox, NSGATE_SANDBOX_RUNNING, NSGATE_NETWORK_ASSIGNED, "running");
  change(sandbox, STOPPING, 1, "running");
  change(sandbox, STOPPING, 0, "again");
  uint32_t changed = 7;
  IS(nsgate_sandbox_mark_running(sandbox, NULL, &changed, &error), NSGATE_INVALID_STATE, "what is stopping does not run again");
  EQUAL(changed, 7, "and writes no output");
  is(sandbox, NSGATE_SANDBOX_STOPPING, NSGATE_NETWORK_ASSIGNED, "stopping");
  change(sandbox, STOPPED, 1, "stopping");
  change(sandbox, STOPPED, 0, "again");
  change(sandbox, STOPPING, 0, "stopped");
  is(sandbox, NSGATE_SANDBOX_STOPPED, NSGATE_NETWORK_ASSIGNED, "stopped");
  change(sandbox, NETWORK, 1, "stopped");
  change(sandbox, NETWORK, 0, "again");
  is(sandbox, NSGATE_SANDBOX_STOPPED, NSGATE_NETWORK_RELEASED, "over");
  nsgate_sandbox_details details;
  details.size = sizeof details;
  DOES(nsgate_sandbox_info(sandbox, &details, &error), "it is looked at");
  CHECK(details.address.family == 4 && memcmp(details.address.bytes, ADDRESS(1)->bytes, 16) == 0, "and still has its address");
  CHECK(strcmp(details.sandbox_id, "s") == 0 && strcmp(details.lifecycle_id, "whole") == 0, "and its ids");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
  IS(nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, &error), NSGATE_INVALID_HANDLE, "and its handle has ended");

  /* Each on its own: a throw-away resume releases its network without ever running. */
  sandbox = enroll(map, "thrown away", NULL);
  change(sandbox, NETWORK, 1, "registered");
  is(sandbox, NSGATE_SANDBOX_REGISTERED, NSGATE_NETWORK_RELEASED, "without an address");
  change(sandbox, RUNNING, 1, "released");
  change(sandbox, STOPPED, 1, "running");
  DOES(nsgate_map_wait_idle(map, 0, &error), "it has left");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
  sandbox = enroll(map, "never ran", NULL);
  change(sandbox, STOPPED, 1, "registered");
  DOES(nsgate_map_wait_idle(map, 0, &error), "what had no network leaves when it is stopped");
  change(sandbox, NETWORK, 0, "gone");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
}

static void references(nsgate_map map) {
  struct counter counter = {0, 0};
  nsgate_sandbox sandbox = enroll(map, "referred to", &counter), found = {0};
  DOES(nsgate_map_find_by_lifecycle(map, NSGATE_STR("referred to"), &found, NULL, &error), "it is found");
  EQUAL(found.id, sandbox.id, "under the same handle");
  DOES(nsgate_sandbox_retain(sandbox, &error), "one more reference");
  for (int i = 0; i < 3; i++) DOES(nsgate_sandbox_free(sandbox, &error), "reference %d is freed", i);
  IS(nsgate_sandbox_free(sandbox, &error), NSGATE_INVALID_STATE, "more than there are can not be");
  is(sandbox, NSGATE_SANDBOX_REGISTERED, NSGATE_NETWORK_NONE, "without any it is still in the map");
  EQUAL(get(&counter.destroyed), 0, "with its user data");
  DOES(nsgate_sandbox_retain(sandbox, &error), "a reference can be taken again");
  change(sandbox, STOPPED, 1, "referred to");
  is(sandbox, NSGATE_SANDBOX_STOPPED, NSGATE_NETWORK_NONE, "beyond the map it is readable");
  EQUAL(get(&counter.destroyed), 0, "with its user data");
  DOES(nsgate_sandbox_free(sandbox, &error), "the last reference is freed");
  EQUAL(get(&counter.destroyed), 1, "the user data is destroyed");
  IS(nsgate_sandbox_retain(sandbox, &error), NSGATE_INVALID_HANDLE, "the handle has ended");

  counter.destroyed = 0;
  sandbox = enroll(map, "forgotten", &counter);
  DOES(nsgate_sandbox_free(sandbox, &error), "a life that nobody refers to");
  change(sandbox, STOPPED, 1, "forgotten");
  EQUAL(get(&counter.destroyed), 1, "goes when it leaves the map");
  IS(nsgate_sandbox_retain(sandbox, &error), NSGATE_INVALID_HANDLE, "and its handle ends");
}

static int32_t wait_for_one(void *user_data) { return wait_for(user_data, 1) ? 0 : EIO; }

static nsgate_sandbox enroll_weakly(nsgate_map map, const char *life, struct counter *counter) {
  nsgate_sandbox sandbox = {0};
  counter->destroyed = 0;
  DOES(nsgate_map_register_weak(map, NSGATE_STR("s"), string(life), counter, count_destroyed, &sandbox, &error), "%s is registered", life);
  return sandbox;
}

/* What one callback changes, and sees of the life that it is called for. */
struct ending {
  nsgate_map map; /* closed, unless it is 0 */
  int seen;
};

static nsgate_status end_it(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *call_context) {
  struct ending *ending = user_data;
  (void)call_context;
  nsgate_status status = ending->map.id != 0 ? nsgate_map_free(ending->map, NULL) : nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, NULL);
  ending->seen = get(&((struct counter *)sandbox_user_data)->destroyed);
  return status;
}

static void weak_references(nsgate_gate gate, nsgate_map map) {
  struct counter counter, refused = {0, 0};
  void *user_data = NULL;
  nsgate_sandbox sandbox = enroll_weakly(map, "weak", &counter), none = {7};
  IS(nsgate_map_register_weak(map, NSGATE_STR("s"), NSGATE_STR("weak"), &refused, count_destroyed, &none, &error), NSGATE_ALREADY_EXISTS, "it is one life");
  EQUAL(get(&refused.destroyed), 0, "what was refused was not taken");
  EQUAL(none.id, 7, "and nothing is written");
  DOES(nsgate_sandbox_user_data(sandbox, &user_data, &error), "in the map it has its user data");
  CHECK(user_data == &counter, "namely these");

  volatile int go = 0;
  nsgate_job job = {0};
  DOES(nsgate_job_reserve(gate, NSGATE_STR("waits"), wait_for_one, (void *)&go, NULL, &job, &error), "a job that waits is reserved");
  DOES(nsgate_sandbox_attach_job(sandbox, job, &error), "and attached");
  DOES(nsgate_job_free(job, &error), "and left to the life");
  change(sandbox, STOPPED, 1, "weak");
  DOES(nsgate_map_wait_idle(map, 0, &error), "it has left the map");
  EQUAL(get(&counter.destroyed), 0, "its user data are there for the end of the job");
  add(&go, 1);
  CHECK(wait_for(&counter.destroyed, 1), "after which they are destroyed");
  is(sandbox, NSGATE_SANDBOX_STOPPED, NSGATE_NETWORK_NONE, "the reference is still good");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
  EQUAL(get(&counter.destroyed), 1, "which destroys nothing more");

  struct ending ending = {{0}, 7};
  nsgate_subscriber subscriber;
  uint64_t subscription = 0;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = &ending;
  subscriber.on_insert = end_it;
  DOES(nsgate_map_subscribe(map, NSGATE_STR("ends"), &subscriber, &subscription, &error), "a subscriber ends lives");
  sandbox = enroll_weakly(map, "ended inside", &counter);
  change(sandbox, RUNNING, 1, "ended inside");
  CHECK(ending.seen == 0 && get(&counter.destroyed) == 1, "its user data are there until the event is told");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");

  DOES(nsgate_map_unsubscribe(map, subscription, &error), "the subscriber ends");
  DOES(nsgate_map_create(gate, &ending.map, &error), "another map");
  DOES(nsgate_map_subscribe(ending.map, NSGATE_STR("closes"), &subscriber, &subscription, &error), "whose subscriber closes it");
  struct counter other;
  nsgate_sandbox bystander = enroll_weakly(ending.map, "bystander", &other);
  sandbox = enroll_weakly(ending.map, "closed inside", &counter);
  ending.seen = 7;
  change(sandbox, RUNNING, 1, "closed inside");
  CHECK(ending.seen == 0 && get(&counter.destroyed) == 1, "its user data are there until the event is told");
  EQUAL(get(&other.destroyed), 1, "another life's go with the map, whatever references there are");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
  DOES(nsgate_sandbox_free(bystander, &error), "so is the other");
}

void test_sandboxes(void) {
  nsgate_gate gate = open_gate();
  nsgate_map map = {0};
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  states(map);
  references(map);
  weak_references(gate, map);
  DOES(nsgate_map_free(map, &error), "the map is freed");
  close_gate(gate);
}
