//go:build linux

#include "shim.h"
#include "_cgo_export.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* cgo checks that a uint64_t key fits: this is for 64-bit systems only. */
_Static_assert(sizeof(void *) == sizeof(uint64_t), "keys travel as pointers");

static void *from_key(uint64_t key) { return (void *)(uintptr_t)key; }
static uint64_t to_key(void *user_data) { return (uint64_t)(uintptr_t)user_data; }

/* ---- the mailbox ---- */

struct node {
  struct node *next;
  nsgate_go_letter letter;
};

static pthread_mutex_t mailbox = PTHREAD_MUTEX_INITIALIZER;
static struct node *first, **last = &first;
static int mailbox_fd = -1;

int nsgate_go_mailbox_open(void) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) return -errno;
  pthread_mutex_lock(&mailbox);
  mailbox_fd = fd;
  pthread_mutex_unlock(&mailbox);
  return fd;
}

void nsgate_go_mailbox_close(void) {
  pthread_mutex_lock(&mailbox);
  mailbox_fd = -1;
  pthread_mutex_unlock(&mailbox);
}

/* The mutex is held. */
static void ring(void) {
  if (mailbox_fd < 0) return;
  uint64_t one = 1;
  ssize_t written = write(mailbox_fd, &one, sizeof one); /* full: then it is readable anyway */
  (void)written;
}

void nsgate_go_mailbox_wake(void) {
  pthread_mutex_lock(&mailbox);
  ring();
  pthread_mutex_unlock(&mailbox);
}

static void post(uint32_t kind, uint64_t key, uint64_t life, const nsgate_event *event) {
  struct node *node = calloc(1, sizeof *node);
  if (node == NULL) abort(); /* as Go does when memory runs out: a lost end would be waited for */
  node->letter.kind = kind;
  node->letter.key = key;
  node->letter.life = life;
  if (event != NULL) node->letter.event = *event;
  pthread_mutex_lock(&mailbox);
  *last = node;
  last = &node->next;
  ring();
  pthread_mutex_unlock(&mailbox);
}

int nsgate_go_mailbox_take(nsgate_go_letter *out) {
  pthread_mutex_lock(&mailbox);
  struct node *node = first;
  if (node != NULL) {
    first = node->next;
    if (first == NULL) last = &first;
  }
  pthread_mutex_unlock(&mailbox);
  if (node == NULL) return 0;
  *out = node->letter;
  free(node);
  return 1;
}

static void job_ended(void *user_data) { post(NSGATE_GO_LETTER_JOB_ENDED, to_key(user_data), 0, NULL); }
static void life_ended(void *user_data) { post(NSGATE_GO_LETTER_LIFE_ENDED, to_key(user_data), 0, NULL); }
static void subscriber_ended(void *user_data) { post(NSGATE_GO_LETTER_SUBSCRIBER_ENDED, to_key(user_data), 0, NULL); }

/* ---- where a thread is ---- */

struct frame {
  struct frame *above;
  uint64_t release_of; /* 0: another event */
};

static _Thread_local struct frame *frames;
static _Thread_local uint64_t outermost_call;
static _Thread_local uint32_t known; /* Go has seen this thread outside */
static _Thread_local uint32_t jobs; /* jobs that run on this thread, one inside the other */

uint32_t nsgate_go_place(uint64_t subscriber) {
  uint32_t place = known ? NSGATE_GO_KNOWN : 0;
  for (struct frame *frame = frames; frame != NULL; frame = frame->above) {
    place |= NSGATE_GO_IN_CALLBACK;
    if (frame->release_of != 0) place |= NSGATE_GO_IN_RELEASE;
    if (frame->release_of == subscriber) place |= NSGATE_GO_IN_THIS_RELEASE;
  }
  return place;
}

void nsgate_go_deliver(const nsgate_go_letter *letter) {
  nsgate_go_letter copy = *letter;
  struct frame frame = {frames, copy.key};
  frames = &frame;
  nsgateGoReleased(copy.key, copy.life, &copy.event);
  frames = frame.above;
}

/* ---- signals ---- */

/* The library's threads block all signals. Go code on them must not: by one of them the runtime preempts
 * a loop, without which a collection would wait for its end; and what it starts (os/exec) would inherit
 * them. So there it takes what Go takes on the thread that opened the first gate: any thread of Go will do. */
static sigset_t blocked_by_go;
static pthread_once_t seen_in_go = PTHREAD_ONCE_INIT;

static void see_in_go(void) { pthread_sigmask(SIG_SETMASK, NULL, &blocked_by_go); }

/* Between both, the calling thread of the library runs Go code. */
static sigset_t let_signals_in(void) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, &blocked_by_go, &before);
  return before;
}
static void block_as_before(sigset_t before) { pthread_sigmask(SIG_SETMASK, &before, NULL); }

/* ---- jobs ---- */

/* Go locks a thread that is new to it only once Go code runs there: a moment in which the runtime may make
 * threads from it. So that is over before the thread goes anywhere. The lock stays, and so does the
 * runtime's record of the thread until the thread ends. */
static void thread_start(void) {
  nsgateGoThread();
  known = 1;
}

nsgate_status nsgate_go_gate_open(nsgate_gate_options *options, nsgate_gate *out, nsgate_error *error) {
  pthread_once(&seen_in_go, see_in_go);
  options->thread_start = thread_start;
  return nsgate_gate_open(options, out, error);
}

static void run(void *user_data) {
  sigset_t before = let_signals_in();
  jobs++;
  nsgateGoRun(to_key(user_data));
  jobs--;
  block_as_before(before);
}

/* Nothing of the host's runs there, and no loop that would have to be preempted. */
static void done(void *user_data, nsgate_status status, const nsgate_error *error) {
  nsgateGoDone(to_key(user_data), status, (nsgate_error *)error);
}

static int32_t job(void *user_data) {
  sigset_t before = let_signals_in();
  int32_t answer = nsgateGoJob(to_key(user_data));
  block_as_before(before);
  return answer;
}

nsgate_status nsgate_go_job_reserve(nsgate_gate gate, nsgate_string label, uint64_t key, nsgate_job *out, nsgate_error *error) {
  return nsgate_job_reserve(gate, label, job, from_key(key), job_ended, out, error);
}

nsgate_status nsgate_go_before_release(nsgate_chroot chroot, uint64_t key, nsgate_error *error) {
  return nsgate_chroot_before_release(chroot, job, from_key(key), job_ended, error);
}

nsgate_status nsgate_go_chroot_start(nsgate_chroot chroot, uint64_t key, uint32_t *ran, uint64_t *number, nsgate_error *error) {
  *ran = jobs != 0;
  if (*ran) return nsgate_chroot_run(chroot, run, from_key(key), error);
  return nsgate_chroot_start(chroot, run, done, from_key(key), number, error);
}

nsgate_status nsgate_go_namespace_start(nsgate_namespace ns, uint64_t key, uint32_t *ran, uint64_t *number, nsgate_error *error) {
  *ran = jobs != 0;
  if (*ran) return nsgate_namespace_run(ns, run, from_key(key), error);
  return nsgate_namespace_start(ns, run, done, from_key(key), number, error);
}

/* ---- the sandbox map ---- */

nsgate_status nsgate_go_register(nsgate_map map, nsgate_string sandbox_id, nsgate_string lifecycle_id, uint64_t life, nsgate_sandbox *out, nsgate_error *error) {
  return nsgate_map_register_weak(map, sandbox_id, lifecycle_id, from_key(life), life_ended, out, error);
}

static nsgate_status tell(void *user_data, void *life, void *call, uint32_t network_release) {
  struct frame frame = {frames, 0};
  frames = &frame;
  nsgate_status status = nsgateGoEvent(to_key(user_data), to_key(life), to_key(call), network_release);
  frames = frame.above;
  return status;
}

static nsgate_status on_insert(void *user_data, nsgate_sandbox sandbox, void *life, void *call) {
  (void)sandbox;
  return tell(user_data, life, call, 0);
}

static nsgate_status on_network_release(void *user_data, nsgate_sandbox sandbox, void *life, void *call) {
  (void)sandbox;
  return tell(user_data, life, call, 1);
}

static nsgate_status on_release(void *user_data, nsgate_sandbox sandbox, void *life, const nsgate_event *event) {
  (void)sandbox;
  post(NSGATE_GO_LETTER_RELEASED, to_key(user_data), to_key(life), event);
  return NSGATE_OK;
}

nsgate_status nsgate_go_subscribe(nsgate_map map, nsgate_string name, uint64_t key, uint32_t with_release, uint64_t *subscription, nsgate_error *error) {
  nsgate_subscriber subscriber = {
      .size = sizeof subscriber,
      .user_data = from_key(key),
      .destroy = subscriber_ended,
      .on_insert = on_insert,
      .on_network_release = on_network_release,
      .on_release = with_release ? on_release : NULL,
  };
  return nsgate_map_subscribe(map, name, &subscriber, subscription, error);
}

uint64_t nsgate_go_find(nsgate_map map, nsgate_string sandbox_id) {
  void *life;
  return nsgate_map_find(map, sandbox_id, NULL, &life, NULL) == NSGATE_OK ? to_key(life) : 0;
}

uint64_t nsgate_go_find_by_address(nsgate_map map, uint64_t first, uint64_t second) {
  nsgate_address address = {.family = 6};
  memcpy(address.bytes, &first, sizeof first);
  memcpy(address.bytes + sizeof first, &second, sizeof second);
  void *life;
  return nsgate_map_find_by_address(map, &address, NULL, &life, NULL) == NSGATE_OK ? to_key(life) : 0;
}

uint64_t nsgate_go_find_by_lifecycle(nsgate_map map, nsgate_string lifecycle_id) {
  void *life;
  return nsgate_map_find_by_lifecycle(map, lifecycle_id, NULL, &life, NULL) == NSGATE_OK ? to_key(life) : 0;
}

uint64_t nsgate_go_retain(nsgate_map map, nsgate_string lifecycle_id, nsgate_sandbox *out) {
  void *life;
  return nsgate_map_find_by_lifecycle(map, lifecycle_id, out, &life, NULL) == NSGATE_OK ? to_key(life) : 0;
}

nsgate_status nsgate_go_snapshot(nsgate_map map, uint32_t which, uint64_t *lives, size_t capacity, size_t *count, nsgate_error *error) {
  return nsgate_map_snapshot(map, which, NULL, (void **)lives, capacity, count, error);
}

nsgate_status nsgate_go_change(uint32_t change, nsgate_sandbox sandbox, uint64_t call, uint32_t *changed, uint64_t *outermost, nsgate_error *error) {
  nsgate_status status = NSGATE_INVALID_ARGUMENT;
  *outermost = outermost_call;
  if (*outermost == 0) outermost_call = call;
  switch (change) {
  case NSGATE_GO_RUNNING: status = nsgate_sandbox_mark_running(sandbox, from_key(call), changed, error); break;
  case NSGATE_GO_STOPPING: status = nsgate_sandbox_mark_stopping(sandbox, from_key(call), changed, error); break;
  case NSGATE_GO_STOPPED: status = nsgate_sandbox_mark_stopped(sandbox, from_key(call), changed, error); break;
  case NSGATE_GO_NETWORK_RELEASED: status = nsgate_sandbox_network_released(sandbox, from_key(call), changed, error); break;
  }
  if (*outermost == 0) outermost_call = 0;
  return status;
}

nsgate_status nsgate_go_map_change(uint32_t change, nsgate_map map, nsgate_string lifecycle_id, uint64_t call, uint32_t *changed, uint64_t *outermost, nsgate_error *error) {
  nsgate_sandbox sandbox;
  *outermost = outermost_call;
  nsgate_status status = nsgate_map_find_by_lifecycle(map, lifecycle_id, &sandbox, NULL, error);
  if (status != NSGATE_OK) return status;
  status = nsgate_go_change(change, sandbox, call, changed, outermost, error);
  nsgate_sandbox_free(sandbox, NULL);
  return status;
}

nsgate_status nsgate_go_map_assign_network(nsgate_map map, nsgate_string lifecycle_id, const nsgate_address *address, uint32_t *changed, nsgate_error *error) {
  nsgate_sandbox sandbox;
  nsgate_status status = nsgate_map_find_by_lifecycle(map, lifecycle_id, &sandbox, NULL, error);
  if (status != NSGATE_OK) return status;
  status = nsgate_sandbox_assign_network(sandbox, address, changed, error);
  nsgate_sandbox_free(sandbox, NULL);
  return status;
}

nsgate_status nsgate_go_map_network_released(nsgate_map map, const nsgate_address *address, nsgate_string lifecycle_id, uint64_t call, uint32_t *changed, uint64_t *outermost, nsgate_error *error) {
  *outermost = outermost_call;
  if (*outermost == 0) outermost_call = call;
  nsgate_status status = nsgate_map_network_released(map, address, lifecycle_id, from_key(call), changed, error);
  if (*outermost == 0) outermost_call = 0;
  return status;
}
