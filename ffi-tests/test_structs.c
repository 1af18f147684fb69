/* Rule 26: structs that may grow. */
#define _GNU_SOURCE
#include "harness.h"

struct longer_options {
  nsgate_gate_options options;
  uint8_t tail[8];
};

static void inputs(void) {
  nsgate_error error;
  nsgate_gate gate;
  struct longer_options longer;
  memset(&longer, 0, sizeof longer);

  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "a struct without a size is refused");
  longer.options.size = 3;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one that has no room for its size");
  longer.options.size = offsetof(nsgate_gate_options, thread_start);
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one that is shorter than the first version's");
  longer.options.size = sizeof longer.options + 4;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one that would end within a field");
  longer.options.size = 1 << 20;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one of a mebibyte");

  memset(&longer, 0, sizeof longer);
  longer.options.size = sizeof longer;
  OK(nsgate_gate_open(&longer.options, &gate, &error), &error, "a longer struct of zeros is as good");
  close_gate(gate);
  longer.tail[7] = 1;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "one that asks for something unknown is refused");
  memset(&longer, 0, sizeof longer);
  longer.options.size = sizeof longer.options;
  longer.options.reserved = 1;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is a reserved field that is not 0");
  longer.options.reserved = 0;
  longer.options.capacity = UINT32_MAX;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is a capacity beyond all bounds");
}

static void outputs(nsgate_gate gate) {
  nsgate_error error;
  struct {
    nsgate_stats stats;
    uint64_t tail;
  } longer;
  size_t refused = 0;
  memset(&longer, 0xff, sizeof longer);
  longer.stats.size = sizeof longer;
  OK(nsgate_gate_stats(gate, &longer.stats, &error), &error, "a longer output");
  EQUAL(longer.tail, 0, "is zero where this version has nothing");
  EQUAL(longer.stats.size, sizeof longer, "its size stays the caller's");
  EQUAL(longer.stats.capacity, 4096, "the rest is filled");

  /* sizeof a pointer, for example. */
  for (uint32_t size = 0; size < sizeof longer.stats; size += 4) {
    memset(&longer, 0xff, sizeof longer);
    longer.stats.size = size;
    if (nsgate_gate_stats(gate, &longer.stats, &error) == NSGATE_INVALID_ARGUMENT && longer.stats.depth == UINT64_MAX) refused++;
  }
  EQUAL(refused, sizeof longer.stats / 4, "an output that is too short is refused, and left alone");
  nsgate_report report = {.size = sizeof(void *), .remaining = 42};
  STATUS(nsgate_gate_drain(gate, 0, &report, &error), NSGATE_INVALID_ARGUMENT, &error, "so is a report of a pointer's size");
  CHECK(strstr(error.message, "8 is no size of nsgate_report") != NULL, "and named: %s", error.message);

  /* Nothing is said about alignment. */
  char bytes[sizeof(nsgate_features) + 1];
  uint32_t size = sizeof(nsgate_features);
  memcpy(bytes + 1, &size, sizeof size);
  OK(nsgate_gate_features(gate, (nsgate_features *)(void *)(bytes + 1), &error), &error, "an output at an odd address is filled, too");
}

static nsgate_status never(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *call_context) {
  (void)sandbox, (void)sandbox_user_data, (void)call_context;
  return add(&((struct counter *)user_data)->calls, 1), NSGATE_OK;
}

/* One that ends within a pointer would have half of it called. */
static void subscribers(nsgate_gate gate) {
  nsgate_error error;
  nsgate_map map;
  uint64_t subscription;
  struct counter counter = {0, 0};
  uint32_t refused = 0;
  nsgate_subscriber subscriber = {.user_data = &counter, .destroy = count_destroyed, .on_insert = never};
  OK(nsgate_map_create(gate, &map, &error), &error, "a map");
  for (subscriber.size = 0; subscriber.size < sizeof subscriber; subscriber.size++)
    refused += nsgate_map_subscribe(map, NSGATE_STR("short"), &subscriber, &subscription, &error) == NSGATE_INVALID_ARGUMENT;
  EQUAL(refused, sizeof subscriber, "a subscriber of each smaller size is refused");
  EQUAL(get(&counter.destroyed), 0, "and nothing was taken");
  OK(nsgate_map_subscribe(map, NSGATE_STR("whole"), &subscriber, &subscription, &error), &error, "a whole one is taken");
  OK(nsgate_map_free(map, &error), &error, "the map is freed");
  EQUAL(get(&counter.destroyed), 1, "with what it took");
}

void test_structs(void) {
  inputs();
  nsgate_gate gate = open_gate();
  subscribers(gate);
  outputs(gate);
  close_gate(gate);
}
