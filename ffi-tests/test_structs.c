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
  longer.options.size = 1 << 20;
  STATUS(nsgate_gate_open(&longer.options, &gate, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one of a mebibyte");

  longer.options.size = offsetof(nsgate_gate_options, event_capacity);
  longer.options.capacity = 3;
  longer.options.event_capacity = UINT32_MAX;
  OK(nsgate_gate_open(&longer.options, &gate, &error), &error, "a shorter struct, with garbage behind it, is filled up with zeros");
  nsgate_stats stats;
  stats.size = sizeof stats;
  OK(nsgate_gate_stats(gate, &stats, &error), &error, "its stats");
  EQUAL(stats.capacity, 3, "what was in it counts");
  close_gate(gate);

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
  memset(&longer, 0xff, sizeof longer);
  longer.stats.size = sizeof longer;
  OK(nsgate_gate_stats(gate, &longer.stats, &error), &error, "a longer output");
  EQUAL(longer.tail, 0, "is zero where this version has nothing");
  EQUAL(longer.stats.size, sizeof longer, "its size stays the caller's");
  EQUAL(longer.stats.capacity, 4096, "the rest is filled");

  memset(&longer, 0xff, sizeof longer);
  longer.stats.size = offsetof(nsgate_stats, adds);
  OK(nsgate_gate_stats(gate, &longer.stats, &error), &error, "a shorter output");
  EQUAL(longer.stats.depth, 0, "is filled as far as it goes");
  CHECK(longer.stats.adds == UINT64_MAX, "and no further");

  memset(&longer, 0xff, sizeof longer);
  longer.stats.size = 0;
  STATUS(nsgate_gate_stats(gate, &longer.stats, &error), NSGATE_INVALID_ARGUMENT, &error, "an output without a size is refused");
  CHECK(longer.stats.depth == UINT64_MAX, "and left alone");

  /* Nothing is said about alignment. */
  char bytes[sizeof(nsgate_features) + 1];
  uint32_t size = sizeof(nsgate_features);
  memcpy(bytes + 1, &size, sizeof size);
  OK(nsgate_gate_features(gate, (nsgate_features *)(void *)(bytes + 1), &error), &error, "an output at an odd address is filled, too");
}

void test_structs(void) {
  inputs();
  nsgate_gate gate = open_gate();
  outputs(gate);
  close_gate(gate);
}
