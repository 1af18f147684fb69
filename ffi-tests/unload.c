/* A program that loads the library (dlopen), and lets go of it (dlclose) while threads of it are at work: a
 * job that runs, a gate that ends. Again and again. Its argument is the shared object. */
#define _GNU_SOURCE
#include "nsgate.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NEED(is_so) \
  if (!(is_so)) return fprintf(stderr, "round %d: not so: %s\n", round_number, #is_so), 1

static int round_number;
static volatile int running, let_go, destroyed;

static int get(volatile int *flag) { return __atomic_load_n(flag, __ATOMIC_SEQ_CST); }
static void set(volatile int *flag, int value) { __atomic_store_n(flag, value, __ATOMIC_SEQ_CST); }
static int wait_for(volatile int *flag) {
  for (int i = 0; i < 6000 && get(flag) == 0; i++) usleep(10000);
  return get(flag);
}

static int32_t work(void *user_data) {
  (void)user_data;
  set(&running, 1);
  return wait_for(&let_go) ? 0 : 110;
}
static void destroy(void *user_data) {
  (void)user_data;
  set(&destroyed, 1);
}

static int threads(void) {
  DIR *tasks = opendir("/proc/self/task");
  int count = 0;
  for (struct dirent *task; tasks != NULL && (task = readdir(tasks)) != NULL;) count += task->d_name[0] != '.';
  if (tasks != NULL) closedir(tasks);
  return count;
}

static int load_and_unload(const char *path) {
  __typeof__(nsgate_gate_open) *gate_open;
  __typeof__(nsgate_gate_free) *gate_free;
  __typeof__(nsgate_job_reserve) *job_reserve;
  __typeof__(nsgate_job_submit) *job_submit;
  __typeof__(nsgate_job_free) *job_free;
  nsgate_gate gate;
  nsgate_job job;
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
#define FIND(name)                                    \
  do {                                                \
    void *found = dlsym(library, "nsgate_" #name);    \
    NEED(found != NULL);                              \
    memcpy(&name, &found, sizeof name);               \
  } while (0)
  FIND(gate_open);
  FIND(gate_free);
  FIND(job_reserve);
  FIND(job_submit);
  FIND(job_free);
  set(&running, 0);
  set(&let_go, 0);
  set(&destroyed, 0);
  NEED(gate_open(NULL, &gate, NULL) == NSGATE_OK);
  NEED(job_reserve(gate, NSGATE_STR("job"), work, NULL, destroy, &job, NULL) == NSGATE_OK);
  NEED(job_submit(job, NULL, NULL) == NSGATE_OK);
  NEED(wait_for(&running));
  NEED(job_free(job, NULL) == NSGATE_OK);
  NEED(gate_free(gate, NULL) == NSGATE_OK);
  NEED(dlclose(library) == 0);
  set(&let_go, 1);
  NEED(wait_for(&destroyed));
  return 0;
}

/* Not by the accident that something of it is in use. */
static int stays(const char *path) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  NEED(library != NULL);
  NEED(dlclose(library) == 0);
  library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
  NEED(library != NULL);
  NEED(dlclose(library) == 0);
  return 0;
}

int main(int argc, char **argv) {
  NEED(argc == 2);
  if (stays(argv[1]) != 0) return 1;
  for (round_number = 1; round_number <= 20; round_number++)
    if (load_and_unload(argv[1]) != 0) return 1;
  for (int i = 0; i < 6000 && threads() > 1; i++) usleep(10000);
  NEED(threads() == 1);
  return 0;
}
