/* Threads that are cancelled (pthread_cancel) inside a call, on either side of it: the call is finished as
 * if nothing were, and no thread of the library is ever lost. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

struct work {
  nsgate_gate gate;
  nsgate_map map;
  int failed;
  volatile int inside, let_go, came_out;
};

static void inside(void *user_data) {
  struct work *work = user_data;
  add(&work->inside, 1);
  if (!wait_for(&work->let_go, 1)) work->failed++;
}

/* A cancellation point of the host's own, in a callback. */
static nsgate_status told(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *call_context) {
  (void)user_data, (void)sandbox, (void)sandbox_user_data, (void)call_context;
  usleep(1);
  return NSGATE_OK;
}

static void call_everything(struct work *work) {
  nsgate_gate gate = work->gate, other;
  nsgate_chroot chroot, inner;
  nsgate_sandbox sandbox, found;
  nsgate_namespace ns;
  nsgate_entered entered;
  nsgate_directory directory;
  nsgate_stats stats = {.size = sizeof stats};
  int fd = -1;
#define DO(call) work->failed += (call) != NSGATE_OK
  DO(nsgate_gate_open(NULL, &other, NULL));
  DO(nsgate_gate_close(other, LONG_TIME, NULL, NULL));
  DO(nsgate_gate_free(other, NULL));
  DO(nsgate_gate_stats(gate, &stats, NULL));
  DO(nsgate_chroot_open(gate, volume(), NULL, &chroot, NULL));
  DO(nsgate_chroot_mkdir_all(chroot, NSGATE_STR("cancelled/in"), 0755, NULL));
  DO(nsgate_chroot_open_file(chroot, NSGATE_STR("cancelled/file"), O_CREAT | O_WRONLY, 0644, &fd, NULL));
  DO(nsgate_chroot_open_directory(chroot, NSGATE_STR("cancelled"), &directory, NULL));
  DO(nsgate_directory_close(directory, NULL));
  DO(nsgate_chroot_open_chroot(chroot, NSGATE_STR("cancelled"), NULL, &inner, NULL));
  DO(nsgate_map_register(work->map, NSGATE_STR("s"), NSGATE_STR("l"), NULL, NULL, &sandbox, NULL));
  DO(nsgate_sandbox_attach(sandbox, inner, NULL));
  DO(nsgate_sandbox_mark_running(sandbox, NULL, NULL, NULL));
  DO(nsgate_map_find(work->map, NSGATE_STR("s"), &found, NULL, NULL));
  DO(nsgate_sandbox_free(found, NULL));
  DO(nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, NULL));
  DO(nsgate_sandbox_network_released(sandbox, NULL, NULL, NULL));
  DO(nsgate_sandbox_free(sandbox, NULL));
  DO(nsgate_chroot_run(chroot, inside, work, NULL));
  DO(nsgate_namespace_open_current(gate, &ns, NULL));
  DO(nsgate_namespace_enter(ns, &entered, NULL));
  DO(nsgate_entered_restore(entered, NULL));
  DO(nsgate_namespace_release(ns, NULL, NULL));
  DO(nsgate_chroot_remove_all(chroot, NSGATE_STR("cancelled"), NULL));
  DO(nsgate_chroot_free(inner, NULL));
  DO(nsgate_chroot_free(chroot, NULL));
  /* Not by close(2), which would be the thread's end. */
  int state;
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
  if (state != PTHREAD_CANCEL_ENABLE) work->failed++;
  close(fd);
  pthread_setcancelstate(state, NULL);
  add(&work->came_out, 1);
}

static void *cancelled_before(void *argument) {
  pthread_cancel(pthread_self());
  call_everything(argument);
  pthread_testcancel();
  return NULL;
}

static void *cancelled_meanwhile(void *argument) {
  call_everything(argument);
  pthread_testcancel();
  return NULL;
}

static void callers(struct work *work, bool meanwhile) {
  const char *when = meanwhile ? "inside a call" : "before";
  pthread_t thread;
  void *end = NULL;
  work->inside = work->came_out = 0;
  work->let_go = !meanwhile;
  NEED(pthread_create(&thread, NULL, meanwhile ? cancelled_meanwhile : cancelled_before, work) == 0, "pthread_create");
  if (meanwhile) {
    CHECK(wait_for(&work->inside, 1), "%s: a thread is", when);
    NEED(pthread_cancel(thread) == 0, "pthread_cancel");
    add(&work->let_go, 1);
  }
  NEED(pthread_join(thread, &end) == 0, "pthread_join");
  EQUAL(get(&work->came_out), 1, "%s: a thread that is cancelled finishes its calls", when);
  EQUAL(work->failed, 0, "%s: all of them answer as ever", when);
  CHECK(end == PTHREAD_CANCELED, "%s: and ends behind them", when);
}

static void cancel_self(void *user_data) {
  add(user_data, 1);
  pthread_cancel(pthread_self());
}
static int32_t cancel_worker(void *user_data) { return cancel_self(user_data), 0; }

static void library_threads(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  volatile int calls = 0;
  for (int i = 0; i < 3; i++) {
    nsgate_job job;
    OK(nsgate_chroot_run(chroot, cancel_self, (void *)&calls, &error), &error, "a function cancels its thread");
    OK(nsgate_job_reserve(gate, NSGATE_STR("cancel"), cancel_worker, (void *)&calls, NULL, &job, &error), &error, "so does a job");
    OK(nsgate_job_submit(job, NULL, &error), &error, "which is submitted");
    OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "and ends");
    OK(nsgate_job_free(job, &error), &error, "the job is freed");
  }
  EQUAL(get(&calls), 6, "all of them were called");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

void test_cancellation(void) {
  nsgate_error error;
  nsgate_subscriber subscriber = {.size = sizeof subscriber, .on_insert = told, .on_network_release = told};
  uint64_t subscription;
  struct work work = {.gate = open_gate()};
  OK(nsgate_map_create(work.gate, &work.map, &error), &error, "a map");
  OK(nsgate_map_subscribe(work.map, NSGATE_STR("told"), &subscriber, &subscription, &error), &error, "a subscriber");
  callers(&work, false);
  callers(&work, true);
  OK(nsgate_map_free(work.map, &error), &error, "the map is freed");
  library_threads(work.gate);
  close_gate(work.gate);
}
