/* Running functions inside: what they see, how many at once, exactly one done, and nothing that waits
 * for itself. Rules 1 to 6. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct sight {
  struct stat root, directory;
  pid_t thread;
  int runs;
};

static void look(void *user_data) {
  struct sight *sight = user_data;
  sight->runs++;
  sight->thread = gettid();
  if (stat("/", &sight->root) != 0 || stat(".", &sight->directory) != 0) sight->runs = -100;
}

static bool is_volume(const struct stat *there) {
  struct stat volume;
  NEED(stat(volume_path(), &volume) == 0, "stat");
  return there->st_dev == volume.st_dev && there->st_ino == volume.st_ino;
}

static void run(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  struct sight sight;
  nsgate_namespace_id id, again;
  memset(&sight, 0, sizeof sight);
  OK(nsgate_chroot_run(chroot, look, &sight, &error), &error, "a function runs inside");
  EQUAL(sight.runs, 1, "once");
  CHECK(sight.thread != gettid(), "on another thread");
  CHECK(is_volume(&sight.root), "with the volume as its root");
  CHECK(is_volume(&sight.directory), "and as its working directory");
  OK(nsgate_chroot_identify(chroot, &id, &error), &error, "the chroot has a namespace");
  CHECK(id.inode != current_namespace(), "of its own");
  OK(nsgate_chroot_run(chroot, look, &sight, &error), &error, "another runs");
  OK(nsgate_chroot_identify(chroot, &again, &error), &error, "in a namespace");
  EQUAL(again.inode, id.inode, "that is the same");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

struct ending {
  volatile int began, ran, done;
  nsgate_status status;
  bool with_error, outside;
  uint64_t home;
  /* Both wait for the other to have started. */
  volatile int *together, *let_go;
};

static void start_together(void *user_data) {
  struct ending *ending = user_data;
  add(&ending->began, 1);
  if (ending->together != NULL) {
    add(ending->together, 1);
    wait_for(ending->together, 2);
  }
  if (ending->let_go != NULL) wait_for(ending->let_go, 1);
  add(&ending->ran, 1);
}

static void note(void *user_data, nsgate_status status, const nsgate_error *error) {
  struct ending *ending = user_data;
  ending->status = status;
  ending->with_error = error != NULL && error->status == status && error->message[0] != 0;
  add(&ending->done, 1);
}

static void started(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  volatile int together = 0;
  struct ending endings[2];
  memset(endings, 0, sizeof endings);
  for (int i = 0; i < 2; i++) {
    endings[i].together = &together;
    OK(nsgate_chroot_start(chroot, start_together, note, &endings[i], NULL, &error), &error, "function %d is started", i);
  }
  for (int i = 0; i < 2; i++) CHECK(wait_for(&endings[i].done, 1), "it is done: both ran at once in the same chroot");
  volatile int let_go = 0;
  struct ending slow;
  memset(&slow, 0, sizeof slow);
  slow.let_go = &let_go;
  uint64_t ticket;
  OK(nsgate_chroot_start(chroot, start_together, note, &slow, NULL, &error), &error, "a slow one is started");
  OK(nsgate_chroot_release(chroot, &ticket, &error), &error, "the chroot is released meanwhile");
  struct ending never;
  memset(&never, 0, sizeof never);
  STATUS(nsgate_chroot_start(chroot, start_together, note, &never, NULL, &error), NSGATE_CLOSED, &error, "no other is started");
  STATUS(nsgate_gate_wait(gate, ticket, 0, NULL, &error), NSGATE_TIMED_OUT, &error, "the release waits for it");
  add(&let_go, 1);
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, NULL, &error), &error, "and ends after it");
  CHECK(wait_for(&slow.done, 1), "it is done");
  for (int i = 0; i < 3; i++) {
    struct ending *ending = i < 2 ? &endings[i] : &slow;
    CHECK(get(&ending->ran) == 1 && get(&ending->done) == 1, "it ran once and was done once");
    CHECK(ending->status == NSGATE_OK && !ending->with_error, "with success and no error");
  }
  EQUAL(get(&never.ran) + get(&never.done), 0, "what was not started is never done");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

struct waiting_run {
  nsgate_chroot chroot;
  struct ending ending;
  nsgate_status status;
};

static void *run_slowly(void *argument) {
  struct waiting_run *run = argument;
  run->status = nsgate_chroot_run(run->chroot, start_together, &run->ending, NULL);
  add(&run->ending.done, 1);
  return NULL;
}

static uint64_t remaining(nsgate_gate gate) {
  nsgate_error error;
  nsgate_report report = {.size = sizeof report, .remaining = 42};
  OK(nsgate_gate_drain(gate, 0, &report, &error), &error, "the gate is asked what is left");
  return report.remaining;
}

/* A chroot is released by its free, and not by the last call that uses it: the gate knows of it, and its
 * close waits. */
static void freed(bool attached) {
  const char *how = attached ? "attached" : "by itself";
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate);
  nsgate_map map;
  nsgate_sandbox sandbox;
  nsgate_stats stats = {.size = sizeof stats};
  nsgate_report report = {.size = sizeof report};
  volatile int let_go = 0;
  struct waiting_run run;
  struct ending started;
  pthread_t thread;
  memset(&run, 0, sizeof run);
  memset(&started, 0, sizeof started);
  run.chroot = chroot;
  run.ending.let_go = started.let_go = &let_go;
  NEED(nsgate_map_create(gate, &map, &error) == NSGATE_OK, "%s", error.message);
  NEED(nsgate_map_register(map, NSGATE_STR("s"), NSGATE_STR("l"), NULL, NULL, &sandbox, &error) == NSGATE_OK, "%s", error.message);
  if (attached) OK(nsgate_sandbox_attach(sandbox, chroot, &error), &error, "a chroot is attached");
  NEED(pthread_create(&thread, NULL, run_slowly, &run) == 0, "pthread_create");
  OK(nsgate_chroot_start(chroot, start_together, note, &started, NULL, &error), &error, "%s: two functions", how);
  CHECK(wait_for(&run.ending.began, 1) && wait_for(&started.began, 1), "%s: run in it", how);
  OK(nsgate_chroot_free(chroot, &error), &error, "%s: it is freed", how);
  EQUAL(remaining(gate), attached ? 0 : 1, "%s: which releases it, unless a sandbox has it", how);
  OK(nsgate_sandbox_network_released(sandbox, NULL, NULL, &error), &error, "%s: the network is released", how);
  EQUAL(remaining(gate), 1, "%s: which releases it otherwise", how);
  add(&let_go, 1);
  OK(nsgate_gate_close(gate, LONG_TIME, &report, &error), &error, "%s: the close", how);
  CHECK(get(&run.ending.ran) == 1 && get(&started.ran) == 1, "%s: waits for both", how);
  EQUAL(report.released, 1, "%s: and for the release", how);
  NEED(pthread_join(thread, NULL) == 0, "pthread_join");
  OK(run.status, NULL, "%s: the run ended well", how);
  CHECK(wait_for(&started.done, 1) && started.status == NSGATE_OK, "%s: so did what was started", how);
  OK(nsgate_gate_stats(gate, &stats, &error), &error, "%s: the stats", how);
  EQUAL(stats.reserved_places, 0, "%s: no place is taken", how);
  OK(nsgate_sandbox_free(sandbox, &error), &error, "%s: the sandbox is freed", how);
  OK(nsgate_map_free(map, &error), &error, "%s: the map is freed", how);
  OK(nsgate_gate_free(gate, &error), &error, "%s: the gate is freed", how);
}

struct calls {
  nsgate_gate gate;
  nsgate_chroot chroot;
  nsgate_namespace ns;
  nsgate_status statuses[10];
  struct sight sight;
};

static void call_back(void *user_data) {
  struct calls *calls = user_data;
  nsgate_stat stat;
  calls->statuses[0] = nsgate_chroot_run(calls->chroot, look, &calls->sight, NULL);
  calls->statuses[1] = nsgate_namespace_run(calls->ns, look, &calls->sight, NULL);
  calls->statuses[2] = nsgate_chroot_stat(calls->chroot, NSGATE_STR("/"), &stat, NULL);
  calls->statuses[6] = nsgate_gate_begin_close(calls->gate, NULL);
  calls->statuses[3] = nsgate_gate_close(calls->gate, NSGATE_NO_DEADLINE, NULL, NULL);
  uint64_t ticket = 0;
  calls->statuses[4] = nsgate_chroot_release(calls->chroot, &ticket, NULL);
  calls->statuses[5] = nsgate_chroot_run(calls->chroot, look, &calls->sight, NULL);
  calls->statuses[7] = nsgate_gate_wait(calls->gate, ticket, NSGATE_NO_DEADLINE, NULL, NULL);
  calls->statuses[8] = nsgate_gate_fence(calls->gate, NSGATE_NO_DEADLINE, NULL);
  calls->statuses[9] = nsgate_gate_drain(calls->gate, NSGATE_NO_DEADLINE, NULL, NULL);
}

static void from_inside(nsgate_gate gate, bool alone) {
  nsgate_error error;
  struct calls calls;
  memset(&calls, 0, sizeof calls);
  nsgate_status wanted = alone ? NSGATE_WOULD_DEADLOCK : NSGATE_OK;
  calls.gate = gate;
  calls.chroot = open_chroot(gate);
  NEED(nsgate_namespace_create(gate, &calls.ns, &error) == NSGATE_OK, "%s", error.message);
  const char *how = alone ? "the only thread" : "one of several threads";
  OK(nsgate_chroot_run(calls.chroot, call_back, &calls, &error), &error, "%s: calls back", how);
  STATUS(calls.statuses[0], wanted, NULL, "%s: a run in the same chroot", how);
  STATUS(calls.statuses[1], wanted, NULL, "%s: a run in a namespace", how);
  EQUAL(calls.sight.runs, alone ? 0 : 2, "%s: which ran or did not", how);
  STATUS(calls.statuses[2], NSGATE_OK, NULL, "%s: a file operation", how);
  STATUS(calls.statuses[3], NSGATE_WOULD_DEADLOCK, NULL, "%s: the close of the gate", how);
  STATUS(calls.statuses[6], NSGATE_WOULD_DEADLOCK, NULL, "%s: and its beginning", how);
  STATUS(calls.statuses[4], NSGATE_OK, NULL, "%s: the release of its chroot", how);
  STATUS(calls.statuses[5], NSGATE_CLOSED, NULL, "%s: a run after it", how);
  STATUS(calls.statuses[7], NSGATE_WOULD_DEADLOCK, NULL, "%s: a wait for that release", how);
  STATUS(calls.statuses[8], NSGATE_WOULD_DEADLOCK, NULL, "%s: a fence behind it", how);
  STATUS(calls.statuses[9], NSGATE_WOULD_DEADLOCK, NULL, "%s: a drain", how);
  OK(nsgate_chroot_free(calls.chroot, &error), &error, "the chroot is freed");
  OK(nsgate_namespace_release(calls.ns, NULL, &error), &error, "the namespace is released");
}

static int starts;
static void count_start(void) { add(&starts, 1); }

/* A gate with one thread: nothing waits for itself; closing answers those that wait. */
static void one_thread(void) {
  nsgate_error error;
  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.namespace_threads = 1;
  options.thread_start = count_start;
  nsgate_gate gate;
  OK(nsgate_gate_open(&options, &gate, &error), &error, "a gate with one namespace thread");
  EQUAL(get(&starts), 0, "which is made on demand");
  from_inside(gate, true);

  nsgate_chroot chroot = open_chroot(gate);
  volatile int let_go = 0;
  struct ending first, second;
  memset(&first, 0, sizeof first);
  memset(&second, 0, sizeof second);
  first.let_go = &let_go;
  OK(nsgate_chroot_start(chroot, start_together, note, &first, NULL, &error), &error, "a function takes the thread");
  CHECK(wait_for(&first.began, 1), "and holds it");
  OK(nsgate_chroot_start(chroot, start_together, note, &second, NULL, &error), &error, "another waits for it");

  nsgate_chroot own = open_chroot(gate);
  struct ending taken;
  memset(&taken, 0, sizeof taken);
  uint64_t run = 0, ticket = 0;
  OK(nsgate_chroot_start(own, start_together, note, &taken, &run, &error), &error, "a third waits, too");
  OK(nsgate_chroot_release(own, &ticket, &error), &error, "its chroot is released");
  STATUS(nsgate_gate_wait(gate, ticket, 0, NULL, &error), NSGATE_TIMED_OUT, &error, "which waits for it");
  STATUS(nsgate_gate_take_back(gate, run + 1, &error), NSGATE_INVALID_STATE, &error, "what never was is not taken back");
  OK(nsgate_gate_take_back(gate, run, &error), &error, "it is taken back");
  STATUS(nsgate_gate_take_back(gate, run, &error), NSGATE_INVALID_STATE, &error, "once");
  OK(nsgate_gate_wait(gate, ticket, INT64_C(10000000000), NULL, &error), &error, "and its chroot goes, whatever the others do");
  OK(nsgate_chroot_free(own, &error), &error, "its handle is freed");

  OK(nsgate_gate_close(gate, 0, NULL, &error), &error, "the gate closes");
  CHECK(wait_for(&second.done, 1), "the one that waits is told");
  STATUS(second.status, NSGATE_CLOSED, NULL, "that it is closed");
  CHECK(second.with_error, "with an error");
  EQUAL(get(&second.ran), 0, "it did not run");
  EQUAL(get(&first.done), 0, "the other still does");
  add(&let_go, 1);
  CHECK(wait_for(&first.done, 1), "and ends");
  STATUS(first.status, NSGATE_OK, NULL, "well");
  EQUAL(get(&first.done) + get(&second.done), 2, "each is done once");
  EQUAL(get(&taken.ran) + get(&taken.done), 0, "but what was taken back");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
  OK(nsgate_gate_free(gate, &error), &error, "so is the gate");
  EQUAL(get(&starts), 1, "the thread was made known once");
}

static void give_up(void *user_data) { *(bool *)user_data = drop_sys_admin(); }

static void tainted(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  struct sight sight;
  bool dropped = false;
  memset(&sight, 0, sizeof sight);
  STATUS(nsgate_chroot_run(chroot, give_up, &dropped, &error), NSGATE_TAINTED, &error, "a function that its thread does not survive");
  CHECK(dropped, "did run");
  OK(nsgate_chroot_run(chroot, look, &sight, &error), &error, "the next runs");
  CHECK(is_volume(&sight.root), "inside, on another thread");
  struct ending ending;
  memset(&ending, 0, sizeof ending);
  OK(nsgate_chroot_start(chroot, start_together, note, &ending, NULL, &error), &error, "so does one that is started");
  CHECK(wait_for(&ending.done, 1), "it is done");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

static void wander(void *user_data) {
  int *result = user_data;
  *result = mkdir("wander", 0755) == 0 && chdir("wander") == 0 && chroot(".") == 0 ? 0 : errno;
}

/* Whatever a function does to its thread's root and directory, the next one starts anew. */
static void wanderers(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  struct sight sight;
  int result = -1, wrong = 0;
  memset(&sight, 0, sizeof sight);
  OK(nsgate_chroot_run(chroot, wander, &result, &error), &error, "a function changes its root");
  EQUAL(result, 0, "and its directory");
  for (int i = 0; i < 8; i++) {
    NEED(nsgate_chroot_run(chroot, look, &sight, &error) == NSGATE_OK, "%s", error.message);
    wrong += !is_volume(&sight.root) || !is_volume(&sight.directory);
  }
  EQUAL(wrong, 0, "those after it start at the volume's root");
  OK(nsgate_chroot_remove(chroot, NSGATE_STR("wander"), &error), &error, "its directory is removed");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

void test_run(void) {
  nsgate_gate gate = open_gate();
  run(gate);
  started(gate);
  from_inside(gate, false);
  tainted(gate);
  wanderers(gate);
  close_gate(gate);
  one_thread();
  freed(false);
  freed(true);
}
