/* File operations: each once as it should, and once as it should not; then the confinement. Rule 8. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define S(literal) NSGATE_STR(literal)

static nsgate_chroot chroot_;
static nsgate_error error;

/* A failed system call with this errno. */
#define FAILS(call, number, ...)                                  \
  do {                                                            \
    STATUS(call, NSGATE_OS, &error, __VA_ARGS__);                 \
    EQUAL(error.os_error, number, "with %s", strerrorname_np(number)); \
  } while (0)
#define DOES(call, ...) OK(call, &error, __VA_ARGS__)

static nsgate_stat get_stat(nsgate_string path) {
  nsgate_stat stat;
  memset(&stat, 0, sizeof stat);
  NEED(nsgate_chroot_lstat(chroot_, path, &stat, &error) == NSGATE_OK, "%s", error.message);
  return stat;
}

static void make_file(nsgate_string path, const char *content) {
  int fd = -1;
  NEED(nsgate_chroot_open_file(chroot_, path, O_WRONLY | O_CREAT | O_EXCL, 0644, &fd, &error) == NSGATE_OK, "%s", error.message);
  NEED(write(fd, content, strlen(content)) == (ssize_t)strlen(content), "write");
  close(fd);
}

static void opening(void) {
  int fd = -1;
  char content[8] = "";
  DOES(nsgate_chroot_open_file(chroot_, S("file"), O_RDWR | O_CREAT | O_EXCL, 0640, &fd, &error), "a file is made");
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "closed on exec");
  EQUAL(write(fd, "hello", 5), 5, "it is written to");
  close(fd);
  nsgate_stat stat = get_stat(S("file"));
  EQUAL(stat.mode, S_IFREG | 0640, "it has its mode");
  EQUAL(stat.size, 5, "and its size");
  fd = -1;
  FAILS(nsgate_chroot_open_file(chroot_, S("file"), O_RDWR | O_CREAT | O_EXCL, 0640, &fd, &error), EEXIST, "it is not made twice");
  FAILS(nsgate_chroot_open_file(chroot_, S("none"), O_RDONLY, 0, &fd, &error), ENOENT, "what is not there is not opened");
  FAILS(nsgate_chroot_open_file(chroot_, S("file/x"), O_RDONLY, 0, &fd, &error), ENOTDIR, "nor what is below a file");
  EQUAL(fd, -1, "no descriptor was written");
  DOES(nsgate_chroot_open_file(chroot_, S("/./file"), O_RDONLY, 0, &fd, &error), "paths begin at the volume");
  EQUAL(read(fd, content, 5), 5, "it is read");
  CHECK(memcmp(content, "hello", 5) == 0, "with what was written");
  close(fd);
  DOES(nsgate_chroot_create(chroot_, S("file"), 0600, &fd, &error), "it is created again");
  CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && fcntl(fd, F_GETFL) % 4 == O_RDWR, "to be read and written");
  close(fd);
  stat = get_stat(S("file"));
  CHECK(stat.size == 0 && stat.mode == (S_IFREG | 0640), "it is empty, and as it was");
  DOES(nsgate_chroot_create(chroot_, S("created"), 0604, &fd, &error), "one that was not there is created");
  close(fd);
  EQUAL(get_stat(S("created")).mode, S_IFREG | 0604, "with its mode");
  DOES(nsgate_chroot_remove(chroot_, S("created"), &error), "it is removed");
  fd = -1;
  FAILS(nsgate_chroot_create(chroot_, S("none/file"), 0600, &fd, &error), ENOENT, "nothing is created where no directory is");
  EQUAL(fd, -1, "no descriptor was written");
  DOES(nsgate_chroot_open_file(chroot_, S("."), O_RDWR | O_TMPFILE, 0600, &fd, &error), "a file without a name");
  close(fd);
}

static void looking(void) {
  nsgate_stat stat, other;
  nsgate_statfs statfs;
  char buffer[64];
  size_t length = 0;
  DOES(nsgate_chroot_symlink(chroot_, S("file"), S("link"), &error), "a link is made");
  FAILS(nsgate_chroot_symlink(chroot_, S("file"), S("link"), &error), EEXIST, "once");
  DOES(nsgate_chroot_stat(chroot_, S("link"), &stat, &error), "its target is looked at");
  DOES(nsgate_chroot_stat(chroot_, S("file"), &other, &error), "and so is that itself");
  EQUAL(stat.inode, other.inode, "it is the same");
  DOES(nsgate_chroot_lstat(chroot_, S("link"), &stat, &error), "the link itself is looked at");
  EQUAL(stat.mode & S_IFMT, S_IFLNK, "it is a link");
  DOES(nsgate_chroot_read_link(chroot_, S("link"), buffer, sizeof buffer, &length, &error), "its target is read");
  CHECK(length == 4 && memcmp(buffer, "file", 4) == 0, "as it was written");
  memset(buffer, '#', sizeof buffer);
  DOES(nsgate_chroot_read_link(chroot_, S("link"), buffer, 2, &length, &error), "into a short buffer");
  CHECK(length == 4 && memcmp(buffer, "fi##", 4) == 0, "which takes what fits, and tells the length");
  DOES(nsgate_chroot_read_link(chroot_, S("link"), NULL, 0, &length, &error), "into none");
  EQUAL(length, 4, "which tells the length");
  FAILS(nsgate_chroot_read_link(chroot_, S("file"), buffer, 2, &length, &error), EINVAL, "a file is no link");
  DOES(nsgate_chroot_real_path(chroot_, S("./link"), buffer, sizeof buffer, &length, &error), "the real path");
  CHECK(length == 5 && memcmp(buffer, "/file", 5) == 0, "is the target's: %.*s", (int)length, buffer);
  FAILS(nsgate_chroot_real_path(chroot_, S("none"), buffer, sizeof buffer, &length, &error), ENOENT, "of nothing there is none");
  DOES(nsgate_chroot_statfs(chroot_, S("file"), &statfs, &error), "the file system is looked at");
  EQUAL(statfs.type, 0x01021994, "it is a tmpfs");
  EQUAL(statfs.blocks * (uint64_t)statfs.fragment_size, 16 << 20, "of 16 MiB");
  EQUAL(statfs.name_length, 255, "with names of 255 bytes");
}

static void tree(void) {
  nsgate_stat stat;
  DOES(nsgate_chroot_mkdir(chroot_, S("directory"), 0750, &error), "a directory is made");
  EQUAL(get_stat(S("directory")).mode, S_IFDIR | 0750, "with its mode");
  FAILS(nsgate_chroot_mkdir(chroot_, S("directory"), 0750, &error), EEXIST, "once");
  DOES(nsgate_chroot_mkdir_all(chroot_, S("a/b/c"), 0755, &error), "three are made at once");
  DOES(nsgate_chroot_mkdir_all(chroot_, S("a/b/c"), 0755, &error), "those that are there are no failure");
  FAILS(nsgate_chroot_mkdir_all(chroot_, S("file/b"), 0755, &error), ENOTDIR, "a file is");
  FAILS(nsgate_chroot_remove(chroot_, S("a"), &error), ENOTEMPTY, "a full directory is not removed");
  make_file(S("a/b/file"), "x");
  DOES(nsgate_chroot_remove(chroot_, S("a/b/file"), &error), "a file is");
  DOES(nsgate_chroot_remove(chroot_, S("a/b/c"), &error), "and an empty directory");
  FAILS(nsgate_chroot_remove(chroot_, S("a/b/c"), &error), ENOENT, "once");
  make_file(S("a/b/file"), "x");
  DOES(nsgate_chroot_symlink(chroot_, S("/file"), S("a/link"), &error), "a link out of the directory");
  DOES(nsgate_chroot_remove_all(chroot_, S("a"), &error), "the directory goes with all that is in it");
  STATUS(nsgate_chroot_stat(chroot_, S("a"), &stat, &error), NSGATE_OS, &error, "it is gone");
  DOES(nsgate_chroot_stat(chroot_, S("file"), &stat, &error), "what the link led to is not");
  DOES(nsgate_chroot_remove_all(chroot_, S("a"), &error), "nothing there is no failure");
}

static void naming(void) {
  nsgate_stat stat;
  make_file(S("one"), "1");
  make_file(S("two"), "22");
  STATUS(nsgate_chroot_rename(chroot_, S("one"), S("two"), 4, &error), NSGATE_INVALID_ARGUMENT, &error, "unknown flags are refused");
  FAILS(nsgate_chroot_rename(chroot_, S("one"), S("two"), NSGATE_RENAME_NOREPLACE, &error), EEXIST, "a name that is taken");
  DOES(nsgate_chroot_rename(chroot_, S("one"), S("two"), NSGATE_RENAME_EXCHANGE, &error), "both change places");
  EQUAL(get_stat(S("one")).size, 2, "this is the other");
  DOES(nsgate_chroot_rename(chroot_, S("one"), S("two"), 0, &error), "one takes the other's place");
  FAILS(nsgate_chroot_rename(chroot_, S("one"), S("two"), 0, &error), ENOENT, "and is gone");
  STATUS(nsgate_chroot_rename(chroot_, S("two"), S("one"), 3, &error), NSGATE_OS, &error, "both flags contradict each other");
  EQUAL(error.os_error, EINVAL, "EINVAL");
  DOES(nsgate_chroot_link(chroot_, S("two"), S("second"), &error), "a second name");
  EQUAL(get_stat(S("two")).link_count, 2, "makes two");
  FAILS(nsgate_chroot_link(chroot_, S("none"), S("third"), &error), ENOENT, "of nothing there is none");
  FAILS(nsgate_chroot_link(chroot_, S("two"), S("second"), &error), EEXIST, "nor one that is taken");
  DOES(nsgate_chroot_remove(chroot_, S("second"), &error), "it is removed");
  DOES(nsgate_chroot_stat(chroot_, S("two"), &stat, &error), "the first is not");
  DOES(nsgate_chroot_remove(chroot_, S("two"), &error), "it is");
}

static void attributes(void) {
  nsgate_time access = {-5, 999999999, 0}, modification = {INT64_C(1) << 33, 1, 0}, odd = {0, 1000000000, 0},
              reserved = {0, 0, 1}, now = {0, UTIME_NOW, 0};
  DOES(nsgate_chroot_chmod(chroot_, S("link"), 0600 | S_ISGID, &error), "the mode is set");
  EQUAL(get_stat(S("file")).mode, S_IFREG | 0600 | S_ISGID, "of the link's target");
  DOES(nsgate_chroot_chown(chroot_, S("link"), 0, UINT32_MAX, &error), "the owner is set");
  DOES(nsgate_chroot_lchown(chroot_, S("link"), UINT32_MAX, 0, &error), "and the link's group");
  EQUAL(get_stat(S("file")).uid, 0, "as it was");
  FAILS(nsgate_chroot_chmod(chroot_, S("none"), 0600, &error), ENOENT, "of nothing there is none");
  FAILS(nsgate_chroot_chown(chroot_, S("none"), 0, 0, &error), ENOENT, "nor an owner");
  DOES(nsgate_chroot_set_times(chroot_, S("file"), &access, &modification, 0, &error), "the times are set");
  nsgate_stat stat = get_stat(S("file"));
  CHECK(stat.access.seconds == -5 && stat.access.nanoseconds == 999999999, "before 1970, to the nanosecond");
  CHECK(stat.modification.seconds == INT64_C(1) << 33 && stat.modification.nanoseconds == 1, "and beyond 2038");
  DOES(nsgate_chroot_set_times(chroot_, S("file"), NULL, &now, 0, &error), "one of them is set to now");
  stat = get_stat(S("file"));
  CHECK(stat.access.seconds == -5 && stat.modification.seconds != INT64_C(1) << 33, "and the other is left");
  DOES(nsgate_chroot_set_times(chroot_, S("link"), &access, &access, NSGATE_TIMES_NOFOLLOW, &error), "the link's own are set");
  EQUAL(get_stat(S("link")).modification.seconds, -5, "as asked");
  CHECK(get_stat(S("file")).modification.seconds != -5, "and not its target's");
  STATUS(nsgate_chroot_set_times(chroot_, S("file"), &odd, NULL, 0, &error), NSGATE_INVALID_ARGUMENT, &error, "a second of nanoseconds is refused");
  STATUS(nsgate_chroot_set_times(chroot_, S("file"), &reserved, NULL, 0, &error), NSGATE_INVALID_ARGUMENT, &error, "so is a reserved field that is not 0");
  STATUS(nsgate_chroot_set_times(chroot_, S("file"), NULL, NULL, 2, &error), NSGATE_INVALID_ARGUMENT, &error, "so are unknown flags");
  DOES(nsgate_chroot_truncate(chroot_, S("file"), 100, &error), "it is made longer");
  EQUAL(get_stat(S("file")).size, 100, "by zeros");
  DOES(nsgate_chroot_truncate(chroot_, S("file"), 2, &error), "and shorter");
  EQUAL(get_stat(S("file")).size, 2, "by bytes");
  FAILS(nsgate_chroot_truncate(chroot_, S("file"), -1, &error), EINVAL, "but not negative");
}

static void temporary(void) {
  int fd = -1, other = -1;
  char path[64], second[64];
  size_t length = 0, second_length = 0;
  DOES(nsgate_chroot_temp_file(chroot_, S("directory"), S("x*.tmp"), &fd, path, sizeof path, &length, &error), "a temporary file");
  CHECK(fd >= 0 && (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0, "is open, and closed on exec");
  DOES(nsgate_chroot_temp_file(chroot_, S("directory"), S("x*.tmp"), &other, second, sizeof second, &second_length, &error), "another");
  nsgate_string name = {path, length};
  CHECK(length > 10 && memcmp(path + length - 4, ".tmp", 4) == 0, "its name: %.*s", (int)length, path);
  CHECK(length != second_length || memcmp(path, second, length) != 0, "it has another");
  EQUAL(get_stat(name).mode, S_IFREG | 0600, "it is for its owner");
  fd = close(fd) == 0 && close(other) == 0 ? -1 : 0;
  STATUS(nsgate_chroot_temp_file(chroot_, S("directory"), S("x"), &fd, path, 41, &length, &error), NSGATE_INVALID_ARGUMENT, &error,
         "a buffer that may be too short for the name is refused");
  EQUAL(fd, -1, "and no file is made");
  DOES(nsgate_chroot_temp_file(chroot_, S("directory"), S("x"), &fd, path, 42, &length, &error), "one that is just long enough is taken");
  close(fd);
  FAILS(nsgate_chroot_temp_file(chroot_, S("none"), S("x"), &fd, path, sizeof path, &length, &error), ENOENT, "no directory, no file");
  DOES(nsgate_chroot_remove_all(chroot_, S("directory"), &error), "all are removed");
}

static void confined(void) {
  nsgate_stat root = get_stat(S("/")), stat;
  int fd = -1;
  EQUAL(get_stat(S("../../..")).inode, root.inode, "\"..\" stops at the volume's root");
  EQUAL(get_stat(S("/../file")).inode, get_stat(S("file")).inode, "wherever it stands");
  DOES(nsgate_chroot_symlink(chroot_, S("/file"), S("absolute"), &error), "an absolute link");
  DOES(nsgate_chroot_stat(chroot_, S("absolute"), &stat, &error), "is followed");
  EQUAL(stat.inode, get_stat(S("file")).inode, "from the volume's root");
  DOES(nsgate_chroot_symlink(chroot_, S("/proc/self/root/etc/passwd"), S("out"), &error), "a link to the host");
  FAILS(nsgate_chroot_open_file(chroot_, S("out"), O_RDONLY, 0, &fd, &error), ENOENT, "leads nowhere");
  DOES(nsgate_chroot_symlink(chroot_, S("loop"), S("loop"), &error), "a loop");
  FAILS(nsgate_chroot_stat(chroot_, S("loop"), &stat, &error), ELOOP, "is found out");
  const char *const links[] = {"absolute", "out", "loop", "link", "file"};
  for (size_t i = 0; i < sizeof links / sizeof links[0]; i++) DOES(nsgate_chroot_remove(chroot_, string(links[i]), &error), "%s is removed", links[i]);
}

static void after_release(void) {
  int fd = -1;
  char byte = 0;
  make_file(S("kept"), "k");
  DOES(nsgate_chroot_open_file(chroot_, S("kept"), O_RDONLY, 0, &fd, &error), "a file is opened");
  DOES(nsgate_chroot_remove(chroot_, S("kept"), &error), "and removed");
  DOES(nsgate_chroot_release(chroot_, NULL, &error), "the chroot is released");
  EQUAL(read(fd, &byte, 1), 1, "its descriptor is still good");
  close(fd);
}

void test_files(void) {
  nsgate_gate gate = open_gate();
  chroot_ = open_chroot(gate);
  umask(0);
  opening();
  looking();
  tree();
  naming();
  attributes();
  temporary();
  confined();
  after_release();
  umask(022);
  DOES(nsgate_chroot_free(chroot_, &error), "the chroot is freed");
  close_gate(gate);
}
