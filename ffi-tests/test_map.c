/* Rules 18 to 23, the map's own: registering, finding, the lives of one sandbox, addresses, idleness. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>

static nsgate_error error;

#define IS(call, status, ...) STATUS(call, status, &error, __VA_ARGS__)
#define DOES(call, ...) OK(call, &error, __VA_ARGS__)

static nsgate_map create(nsgate_gate gate) {
  nsgate_map map = {0};
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  return map;
}

static nsgate_sandbox enroll(nsgate_map map, const char *id, const char *life, void *user_data, nsgate_destroy_function destroy) {
  nsgate_sandbox sandbox = {0};
  DOES(nsgate_map_register(map, string(id), string(life), user_data, destroy, &sandbox, &error), "%s of %s is registered", life, id);
  return sandbox;
}

/* Takes a life out of the map. */
static void end(nsgate_sandbox sandbox) {
  DOES(nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, &error), "it is stopped");
  DOES(nsgate_sandbox_network_released(sandbox, NULL, NULL, &error), "its network is released");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
}

static void counts(nsgate_map map, size_t running, size_t lifecycles, const char *when) {
  size_t is_running = 99, are = 99;
  DOES(nsgate_map_count(map, &is_running, &are, &error), "%s: counted", when);
  EQUAL(is_running, running, "%s: so many run", when);
  EQUAL(are, lifecycles, "%s: of so many", when);
}

static void registering(nsgate_gate gate) {
  nsgate_map map = create(gate);
  nsgate_sandbox sandbox = {42};
  struct counter counter = {0, 0}, refused = {0, 0};
  char longest[256];
  memset(longest, 'x', sizeof longest);
  nsgate_string fits = {longest, 255}, too_long = {longest, 256};
  IS(nsgate_map_register(map, NSGATE_STR(""), NSGATE_STR("l"), &refused, count_destroyed, &sandbox, &error), NSGATE_INVALID_ARGUMENT, "an empty sandbox id");
  IS(nsgate_map_register(map, NSGATE_STR("s"), NSGATE_STR(""), &refused, count_destroyed, &sandbox, &error), NSGATE_INVALID_ARGUMENT, "an empty lifecycle id");
  IS(nsgate_map_register(map, too_long, NSGATE_STR("l"), &refused, count_destroyed, &sandbox, &error), NSGATE_INVALID_ARGUMENT, "one of 256 bytes");
  EQUAL(sandbox.id, 42, "none of them wrote the output");
  DOES(nsgate_map_register(map, fits, fits, &counter, count_destroyed, &sandbox, &error), "one of 255 bytes is taken");
  nsgate_sandbox_details details;
  details.size = sizeof details;
  DOES(nsgate_sandbox_info(sandbox, &details, &error), "it is looked at");
  CHECK(strlen(details.sandbox_id) == 255 && memcmp(details.lifecycle_id, longest, 255) == 0, "and has them whole");
  nsgate_sandbox twin = {42};
  IS(nsgate_map_register(map, NSGATE_STR("other"), fits, &refused, count_destroyed, &twin, &error), NSGATE_ALREADY_EXISTS, "a lifecycle id is one life");
  EQUAL(twin.id, 42, "the other has no handle");
  EQUAL(get(&refused.destroyed), 0, "what was refused was not taken");
  counts(map, 0, 1, "registered");
  EQUAL(get(&counter.destroyed), 0, "its user data is kept");
  end(sandbox);
  EQUAL(get(&counter.destroyed), 1, "until it has left and is freed, and destroyed once");
  counts(map, 0, 0, "at the end");
  nsgate_sandbox again = enroll(map, "s", "l", NULL, NULL);
  end(again);
  again = enroll(map, "s", "l", NULL, NULL);
  CHECK(again.id != sandbox.id, "a lifecycle id is free when its life has left");
  end(again);
  DOES(nsgate_map_free(map, &error), "the map is freed");
}

/* The life that a look-up finds, its reference given back at once; 0 for none. */
static uint64_t found(nsgate_status status, nsgate_sandbox sandbox) {
  if (status != NSGATE_OK) return status == NSGATE_NOT_FOUND ? 0 : UINT64_MAX;
  NEED(nsgate_sandbox_free(sandbox, &error) == NSGATE_OK, "%s", error.message);
  return sandbox.id;
}
static uint64_t find(nsgate_map map, const char *id) {
  nsgate_sandbox sandbox = {0};
  nsgate_status status = nsgate_map_find(map, string(id), &sandbox, NULL, &error);
  return found(status, sandbox);
}
static uint64_t find_life(nsgate_map map, const char *life) {
  nsgate_sandbox sandbox = {0};
  nsgate_status status = nsgate_map_find_by_lifecycle(map, string(life), &sandbox, NULL, &error);
  return found(status, sandbox);
}
static uint64_t find_address(nsgate_map map, const nsgate_address *address) {
  nsgate_sandbox sandbox = {0};
  nsgate_status status = nsgate_map_find_by_address(map, address, &sandbox, NULL, &error);
  return found(status, sandbox);
}

/* A sandbox id may live several times: the one that began to run last is found. */
static void lives(nsgate_gate gate) {
  nsgate_map map = create(gate);
  nsgate_sandbox old = enroll(map, "s", "old", NULL, NULL), new = enroll(map, "s", "new", NULL, NULL);
  EQUAL(find(map, "s"), 0, "none that only is registered is found by its sandbox id");
  EQUAL(find_life(map, "old"), old.id, "but by its own");
  DOES(nsgate_sandbox_mark_running(old, NULL, NULL, &error), "the old one runs");
  EQUAL(find(map, "s"), old.id, "and is found");
  DOES(nsgate_sandbox_mark_running(new, NULL, NULL, &error), "the new one runs, too");
  EQUAL(find(map, "s"), new.id, "and is found");
  counts(map, 2, 2, "both run");
  DOES(nsgate_sandbox_mark_stopping(old, NULL, NULL, &error), "the old one is stopping");
  EQUAL(find(map, "s"), new.id, "which does not remove the new one");
  DOES(nsgate_sandbox_mark_stopped(new, NULL, NULL, &error), "the new one stops");
  EQUAL(find(map, "s"), 0, "and none is found");
  end(old);
  EQUAL(find_life(map, "old"), 0, "the old one has left");
  EQUAL(find_life(map, "new"), 0, "the new one without a network, too");
  DOES(nsgate_sandbox_free(new, &error), "it is freed");

  nsgate_sandbox older = enroll(map, "t", "older", NULL, NULL), newer = enroll(map, "t", "newer", NULL, NULL);
  DOES(nsgate_sandbox_mark_running(older, NULL, NULL, &error), "one runs");
  DOES(nsgate_sandbox_mark_running(newer, NULL, NULL, &error), "and a newer one");
  DOES(nsgate_sandbox_mark_stopped(newer, NULL, NULL, &error), "that stops first");
  EQUAL(find(map, "t"), older.id, "then the older one is found again");
  end(older);
  DOES(nsgate_sandbox_free(newer, &error), "the newer one is freed");
  DOES(nsgate_map_free(map, &error), "the map is freed");
}

static nsgate_address address6(uint8_t last, bool mapped) {
  nsgate_address address = {6, {0}};
  if (mapped) memcpy(address.bytes + 10, "\xff\xff\x0a\x00\x00", 5);
  else address.bytes[0] = 0xfd;
  address.bytes[15] = last;
  return address;
}

static uint64_t address_changes(void) { return __atomic_load_n(nsgate_address_changes(), __ATOMIC_ACQUIRE); }

static void address_changes_are_counted(nsgate_gate gate) {
  nsgate_map map = create(gate);
  nsgate_sandbox one = enroll(map, "one", "1", NULL, NULL), two = enroll(map, "two", "2", NULL, NULL);
  uint64_t before = address_changes();
  DOES(nsgate_sandbox_mark_running(one, NULL, NULL, &error), "a life runs");
  IS(nsgate_sandbox_assign_network(one, ADDRESS(0), NULL, &error), NSGATE_OK, "it gets an address");
  EQUAL(address_changes(), before + 1, "which alone is counted");
  IS(nsgate_sandbox_assign_network(two, ADDRESS(0), NULL, &error), NSGATE_ALREADY_EXISTS, "nobody else gets it");
  EQUAL(find_address(map, ADDRESS(0)), one.id, "it is looked for");
  EQUAL(address_changes(), before + 1, "neither is counted");
  DOES(nsgate_sandbox_network_released(one, NULL, NULL, &error), "it is released");
  EQUAL(address_changes(), before + 2, "which is counted");
  DOES(nsgate_sandbox_assign_network(two, ADDRESS(0), NULL, &error), "another life gets it");
  DOES(nsgate_map_free(map, &error), "its map is freed");
  EQUAL(address_changes(), before + 4, "both are counted");
  DOES(nsgate_sandbox_free(one, &error), "one is freed");
  DOES(nsgate_sandbox_free(two, &error), "the other, too");
}

static void addresses(nsgate_gate gate) {
  nsgate_map map = create(gate);
  nsgate_sandbox one = enroll(map, "one", "1", NULL, NULL), two = enroll(map, "two", "2", NULL, NULL), other = {0};
  uint32_t changed = 7;
  nsgate_address odd = *ADDRESS(1), none = {0, {0}}, family = {10, {0}};
  const nsgate_address mapped = address6(1, true), six = address6(2, false);
  odd.bytes[4] = 1;
  IS(nsgate_sandbox_assign_network(one, &odd, &changed, &error), NSGATE_INVALID_ARGUMENT, "an IPv4 address of five bytes");
  IS(nsgate_sandbox_assign_network(one, &none, &changed, &error), NSGATE_INVALID_ARGUMENT, "no address at all");
  IS(nsgate_sandbox_assign_network(one, &family, &changed, &error), NSGATE_INVALID_ARGUMENT, "a family of another system");
  IS(nsgate_map_find_by_address(map, &odd, &other, NULL, &error), NSGATE_INVALID_ARGUMENT, "which are not looked for, either");
  EQUAL(changed, 7, "none of them wrote the output");
  DOES(nsgate_sandbox_assign_network(one, ADDRESS(1), &changed, &error), "an address is assigned");
  EQUAL(changed, 1, "which is a change");
  EQUAL(find_address(map, ADDRESS(1)), one.id, "by which it is found");
  EQUAL(find_address(map, &mapped), one.id, "also mapped into IPv6");
  DOES(nsgate_sandbox_assign_network(one, &mapped, &changed, &error), "it is assigned again");
  EQUAL(changed, 0, "which is none");
  IS(nsgate_sandbox_assign_network(one, ADDRESS(2), &changed, &error), NSGATE_INVALID_STATE, "there is one address at most");
  IS(nsgate_sandbox_assign_network(two, ADDRESS(1), &changed, &error), NSGATE_ALREADY_EXISTS, "and one owner");
  DOES(nsgate_sandbox_assign_network(two, &six, &changed, &error), "an IPv6 address is assigned");
  EQUAL(find_address(map, &six), two.id, "by which it is found");
  EQUAL(find_address(map, ADDRESS(2)), 0, "and by no other");

  IS(nsgate_map_network_released(map, ADDRESS(1), NSGATE_STR("2"), NULL, &changed, &error), NSGATE_WRONG_LIFECYCLE, "the address of one, the life of another");
  IS(nsgate_map_network_released(map, ADDRESS(9), NSGATE_STR("1"), NULL, &changed, &error), NSGATE_WRONG_LIFECYCLE, "an address that never was its own");
  IS(nsgate_map_network_released(map, ADDRESS(9), NSGATE_STR("9"), NULL, &changed, &error), NSGATE_NOT_FOUND, "a life that there is not");
  EQUAL(find_address(map, ADDRESS(1)), one.id, "none of them released anything");
  DOES(nsgate_map_network_released(map, ADDRESS(1), NSGATE_STR("1"), NULL, &changed, &error), "both name one life");
  EQUAL(changed, 1, "which is a change");
  EQUAL(find_address(map, ADDRESS(1)), 0, "the address is free");
  DOES(nsgate_map_network_released(map, ADDRESS(1), NSGATE_STR("1"), NULL, &changed, &error), "again");
  EQUAL(changed, 0, "which is none");
  IS(nsgate_sandbox_assign_network(one, ADDRESS(3), &changed, &error), NSGATE_INVALID_STATE, "what was released gets no other");

  nsgate_sandbox successor = enroll(map, "one", "3", NULL, NULL);
  DOES(nsgate_sandbox_assign_network(successor, ADDRESS(1), &changed, &error), "a successor gets the address");
  IS(nsgate_map_network_released(map, ADDRESS(1), NSGATE_STR("1"), NULL, &changed, &error), NSGATE_WRONG_LIFECYCLE, "its predecessor's clean-up comes late");
  EQUAL(find_address(map, ADDRESS(1)), successor.id, "and does not reach it");
  end(one);
  end(two);
  end(successor);
  counts(map, 0, 0, "at the end");
  DOES(nsgate_map_free(map, &error), "the map is freed");
}

static void snapshots(nsgate_gate gate) {
  nsgate_map map = create(gate);
  nsgate_sandbox all[4], buffer[8];
  size_t count = 0;
  for (int i = 0; i < 4; i++) {
    char life[32];
    snprintf(life, sizeof life, "life-%d", i);
    all[i] = enroll(map, "s", life, &all[i], NULL);
  }
  DOES(nsgate_sandbox_mark_running(all[2], NULL, NULL, &error), "one runs");
  DOES(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, NULL, NULL, 0, &count, &error), "all are counted");
  EQUAL(count, 4, "four");
  memset(buffer, 0, sizeof buffer);
  DOES(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, buffer, NULL, 3, &count, &error), "into a short buffer");
  EQUAL(count, 4, "go how many there are");
  CHECK(buffer[2].id != 0 && buffer[3].id == 0, "and those that fit");
  for (int i = 0; i < 3; i++) DOES(nsgate_sandbox_free(buffer[i], &error), "each a reference, freed");
  DOES(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_RUNNING, buffer, NULL, 8, &count, &error), "those that run");
  CHECK(count == 1 && buffer[0].id == all[2].id, "are one");
  void *user_data = NULL;
  DOES(nsgate_sandbox_user_data(buffer[0], &user_data, &error), "with its user data");
  CHECK(user_data == &all[2], "as it was registered");
  DOES(nsgate_sandbox_free(buffer[0], &error), "it is freed");
  user_data = NULL;
  DOES(nsgate_map_find(map, NSGATE_STR("s"), &buffer[0], &user_data, &error), "a look-up");
  CHECK(user_data == &all[2], "gives it, too");
  DOES(nsgate_sandbox_free(buffer[0], &error), "it is freed");
  void *data[4] = {NULL};
  DOES(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_RUNNING, buffer, data, 4, &count, &error), "the user data of those that run, beside them");
  CHECK(count == 1 && buffer[0].id == all[2].id && data[0] == &all[2] && data[1] == NULL, "is the one's");
  DOES(nsgate_sandbox_free(buffer[0], &error), "it is freed");
  DOES(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, NULL, data, 3, &count, &error), "user data alone, into a short buffer");
  CHECK(count == 4 && data[0] != NULL && data[2] != NULL && data[3] == NULL, "go those that fit");
  DOES(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, NULL, data, 4, &count, &error), "all of it");
  for (int i = 0; i < 4; i++) {
    int times = 0;
    for (int j = 0; j < 4; j++) times += data[j] == &all[i];
    EQUAL(times, 1, "has each once");
  }
  IS(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, NULL, NULL, 4, &count, &error), NSGATE_INVALID_ARGUMENT, "a capacity of nothing");
  IS(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, NULL, data, SIZE_MAX, &count, &error), NSGATE_INVALID_ARGUMENT, "more than there can be");
  IS(nsgate_map_snapshot(map, 2, buffer, NULL, 8, &count, &error), NSGATE_INVALID_ARGUMENT, "there is no other kind");
  IS(nsgate_map_snapshot(map, NSGATE_SNAPSHOT_ALL, buffer, NULL, SIZE_MAX, &count, &error), NSGATE_INVALID_ARGUMENT, "nor a buffer as large as everything");
  DOES(nsgate_map_count(map, NULL, NULL, &error), "either count may be NULL");
  for (int i = 0; i < 4; i++) end(all[i]);
  DOES(nsgate_map_free(map, &error), "the map is freed");
}

/* A look-up may ask only for the user data, or for nothing; then it makes no reference. */
static void looks(nsgate_gate gate) {
  nsgate_map map = create(gate);
  struct counter counter = {0};
  nsgate_sandbox life = enroll(map, "s", "l", &counter, count_destroyed);
  DOES(nsgate_sandbox_assign_network(life, ADDRESS(1), NULL, &error), "it has an address");
  DOES(nsgate_sandbox_mark_running(life, NULL, NULL, &error), "it runs");
  void *data = NULL;
  DOES(nsgate_map_find(map, NSGATE_STR("s"), NULL, &data, &error), "found by its sandbox id");
  CHECK(data == &counter, "its user data");
  data = NULL;
  DOES(nsgate_map_find_by_address(map, ADDRESS(1), NULL, &data, &error), "by its address");
  CHECK(data == &counter, "its user data");
  data = NULL;
  DOES(nsgate_map_find_by_lifecycle(map, NSGATE_STR("l"), NULL, &data, &error), "by its own id");
  CHECK(data == &counter, "its user data");
  DOES(nsgate_map_find(map, NSGATE_STR("s"), NULL, NULL, &error), "only whether it runs");
  data = &life;
  IS(nsgate_map_find(map, NSGATE_STR("t"), NULL, &data, &error), NSGATE_NOT_FOUND, "another");
  IS(nsgate_map_find_by_address(map, ADDRESS(2), NULL, &data, &error), NSGATE_NOT_FOUND, "another address");
  CHECK(strstr(error.message, "10.0.0.2") != NULL, "%s", error.message);
  IS(nsgate_map_find_by_lifecycle(map, NSGATE_STR("m"), NULL, &data, &error), NSGATE_NOT_FOUND, "another life");
  CHECK(data == &life, "nothing was written");
  DOES(nsgate_sandbox_mark_stopped(life, NULL, NULL, &error), "it stops");
  IS(nsgate_map_find(map, NSGATE_STR("s"), NULL, &data, &error), NSGATE_NOT_FOUND, "it does not run any more");
  DOES(nsgate_sandbox_network_released(life, NULL, NULL, &error), "its network is released");
  IS(nsgate_map_find_by_address(map, ADDRESS(1), NULL, &data, &error), NSGATE_NOT_FOUND, "the address is nobody's");
  EQUAL(get(&counter.destroyed), 0, "the first reference keeps it");
  DOES(nsgate_sandbox_free(life, &error), "which is freed");
  EQUAL(get(&counter.destroyed), 1, "no look-up made another");
  DOES(nsgate_map_free(map, &error), "the map is freed");
}

struct idle {
  nsgate_map map;
  nsgate_status status;
};
static void wait_for_ever(void *argument) {
  struct idle *idle = argument;
  idle->status = nsgate_map_wait_idle(idle->map, NSGATE_NO_DEADLINE, NULL);
}

static void idleness(nsgate_gate gate) {
  nsgate_map map = create(gate);
  struct idle idle = {map, -1};
  DOES(nsgate_map_wait_idle(map, 0, &error), "an empty map is idle");
  nsgate_sandbox sandbox = enroll(map, "s", "l", NULL, NULL);
  IS(nsgate_map_wait_idle(map, 0, &error), NSGATE_TIMED_OUT, "one with a life is not");
  IS(nsgate_map_wait_idle(map, 1000000, &error), NSGATE_TIMED_OUT, "nor a little later");
  IS(nsgate_map_wait_idle(map, -1, &error), NSGATE_INVALID_ARGUMENT, "a negative time-out is refused");
  end(sandbox);
  on_a_thread(wait_for_ever, &idle);
  EQUAL(idle.status, NSGATE_OK, "it is when the life has left");
  DOES(nsgate_map_free(map, &error), "the map is freed");
}

static void *wait_on_a_thread(void *argument) { return wait_for_ever(argument), NULL; }

static void freed(nsgate_gate gate) {
  nsgate_map map = create(gate);
  struct counter counter = {0, 0}, left = {0, 0};
  uint32_t changed = 7;
  size_t count;
  nsgate_sandbox kept = enroll(map, "s", "kept", &counter, count_destroyed), gone = enroll(map, "s", "gone", &left, count_destroyed);
  DOES(nsgate_sandbox_free(gone, &error), "one reference is freed");
  EQUAL(get(&left.destroyed), 0, "the life stays in the map");
  struct idle idle = {map, -1};
  pthread_t thread;
  NEED(pthread_create(&thread, NULL, wait_on_a_thread, &idle) == 0, "pthread_create");
  pause_shortly();
  DOES(nsgate_map_free(map, &error), "a map with lives is freed, while a thread waits for them to leave");
  pthread_join(thread, NULL);
  CHECK(idle.status == NSGATE_OK || idle.status == NSGATE_INVALID_HANDLE, "which they do at once");
  EQUAL(get(&left.destroyed), 1, "a life that nobody refers to goes with it");
  IS(nsgate_map_free(map, &error), NSGATE_INVALID_HANDLE, "it is freed once");
  IS(nsgate_map_count(map, &count, NULL, &error), NSGATE_INVALID_HANDLE, "and can not be asked");
  IS(nsgate_sandbox_mark_running(kept, NULL, &changed, &error), NSGATE_CLOSED, "a life that is referred to is closed");
  IS(nsgate_sandbox_assign_network(kept, ADDRESS(1), &changed, &error), NSGATE_CLOSED, "for every change");
  EQUAL(changed, 7, "which writes no output");
  void *user_data = NULL;
  DOES(nsgate_sandbox_user_data(kept, &user_data, &error), "but can be read");
  CHECK(user_data == &counter && get(&counter.destroyed) == 0, "with its user data");
  DOES(nsgate_sandbox_free(kept, &error), "it is freed");
  EQUAL(get(&counter.destroyed), 1, "and destroyed");
  IS(nsgate_sandbox_free(kept, &error), NSGATE_INVALID_HANDLE, "once");
}

void test_map(void) {
  nsgate_gate gate = open_gate();
  registering(gate);
  lives(gate);
  addresses(gate);
  address_changes_are_counted(gate);
  looks(gate);
  snapshots(gate);
  idleness(gate);
  freed(gate);
  close_gate(gate);
}
