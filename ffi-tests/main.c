/* Runs the groups and prints TAP. */
#define _GNU_SOURCE
#include "harness.h"

struct group {
  const char *name;
  void (*run)(void);
};

static const struct group groups[] = {
    {"basics", test_basics},
    {"structs", test_structs},
    {"handles", test_handles},
    {"gate", test_gate},
    {"queue", test_queue},
    {"jobs", test_jobs},
    {"namespaces", test_namespaces},
    {"entered", test_entered},
    {"thread_ends", test_thread_ends},
    {"chroots", test_chroots},
    {"run", test_run},
    {"files", test_files},
    {"directories", test_directories},
    {"map", test_map},
    {"sandboxes", test_sandboxes},
    {"attachments", test_attachments},
    {"subscribers", test_subscribers},
    {"reentry", test_reentry},
    {"races", test_races},
    {"cancellation", test_cancellation},
};

int main(int argc, char **argv) {
  set_up();
  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
    if (argc > 1 && strcmp(argv[1], groups[i].name) != 0) continue;
    printf("# %s\n", groups[i].name);
    struct inventory before = take_inventory();
    groups[i].run();
    check_inventory(&before, groups[i].name);
  }
  tear_down();
  printf("1..%u\n", checks());
  return failures() == 0 ? 0 : 1;
}
