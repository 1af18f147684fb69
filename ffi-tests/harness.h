/* What the tests share: TAP, a gate and a volume to work with, and a look at what a test leaves. */
#ifndef HARNESS_H
#define HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nsgate.h"

#define SECOND INT64_C(1000000000)
/* Generous: nothing here takes that long, and no test's result depends on it. */
#define LONG_TIME (60 * SECOND)

/* TAP: one line per check, printed by the main thread only. */
void check(bool passed, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define CHECK(condition, ...) check((condition), __FILE__, __LINE__, __VA_ARGS__)

/* Compares numbers and shows both when they differ. */
void check_equal(int64_t is, int64_t wanted, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
#define EQUAL(is, wanted, ...) check_equal((int64_t)(is), (int64_t)(wanted), __FILE__, __LINE__, __VA_ARGS__)

/* Compares a call's status with what it should be; shows the error's message when it differs. */
void check_status(nsgate_status is, nsgate_status wanted, const nsgate_error *error, const char *file,
                  int line, const char *format, ...) __attribute__((format(printf, 6, 7)));
#define STATUS(is, wanted, error, ...) check_status((is), (wanted), (error), __FILE__, __LINE__, __VA_ARGS__)
#define OK(is, error, ...) STATUS(is, NSGATE_OK, error, __VA_ARGS__)

/* A step without which the rest of the tests means nothing. */
void need(bool done, const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define NEED(condition, ...) need((condition), __FILE__, __LINE__, __VA_ARGS__)

/* The number of checks, and how many of them failed. */
unsigned checks(void);
unsigned failures(void);

/* A gate with small limits, and a tmpfs as volume at volume_path(). */
nsgate_gate open_gate(void);
void close_gate(nsgate_gate gate);
const char *volume_path(void);
nsgate_string volume(void);
nsgate_string string(const char *text);
nsgate_chroot open_chroot(nsgate_gate gate);
/* 10.0.0.last, for the block that it is written in. */
#define ADDRESS(last) (&(nsgate_address){4, {10, 0, 0, last}})

/* Everything is slow then: fewer rounds do. */
bool under_valgrind(void);

/* Whether everything is there for a volume: root, or a user namespace. */
void set_up(void);
void tear_down(void);

/* Threads, descriptors and mounts as they are now. */
struct inventory {
  long threads, descriptors, mounts;
};
struct inventory take_inventory(void);
/* Checks that all of it is as before, after a bounded wait for threads that are ending, and that no
 * thread stands in another namespace, root or working directory. */
void check_inventory(const struct inventory *before, const char *group);

/* Counts calls; a destroy function for user data that is one. */
struct counter {
  volatile int calls;
  volatile int destroyed;
};
void count_destroyed(void *user_data);
int add(volatile int *counter, int number);
int get(const volatile int *counter);
/* Waits until the counter has reached a number, without a time that a test could fail by. */
bool wait_for(const volatile int *counter, int number);
void pause_shortly(void);

/* Runs a function on a thread of its own and waits for it. Checks inside are one at a time then. */
void on_a_thread(void (*function)(void *argument), void *argument);
/* Which mount namespace the calling thread is in. */
uint64_t current_namespace(void);
/* Whether two paths lead to the same file. */
bool same_file(const char *one, const char *other);
/* Gives capabilities of the calling thread up, for good: these bits, or CAP_SYS_ADMIN. */
bool drop_capabilities(uint32_t which);
bool drop_sys_admin(void);

/* The groups. */
void test_basics(void);
void test_structs(void);
void test_handles(void);
void test_gate(void);
void test_queue(void);
void test_jobs(void);
void test_namespaces(void);
void test_entered(void);
void test_thread_ends(void);
void test_chroots(void);
void test_run(void);
void test_files(void);
void test_directories(void);
void test_map(void);
void test_sandboxes(void);
void test_attachments(void);
void test_subscribers(void);
void test_reentry(void);
void test_races(void);
void test_cancellation(void);

#endif
