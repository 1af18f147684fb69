/*
 * An orchestrator in small: 20 sandboxes with 5 volumes each, three subscribers, file operations and
 * functions inside the volumes; then all sandboxes stop at once while one volume's job hangs.
 *
 *     make lib
 *     cc -std=c99 -Ibuild examples/c/sandbox_map.c build/libnsgate.so -Wl,-rpath,$PWD/build
 *     sudo ./a.out [MILLISECONDS THAT THE JOB HANGS]
 *
 * Without root: unshare -Urm ./a.out
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nsgate.h"

enum { SANDBOXES = 20, VOLUMES = 5, HANGING = 7 };
#define SECOND INT64_C(1000000000)

static nsgate_error error;

/* Ends the program unless the call succeeded. */
static void expect(nsgate_status status, const char *what) {
  if (status == NSGATE_OK) return;
  fprintf(stderr, "%s: %s: %s\n", what, nsgate_status_name(status), error.message);
  exit(1);
}

static void need(int done, const char *what) {
  if (done) return;
  perror(what);
  exit(1);
}

static int64_t now(void) {
  struct timespec time;
  need(clock_gettime(CLOCK_MONOTONIC, &time) == 0, "clock_gettime");
  return time.tv_sec * SECOND + time.tv_nsec;
}

static void pause_for(int64_t nanoseconds) {
  struct timespec time;
  time.tv_sec = nanoseconds / SECOND;
  time.tv_nsec = nanoseconds % SECOND;
  while (nanosleep(&time, &time) != 0 && errno == EINTR) continue;
}

/* One line that is written over, on a terminal only; empty at last. */
static void progress(const char *format, ...) {
  va_list arguments;
  if (!isatty(STDOUT_FILENO)) return;
  va_start(arguments, format);
  printf("\r\033[K");
  vprintf(format, arguments);
  va_end(arguments);
  fflush(stdout);
}

static nsgate_string view(const char *text) {
  nsgate_string string;
  string.data = text;
  string.length = strlen(text);
  return string;
}

/* What the orchestrator keeps of a sandbox; the map hands it to every callback. */
struct tenant {
  int number;
  char address[16];
  char volumes[VOLUMES][96];
  nsgate_sandbox sandbox;
  nsgate_chroot chroots[VOLUMES];
  int64_t held;
};

static struct tenant tenants[SANDBOXES];
static char place[64];

static nsgate_address address_of(int number) {
  nsgate_address address = {4, {10, 11, 0, 0}};
  address.bytes[3] = (uint8_t)(2 + number);
  return address;
}

/* The volumes' directories, each filled with the same small tree. */

static void write_file(const char *volume, const char *name, const char *content) {
  char path[256];
  FILE *file;
  snprintf(path, sizeof path, "%s/%s", volume, name);
  file = fopen(path, "w");
  need(file != NULL && fputs(content, file) != EOF && fclose(file) == 0, path);
}

static void fill(const char *volume) {
  static const char *const directories[] = {"", "/etc", "/srv", "/srv/www", "/srv/www/assets", "/var", "/var/cache"};
  char path[256], content[64];
  size_t i;
  for (i = 0; i < sizeof directories / sizeof directories[0]; i++) {
    snprintf(path, sizeof path, "%s%s", volume, directories[i]);
    need(mkdir(path, 0755) == 0, path);
  }
  write_file(volume, "etc/hostname", "sandbox\n");
  for (i = 0; i < 10; i++) {
    snprintf(path, sizeof path, "srv/www/page-%d.html", (int)i);
    snprintf(content, sizeof content, "<title>page %d</title>\n", (int)i);
    write_file(volume, path, content);
  }
  snprintf(path, sizeof path, "%s/current", volume);
  need(symlink("/srv/www", path) == 0, path);
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk) {
  (void)stat, (void)type, (void)walk;
  return remove(path);
}

static void remove_volumes(void) {
  if (nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) fprintf(stderr, "%s is left\n", place);
}

static void make_volumes(void) {
  int number, volume;
  strcpy(place, "/tmp/nsgate-sandbox-map-XXXXXX");
  need(mkdtemp(place) != NULL, "mkdtemp");
  atexit(remove_volumes);
  for (number = 0; number < SANDBOXES; number++) {
    progress("filling the volumes of sandbox %d of %d", number + 1, SANDBOXES);
    tenants[number].number = number;
    snprintf(tenants[number].address, sizeof tenants[number].address, "10.11.0.%d", 2 + number);
    for (volume = 0; volume < VOLUMES; volume++) {
      char *path = tenants[number].volumes[volume];
      snprintf(path, sizeof tenants[number].volumes[volume], "%s/%02d-%d", place, number, volume);
      fill(path);
    }
  }
}

/* The subscribers. The first two are called by the thread that changes the map, which here is one. */

/* Counts the sandboxes that hold a network, and objects to more than are allowed. */
static int present;

static nsgate_status limit(void *limit, nsgate_sandbox sandbox, void *tenant, void *context) {
  (void)sandbox, (void)tenant, (void)context;
  return ++present <= *(int *)limit ? NSGATE_OK : NSGATE_FULL;
}

static nsgate_status one_less(void *limit, nsgate_sandbox sandbox, void *tenant, void *context) {
  (void)limit, (void)sandbox, (void)tenant, (void)context;
  present--;
  return NSGATE_OK;
}

static struct {
  int inserted, released;
} counts;

static nsgate_status count_insert(void *user_data, nsgate_sandbox sandbox, void *tenant, void *context) {
  (void)user_data, (void)sandbox, (void)tenant, (void)context;
  counts.inserted++;
  return NSGATE_OK;
}

static nsgate_status count_release(void *user_data, nsgate_sandbox sandbox, void *tenant, void *context) {
  (void)user_data, (void)sandbox, (void)tenant, (void)context;
  counts.released++;
  return NSGATE_OK;
}

/* Frees its handles when the network goes; the chroots are attached, and are closed by the queue. Its
 * on_release is called by a thread of the library, which alone writes the ends; unsubscribe_wait makes
 * them the main thread's. */
struct ends {
  int count;
  int64_t first, last;
};
static struct ends ends[SANDBOXES];

static nsgate_status free_handles(void *user_data, nsgate_sandbox sandbox, void *tenant, void *context) {
  struct tenant *its = tenant;
  nsgate_status worst = NSGATE_OK, status;
  int volume;
  (void)user_data, (void)sandbox, (void)context;
  for (volume = 0; volume < VOLUMES; volume++) {
    status = nsgate_chroot_free(its->chroots[volume], NULL);
    if (status != NSGATE_OK) worst = status;
  }
  return worst;
}

static nsgate_status note_end(void *user_data, nsgate_sandbox sandbox, void *tenant, const nsgate_event *event) {
  struct ends *end = &((struct ends *)user_data)[((struct tenant *)tenant)->number];
  (void)sandbox;
  end->last = now();
  if (end->count++ == 0) end->first = end->last;
  return event->outcome == NSGATE_OUTCOME_RELEASED ? NSGATE_OK : NSGATE_CALLBACK_FAILED;
}

static uint64_t subscribe(nsgate_map map, const char *name, nsgate_subscriber subscriber) {
  uint64_t subscription;
  subscriber.size = sizeof subscriber;
  expect(nsgate_map_subscribe(map, view(name), &subscriber, &subscription, &error), name);
  return subscription;
}

/* The life of a sandbox. */

static void start(nsgate_map map, struct tenant *tenant) {
  char id[32], life[32];
  const nsgate_address address = address_of(tenant->number);
  snprintf(id, sizeof id, "sandbox-%02d", tenant->number);
  snprintf(life, sizeof life, "life-%02d", tenant->number);
  expect(nsgate_map_register(map, view(id), view(life), tenant, NULL, &tenant->sandbox, &error), id);
  expect(nsgate_sandbox_assign_network(tenant->sandbox, &address, NULL, &error), id);
  expect(nsgate_sandbox_mark_running(tenant->sandbox, NULL, NULL, &error), id);
}

/* Runs inside: its "/" is the volume, so anything that takes paths works in it. */
static void work_inside(void *user_data) {
  char *content = user_data;
  FILE *file = fopen("/srv/www/note", "r");
  content[0] = 0;
  if (file != NULL && fgets(content, 64, file) == NULL) content[0] = 0;
  if (file != NULL) fclose(file);
  file = fopen("/var/log/2026/job", "w");
  if (file != NULL) fputs("a job was here\n", file), fclose(file);
}

static void serve_volume(nsgate_chroot chroot, const char *from) {
  char text[64], content[64];
  ssize_t length;
  int fd;
  snprintf(text, sizeof text, "written for %s\n", from);
  /* File operations: on this thread, confined to the volume. "current" is an absolute symbolic link,
   * and resolves inside. */
  expect(nsgate_chroot_mkdir_all(chroot, NSGATE_STR("var/log/2026"), 0755, &error), "mkdir_all");
  expect(nsgate_chroot_open_file(chroot, NSGATE_STR("/current/note"), O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd, &error), "open");
  need(write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0, "write");
  expect(nsgate_chroot_open_file(chroot, NSGATE_STR("srv/www/../www/note"), O_RDONLY, 0, &fd, &error), "open");
  length = read(fd, content, sizeof content - 1);
  need(length >= 0 && close(fd) == 0, "read");
  content[length] = 0;
  need(strcmp(content, text) == 0, "what was written is read");
  expect(nsgate_chroot_run(chroot, work_inside, content, &error), "run");
  need(strcmp(content, text) == 0, "what was written is read inside");
}

/* As a volume server does it: a request comes from an address, and the sandbox that owns it says which
 * volumes may be opened. */
static void serve(nsgate_gate gate, nsgate_map map, int number) {
  nsgate_sandbox sandbox;
  void *user_data;
  struct tenant *tenant;
  int volume;
  const nsgate_address address = address_of(number);
  expect(nsgate_map_find_by_address(map, &address, &sandbox, &user_data, &error), "finding the sandbox");
  tenant = user_data;
  for (volume = 0; volume < VOLUMES; volume++) {
    nsgate_chroot *chroot = &tenant->chroots[volume];
    expect(nsgate_chroot_open(gate, view(tenant->volumes[volume]), NULL, chroot, &error), "opening a volume");
    expect(nsgate_sandbox_attach(sandbox, *chroot, &error), "attaching it");
    serve_volume(*chroot, tenant->address);
  }
  expect(nsgate_sandbox_free(sandbox, &error), "freeing the reference");
}

static void hang(void *milliseconds) { pause_for(*(int *)milliseconds * (SECOND / 1000)); }
static void hung(void *user_data, nsgate_status status, const nsgate_error *reason) {
  (void)user_data;
  if (status != NSGATE_OK) fprintf(stderr, "the job that hangs: %s\n", reason->message);
}

static int64_t stop_all(void) {
  int64_t began = now();
  int number;
  for (number = 0; number < SANDBOXES; number++) {
    struct tenant *tenant = &tenants[number];
    int64_t before;
    expect(nsgate_sandbox_mark_stopping(tenant->sandbox, NULL, NULL, &error), "stopping");
    before = now();
    expect(nsgate_sandbox_network_released(tenant->sandbox, NULL, NULL, &error), "releasing the network");
    tenant->held = now() - before;
    expect(nsgate_sandbox_mark_stopped(tenant->sandbox, NULL, NULL, &error), "stopped");
    expect(nsgate_sandbox_free(tenant->sandbox, &error), "freeing the sandbox");
  }
  return now() - began;
}

static double milliseconds(int64_t nanoseconds) { return (double)nanoseconds / 1e6; }

/* The longest that a call held the caller. */
static int64_t print_table(int64_t stopped) {
  int64_t longest = 0;
  int number;
  printf("sandbox     address      held the caller  chroots gone  first after  last after\n");
  for (number = 0; number < SANDBOXES; number++) {
    const struct tenant *tenant = &tenants[number];
    const struct ends *end = &ends[number];
    if (tenant->held > longest) longest = tenant->held;
    printf("sandbox-%02d  %-11s  %12.1f us  %7d of %d  %8.2f ms  %7.2f ms%s\n", number, tenant->address,
           (double)tenant->held / 1e3, end->count, VOLUMES, milliseconds(end->first - stopped),
           milliseconds(end->last - stopped), number == HANGING ? "  its job hung" : "");
  }
  return longest;
}

static nsgate_subscriber_stats read_stats(nsgate_map map, uint64_t subscription) {
  nsgate_subscriber_stats stats;
  stats.size = sizeof stats;
  expect(nsgate_map_subscriber_stats(map, subscription, &stats, &error), "reading a subscriber's figures");
  return stats;
}

static void print_subscriber(const char *name, nsgate_subscriber_stats stats) {
  printf("subscriber %-16s %4llu calls, %llu slow, %llu failed, longest %.1f us\n", name, (unsigned long long)stats.calls,
         (unsigned long long)stats.slow, (unsigned long long)(stats.failures + stats.panics), (double)stats.longest_ns / 1e3);
}

int main(int argc, char **argv) {
  int most = SANDBOXES, hanging = argc > 1 ? atoi(argv[1]) : 2000, number;
  const nsgate_subscriber limiter = {0, 0, &most, NULL, limit, one_less, NULL};
  const nsgate_subscriber counter = {0, 0, NULL, NULL, count_insert, count_release, NULL};
  const nsgate_subscriber handler = {0, 0, ends, NULL, NULL, free_handles, note_end};
  static const char *const names[] = {"limiter", "metrics counter", "volume handler"};
  uint64_t subscriptions[3];
  nsgate_subscriber_stats calls[3];
  int64_t stopped, all_held, longest;
  nsgate_gate gate;
  nsgate_map map;
  nsgate_report report;
  nsgate_stats stats;

  make_volumes();
  expect(nsgate_gate_open(NULL, &gate, &error), "opening the gate");
  expect(nsgate_map_create(gate, &map, &error), "making the map");
  subscriptions[0] = subscribe(map, names[0], limiter);
  subscriptions[1] = subscribe(map, names[1], counter);
  subscriptions[2] = subscribe(map, names[2], handler);
  for (number = 0; number < SANDBOXES; number++) {
    progress("starting sandbox %d of %d", number + 1, SANDBOXES);
    start(map, &tenants[number]);
  }
  for (number = 0; number < SANDBOXES; number++) {
    progress("working in sandbox %d of %d", number + 1, SANDBOXES);
    serve(gate, map, number);
  }
  progress("");
  printf("%d sandboxes run with %d chroots; files were written and read back in each.\n", counts.inserted, SANDBOXES * VOLUMES);

  expect(nsgate_chroot_start(tenants[HANGING].chroots[0], hang, hung, &hanging, NULL, &error), "starting the job that hangs");
  printf("A job in %s hangs for %d ms from now on. All sandboxes stop.\n\n", tenants[HANGING].volumes[0], hanging);
  stopped = now();
  all_held = stop_all();
  for (stats.released = 0; stats.released < SANDBOXES * VOLUMES && now() - stopped < 30 * SECOND; pause_for(SECOND / 20)) {
    stats.size = sizeof stats;
    expect(nsgate_gate_stats(gate, &stats, &error), "reading the figures");
    progress("%d of %d chroots are gone", (int)stats.released, SANDBOXES * VOLUMES);
  }
  progress("");
  expect(nsgate_map_wait_idle(map, 10 * SECOND, &error), "waiting for the map");
  memset(&report, 0, sizeof report);
  report.size = sizeof report;
  /* Also waits until the last event is told. */
  expect(nsgate_gate_close(gate, 10 * SECOND, &report, &error), "closing the gate");
  for (number = 0; number < 3; number++) calls[number] = read_stats(map, subscriptions[number]);
  expect(nsgate_map_unsubscribe_wait(map, subscriptions[2], &error), "ending the volume handler");
  expect(nsgate_map_free(map, &error), "freeing the map");
  expect(nsgate_gate_free(gate, &error), "freeing the gate");

  longest = print_table(stopped);
  printf("\nStopping all %d held the caller for %.2f ms, a single one for %.1f us at most.\n", SANDBOXES,
         milliseconds(all_held), (double)longest / 1e3);
  for (number = 0; number < 3; number++) print_subscriber(names[number], calls[number]);
  printf("gate closed: %llu released (%llu verified), %llu failed, %llu abandoned, %llu remaining, %llu stuck\n",
         (unsigned long long)report.released, (unsigned long long)stats.verified, (unsigned long long)report.failed,
         (unsigned long long)report.abandoned, (unsigned long long)report.remaining, (unsigned long long)report.stuck);
  return present != 0 || counts.released != SANDBOXES || report.released != SANDBOXES * VOLUMES || report.remaining != 0;
}
