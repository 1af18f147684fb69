/* Rules 1 and 2: a thread enters a namespace and comes back exactly, in the reverse order, by itself.
 * Everything happens on threads that end here: an enter gives a thread a root of its own for good. */
#define _GNU_SOURCE
#include "harness.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
  uint64_t ns;
  struct stat root, directory;
};

static struct place stand(void) {
  struct place place;
  place.ns = current_namespace();
  NEED(stat("/", &place.root) == 0 && stat(".", &place.directory) == 0, "stat");
  return place;
}

static bool is_at(const struct place *before) {
  struct place now = stand();
  return now.ns == before->ns && now.root.st_ino == before->root.st_ino && now.root.st_dev == before->root.st_dev &&
         now.directory.st_ino == before->directory.st_ino && now.directory.st_dev == before->directory.st_dev;
}

static nsgate_namespace create(nsgate_gate gate) {
  nsgate_error error;
  nsgate_namespace ns;
  NEED(nsgate_namespace_create(gate, &ns, &error) == NSGATE_OK, "%s", error.message);
  return ns;
}

static void there_and_back(void *argument) {
  nsgate_gate gate = *(nsgate_gate *)argument;
  nsgate_error error;
  nsgate_namespace ns = create(gate);
  nsgate_namespace_id id;
  nsgate_entered entered = {0};
  NEED(nsgate_namespace_identify(ns, &id, &error) == NSGATE_OK && unshare(CLONE_FS) == 0 && chdir(volume_path()) == 0,
       "setting up");
  struct place before = stand();
  OK(nsgate_namespace_enter(ns, &entered, &error), &error, "a thread enters");
  CHECK(entered.id != 0, "and has a handle of its stay");
  EQUAL(current_namespace(), id.inode, "it is in the namespace");
  CHECK(same_file(".", "/"), "at its root");
  EQUAL(mount("nsgate-ffi", volume_path(), "tmpfs", 0, "size=1m"), 0, "it mounts there");
  OK(nsgate_entered_restore(entered, &error), &error, "it restores");
  CHECK(is_at(&before), "namespace, root and working directory are as before, without the mount");
  STATUS(nsgate_entered_restore(entered, &error), NSGATE_INVALID_HANDLE, &error, "once");
  CHECK(is_at(&before), "which moves nothing");

  OK(nsgate_namespace_enter(ns, &entered, &error), &error, "it enters again");
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "the namespace is released meanwhile");
  EQUAL(current_namespace(), id.inode, "the thread is still there");
  OK(nsgate_entered_restore(entered, &error), &error, "and comes back");
  CHECK(is_at(&before), "exactly");
  STATUS(nsgate_namespace_enter(ns, &entered, &error), NSGATE_INVALID_HANDLE, &error, "what was released is not entered");
  CHECK(is_at(&before), "which moves nothing");
}

static void deleted_directory(void *argument) {
  nsgate_gate gate = *(nsgate_gate *)argument;
  nsgate_error error;
  nsgate_namespace ns = create(gate);
  nsgate_entered entered;
  char path[256];
  snprintf(path, sizeof path, "%s/doomed", volume_path());
  NEED(unshare(CLONE_FS) == 0 && mkdir(path, 0755) == 0 && chdir(path) == 0, "setting up");
  struct place before = stand();
  OK(nsgate_namespace_enter(ns, &entered, &error), &error, "a thread enters from a directory");
  NEED(rmdir(path) == 0, "rmdir");
  OK(nsgate_entered_restore(entered, &error), &error, "that is deleted meanwhile");
  CHECK(is_at(&before), "and is in it again");
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "released");
}

static void other_root(void *argument) {
  nsgate_gate gate = *(nsgate_gate *)argument;
  nsgate_error error;
  nsgate_namespace ns = create(gate);
  nsgate_entered entered;
  uint64_t home = current_namespace();
  NEED(unshare(CLONE_FS) == 0 && chroot(volume_path()) == 0 && chdir("/") == 0,
       "setting up");
  struct stat root, after;
  NEED(stat("/", &root) == 0, "stat");
  OK(nsgate_namespace_enter(ns, &entered, &error), &error, "a thread enters whose root is not its namespace's");
  CHECK(access("/proc/self", F_OK) == 0, "it sees the namespace's root");
  CHECK(current_namespace() != home, "and is in it");
  OK(nsgate_entered_restore(entered, &error), &error, "it restores");
  NEED(stat("/", &after) == 0, "stat");
  CHECK(root.st_ino == after.st_ino && root.st_dev == after.st_dev, "its own root is back");
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "released");
}

static void nested(void *argument) {
  nsgate_gate gate = *(nsgate_gate *)argument;
  nsgate_error error;
  nsgate_namespace first = create(gate), second = create(gate);
  nsgate_namespace_id id;
  nsgate_entered outer, inner;
  struct place before = stand();
  NEED(nsgate_namespace_identify(first, &id, &error) == NSGATE_OK, "%s", error.message);
  OK(nsgate_namespace_enter(first, &outer, &error), &error, "one is entered");
  OK(nsgate_namespace_enter(second, &inner, &error), &error, "and another from inside");
  uint64_t inside = current_namespace();
  STATUS(nsgate_entered_restore(outer, &error), NSGATE_WRONG_ORDER, &error, "the outer can not be restored first");
  EQUAL(current_namespace(), inside, "which moves nothing");
  OK(nsgate_entered_restore(inner, &error), &error, "the inner can");
  EQUAL(current_namespace(), id.inode, "and leads to the outer");
  OK(nsgate_entered_restore(outer, &error), &error, "then the outer");
  CHECK(is_at(&before), "and leads home");
  OK(nsgate_namespace_release(first, NULL, &error), &error, "released");
  OK(nsgate_namespace_release(second, NULL, &error), &error, "released");
}

struct theft {
  nsgate_entered entered;
  nsgate_status status;
  uint64_t before, after;
};

static void restore_it(void *argument) {
  struct theft *theft = argument;
  theft->before = current_namespace();
  theft->status = nsgate_entered_restore(theft->entered, NULL);
  theft->after = current_namespace();
}

/* The thread that restores is started before the enter: one started inside would stay there. */
struct relay {
  struct theft theft;
  volatile int go, gone;
};
static void *wait_and_restore(void *argument) {
  struct relay *relay = argument;
  wait_for(&relay->go, 1);
  restore_it(&relay->theft);
  add(&relay->gone, 1);
  return NULL;
}

static void wrong_thread(void *argument) {
  nsgate_gate gate = *(nsgate_gate *)argument;
  nsgate_error error;
  nsgate_namespace ns = create(gate);
  struct relay relay;
  memset(&relay, 0, sizeof relay);
  relay.theft.status = NSGATE_OK;
  struct place before = stand();
  pthread_t thread;
  NEED(pthread_create(&thread, NULL, wait_and_restore, &relay) == 0, "pthread_create");
  OK(nsgate_namespace_enter(ns, &relay.theft.entered, &error), &error, "a thread enters");
  add(&relay.go, 1);
  CHECK(wait_for(&relay.gone, 1), "another restores");
  pthread_join(thread, NULL);
  STATUS(relay.theft.status, NSGATE_WRONG_THREAD, NULL, "which is refused");
  CHECK(relay.theft.before == before.ns && relay.theft.after == before.ns, "and moves that thread nowhere");
  CHECK(current_namespace() != before.ns, "nor this one");
  OK(nsgate_entered_restore(relay.theft.entered, &error), &error, "the handle is as good as before");
  CHECK(is_at(&before), "and leads home");
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "released");
}

static void tainted(void *argument) {
  nsgate_gate gate = *(nsgate_gate *)argument;
  nsgate_error error;
  nsgate_namespace ns = create(gate);
  nsgate_entered entered;
  OK(nsgate_namespace_enter(ns, &entered, &error), &error, "a thread enters");
  NEED(drop_sys_admin(), "capset");
  STATUS(nsgate_entered_restore(entered, &error), NSGATE_TAINTED, &error, "without CAP_SYS_ADMIN it can not come back");
  CHECK(error.os_error != 0, "with the errno: %s", error.message);
  STATUS(nsgate_entered_restore(entered, &error), NSGATE_INVALID_HANDLE, &error, "the handle has ended");
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "released");
  /* And so ends the thread. */
}

void test_entered(void) {
  nsgate_gate gate = open_gate();
  on_a_thread(there_and_back, &gate);
  on_a_thread(deleted_directory, &gate);
  on_a_thread(other_root, &gate);
  on_a_thread(nested, &gate);
  on_a_thread(wrong_thread, &gate);
  on_a_thread(tainted, &gate);
  close_gate(gate);
}
