/* TAP and the surroundings of the tests. */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static unsigned number, failed;
static char directory[200];
static char volume_directory[240];

unsigned checks(void) { return number; }
unsigned failures(void) { return failed; }

static void report(bool passed, const char *file, int line, const char *format, va_list arguments) {
  number++;
  printf("%s %u - ", passed ? "ok" : "not ok", number);
  vprintf(format, arguments);
  printf("\n");
  if (!passed) {
    failed++;
    printf("#   at %s:%d\n", file, line);
  }
  fflush(stdout);
}

void check(bool passed, const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report(passed, file, line, format, arguments);
  va_end(arguments);
}

void check_equal(int64_t is, int64_t wanted, const char *file, int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report(is == wanted, file, line, format, arguments);
  va_end(arguments);
  if (is != wanted) printf("#   is %lld, should be %lld\n", (long long)is, (long long)wanted);
}

void check_status(nsgate_status is, nsgate_status wanted, const nsgate_error *error, const char *file,
                  int line, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report(is == wanted, file, line, format, arguments);
  va_end(arguments);
  if (is != wanted) {
    printf("#   is %s, should be %s\n", nsgate_status_name(is), nsgate_status_name(wanted));
    if (error != NULL && is != NSGATE_OK) printf("#   %s\n", error->message);
  }
}

void need(bool done, const char *file, int line, const char *format, ...) {
  if (done) return;
  int reason = errno;
  printf("Bail out! ");
  va_list arguments;
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf(" (at %s:%d; errno %d, %s)\n", file, line, reason, strerror(reason));
  fflush(stdout);
  exit(99);
}

nsgate_string string(const char *text) {
  nsgate_string string = {text, strlen(text)};
  return string;
}

const char *volume_path(void) { return volume_directory; }
nsgate_string volume(void) { return string(volume_directory); }

bool under_valgrind(void) { return getenv("NSGATE_VALGRIND") != NULL; }

void set_up(void) {
  const char *where = getenv("TMPDIR");
  snprintf(directory, sizeof directory, "%s/nsgate-ffi-XXXXXX", where == NULL ? "/tmp" : where);
  NEED(mkdtemp(directory) != NULL, "mkdtemp");
  /* The runner gives us a mount namespace of our own; this is for whoever starts us by hand. */
  NEED(unshare(CLONE_NEWNS) == 0, "unshare: run as root, or by tests/in-namespace");
  NEED(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "making the mounts private");
  snprintf(volume_directory, sizeof volume_directory, "%s/volume", directory);
  NEED(mkdir(volume_directory, 0755) == 0, "mkdir %s", volume_directory);
  NEED(mount("nsgate-ffi", volume_directory, "tmpfs", 0, "size=16m") == 0, "mounting a tmpfs");
}

void tear_down(void) {
  NEED(umount2(volume_directory, UMOUNT_NOFOLLOW) == 0, "umount %s", volume_directory);
  NEED(rmdir(volume_directory) == 0 && rmdir(directory) == 0, "rmdir %s", directory);
}

nsgate_gate open_gate(void) {
  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.capacity = 4096;
  options.event_capacity = 1024;
  options.namespace_threads = 4;
  nsgate_gate gate = {0};
  nsgate_error error;
  nsgate_status status = nsgate_gate_open(&options, &gate, &error);
  NEED(status == NSGATE_OK, "nsgate_gate_open: %s: %s", nsgate_status_name(status), error.message);
  return gate;
}

void close_gate(nsgate_gate gate) {
  nsgate_report report;
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  nsgate_error error;
  OK(nsgate_gate_close(gate, LONG_TIME, &report, &error), &error, "the gate closes");
  EQUAL(report.remaining, 0, "nothing remains when it does");
  OK(nsgate_gate_free(gate, &error), &error, "and is freed");
}

nsgate_chroot open_chroot(nsgate_gate gate) {
  nsgate_chroot chroot = {0};
  nsgate_error error;
  nsgate_status status = nsgate_chroot_open(gate, volume(), NULL, &chroot, &error);
  NEED(status == NSGATE_OK, "nsgate_chroot_open: %s: %s", nsgate_status_name(status), error.message);
  return chroot;
}

static long count_entries(const char *path) {
  DIR *entries = opendir(path);
  NEED(entries != NULL, "opendir %s", path);
  long count = 0;
  for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
    if (entry->d_name[0] != '.') count++;
  closedir(entries);
  return count;
}

struct inventory take_inventory(void) {
  struct inventory now;
  now.threads = count_entries("/proc/self/task");
  now.descriptors = count_entries("/proc/self/fd");
  FILE *mounts = fopen("/proc/self/mountinfo", "re");
  NEED(mounts != NULL, "mountinfo");
  now.mounts = 0;
  for (int c; (c = getc(mounts)) != EOF;) now.mounts += c == '\n';
  fclose(mounts);
  return now;
}

bool same_file(const char *one, const char *other) {
  struct stat a, b;
  if (stat(one, &a) != 0 || stat(other, &b) != 0) return false;
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

static bool all_threads_are_home(void) {
  DIR *tasks = opendir("/proc/self/task");
  NEED(tasks != NULL, "/proc/self/task");
  bool home = true;
  for (struct dirent *task; (task = readdir(tasks)) != NULL;) {
    if (task->d_name[0] == '.') continue;
    static const char *const what[] = {"ns/mnt", "root", "cwd"};
    for (size_t i = 0; i < 3; i++) {
      char one[300], other[64];
      snprintf(one, sizeof one, "/proc/self/task/%s/%s", task->d_name, what[i]);
      snprintf(other, sizeof other, "/proc/self/%s", what[i]);
      /* A thread that has ended meanwhile is nowhere. */
      if (!same_file(one, other) && access(one, F_OK) == 0) {
        printf("#   thread %s is elsewhere: %s\n", task->d_name, what[i]);
        home = false;
      }
    }
  }
  closedir(tasks);
  return home;
}

void check_inventory(const struct inventory *before, const char *group) {
  struct inventory now = take_inventory();
  for (int i = 0; i < 6000; i++) {
    if (now.threads <= before->threads && now.descriptors <= before->descriptors) break;
    pause_shortly();
    now = take_inventory();
  }
  EQUAL(now.threads, before->threads, "%s: as many threads as before", group);
  EQUAL(now.descriptors, before->descriptors, "%s: as many descriptors as before", group);
  EQUAL(now.mounts, before->mounts, "%s: as many mounts as before", group);
  CHECK(all_threads_are_home(), "%s: every thread stands where the process does", group);
}

int add(volatile int *counter, int more) { return __atomic_add_fetch(counter, more, __ATOMIC_SEQ_CST); }
int get(const volatile int *counter) { return __atomic_load_n(counter, __ATOMIC_SEQ_CST); }
void count_destroyed(void *user_data) { add(&((struct counter *)user_data)->destroyed, 1); }

void pause_shortly(void) {
  struct timespec pause = {0, 10000000};
  nanosleep(&pause, NULL);
}

bool wait_for(const volatile int *counter, int wanted) {
  for (int i = 0; i < 6000; i++) {
    if (get(counter) >= wanted) return true;
    pause_shortly();
  }
  return false;
}

struct task {
  void (*function)(void *argument);
  void *argument;
};
static void *run_task(void *argument) {
  struct task *task = argument;
  task->function(task->argument);
  return NULL;
}
void on_a_thread(void (*function)(void *argument), void *argument) {
  struct task task = {function, argument};
  pthread_t thread;
  NEED(pthread_create(&thread, NULL, run_task, &task) == 0, "pthread_create");
  NEED(pthread_join(thread, NULL) == 0, "pthread_join");
}

uint64_t current_namespace(void) {
  struct stat now;
  return stat("/proc/thread-self/ns/mnt", &now) == 0 ? now.st_ino : 0;
}

bool drop_capabilities(uint32_t which) {
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct sets[2];
  if (syscall(SYS_capget, &header, sets) != 0) return false;
  sets[0].effective &= ~which;
  sets[0].permitted &= ~which;
  return syscall(SYS_capset, &header, sets) == 0;
}
bool drop_sys_admin(void) { return drop_capabilities(1u << CAP_SYS_ADMIN); }
