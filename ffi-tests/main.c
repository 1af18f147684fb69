/* Runs the groups and prints TAP. Under valgrind without those it can't follow. */
#define _GNU_SOURCE
#include "harness.h"

struct group {
  const char *name;
  void (*run)(void);
  /* Needs a namespace to be made: system calls that valgrind 3.19 does not know. */
  bool inside;
};

static const struct group groups[] = {
    {"basics", test_basics, false},
    {"structs", test_structs, false},
    {"handles", test_handles, false},
    {"gate", test_gate, false},
    {"queue", test_queue, false},
    {"jobs", test_jobs, false},
};

int main(int argc, char **argv) {
  set_up();
  for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
    if (argc > 1 && strcmp(argv[1], groups[i].name) != 0) continue;
    if (groups[i].inside && under_valgrind()) {
      printf("# left out under valgrind, which does not know the system calls: %s\n", groups[i].name);
      continue;
    }
    printf("# %s\n", groups[i].name);
    struct inventory before = take_inventory();
    groups[i].run();
    check_inventory(&before, groups[i].name);
  }
  tear_down();
  printf("1..%u\n", checks());
  return failures() == 0 ? 0 : 1;
}
