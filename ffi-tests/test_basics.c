/* Rules 25, 27 and 29: versions, statuses, errors, strings. */
#define _GNU_SOURCE
#include "harness.h"

#include <errno.h>

static void version(void) {
  char text[64];
  snprintf(text, sizeof text, "%d.%d.%d", NSGATE_VERSION_MAJOR, NSGATE_VERSION_MINOR, NSGATE_VERSION_PATCH);
  CHECK(strcmp(text, NSGATE_VERSION) == 0, "the version's parts are those of NSGATE_VERSION");
  CHECK(strcmp(nsgate_version(), NSGATE_VERSION) == 0, "header and library are of the same version");
}

static void names(void) {
  static const struct {
    nsgate_status status;
    const char *name;
  } all[] = {
#define NAME(status) {status, #status}
      NAME(NSGATE_OK),           NAME(NSGATE_INVALID_ARGUMENT), NAME(NSGATE_INVALID_HANDLE),
      NAME(NSGATE_INVALID_STATE), NAME(NSGATE_CLOSED),          NAME(NSGATE_FULL),
      NAME(NSGATE_NOT_FOUND),    NAME(NSGATE_ALREADY_EXISTS),   NAME(NSGATE_WRONG_THREAD),
      NAME(NSGATE_WRONG_ORDER),  NAME(NSGATE_WRONG_LIFECYCLE),  NAME(NSGATE_TAINTED),
      NAME(NSGATE_WOULD_DEADLOCK), NAME(NSGATE_TIMED_OUT),      NAME(NSGATE_UNSUPPORTED),
      NAME(NSGATE_OS),           NAME(NSGATE_PANIC),            NAME(NSGATE_CALLBACK_FAILED),
  };
  int wrong = 0;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    wrong += strcmp(nsgate_status_name(all[i].status), all[i].name) != 0;
    wrong += all[i].status != (nsgate_status)i;
  }
  EQUAL(wrong, 0, "every status has its number and its name");
  CHECK(strcmp(nsgate_status_name(18), "NSGATE_UNKNOWN") == 0, "the status after the last is unknown");
  CHECK(strcmp(nsgate_status_name(-1), "NSGATE_UNKNOWN") == 0, "so is a negative one");
  CHECK(strcmp(nsgate_status_name(INT32_MIN), "NSGATE_UNKNOWN") == 0, "so is the smallest");
}

static void errors(nsgate_gate gate) {
  nsgate_error error, before;
  memset(&error, 0x5a, sizeof error);
  before = error;
  nsgate_chroot chroot;
  OK(nsgate_chroot_open(gate, volume(), NULL, &chroot, &error), &error, "a chroot opens");
  CHECK(memcmp(&error, &before, sizeof error) == 0, "success leaves the error alone");

  STATUS(nsgate_chroot_mkdir(chroot, NSGATE_STR("none/such"), 0755, &error), NSGATE_OS, &error,
         "a failed system call is NSGATE_OS");
  EQUAL(error.status, NSGATE_OS, "the error has the status");
  EQUAL(error.os_error, ENOENT, "and the errno");
  CHECK(strstr(error.message, "ENOENT") != NULL, "and names it: %s", error.message);
  STATUS(nsgate_chroot_mkdir(chroot, NSGATE_STR("none/such"), 0755, NULL), NSGATE_OS, NULL,
         "without an error the status is the same");

  char path[1000];
  memset(path, 'x', sizeof path);
  nsgate_string long_name = {path, sizeof path};
  STATUS(nsgate_chroot_mkdir(chroot, long_name, 0755, &error), NSGATE_OS, &error, "a name that is too long");
  EQUAL(error.os_error, ENAMETOOLONG, "has its errno");
  CHECK(strlen(error.message) < sizeof error.message, "a long message is cut, and ends in a NUL");
  for (size_t i = 0; i + 1 < sizeof path; i += 2) memcpy(path + i, "\xc3\xa4", 2);
  (void)nsgate_chroot_mkdir(chroot, long_name, 0755, &error);
  size_t length = strlen(error.message);
  CHECK(length > 0 && (unsigned char)error.message[length - 1] != 0xc3, "it is cut between two characters");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

static void strings(nsgate_gate gate) {
  nsgate_error error;
  nsgate_chroot chroot = open_chroot(gate);
  nsgate_stat stat;
  nsgate_string empty = {NULL, 0}, nowhere = {NULL, 5}, huge = {"x", SIZE_MAX}, negative = {"x", SIZE_MAX / 2 + 1};
  nsgate_string nul = {"a\0b", 3}, last = {"ab", 3}, odd = {"\xff\xfe", 2}, part = {"directory/x", 9};
  STATUS(nsgate_chroot_stat(chroot, empty, &stat, &error), NSGATE_OS, &error, "NULL with length 0 is the empty path");
  EQUAL(error.os_error, ENOENT, "which is ENOENT, as it is to stat(2)");
  STATUS(nsgate_chroot_stat(chroot, nowhere, &stat, &error), NSGATE_INVALID_ARGUMENT, &error, "NULL with a length is none");
  STATUS(nsgate_chroot_stat(chroot, huge, &stat, &error), NSGATE_INVALID_ARGUMENT, &error, "nor is one of SIZE_MAX bytes");
  STATUS(nsgate_chroot_stat(chroot, negative, &stat, &error), NSGATE_INVALID_ARGUMENT, &error, "nor one of half of that");
  STATUS(nsgate_chroot_stat(chroot, nul, &stat, &error), NSGATE_INVALID_ARGUMENT, &error, "nor one with a NUL inside");
  STATUS(nsgate_chroot_stat(chroot, last, &stat, &error), NSGATE_INVALID_ARGUMENT, &error, "nor one with a NUL at its end");
  OK(nsgate_chroot_mkdir(chroot, odd, 0755, &error), &error, "a path need not be UTF-8");
  OK(nsgate_chroot_remove(chroot, odd, &error), &error, "and is found again");
  OK(nsgate_chroot_mkdir(chroot, part, 0755, &error), &error, "a string ends at its length");
  OK(nsgate_chroot_stat(chroot, NSGATE_STR("directory"), &stat, &error), &error, "and not behind it");
  OK(nsgate_chroot_remove(chroot, NSGATE_STR("directory"), &error), &error, "NSGATE_STR is as long as its literal");

  nsgate_map map;
  nsgate_sandbox sandbox;
  OK(nsgate_map_create(gate, &map, &error), &error, "a map");
  STATUS(nsgate_map_register(map, odd, NSGATE_STR("life"), NULL, NULL, &sandbox, &error), NSGATE_INVALID_ARGUMENT,
         &error, "an id is UTF-8");
  OK(nsgate_map_free(map, &error), &error, "the map is freed");
  OK(nsgate_chroot_free(chroot, &error), &error, "the chroot is freed");
}

void test_basics(void) {
  version();
  names();
  nsgate_gate gate = open_gate();
  errors(gate);
  strings(gate);
  close_gate(gate);
}
