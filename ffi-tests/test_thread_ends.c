/* Entering and restoring while a thread ends, where C++ guards do it; and threads that end without
 * having restored. Everything happens on threads that end here. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>

/* As the C++ runtime registers the destructor of a thread_local object. */
extern int __cxa_thread_atexit_impl(void (*function)(void *), void *object, void *library);
extern void *__dso_handle;

struct visit {
  nsgate_gate gate;
  nsgate_namespace ns;
  nsgate_entered entered;
  uint64_t home, inside, after;
  nsgate_status enter, restore;
};

static pthread_key_t key;

static void enter(struct visit *visit) {
  visit->home = current_namespace();
  visit->enter = nsgate_namespace_enter(visit->ns, &visit->entered, NULL);
  visit->inside = current_namespace();
}

static void restore(void *argument) {
  struct visit *visit = argument;
  visit->restore = nsgate_entered_restore(visit->entered, NULL);
  visit->after = current_namespace();
}

static void enter_and_restore(void *argument) {
  enter(argument);
  restore(argument);
}

static void check_visit(const struct visit *visit, const char *what) {
  STATUS(visit->enter, NSGATE_OK, NULL, "%s: a thread enters", what);
  CHECK(visit->inside != visit->home, "%s: and is inside", what);
  STATUS(visit->restore, NSGATE_OK, NULL, "%s: it restores", what);
  EQUAL(visit->after, visit->home, "%s: and is back", what);
}

static void restored_by_a_key(void *argument) {
  NEED(pthread_setspecific(key, argument) == 0, "pthread_setspecific");
  enter(argument);
}

static void entered_by_a_key(void *argument) {
  /* The thread has called the library before. */
  enter_and_restore(argument);
  NEED(pthread_setspecific(key, argument) == 0, "pthread_setspecific");
}

static void restored_by_a_guard(void *argument) {
  /* Made first, destroyed last. */
  NEED(__cxa_thread_atexit_impl(restore, argument, &__dso_handle) == 0, "__cxa_thread_atexit_impl");
  enter(argument);
}

static void entered_by_a_guard(void *argument) {
  NEED(__cxa_thread_atexit_impl(enter_and_restore, argument, &__dso_handle) == 0, "__cxa_thread_atexit_impl");
  enter_and_restore(argument);
}

static void while_a_thread_ends(struct visit *visit) {
  static const struct {
    const char *what;
    void (*of_key)(void *), (*body)(void *);
  } ways[] = {
      {"restored by a key's destructor", restore, restored_by_a_key},
      {"entered by a key's destructor", enter_and_restore, entered_by_a_key},
      {"restored by a thread-local guard", NULL, restored_by_a_guard},
      {"entered by a thread-local guard", NULL, entered_by_a_guard},
  };
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    NEED(pthread_key_create(&key, ways[i].of_key) == 0, "pthread_key_create");
    visit->enter = visit->restore = NSGATE_PANIC;
    on_a_thread(ways[i].body, visit);
    NEED(pthread_key_delete(key) == 0, "pthread_key_delete");
    check_visit(visit, ways[i].what);
  }
}

static void only_enter(void *argument) { enter(argument); }

/* The kernel forgets a thread a moment after it was joined. */
static nsgate_status restore_of_another(nsgate_entered entered) {
  nsgate_status status = NSGATE_WRONG_THREAD;
  for (int i = 0; i < 6000 && status == NSGATE_WRONG_THREAD; i++) {
    if (i > 0) pause_shortly();
    status = nsgate_entered_restore(entered, NULL);
  }
  return status;
}

static void without_a_restore(struct visit *visit) {
  enum { THREADS = 20 };
  struct inventory before = take_inventory();
  nsgate_entered left[THREADS];
  for (size_t i = 0; i < THREADS; i++) {
    on_a_thread(only_enter, visit);
    left[i] = visit->entered;
  }
  uint64_t here = current_namespace();
  int over = 0, ended = 0;
  for (size_t i = 0; i < THREADS; i++) {
    over += restore_of_another(left[i]) == NSGATE_INVALID_STATE;
    ended += nsgate_entered_restore(left[i], NULL) == NSGATE_INVALID_HANDLE;
  }
  EQUAL(over, THREADS, "the stay of a thread that has ended is over");
  EQUAL(ended, THREADS, "and so is its handle");
  EQUAL(current_namespace(), here, "which moves nobody");
  EQUAL(take_inventory().descriptors, before.descriptors, "and nothing of it is left");
}

/* The handles were lost, too: it ends with the gate. */
static void without_a_handle(struct visit *visit) {
  for (int i = 0; i < 3; i++) on_a_thread(only_enter, visit);
}

struct job {
  nsgate_namespace ns;
  nsgate_entered entered;
  nsgate_status status;
  uint64_t before, after;
};

static void leave_entered(void *user_data) {
  struct job *job = user_data;
  job->status = nsgate_namespace_enter(job->ns, &job->entered, NULL);
}

static void restore_what_was_left(void *user_data) {
  struct job *job = user_data;
  job->before = current_namespace();
  job->status = nsgate_entered_restore(job->entered, NULL);
  job->after = current_namespace();
}

static void left_by_a_job(void) {
  nsgate_gate_options options;
  nsgate_gate gate;
  nsgate_error error;
  nsgate_namespace first, second, own;
  struct job job;
  memset(&options, 0, sizeof options);
  memset(&job, 0, sizeof job);
  options.size = sizeof options;
  options.namespace_threads = 1;
  NEED(nsgate_gate_open(&options, &gate, &error) == NSGATE_OK, "%s", error.message);
  NEED(nsgate_namespace_create(gate, &first, &error) == NSGATE_OK, "%s", error.message);
  NEED(nsgate_namespace_create(gate, &second, &error) == NSGATE_OK, "%s", error.message);
  /* Where /proc can be looked at. */
  NEED(nsgate_namespace_open_current(gate, &own, &error) == NSGATE_OK, "%s", error.message);
  job.ns = second;
  struct inventory before = take_inventory();
  OK(nsgate_namespace_run(first, leave_entered, &job, &error), &error, "a function enters and leaves it at that");
  STATUS(job.status, NSGATE_OK, NULL, "it did enter");
  EQUAL(take_inventory().descriptors, before.descriptors, "no descriptor of that is left");
  OK(nsgate_namespace_run(own, restore_what_was_left, &job, &error), &error, "the next one on that thread");
  STATUS(job.status, NSGATE_INVALID_STATE, NULL, "can not restore it");
  EQUAL(job.after, job.before, "and stays where it is");
  STATUS(nsgate_entered_restore(job.entered, &error), NSGATE_INVALID_HANDLE, &error, "the handle has ended");
  OK(nsgate_namespace_release(first, NULL, &error), &error, "released");
  OK(nsgate_namespace_release(second, NULL, &error), &error, "released");
  OK(nsgate_namespace_release(own, NULL, &error), &error, "released");
  close_gate(gate);
}

void test_thread_ends(void) {
  struct visit visit;
  nsgate_error error;
  memset(&visit, 0, sizeof visit);
  visit.gate = open_gate();
  NEED(nsgate_namespace_create(visit.gate, &visit.ns, &error) == NSGATE_OK, "%s", error.message);
  while_a_thread_ends(&visit);
  without_a_restore(&visit);
  without_a_handle(&visit);
  OK(nsgate_namespace_release(visit.ns, NULL, &error), &error, "released");
  close_gate(visit.gate);
  left_by_a_job();
}
