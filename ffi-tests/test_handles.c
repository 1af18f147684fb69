/* Rules 24, 25 and 28: every function of the header with NULL in every pointer, and with handles that
 * are none. The table of functions is made from the header. */
#define _GNU_SOURCE
#include "harness.h"

#include <fcntl.h>
#include <unistd.h>

enum { MOST_ARGUMENTS = 8, SCRATCH = 65536, CAPACITY = 64, HANDLE_KINDS = 8 };

union argument {
  uint64_t id;
  void *as_pointer;
  nsgate_gate as_nsgate_gate;
  nsgate_job as_nsgate_job;
  nsgate_namespace as_nsgate_namespace;
  nsgate_entered as_nsgate_entered;
  nsgate_chroot as_nsgate_chroot;
  nsgate_directory as_nsgate_directory;
  nsgate_map as_nsgate_map;
  nsgate_sandbox as_nsgate_sandbox;
  nsgate_string as_nsgate_string;
  int as_int;
  int32_t as_int32_t;
  int64_t as_int64_t;
  uint32_t as_uint32_t;
  uint64_t as_uint64_t;
  size_t as_size_t;
  nsgate_destroy_function as_nsgate_destroy_function;
  nsgate_event_function as_nsgate_event_function;
  nsgate_job_function as_nsgate_job_function;
  nsgate_run_function as_nsgate_run_function;
  nsgate_done_function as_nsgate_done_function;
};

enum parameter_kind { HANDLE, STRING, SCALAR, REQUIRED, OPTIONAL, REQUIRED_INPUT, OPTIONAL_INPUT };

struct parameter {
  enum parameter_kind kind;
  const char *type, *name;
  size_t size; /* of a struct that is pointed to */
};

struct function {
  const char *name;
  nsgate_status (*call)(union argument *a, nsgate_error *error);
  int count;
  struct parameter parameters[MOST_ARGUMENTS];
};

#include "calls.h"

static const char *const kinds[HANDLE_KINDS] = {
    "nsgate_gate",   "nsgate_job",       "nsgate_namespace", "nsgate_entered",
    "nsgate_chroot", "nsgate_directory", "nsgate_map",       "nsgate_sandbox",
};
static uint64_t valid[HANDLE_KINDS], stale[HANDLE_KINDS];
static _Alignas(16) unsigned char scratch[MOST_ARGUMENTS][SCRATCH];

static int kind_of(const char *type) {
  for (int kind = 0; kind < HANDLE_KINDS; kind++)
    if (strcmp(kinds[kind], type) == 0) return kind;
  NEED(false, "%s is no handle", type);
  return -1;
}

static void on_event(void *user_data, const nsgate_event *event) { (void)user_data, (void)event; }
static int32_t job(void *user_data) { return (void)user_data, 0; }
static void run(void *user_data) { (void)user_data; }
static void done(void *user_data, nsgate_status status, const nsgate_error *error) {
  (void)user_data, (void)status, (void)error;
}
static void destroy(void *user_data) {
  (void)user_data;
  NEED(false, "destroy was called although the call failed");
}

/* The structs that start with their size. */
static bool extensible(const char *type) {
  static const char *const types[] = {"nsgate_gate_options",      "nsgate_features",   "nsgate_report",
                                      "nsgate_stats",             "nsgate_subscriber", "nsgate_subscriber_stats",
                                      "nsgate_sandbox_details",   "nsgate_chroot_options"};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (strcmp(types[i], type) == 0) return true;
  return false;
}

/* Arguments that are all as they should be. */
static void fill(const struct function *function, union argument *a) {
  for (int i = 0; i < function->count; i++) {
    const struct parameter *p = &function->parameters[i];
    bool input = p->kind == REQUIRED_INPUT || p->kind == OPTIONAL_INPUT;
    memset(&a[i], 0, sizeof a[i]);
    memset(scratch[i], input ? 0 : 0xa5, SCRATCH);
    if (extensible(p->type)) {
      uint32_t size = (uint32_t)p->size;
      memcpy(scratch[i], &size, sizeof size);
    }
    if (strcmp(p->type, "nsgate_address") == 0) memcpy(scratch[i], ADDRESS(9), sizeof(nsgate_address));
    if (p->kind == HANDLE) a[i].id = valid[kind_of(p->type)];
    else if (p->kind == STRING) a[i].as_nsgate_string = NSGATE_STR("name");
    else if (strcmp(p->type, "nsgate_destroy_function") == 0) a[i].as_nsgate_destroy_function = destroy;
    else if (strcmp(p->type, "nsgate_event_function") == 0) a[i].as_nsgate_event_function = on_event;
    else if (strcmp(p->type, "nsgate_job_function") == 0) a[i].as_nsgate_job_function = job;
    else if (strcmp(p->type, "nsgate_run_function") == 0) a[i].as_nsgate_run_function = run;
    else if (strcmp(p->type, "nsgate_done_function") == 0) a[i].as_nsgate_done_function = done;
    else if (p->kind != SCALAR) a[i].as_pointer = scratch[i];
    else if (strcmp(p->type, "size_t") == 0) a[i].as_size_t = CAPACITY;
    else if (strcmp(p->name, "pid") == 0) a[i].as_int32_t = getpid();
  }
}

/* Whether no output was written. */
static bool untouched(const struct function *function) {
  for (int i = 0; i < function->count; i++) {
    const struct parameter *p = &function->parameters[i];
    if (p->kind != REQUIRED && p->kind != OPTIONAL) continue;
    for (size_t byte = extensible(p->type) ? 4 : 0; byte < SCRATCH; byte++)
      if (scratch[i][byte] != 0xa5) return false;
  }
  return true;
}

static bool told(const nsgate_error *error, nsgate_status status) {
  return error->status == status && error->message[0] != 0 &&
         memchr(error->message, 0, sizeof error->message) != NULL;
}

static void null_pointers(const struct function *function) {
  int wrong = 0, tried = 0;
  for (int i = 0; i < function->count; i++) {
    const struct parameter *p = &function->parameters[i];
    if (p->kind != REQUIRED && p->kind != REQUIRED_INPUT && p->kind != STRING) continue;
    union argument a[MOST_ARGUMENTS];
    fill(function, a);
    if (p->kind == STRING) a[i].as_nsgate_string.data = NULL;
    else memset(&a[i], 0, sizeof a[i]);
    nsgate_error error;
    memset(&error, 0, sizeof error);
    nsgate_status status = function->call(a, &error);
    bool right = status == NSGATE_INVALID_ARGUMENT && told(&error, status) && untouched(function);
    if (!right) printf("#   %s is NULL: %s, %s\n", p->name, nsgate_status_name(status), error.message);
    wrong += !right;
    tried++;
  }
  EQUAL(wrong, 0, "%s: NULL in each of %d pointers that must not be", function->name, tried);
}

static uint64_t random_number(void) {
  static uint64_t state = 0x9e3779b97f4a7c15;
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return state;
}

static bool refused(const struct function *function, int at, uint64_t id) {
  union argument a[MOST_ARGUMENTS];
  fill(function, a);
  a[at].id = id;
  nsgate_error error;
  memset(&error, 0, sizeof error);
  nsgate_status status = function->call(a, &error);
  bool right = status == NSGATE_INVALID_HANDLE && told(&error, status) && untouched(function);
  if (!right)
    printf("#   %s %#llx: %s, %s\n", function->parameters[at].name, (unsigned long long)id,
           nsgate_status_name(status), error.message);
  return right;
}

static void bad_handles(const struct function *function) {
  int wrong = 0, handles = 0;
  for (int i = 0; i < function->count; i++) {
    if (function->parameters[i].kind != HANDLE) continue;
    handles++;
    int own = kind_of(function->parameters[i].type);
    wrong += !refused(function, i, 0);
    wrong += !refused(function, i, UINT64_MAX);
    wrong += !refused(function, i, stale[own]);
    wrong += !refused(function, i, valid[own] ^ 1);
    wrong += !refused(function, i, valid[own] + (UINT64_C(1) << 24));
    for (int kind = 0; kind < HANDLE_KINDS; kind++)
      if (kind != own) wrong += !refused(function, i, valid[kind]);
    for (int round = 0; round < 16; round++) {
      uint64_t number = random_number();
      /* Once with all bits random, once with only the kind right. */
      wrong += !refused(function, i, number);
      wrong += !refused(function, i, (number >> 8 & ~UINT64_C(0xffff)) | (valid[own] >> 56 << 56) | 0x8000);
    }
  }
  if (handles > 0) EQUAL(wrong, 0, "%s: zero, stale, foreign and random handles", function->name);
}

static void nothing_at_all(const struct function *function) {
  union argument a[MOST_ARGUMENTS];
  memset(a, 0, sizeof a);
  nsgate_status status = function->call(a, NULL);
  CHECK(status == NSGATE_INVALID_ARGUMENT || status == NSGATE_INVALID_HANDLE,
        "%s: with nothing but zeros, error included", function->name);
}

/* One object of each kind, and one of each kind that has ended. */
static void make(nsgate_gate gate, uint64_t *ids, const char *life) {
  nsgate_error error;
  nsgate_job a_job;
  nsgate_namespace ns;
  nsgate_entered entered;
  nsgate_directory directory;
  nsgate_map map;
  nsgate_sandbox sandbox;
  nsgate_chroot chroot = open_chroot(gate);
  NEED(nsgate_job_reserve(gate, NSGATE_STR("job"), job, NULL, NULL, &a_job, &error) == 0, "%s", error.message);
  NEED(nsgate_namespace_open_current(gate, &ns, &error) == 0, "%s", error.message);
  NEED(nsgate_namespace_enter(ns, &entered, &error) == 0, "%s", error.message);
  NEED(nsgate_chroot_open_directory(chroot, NSGATE_STR("/"), &directory, &error) == 0, "%s", error.message);
  NEED(nsgate_map_create(gate, &map, &error) == 0, "%s", error.message);
  NEED(nsgate_map_register(map, NSGATE_STR("s"), string(life), NULL, NULL, &sandbox, &error) == 0, "%s",
       error.message);
  uint64_t made[HANDLE_KINDS] = {gate.id,   a_job.id,     ns.id,  entered.id,
                                 chroot.id, directory.id, map.id, sandbox.id};
  memcpy(ids, made, sizeof made);
}

static void end(uint64_t *ids) {
  nsgate_error error;
  nsgate_job a_job = {ids[1]};
  nsgate_namespace ns = {ids[2]};
  nsgate_entered entered = {ids[3]};
  nsgate_chroot chroot = {ids[4]};
  nsgate_directory directory = {ids[5]};
  nsgate_map map = {ids[6]};
  nsgate_sandbox sandbox = {ids[7]};
  OK(nsgate_sandbox_free(sandbox, &error), &error, "the sandbox is still valid, and is freed");
  OK(nsgate_map_free(map, &error), &error, "so is the map");
  OK(nsgate_directory_close(directory, &error), &error, "so is the directory");
  OK(nsgate_entered_restore(entered, &error), &error, "so is the stay");
  OK(nsgate_namespace_release(ns, NULL, &error), &error, "so is the namespace");
  OK(nsgate_job_free(a_job, &error), &error, "so is the job");
  OK(nsgate_chroot_free(chroot, &error), &error, "so is the chroot");
}

void test_handles(void) {
  nsgate_gate old = open_gate(), gate = open_gate();
  make(old, stale, "old");
  end(stale);
  close_gate(old);
  make(gate, valid, "new");
  for (int i = 0; i < FUNCTIONS; i++) null_pointers(&functions[i]);
  for (int i = 0; i < FUNCTIONS; i++) bad_handles(&functions[i]);
  for (int i = 0; i < FUNCTIONS; i++) nothing_at_all(&functions[i]);
  EQUAL(FUNCTIONS, HEADER_FUNCTIONS - 3, "all functions that answer with a status were called: not its name, the version and the count of address changes");
  end(valid);
  close_gate(gate);
}
