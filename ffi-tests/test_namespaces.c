/* Mount namespaces: opening, identity, making, releasing. Rule 10, and 24 for the handle. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void release(nsgate_namespace ns) {
  nsgate_error error;
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "it is released");
}

static void is_current(nsgate_namespace ns, const char *how) {
  nsgate_error error;
  nsgate_namespace_id id;
  struct stat here;
  NEED(stat("/proc/thread-self/ns/mnt", &here) == 0, "stat");
  OK(nsgate_namespace_identify(ns, &id, &error), &error, "%s: it is identified", how);
  EQUAL(id.inode, here.st_ino, "%s: by its inode", how);
  EQUAL(id.device, here.st_dev, "%s: and its device", how);
  release(ns);
}

static void opened(nsgate_gate gate) {
  nsgate_error error;
  nsgate_namespace ns;
  OK(nsgate_namespace_open_current(gate, &ns, &error), &error, "the thread's own namespace");
  is_current(ns, "the thread's own");
  OK(nsgate_namespace_open_pid(gate, getpid(), &ns, &error), &error, "that of a process");
  is_current(ns, "of a process");
  OK(nsgate_namespace_open_path(gate, NSGATE_STR("/proc/self/ns/mnt"), &ns, &error), &error, "that of a path");
  is_current(ns, "of a path");
  int fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  NEED(fd >= 0, "open");
  OK(nsgate_namespace_open_fd(gate, fd, &ns, &error), &error, "that of a descriptor");
  is_current(ns, "of a descriptor");
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "its release ends");
  CHECK(fcntl(fd, F_GETFD) >= 0, "the descriptor stays the caller's");
  close(fd);
}

static void refused(nsgate_gate gate) {
  nsgate_error error;
  nsgate_namespace ns = {42};
  STATUS(nsgate_namespace_open_path(gate, NSGATE_STR("/none/such"), &ns, &error), NSGATE_OS, &error, "a path without a file");
  EQUAL(error.os_error, ENOENT, "ENOENT");
  STATUS(nsgate_namespace_open_path(gate, NSGATE_STR("/proc/self/ns/net"), &ns, &error), NSGATE_INVALID_ARGUMENT,
         &error, "a network namespace");
  STATUS(nsgate_namespace_open_path(gate, NSGATE_STR("/proc/self/stat"), &ns, &error), NSGATE_INVALID_ARGUMENT,
         &error, "a file");
  STATUS(nsgate_namespace_open_path(gate, NSGATE_STR("/"), &ns, &error), NSGATE_INVALID_ARGUMENT, &error, "a directory");
  STATUS(nsgate_namespace_open_pid(gate, 0, &ns, &error), NSGATE_INVALID_ARGUMENT, &error, "process 0");
  STATUS(nsgate_namespace_open_pid(gate, INT32_MIN, &ns, &error), NSGATE_INVALID_ARGUMENT, &error, "a negative process");
  STATUS(nsgate_namespace_open_pid(gate, INT32_MAX, &ns, &error), NSGATE_OS, &error, "a process that there is not");
  EQUAL(error.os_error, ENOENT, "ENOENT");
  STATUS(nsgate_namespace_open_fd(gate, -1, &ns, &error), NSGATE_OS, &error, "-1");
  EQUAL(error.os_error, EBADF, "EBADF");
  STATUS(nsgate_namespace_open_fd(gate, 1 << 20, &ns, &error), NSGATE_OS, &error, "a number that is no descriptor");
  int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  NEED(fd >= 0, "open");
  STATUS(nsgate_namespace_open_fd(gate, fd, &ns, &error), NSGATE_INVALID_ARGUMENT, &error, "a descriptor of another kind");
  CHECK(fcntl(fd, F_GETFD) >= 0, "it stays the caller's");
  close(fd);
  EQUAL(ns.id, 42, "none of them wrote the output");
}

static void mount_inside(void *user_data) {
  int *result = user_data;
  *result = mount("nsgate-ffi", volume_path(), "tmpfs", 0, "size=1m") != 0 ? errno : 0;
}

static void seen_inside(void *user_data) {
  struct stat *result = user_data;
  if (stat(volume_path(), result) != 0) result->st_dev = 0;
}

static void made(nsgate_gate gate) {
  nsgate_error error;
  nsgate_namespace ns, other;
  nsgate_namespace_id id, other_id;
  struct stat outside, inside;
  NEED(stat(volume_path(), &outside) == 0, "stat");
  OK(nsgate_namespace_create(gate, &ns, &error), &error, "a namespace is made");
  OK(nsgate_namespace_create(gate, &other, &error), &error, "and another");
  OK(nsgate_namespace_identify(ns, &id, &error), &error, "the one is identified");
  OK(nsgate_namespace_identify(other, &other_id, &error), &error, "and the other");
  CHECK(id.inode != other_id.inode && id.inode != current_namespace(), "they are others than the process's");
  CHECK(id.ns_id == 0 || id.ns_id != other_id.ns_id, "their ids, too, if the kernel has them");
  seen_inside(&inside);
  OK(nsgate_namespace_run(ns, seen_inside, &inside, &error), &error, "it has the process's mounts");
  CHECK(inside.st_dev == outside.st_dev, "as they are");
  int result = -1;
  OK(nsgate_namespace_run(ns, mount_inside, &result, &error), &error, "something is mounted in it");
  EQUAL(result, 0, "without an error");
  OK(nsgate_namespace_run(ns, seen_inside, &inside, &error), &error, "it is there in the next run");
  CHECK(inside.st_dev != outside.st_dev, "with a file system of its own");
  OK(nsgate_namespace_run(other, seen_inside, &inside, &error), &error, "the other namespace");
  CHECK(inside.st_dev == outside.st_dev, "does not have it");
  NEED(stat(volume_path(), &inside) == 0, "stat");
  CHECK(inside.st_dev == outside.st_dev, "nor has the process");
  uint64_t ticket = 0;
  nsgate_event event;
  OK(nsgate_namespace_release(ns, &ticket, &error), &error, "the one is released");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "under a ticket");
  EQUAL(event.kind, NSGATE_KIND_NAMESPACE, "as a namespace");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "released");
  STATUS(nsgate_namespace_release(ns, &ticket, &error), NSGATE_INVALID_HANDLE, &error, "its handle has ended");
  STATUS(nsgate_namespace_identify(ns, &id, &error), NSGATE_INVALID_HANDLE, &error, "for everything");
  release(other);
}

static void full(void) {
  nsgate_error error;
  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.capacity = 1;
  nsgate_gate gate;
  nsgate_namespace ns, none = {42};
  OK(nsgate_gate_open(&options, &gate, &error), &error, "a gate with one place");
  OK(nsgate_namespace_open_current(gate, &ns, &error), &error, "is taken by a namespace");
  STATUS(nsgate_namespace_create(gate, &none, &error), NSGATE_FULL, &error, "another finds it full");
  EQUAL(none.id, 42, "and gets no handle");
  release(ns);
  close_gate(gate);
}

void test_namespaces(void) {
  nsgate_gate gate = open_gate();
  opened(gate);
  refused(gate);
  made(gate);
  close_gate(gate);
  full();
}
