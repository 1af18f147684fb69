/* Reading directories: every entry once, whatever the buffer; nothing lost when it is too small. */
#define _GNU_SOURCE
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 2000 };

static int entries(void) { return under_valgrind() ? 200 : MOST; }

struct seen {
  unsigned char files[MOST];
  int others, wrong, reads;
};

/* Notes the records of one read. */
static void note(struct seen *seen, const void *buffer, size_t used, bool with_stat) {
  seen->reads++;
  for (size_t at = 0; at < used;) {
    const nsgate_directory_entry *entry = (const void *)((const char *)buffer + at);
    const char *name = NSGATE_ENTRY_NAME(entry);
    int number = -1;
    bool right = entry->record_length % 8 == 0 && entry->record_length >= sizeof *entry + entry->name_length + 1 &&
                 at + entry->record_length <= used && name[entry->name_length] == 0 && strlen(name) == entry->name_length &&
                 entry->has_stat == (with_stat ? 1 : 0) && entry->inode != 0;
    if (right && with_stat) right = entry->stat.inode == entry->inode && entry->stat.mode >> 12 == entry->kind;
    if (right && !with_stat) right = entry->stat.inode == 0 && entry->stat.mode == 0;
    if (sscanf(name, "file-%d", &number) == 1 && number >= 0 && number < MOST && entry->kind == DT_REG) seen->files[number]++;
    else seen->others++;
    seen->wrong += !right;
    if (entry->record_length == 0) return;
    at += entry->record_length;
  }
}

static void check_seen(const struct seen *seen, int others, const char *how) {
  int once = 0;
  for (int i = 0; i < entries(); i++) once += seen->files[i] == 1;
  EQUAL(once, entries(), "%s: every entry once", how);
  EQUAL(seen->others, others, "%s: and no other but those there are", how);
  EQUAL(seen->wrong, 0, "%s: every record is whole", how);
}

static nsgate_directory open_directory(nsgate_chroot chroot, const char *path) {
  nsgate_error error;
  nsgate_directory directory = {0};
  OK(nsgate_chroot_open_directory(chroot, string(path), &directory, &error), &error, "a directory is opened");
  return directory;
}

static void read_all(nsgate_chroot chroot, size_t capacity, uint32_t flags, const char *how) {
  static _Alignas(8) char buffer[1 << 16];
  static struct seen seen;
  nsgate_error error;
  memset(&seen, 0, sizeof seen);
  nsgate_directory directory = open_directory(chroot, "listed");
  size_t used;
  nsgate_status status;
  while ((status = nsgate_directory_read(directory, buffer, capacity, flags, &used, &error)) == NSGATE_OK && used > 0)
    note(&seen, buffer, used, flags != 0);
  OK(status, &error, "%s: it ends", how);
  OK(nsgate_directory_read(directory, buffer, capacity, flags, &used, &error), &error, "%s: more than once", how);
  EQUAL(used, 0, "%s: with nothing", how);
  check_seen(&seen, 2, how);
  OK(nsgate_directory_close(directory, &error), &error, "%s: it is closed", how);
}

static void buffers(nsgate_chroot chroot) {
  static _Alignas(8) char buffer[1024];
  static struct seen seen;
  nsgate_error error;
  memset(&seen, 0, sizeof seen);
  nsgate_directory directory = open_directory(chroot, "listed");
  size_t used = 77;
  STATUS(nsgate_directory_read(directory, buffer, 8, 0, &used, &error), NSGATE_INVALID_ARGUMENT, &error, "a buffer for no entry is refused");
  STATUS(nsgate_directory_read(directory, buffer, 0, 0, &used, &error), NSGATE_INVALID_ARGUMENT, &error, "so is an empty one");
  STATUS(nsgate_directory_read(directory, buffer + 1, 600, 0, &used, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one at an odd address");
  STATUS(nsgate_directory_read(directory, buffer, SIZE_MAX, 0, &used, &error), NSGATE_INVALID_ARGUMENT, &error, "so is one as large as everything");
  STATUS(nsgate_directory_read(directory, buffer, 600, 2, &used, &error), NSGATE_INVALID_ARGUMENT, &error, "so are unknown flags");
  EQUAL(used, 77, "none of them wrote the output");
  while (nsgate_directory_read(directory, buffer, 600, 0, &used, &error) == NSGATE_OK && used > 0) note(&seen, buffer, used, false);
  check_seen(&seen, 2, "after all that");
  OK(nsgate_directory_close(directory, &error), &error, "it is closed");
  STATUS(nsgate_directory_read(directory, buffer, 600, 0, &used, &error), NSGATE_INVALID_HANDLE, &error, "and can not be read any more");
  STATUS(nsgate_directory_close(directory, &error), NSGATE_INVALID_HANDLE, &error, "nor closed");
}

struct reader {
  nsgate_directory directory;
  struct seen seen;
};

static void *read_some(void *argument) {
  struct reader *reader = argument;
  _Alignas(8) char buffer[2048];
  size_t used;
  while (nsgate_directory_read(reader->directory, buffer, sizeof buffer, 0, &used, NULL) == NSGATE_OK && used > 0)
    note(&reader->seen, buffer, used, false);
  return NULL;
}

/* Two threads share one directory: each entry goes to one of them. */
static void shared(nsgate_chroot chroot) {
  static struct reader readers[2];
  nsgate_error error;
  memset(readers, 0, sizeof readers);
  pthread_t threads[2];
  readers[0].directory = readers[1].directory = open_directory(chroot, "listed");
  for (int i = 0; i < 2; i++) NEED(pthread_create(&threads[i], NULL, read_some, &readers[i]) == 0, "pthread_create");
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < MOST; i++) readers[0].seen.files[i] += readers[1].seen.files[i];
  readers[0].seen.others += readers[1].seen.others;
  readers[0].seen.wrong += readers[1].seen.wrong;
  check_seen(&readers[0].seen, 2, "two readers");
  OK(nsgate_directory_close(readers[0].directory, &error), &error, "it is closed");
}

static void odd_ones(nsgate_gate gate, nsgate_chroot chroot) {
  nsgate_error error;
  nsgate_directory directory = {42};
  _Alignas(8) char buffer[1024];
  size_t used;
  STATUS(nsgate_chroot_open_directory(chroot, NSGATE_STR("none"), &directory, &error), NSGATE_OS, &error, "what is not there is not opened");
  EQUAL(error.os_error, ENOENT, "ENOENT");
  STATUS(nsgate_chroot_open_directory(chroot, NSGATE_STR("listed/file-0"), &directory, &error), NSGATE_OS, &error, "nor a file");
  EQUAL(error.os_error, ENOTDIR, "ENOTDIR");
  EQUAL(directory.id, 42, "neither wrote the output");
  directory = open_directory(chroot, "listed/directory");
  OK(nsgate_directory_read(directory, buffer, sizeof buffer, 0, &used, &error), &error, "an empty directory");
  EQUAL(used, 0, "is empty");
  OK(nsgate_directory_close(directory, &error), &error, "it is closed");

  nsgate_chroot other = open_chroot(gate);
  directory = open_directory(other, "listed");
  OK(nsgate_chroot_free(other, &error), &error, "its chroot goes");
  OK(nsgate_gate_fence(gate, LONG_TIME, &error), &error, "for good");
  OK(nsgate_directory_read(directory, buffer, sizeof buffer, NSGATE_DIRECTORY_WITH_STAT, &used, &error), &error, "the directory is still read");
  CHECK(used > 0, "with entries");
  OK(nsgate_directory_close(directory, &error), &error, "it is closed");
}

/* A directory that may be read but not searched: its entries are there, without their stat. */
static void read_unsearchable(void *chroot) {
  nsgate_error error;
  _Alignas(8) char buffer[1024];
  size_t used = 0;
  NEED(drop_capabilities(1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH), "capset");
  nsgate_directory directory = open_directory(*(nsgate_chroot *)chroot, "unsearchable");
  OK(nsgate_directory_read(directory, buffer, sizeof buffer, NSGATE_DIRECTORY_WITH_STAT, &used, &error), &error, "it is read");
  const nsgate_directory_entry *entry = (const void *)buffer;
  bool one = used > 0 && entry->record_length == used;
  CHECK(one, "it has one entry");
  if (one) {
    CHECK(strcmp(NSGATE_ENTRY_NAME(entry), "inside") == 0 && entry->kind == DT_DIR, "with its name and kind");
    CHECK(entry->has_stat == 0 && entry->stat.inode == 0, "without a stat");
  }
  OK(nsgate_directory_read(directory, buffer, sizeof buffer, NSGATE_DIRECTORY_WITH_STAT, &used, &error), &error, "it ends");
  EQUAL(used, 0, "with nothing");
  OK(nsgate_directory_close(directory, &error), &error, "it is closed");
}

static void unsearchable(nsgate_chroot chroot) {
  nsgate_error error;
  OK(nsgate_chroot_mkdir_all(chroot, NSGATE_STR("unsearchable/inside"), 0755, &error), &error, "a directory in a directory");
  OK(nsgate_chroot_chmod(chroot, NSGATE_STR("unsearchable"), 0444, &error), &error, "that may not be searched");
  on_a_thread(read_unsearchable, &chroot);
  OK(nsgate_chroot_remove_all(chroot, NSGATE_STR("unsearchable"), &error), &error, "it is removed");
}

void test_directories(void) {
  nsgate_error error;
  nsgate_gate gate = open_gate();
  nsgate_chroot chroot = open_chroot(gate);
  OK(nsgate_chroot_mkdir_all(chroot, NSGATE_STR("listed/directory"), 0755, &error), &error, "a directory with a directory");
  OK(nsgate_chroot_symlink(chroot, NSGATE_STR("none"), NSGATE_STR("listed/link"), &error), &error, "and a link to nothing");
  for (int i = 0; i < entries(); i++) {
    char path[64];
    int fd = -1;
    snprintf(path, sizeof path, "listed/file-%d", i);
    NEED(nsgate_chroot_open_file(chroot, string(path), O_CREAT | O_WRONLY, 0644, &fd, &error) == NSGATE_OK, "%s", error.message);
    close(fd);
  }
  read_all(chroot, 1 << 16, 0, "a large buffer");
  read_all(chroot, 600, 0, "a small buffer");
  read_all(chroot, 1 << 16, NSGATE_DIRECTORY_WITH_STAT, "with stat");
  read_all(chroot, 600, NSGATE_DIRECTORY_WITH_STAT, "with stat and a small buffer");
  buffers(chroot);
  shared(chroot);
  odd_ones(gate, chroot);
  unsearchable(chroot);
  OK(nsgate_chroot_remove_all(chroot, NSGATE_STR("listed"), &error), &error, "all is removed");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
  close_gate(gate);
}
