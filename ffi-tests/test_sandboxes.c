/* Rules 18 to 23, the lives: every state change tells whether it changed anything; references. */
#define _GNU_SOURCE
#include "harness.h"

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

void test_sandboxes(void) {
  nsgate_gate gate = open_gate();
  nsgate_map map = {0};
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  states(map);
  references(map);
  DOES(nsgate_map_free(map, &error), "the map is freed");
  close_gate(gate);
}
