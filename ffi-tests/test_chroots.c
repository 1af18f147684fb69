/* Rules 5, 7, 9, 11 and 12: opening with options, refusing after the release, steps before it. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static nsgate_chroot open_with(nsgate_gate gate, uint32_t flags) {
  nsgate_error error;
  nsgate_chroot_options options = {sizeof options, flags};
  nsgate_chroot chroot = {0};
  OK(nsgate_chroot_open(gate, volume(), &options, &chroot, &error), &error, "a chroot with flags %#x", flags);
  return chroot;
}

static void free_chroot(nsgate_chroot chroot) {
  nsgate_error error;
  OK(nsgate_chroot_free(chroot, &error), &error, "it is freed");
}

static uint64_t mount_flags(nsgate_chroot chroot) {
  nsgate_statfs statfs;
  nsgate_error error;
  NEED(nsgate_chroot_statfs(chroot, NSGATE_STR("/"), &statfs, &error) == NSGATE_OK, "%s", error.message);
  return statfs.flags & (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC);
}

static void options(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_with(gate, 0);
  EQUAL(mount_flags(chroot), ST_NOSUID | ST_NODEV, "without flags it is nosuid and nodev");
  OK(nsgate_chroot_mkdir(chroot, NSGATE_STR("made"), 0755, &error), &error, "and can be written to");
  OK(nsgate_chroot_symlink(chroot, NSGATE_STR("made"), NSGATE_STR("link"), &error), &error, "with a link");
  free_chroot(chroot);
  nsgate_chroot_options none = {sizeof none, 256};
  STATUS(nsgate_chroot_open(gate, volume(), &none, &chroot, &error), NSGATE_INVALID_ARGUMENT, &error, "unknown flags are refused");

  chroot = open_with(gate, NSGATE_CHROOT_ALLOW_SUID | NSGATE_CHROOT_ALLOW_DEVICES);
  EQUAL(mount_flags(chroot), 0, "which allows both");
  free_chroot(chroot);
  chroot = open_with(gate, NSGATE_CHROOT_READ_ONLY | NSGATE_CHROOT_NOEXEC);
  EQUAL(mount_flags(chroot), ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC, "which is what it says");
  STATUS(nsgate_chroot_mkdir(chroot, NSGATE_STR("more"), 0755, &error), NSGATE_OS, &error, "and refuses changes");
  EQUAL(error.os_error, EROFS, "EROFS");
  free_chroot(chroot);

  nsgate_stat stat;
  chroot = open_with(gate, NSGATE_CHROOT_NOSYMFOLLOW);
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("made"), &stat, &error), &error, "a directory is found in it");
  STATUS(nsgate_chroot_stat(chroot, NSGATE_STR("link"), &stat, &error), NSGATE_OS, &error, "a link is not followed");
  EQUAL(error.os_error, ELOOP, "ELOOP");
  free_chroot(chroot);
}

static void devices(nsgate_gate gate) {
  nsgate_error error;
  char path[256];
  snprintf(path, sizeof path, "%s/null", volume_path());
  /* Not in a user namespace. */
  if (mknod(path, S_IFCHR | 0666, 1 << 8 | 3) != 0) return;
  int fd = -1;
  nsgate_chroot chroot = open_with(gate, 0);
  STATUS(nsgate_chroot_open_file(chroot, NSGATE_STR("null"), O_RDONLY, 0, &fd, &error), NSGATE_OS, &error, "a device is refused");
  EQUAL(error.os_error, EACCES, "EACCES");
  free_chroot(chroot);
  chroot = open_with(gate, NSGATE_CHROOT_ALLOW_DEVICES);
  OK(nsgate_chroot_open_file(chroot, NSGATE_STR("null"), O_RDONLY, 0, &fd, &error), &error, "and opened where they are allowed");
  close(fd);
  free_chroot(chroot);
  NEED(unlink(path) == 0, "unlink");
}

static bool sees(nsgate_chroot chroot, const char *path) {
  nsgate_stat stat;
  return nsgate_chroot_stat(chroot, string(path), &stat, NULL) == NSGATE_OK;
}

static void submounts(nsgate_gate gate) {
  nsgate_error error;
  char path[256], later[256], file[300];
  snprintf(path, sizeof path, "%s/below", volume_path());
  snprintf(later, sizeof later, "%s/later", volume_path());
  NEED(mkdir(path, 0755) == 0 && mkdir(later, 0755) == 0, "mkdir");
  NEED(mount(NULL, volume_path(), NULL, MS_SHARED, NULL) == 0, "making the volume shared");
  NEED(mount("nsgate-ffi", path, "tmpfs", 0, "size=1m") == 0, "mounting below");
  snprintf(file, sizeof file, "%s/file", path);
  NEED(mkdir(file, 0755) == 0, "mkdir");
  nsgate_chroot all = open_with(gate, 0), top = open_with(gate, NSGATE_CHROOT_NOT_RECURSIVE),
                slave = open_with(gate, NSGATE_CHROOT_SLAVE);
  nsgate_namespace_id id;
  OK(nsgate_chroot_identify(slave, &id, &error), &error, "a slave is in a namespace");
  CHECK(sees(all, "below/file"), "what is mounted below the volume is in it");
  CHECK(!sees(top, "below/file"), "unless it is not recursive");
  NEED(mount("nsgate-ffi", later, "tmpfs", 0, "size=1m") == 0, "mounting later");
  snprintf(file, sizeof file, "%s/file", later);
  NEED(mkdir(file, 0755) == 0, "mkdir");
  CHECK(sees(slave, "later/file"), "what is mounted later appears in a slave");
  CHECK(!sees(all, "later/file"), "and not in a private one");
  free_chroot(all);
  free_chroot(top);
  free_chroot(slave);
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "all are released");
  NEED(umount(later) == 0 && umount(path) == 0 && rmdir(later) == 0 && rmdir(path) == 0, "unmounting what the host has");
  NEED(mount(NULL, volume_path(), NULL, MS_PRIVATE, NULL) == 0, "making the volume private");
}

static void sources(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = {42};
  char path[256], link[256];
  STATUS(nsgate_chroot_open(gate, NSGATE_STR("/none/such"), NULL, &chroot, &error), NSGATE_OS, &error, "a volume that is not there");
  EQUAL(error.os_error, ENOENT, "ENOENT");
  STATUS(nsgate_chroot_open(gate, NSGATE_STR("/proc/self/stat"), NULL, &chroot, &error), NSGATE_OS, &error, "a file");
  EQUAL(error.os_error, ENOTDIR, "ENOTDIR");
  STATUS(nsgate_chroot_open(gate, NSGATE_STR(""), NULL, &chroot, &error), NSGATE_INVALID_ARGUMENT, &error, "no name at all");
  EQUAL(chroot.id, 42, "none of them wrote the output");
  snprintf(path, sizeof path, "%s/made", volume_path());
  snprintf(link, sizeof link, "%s/link", volume_path());
  OK(nsgate_chroot_open(gate, string(link), NULL, &chroot, &error), &error, "a path that ends in a link is opened as given");
  free_chroot(chroot);
  nsgate_chroot_options nofollow = {sizeof nofollow, NSGATE_CHROOT_NOFOLLOW};
  const char *behind[] = {"", "/", "/."};
  for (size_t i = 0; i < sizeof behind / sizeof *behind; i++) {
    char through[300];
    snprintf(through, sizeof through, "%s%s", link, behind[i]);
    STATUS(nsgate_chroot_open(gate, string(through), &nofollow, &chroot, &error), NSGATE_OS, &error, "and refused if asked for, with \"%s\" behind it", behind[i]);
    EQUAL(error.os_error, ELOOP, "ELOOP");
  }
  OK(nsgate_chroot_open(gate, string(path), &nofollow, &chroot, &error), &error, "which does not touch others");
  free_chroot(chroot);
  NEED(unlink(link) == 0 && rmdir(path) == 0, "cleaning up");
}

static void inside(void *user_data) { add(user_data, 1); }

struct opening {
  nsgate_chroot outer, inner;
  nsgate_status status;
  nsgate_error error;
};

static void open_within(void *user_data) {
  struct opening *opening = user_data;
  opening->status = nsgate_chroot_open_chroot(opening->outer, NSGATE_STR("in"), NULL, &opening->inner, &opening->error);
}

static void nested(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot outer = open_with(gate, NSGATE_CHROOT_READ_ONLY | NSGATE_CHROOT_NOFOLLOW), other = open_with(gate, 0), inner = {42};
  nsgate_chroot_options nofollow = {sizeof nofollow, NSGATE_CHROOT_NOFOLLOW}, none = {sizeof none, 256};
  OK(nsgate_chroot_mkdir_all(other, NSGATE_STR("in/side"), 0755, &error), &error, "a directory in a directory");
  OK(nsgate_chroot_symlink(other, NSGATE_STR("/in"), NSGATE_STR("link"), &error), &error, "a link to it");
  STATUS(nsgate_chroot_open_chroot(outer, NSGATE_STR("none"), NULL, &inner, &error), NSGATE_OS, &error, "a directory that is not there");
  EQUAL(error.os_error, ENOENT, "ENOENT");
  STATUS(nsgate_chroot_open_chroot(outer, NSGATE_STR("link"), &nofollow, &inner, &error), NSGATE_OS, &error, "a link that must not be followed");
  EQUAL(error.os_error, ELOOP, "ELOOP");
  STATUS(nsgate_chroot_open_chroot(outer, NSGATE_STR("in"), &none, &inner, &error), NSGATE_INVALID_ARGUMENT, &error, "unknown flags are refused");
  EQUAL(inner.id, 42, "none of them wrote the output");
  for (int after = 0; after <= 1; after++) {
    volatile int ran = 0;
    OK(nsgate_chroot_open_chroot(outer, NSGATE_STR("link"), NULL, &inner, &error), &error, "a directory %s a run", after ? "after" : "before");
    CHECK(sees(inner, "/side") && !sees(inner, "/in"), "is the root of a chroot");
    EQUAL(mount_flags(inner), ST_RDONLY | ST_NOSUID | ST_NODEV, "with what the outer one refuses");
    OK(nsgate_chroot_run(inner, inside, (void *)&ran, &error), &error, "a function runs in it");
    EQUAL(get(&ran), 1, "once");
    free_chroot(inner);
    OK(nsgate_chroot_run(outer, inside, (void *)&ran, &error), &error, "one runs in the outer one");
  }
  struct opening opening = {.outer = outer};
  OK(nsgate_chroot_run(other, open_within, &opening, &error), &error, "a function opens one from inside another");
  OK(opening.status, &opening.error, "it is open");
  OK(nsgate_chroot_release(outer, NULL, &error), &error, "the outer one is released");
  STATUS(nsgate_chroot_open_chroot(outer, NSGATE_STR("in"), NULL, &inner, &error), NSGATE_CLOSED, &error, "and opens no more");
  CHECK(sees(opening.inner, "side"), "the inner one stays");
  free_chroot(opening.inner);
  free_chroot(outer);
  OK(nsgate_chroot_remove_all(other, NSGATE_STR("in"), &error), &error, "cleaning up");
  OK(nsgate_chroot_remove(other, NSGATE_STR("link"), &error), &error, "cleaning up");
  free_chroot(other);
}

static int32_t step(void *user_data) { return add(&((struct counter *)user_data)->calls, 1), 0; }
static int32_t failing(void *user_data) { return add(&((struct counter *)user_data)->calls, 1), EIO; }

static void released(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  uint32_t closed = 7;
  uint64_t ticket = 0, told = 42;
  volatile int ran = 0;
  struct counter none = {0, 0};
  nsgate_namespace_id id;
  nsgate_stat stat;
  nsgate_directory directory;
  OK(nsgate_chroot_is_closed(chroot, &closed, &error), &error, "a chroot is asked");
  EQUAL(closed, 0, "it is open");
  STATUS(nsgate_chroot_cancel_release(chroot, &error), NSGATE_INVALID_STATE, &error, "there is no release to cancel");
  OK(nsgate_chroot_ticket(chroot, &told, &error), &error, "its ticket is asked for");
  EQUAL(told, 0, "there is none");
  OK(nsgate_chroot_release(chroot, &ticket, &error), &error, "it is released");
  OK(nsgate_chroot_ticket(chroot, &told, &error), &error, "its ticket is asked for again");
  CHECK(ticket != 0 && told == ticket, "it is the release's");
  OK(nsgate_chroot_is_closed(chroot, &closed, &error), &error, "it is asked again");
  EQUAL(closed, 1, "it is closed");
  STATUS(nsgate_chroot_release(chroot, NULL, &error), NSGATE_CLOSED, &error, "it is released once");
  STATUS(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), NSGATE_CLOSED, &error, "it refuses file operations");
  STATUS(nsgate_chroot_open_directory(chroot, NSGATE_STR("/"), &directory, &error), NSGATE_CLOSED, &error, "and directories");
  STATUS(nsgate_chroot_run(chroot, inside, (void *)&ran, &error), NSGATE_CLOSED, &error, "and functions");
  EQUAL(get(&ran), 0, "which do not run");
  STATUS(nsgate_chroot_identify(chroot, &id, &error), NSGATE_CLOSED, &error, "and has no namespace");
  STATUS(nsgate_chroot_before_release(chroot, step, &none, count_destroyed, &error), NSGATE_CLOSED, &error, "nor a step before the release");
  EQUAL(get(&none.destroyed), 0, "which was not taken");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, NULL, &error), &error, "it ends");
  STATUS(nsgate_chroot_cancel_release(chroot, &error), NSGATE_INVALID_STATE, &error, "what has ended is not cancelled");
  free_chroot(chroot);
  STATUS(nsgate_chroot_is_closed(chroot, &closed, &error), NSGATE_INVALID_HANDLE, &error, "its handle has ended");
}

static void steps(nsgate_gate gate) {
  nsgate_error error;
  struct counter good = {0, 0}, bad = {0, 0}, second = {0, 0}, unused = {0, 0};
  nsgate_event event;
  uint64_t ticket;
  nsgate_chroot chroot = open_chroot(gate);
  OK(nsgate_chroot_before_release(chroot, step, &good, count_destroyed, &error), &error, "a step before the release");
  STATUS(nsgate_chroot_before_release(chroot, step, &second, count_destroyed, &error), NSGATE_INVALID_STATE, &error, "there is one at most");
  OK(nsgate_chroot_release(chroot, &ticket, &error), &error, "the release");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "ends");
  EQUAL(get(&good.calls), 1, "the step ran once");
  EQUAL(event.before_release_failed, 0, "and did not fail");
  CHECK(wait_for(&good.destroyed, 1), "its user data is destroyed");
  free_chroot(chroot);
  chroot = open_chroot(gate);
  OK(nsgate_chroot_before_release(chroot, failing, &bad, count_destroyed, &error), &error, "a step that fails");
  OK(nsgate_chroot_release(chroot, &ticket, &error), &error, "the release");
  OK(nsgate_gate_wait(gate, ticket, LONG_TIME, &event, &error), &error, "ends all the same");
  EQUAL(event.outcome, NSGATE_OUTCOME_RELEASED, "as released");
  EQUAL(event.before_release_failed, 1, "it says that the step failed");
  EQUAL(event.before_release_os_error, EIO, "and how");
  CHECK(wait_for(&bad.destroyed, 1), "its user data is destroyed");
  free_chroot(chroot);
  chroot = open_chroot(gate);
  OK(nsgate_chroot_before_release(chroot, step, &unused, count_destroyed, &error), &error, "a step");
  free_chroot(chroot);
  CHECK(wait_for(&unused.destroyed, 1), "also runs where the free releases");
  EQUAL(get(&unused.calls), 1, "once");
  EQUAL(get(&good.destroyed) + get(&bad.destroyed) + get(&unused.destroyed) + get(&second.destroyed), 3, "each once");
}

static int32_t hold(void *user_data) {
  volatile int *let_go = user_data;
  while (get(let_go) == 0) pause_shortly();
  return 0;
}

static void cancelled(void) {
  nsgate_error error;
  nsgate_gate_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.blocking_workers = 1;
  nsgate_gate gate;
  nsgate_job blocker;
  nsgate_stat stat;
  volatile int let_go = 0;
  struct counter counter = {0, 0};
  OK(nsgate_gate_open(&options, &gate, &error), &error, "a gate with one worker that may block");
  nsgate_chroot chroot = open_chroot(gate);
  NEED(nsgate_job_reserve(gate, NSGATE_STR("blocker"), hold, (void *)&let_go, NULL, &blocker, &error) == 0, "reserve");
  OK(nsgate_chroot_before_release(chroot, step, &counter, count_destroyed, &error), &error, "a chroot whose release starts there");
  OK(nsgate_job_submit(blocker, NULL, &error), &error, "a job keeps the worker");
  OK(nsgate_chroot_release(chroot, NULL, &error), &error, "the chroot is released");
  STATUS(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), NSGATE_CLOSED, &error, "and refuses work");
  OK(nsgate_chroot_cancel_release(chroot, &error), &error, "its release is cancelled");
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("/"), &stat, &error), &error, "and it works again");
  EQUAL(get(&counter.calls), 0, "its step has not run");
  OK(nsgate_chroot_release(chroot, NULL, &error), &error, "it is released again");
  add(&let_go, 1);
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "and gone");
  EQUAL(get(&counter.calls), 1, "after its step");
  CHECK(wait_for(&counter.destroyed, 1), "whose user data is destroyed");
  free_chroot(chroot);
  OK(nsgate_job_free(blocker, &error), &error, "the job is freed");
  close_gate(gate);
}

static void many(nsgate_gate gate) {
  enum { MOST = 2000 };
  static nsgate_chroot chroots[MOST];
  int count = under_valgrind() ? 100 : MOST, wrong = 0;
  nsgate_error error;
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "all is quiet");
  struct stat before, after;
  NEED(stat(volume_path(), &before) == 0, "stat");
  struct inventory then = take_inventory();
  for (int i = 0; i < count; i++) chroots[i] = open_chroot(gate);
  struct inventory now = take_inventory();
  CHECK(now.threads <= then.threads, "%d chroots take no thread", count);
  CHECK(now.descriptors - then.descriptors <= count, "and one descriptor each, %ld in all", now.descriptors - then.descriptors);
  EQUAL(now.mounts, then.mounts, "and no mount of the host's");
  NEED(stat(volume_path(), &after) == 0, "stat");
  CHECK(before.st_mtim.tv_sec == after.st_mtim.tv_sec && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
            before.st_nlink == after.st_nlink,
        "the volume is as before");
  for (int i = 0; i < count; i++) wrong += nsgate_chroot_free(chroots[i], NULL) != NSGATE_OK;
  EQUAL(wrong, 0, "all are freed");
}

void test_chroots(void) {
  nsgate_gate gate = open_gate();
  options(gate);
  devices(gate);
  sources(gate);
  nested(gate);
  submounts(gate);
  released(gate);
  steps(gate);
  many(gate);
  close_gate(gate);
  cancelled();
}
