/* Rules 18 to 21: who is called, with what, in which order; and the end of a subscriber: destroyed
 * exactly once, after its last call, whoever ends it from wherever. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>
#include <unistd.h>

static nsgate_error error;

#define IS(call, status, ...) STATUS(call, status, &error, __VA_ARGS__)
#define DOES(call, ...) OK(call, &error, __VA_ARGS__)

/* What one subscriber saw, and what it shall do. */
struct listener {
  struct counter counter;
  volatile int inserts, network_releases;
  nsgate_status answer;
  pid_t thread;
  void *context, *sandbox_user_data;
  uint64_t sandbox;
  /* The order of all calls: a character each. */
  char *log;
  char name;
  nsgate_map map;
  uint64_t subscription, other;
  /* What it calls, and the answers. */
  void (*act)(struct listener *listener, nsgate_sandbox sandbox);
  nsgate_status answers[4];
  /* To hold a call. */
  volatile int inside, let_go;
  volatile int destroyed_inside;
};

static nsgate_status note(struct listener *listener, nsgate_sandbox sandbox, void *user_data, void *context, char what) {
  listener->thread = gettid();
  listener->context = context;
  listener->sandbox_user_data = user_data;
  listener->sandbox = sandbox.id;
  if (listener->log != NULL) {
    char text[3] = {listener->name, what, 0};
    strcat(listener->log, text);
  }
  if (listener->act != NULL) listener->act(listener, sandbox);
  add(&listener->counter.calls, 1);
  return listener->answer;
}

static nsgate_status on_insert(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  struct listener *listener = user_data;
  add(&listener->inserts, 1);
  return note(listener, sandbox, sandbox_user_data, context, '+');
}
static nsgate_status on_network_release(void *user_data, nsgate_sandbox sandbox, void *sandbox_user_data, void *context) {
  struct listener *listener = user_data;
  add(&listener->network_releases, 1);
  return note(listener, sandbox, sandbox_user_data, context, '-');
}
static void destroy_listener(void *user_data) {
  struct listener *listener = user_data;
  if (get(&listener->inside) != 0) add(&listener->destroyed_inside, 1);
  add(&listener->counter.destroyed, 1);
}

static void subscribe(nsgate_map map, struct listener *listener, char name) {
  char text[2] = {name, 0};
  nsgate_subscriber subscriber;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = listener;
  subscriber.destroy = destroy_listener;
  subscriber.on_insert = on_insert;
  subscriber.on_network_release = on_network_release;
  listener->name = name;
  listener->map = map;
  DOES(nsgate_map_subscribe(map, string(text), &subscriber, &listener->subscription, &error), "subscriber %c", name);
}

static nsgate_sandbox run_one(nsgate_map map, const char *life, void *user_data, void *context) {
  nsgate_sandbox sandbox = {0};
  DOES(nsgate_map_register(map, NSGATE_STR("s"), string(life), user_data, NULL, &sandbox, &error), "%s is registered", life);
  DOES(nsgate_sandbox_mark_running(sandbox, context, NULL, &error), "and runs");
  return sandbox;
}

static void end(nsgate_sandbox sandbox, void *context) {
  DOES(nsgate_sandbox_network_released(sandbox, context, NULL, &error), "its network is released");
  DOES(nsgate_sandbox_mark_stopped(sandbox, NULL, NULL, &error), "it is stopped");
  DOES(nsgate_sandbox_free(sandbox, &error), "it is freed");
}

static void told(nsgate_map map) {
  struct listener a, b, c;
  char log[64] = "";
  int value = 0, first = 0, second = 0;
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  memset(&c, 0, sizeof c);
  a.log = b.log = c.log = log;
  b.answer = NSGATE_UNSUPPORTED;
  subscribe(map, &a, 'a');
  subscribe(map, &b, 'b');
  CHECK(a.subscription != 0 && a.subscription != b.subscription, "each has an id");
  nsgate_sandbox sandbox = run_one(map, "told", &value, &first);
  CHECK(strcmp(log, "a+b+") == 0, "both are told, in the order of subscription: %s", log);
  EQUAL(a.thread, gettid(), "on the thread that made the change");
  CHECK(a.context == &first && b.context == &first, "with its context");
  CHECK(a.sandbox == sandbox.id && a.sandbox_user_data == &value, "with the life, and its user data");
  DOES(nsgate_sandbox_mark_running(sandbox, &second, NULL, &error), "no change");
  DOES(nsgate_sandbox_mark_stopping(sandbox, &second, NULL, &error), "a change that concerns nobody");
  CHECK(strcmp(log, "a+b+") == 0, "are not told");
  subscribe(map, &c, 'c');
  end(sandbox, &second);
  CHECK(strcmp(log, "a+b+a-b-c-") == 0, "a later one is told after them, though one failed: %s", log);
  CHECK(a.context == &second && c.context == &second, "with the context of this call");

  nsgate_subscriber_stats stats;
  memset(&stats, 0xff, sizeof stats);
  stats.size = sizeof stats;
  DOES(nsgate_map_subscriber_stats(map, b.subscription, &stats, &error), "the figures of one");
  EQUAL(stats.calls, 2, "two calls");
  EQUAL(stats.failures, 2, "that failed");
  EQUAL(stats.panics, 0, "without a panic");
  CHECK(stats.longest_ns > 0, "that took some time");
  DOES(nsgate_map_subscriber_stats(map, a.subscription, &stats, &error), "those of another");
  EQUAL(stats.failures, 0, "that did not");
  IS(nsgate_map_subscriber_stats(map, 4711, &stats, &error), NSGATE_NOT_FOUND, "any number is safe");
  DOES(nsgate_map_unsubscribe(map, a.subscription, &error), "one ends");
  EQUAL(get(&a.counter.destroyed), 1, "and is destroyed");
  IS(nsgate_map_unsubscribe(map, a.subscription, &error), NSGATE_NOT_FOUND, "once");
  IS(nsgate_map_unsubscribe_wait(map, a.subscription, &error), NSGATE_NOT_FOUND, "also by waiting");
  IS(nsgate_map_subscriber_stats(map, a.subscription, &stats, &error), NSGATE_NOT_FOUND, "its figures are gone");
  log[0] = 0;
  end(run_one(map, "more", NULL, NULL), NULL);
  CHECK(strcmp(log, "b+c+b-c-") == 0, "the others go on: %s", log);
  DOES(nsgate_map_unsubscribe_wait(map, b.subscription, &error), "another ends");
  DOES(nsgate_map_unsubscribe_wait(map, c.subscription, &error), "the last, too");
  EQUAL(get(&b.counter.destroyed) + get(&c.counter.destroyed), 2, "both are destroyed");
}

static void refused(nsgate_map map) {
  struct counter counter = {0, 0};
  uint64_t subscription = 42;
  char longest[256];
  memset(longest, 'x', sizeof longest);
  nsgate_string too_long = {longest, 256};
  nsgate_subscriber subscriber;
  memset(&subscriber, 0, sizeof subscriber);
  subscriber.size = sizeof subscriber;
  subscriber.user_data = &counter;
  subscriber.destroy = count_destroyed;
  IS(nsgate_map_subscribe(map, NSGATE_STR(""), &subscriber, &subscription, &error), NSGATE_INVALID_ARGUMENT, "a subscriber without a name");
  IS(nsgate_map_subscribe(map, too_long, &subscriber, &subscription, &error), NSGATE_INVALID_ARGUMENT, "one with a name of 256 bytes");
  subscriber.reserved = 1;
  IS(nsgate_map_subscribe(map, NSGATE_STR("x"), &subscriber, &subscription, &error), NSGATE_INVALID_ARGUMENT, "one with a reserved field that is not 0");
  EQUAL(subscription, 42, "none of them gets an id");
  EQUAL(get(&counter.destroyed), 0, "nor is destroyed: it was not taken");
  subscriber.reserved = 0;
  DOES(nsgate_map_subscribe(map, NSGATE_STR("x"), &subscriber, &subscription, &error), "one without any callback is taken");
  end(run_one(map, "silent", NULL, NULL), NULL);
  DOES(nsgate_map_unsubscribe(map, subscription, &error), "and ends");
  EQUAL(get(&counter.destroyed), 1, "destroyed once");
}

static void leave(struct listener *listener, nsgate_sandbox sandbox) {
  (void)sandbox;
  add(&listener->inside, 1);
  listener->answers[0] = nsgate_map_unsubscribe_wait(listener->map, listener->subscription, NULL);
  listener->answers[1] = nsgate_map_unsubscribe(listener->map, listener->subscription, NULL);
  listener->answers[2] = nsgate_map_unsubscribe(listener->map, listener->subscription, NULL);
  add(&listener->inside, -1);
}

static void from_inside(nsgate_map map) {
  struct listener a;
  memset(&a, 0, sizeof a);
  a.act = leave;
  subscribe(map, &a, 'a');
  nsgate_sandbox sandbox = run_one(map, "leaving", NULL, NULL);
  STATUS(a.answers[0], NSGATE_WOULD_DEADLOCK, NULL, "waiting for its own end is refused");
  STATUS(a.answers[1], NSGATE_OK, NULL, "ending itself is not");
  STATUS(a.answers[2], NSGATE_NOT_FOUND, NULL, "once");
  EQUAL(get(&a.destroyed_inside), 0, "it is not destroyed while it runs");
  EQUAL(get(&a.counter.destroyed), 1, "but after it, once");
  end(sandbox, NULL);
  EQUAL(get(&a.counter.calls), 1, "it is not called any more");
}

static void end_other(struct listener *listener, nsgate_sandbox sandbox) {
  (void)sandbox;
  listener->answers[0] = listener->name == 'a' ? nsgate_map_unsubscribe(listener->map, listener->other, NULL)
                                               : nsgate_map_unsubscribe_wait(listener->map, listener->other, NULL);
}

static void from_another(nsgate_map map) {
  struct listener a, b, c;
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  memset(&c, 0, sizeof c);
  a.act = end_other;
  subscribe(map, &a, 'a');
  subscribe(map, &b, 'b');
  a.other = b.subscription;
  end(run_one(map, "ended by another", NULL, NULL), NULL);
  STATUS(a.answers[0], NSGATE_NOT_FOUND, NULL, "one ends another, once in two calls");
  EQUAL(get(&b.counter.calls), 0, "which is not called any more, though it was its turn");
  EQUAL(get(&b.counter.destroyed), 1, "and destroyed once");
  b.act = end_other;
  subscribe(map, &b, 'b');
  subscribe(map, &c, 'c');
  a.act = NULL;
  b.other = a.subscription;
  nsgate_sandbox sandbox = run_one(map, "waited for", NULL, NULL);
  STATUS(b.answers[0], NSGATE_OK, NULL, "one ends another and waits for it");
  EQUAL(get(&a.counter.destroyed), 1, "it is destroyed by then");
  EQUAL(get(&c.counter.calls), 1, "the third is called all the same");
  DOES(nsgate_map_unsubscribe(map, b.subscription, &error), "the second ends");
  DOES(nsgate_map_unsubscribe(map, c.subscription, &error), "the third, too");
  end(sandbox, NULL);
  EQUAL(get(&b.counter.destroyed) + get(&c.counter.destroyed), 3, "each was destroyed once per subscription");
}

static void hold(struct listener *listener, nsgate_sandbox sandbox) {
  (void)sandbox;
  add(&listener->inside, 1);
  wait_for(&listener->let_go, 1);
  add(&listener->inside, -1);
}

struct change {
  nsgate_sandbox sandbox;
  nsgate_status status;
};
static void *change(void *argument) {
  struct change *change = argument;
  change->status = nsgate_sandbox_mark_running(change->sandbox, NULL, NULL, NULL);
  return NULL;
}

struct waiter {
  struct listener *listener;
  nsgate_status status;
  volatile int began, returned;
  int destroyed;
};
static void *end_and_wait(void *argument) {
  struct waiter *waiter = argument;
  add(&waiter->began, 1);
  waiter->status = nsgate_map_unsubscribe_wait(waiter->listener->map, waiter->listener->subscription, NULL);
  waiter->destroyed = get(&waiter->listener->counter.destroyed);
  add(&waiter->returned, 1);
  return NULL;
}

/* While a thread is inside the callback another ends it, with a wait or without. */
static void while_it_runs(nsgate_map map, bool waits) {
  struct listener a;
  struct waiter waiter = {&a, -1, 0, 0, 0};
  struct change running = {{0}, -1};
  memset(&a, 0, sizeof a);
  a.act = hold;
  subscribe(map, &a, 'a');
  DOES(nsgate_map_register(map, NSGATE_STR("s"), NSGATE_STR("held"), NULL, NULL, &running.sandbox, &error), "a life is registered");
  pthread_t runner, ender;
  NEED(pthread_create(&runner, NULL, change, &running) == 0, "pthread_create");
  CHECK(wait_for(&a.inside, 1), "a thread is inside the callback");
  if (!waits) {
    DOES(nsgate_map_unsubscribe(map, a.subscription, &error), "another ends it, and does not wait");
    EQUAL(get(&a.inside), 1, "it still runs");
  }
  NEED(pthread_create(&ender, NULL, end_and_wait, &waiter) == 0, "pthread_create");
  CHECK(wait_for(&waiter.began, 1), "one waits for its end");
  pause_shortly();
  EQUAL(get(&waiter.returned), 0, "which has not come");
  EQUAL(get(&a.counter.destroyed), 0, "nor is it destroyed");
  add(&a.let_go, 1);
  pthread_join(ender, NULL);
  pthread_join(runner, NULL);
  STATUS(waiter.status, NSGATE_OK, NULL, "then it has");
  EQUAL(waiter.destroyed, 1, "after it was destroyed");
  EQUAL(get(&a.counter.destroyed), 1, "once");
  EQUAL(get(&a.destroyed_inside), 0, "and not while it ran");
  STATUS(running.status, NSGATE_OK, NULL, "the change was made");
  end(running.sandbox, NULL);
  EQUAL(get(&a.counter.calls), 1, "it was called once");
}

static void with_the_map(nsgate_gate gate) {
  nsgate_map map = {0};
  struct listener a, b;
  memset(&a, 0, sizeof a);
  memset(&b, 0, sizeof b);
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  subscribe(map, &a, 'a');
  subscribe(map, &b, 'b');
  nsgate_sandbox sandbox = run_one(map, "left", NULL, NULL);
  DOES(nsgate_map_free(map, &error), "the map is freed");
  EQUAL(get(&a.counter.destroyed) + get(&b.counter.destroyed), 2, "its subscribers are destroyed");
  EQUAL(get(&a.network_releases), 0, "and not told");
  DOES(nsgate_sandbox_free(sandbox, &error), "the life is freed");
}

void test_subscribers(void) {
  nsgate_gate gate = open_gate();
  nsgate_map map = {0};
  DOES(nsgate_map_create(gate, &map, &error), "a map is made");
  told(map);
  refused(map);
  from_inside(map);
  from_another(map);
  while_it_runs(map, false);
  while_it_runs(map, true);
  DOES(nsgate_map_wait_idle(map, 0, &error), "the map is empty");
  DOES(nsgate_map_free(map, &error), "it is freed");
  with_the_map(gate);
  close_gate(gate);
}
