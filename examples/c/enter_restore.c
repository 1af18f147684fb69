/*
 * Puts this thread into other mount namespaces and brings it back: namespace, root and working
 * directory, from nested visits too.
 *
 *     make lib
 *     cc -std=c99 -Ibuild examples/c/enter_restore.c build/libnsgate.so -Wl,-rpath,$PWD/build
 *     sudo ./a.out
 *
 * Without root: unshare -Urm ./a.out
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "nsgate.h"

#define FILE_INSIDE "/tmp/only-here"

static nsgate_error error;

/* Ends the program unless the call succeeded. */
static void expect(nsgate_status status, const char *what) {
  if (status == NSGATE_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, nsgate_status_name(status), error.message);
  exit(1);
}

/* Where a thread stands. */
struct standing {
  char ns[64], root[64], directory[64];
};

static void read_link(const char *name, char *to, size_t size) {
  char path[64];
  ssize_t length;
  /* Not /proc/self: that is the process's first thread. */
  snprintf(path, sizeof path, "/proc/thread-self/%s", name);
  length = readlink(path, to, size - 1);
  if (length < 0) {
    perror(path);
    exit(1);
  }
  to[length] = 0;
}

static struct standing stand(void) {
  struct standing now;
  memset(&now, 0, sizeof now);
  read_link("ns/mnt", now.ns, sizeof now.ns);
  read_link("root", now.root, sizeof now.root);
  read_link("cwd", now.directory, sizeof now.directory);
  return now;
}

static void print(const char *place) {
  struct standing now = stand();
  const char *note = access(FILE_INSIDE, F_OK) == 0 ? FILE_INSIDE " is there" : FILE_INSIDE " is not there";
  printf("%-30s %-18s %-6s %-10s %s\n", place, now.ns, now.root, now.directory, note);
}

static void write_file(void) {
  FILE *file = fopen(FILE_INSIDE, "w");
  if (file == NULL || fputs("a file that the host never sees", file) == EOF || fclose(file) != 0) {
    perror(FILE_INSIDE);
    exit(1);
  }
}

/* Runs on a namespace thread. */
static void read_file(void *user_data) {
  char *content = user_data;
  FILE *file = fopen(FILE_INSIDE, "r");
  if (file == NULL || fgets(content, 64, file) == NULL) content[0] = 0;
  if (file != NULL) fclose(file);
}

int main(void) {
  nsgate_gate gate;
  nsgate_namespace first, second;
  nsgate_entered entered, nested;
  nsgate_report report;
  struct standing before, after;
  char content[64];

  expect(nsgate_gate_open(NULL, &gate, &error), "opening the gate");
  if (chdir("/tmp") != 0) return perror("/tmp"), 1;
  printf("%-30s %-18s %-6s %-10s note\n", "", "namespace", "root", "cwd");
  before = stand();
  print("outside");

  /* A private copy of this namespace: what is mounted in it shows nowhere else. */
  expect(nsgate_namespace_create(gate, &first, &error), "making a namespace");
  expect(nsgate_namespace_create(gate, &second, &error), "making another");

  expect(nsgate_namespace_enter(first, &entered, &error), "entering the first");
  if (mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, NULL) != 0) return perror("mount"), 1;
  write_file();
  print("in the first");

  /* Stays are bound to the thread and restored last in, first out. */
  expect(nsgate_namespace_enter(second, &nested, &error), "entering the second");
  print("in the second, from the first");
  expect(nsgate_entered_restore(nested, &error), "coming back to the first");
  print("back in the first");

  /* A thread that cannot be brought back must end: here that is the program. */
  expect(nsgate_entered_restore(entered, &error), "coming back");
  print("outside again");
  after = stand();
  if (memcmp(&before, &after, sizeof before) != 0) {
    fprintf(stderr, "namespace, root or working directory is not as before\n");
    return 1;
  }

  /* The short form: a function on a namespace thread; this thread does not move at all. */
  expect(nsgate_namespace_run(first, read_file, content, &error), "running in the first");
  printf("\nrun in the first namespace read: \"%s\"\n", content);

  expect(nsgate_namespace_release(first, NULL, &error), "releasing the first");
  expect(nsgate_namespace_release(second, NULL, &error), "releasing the second");
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  expect(nsgate_gate_close(gate, 10 * INT64_C(1000000000), &report, &error), "closing the gate");
  expect(nsgate_gate_free(gate, &error), "freeing the gate");
  printf("released %llu, remaining %llu\n", (unsigned long long)report.released,
         (unsigned long long)report.remaining);
  return report.remaining != 0;
}
