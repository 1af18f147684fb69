/* The system calls that valgrind does not know: made by a helper process that it does not follow.
 *
 * valgrind 3.19 answers ENOSYS to openat2, open_tree and their like, without which no gate opens. Here
 * `syscall` goes to this file first; those calls are sent to the helper, with the caller's descriptors,
 * namespace, root, working directory and umask, so that they happen for real and as the caller's own.
 * Linked into the valgrind variants only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_DATA = 16384, NAMESPACE = 0, ROOT = 1, DIRECTORY = 2, PLACES = 3, MOST_FDS = PLACES + 2 };

/* f: a descriptor, s: a string, b: a buffer whose size is the next argument, n: a number. */
static const struct call {
  long number;
  const char *arguments;
  bool makes_descriptor;
} calls[] = {
    {437 /* openat2 */, "fsbn", true},        {428 /* open_tree */, "fsn", true},
    {429 /* move_mount */, "fsfsn", false},   {430 /* fsopen */, "sn", true},
    {431 /* fsconfig */, "fnssn", false},     {432 /* fsmount */, "fnn", true},
    {442 /* mount_setattr */, "fsnbn", false}, {452 /* fchmodat2 */, "fsnn", false},
};

struct request {
  uint32_t call, descriptors, has_places, umask;
  /* Numbers as they are; descriptors that were sent as their place among them; pointers as an offset
   * into data, or -1 for NULL. */
  long arguments[6];
  char sent[6];
  size_t used;
  char data[MOST_DATA];
};

struct answer {
  long value;
  int reason, with_descriptor;
};

static int helper = -1, proc = -1;
/* As the process began. To look at it later would change it for a moment, for all threads. */
static mode_t file_mode_mask;
static long (*kernel)(long number, ...);
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static ssize_t transfer(int to, void *data, size_t size, int *fds, uint32_t *count, bool send) {
  union {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(MOST_FDS * sizeof(int))];
  } control;
  memset(&control, 0, sizeof control);
  struct iovec part = {data, size};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (!send || *count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = send ? CMSG_SPACE(*count * sizeof(int)) : sizeof control.bytes;
  }
  ssize_t done;
  if (send) {
    if (*count > 0) {
      struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(*count * sizeof(int));
      memcpy(CMSG_DATA(rights), fds, *count * sizeof(int));
    }
    do done = sendmsg(to, &message, MSG_NOSIGNAL);
    while (done < 0 && errno == EINTR);
    return done;
  }
  *count = 0;
  do done = recvmsg(to, &message, MSG_CMSG_CLOEXEC);
  while (done < 0 && errno == EINTR);
  if (done < 0) return done;
  for (struct cmsghdr *rights = CMSG_FIRSTHDR(&message); rights != NULL; rights = CMSG_NXTHDR(&message, rights)) {
    *count = (uint32_t)((rights->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    memcpy(fds, CMSG_DATA(rights), *count * sizeof(int));
  }
  return done;
}

static void die(const char *what) {
  fprintf(stderr, "unknown_calls: %s: %s\n", what, strerror(errno));
  _exit(98);
}

/* Where a thread stands. */
static void stand(const int places[PLACES]) {
  if (setns(places[NAMESPACE], CLONE_NEWNS) != 0 || fchdir(places[ROOT]) != 0 || chroot(".") != 0 ||
      fchdir(places[DIRECTORY]) != 0)
    die("standing where the caller does");
}

static void serve(int socket) {
  static struct request request;
  int home[PLACES] = {open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), open("/", O_PATH | O_CLOEXEC),
                      open(".", O_PATH | O_CLOEXEC)};
  for (;;) {
    int fds[MOST_FDS];
    uint32_t count;
    ssize_t size = transfer(socket, &request, sizeof request, fds, &count, false);
    if (size == 0) _exit(0);
    if (size < 0 || count != request.descriptors) die("receiving");
    long a[6];
    for (int i = 0; i < 6; i++) {
      a[i] = request.arguments[i];
      if (request.sent[i] == 'f') a[i] = fds[a[i]];
      if (request.sent[i] == 'd') a[i] = a[i] < 0 ? 0 : (long)(intptr_t)(request.data + a[i]);
    }
    umask(request.umask);
    stand(fds);
    const struct call *call = &calls[request.call];
    struct answer answer;
    answer.value = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    answer.reason = errno;
    answer.with_descriptor = call->makes_descriptor && answer.value >= 0;
    stand(home);
    int made = (int)answer.value;
    uint32_t one = answer.with_descriptor ? 1 : 0;
    if (transfer(socket, &answer, sizeof answer, &made, &one, true) < 0) die("answering");
    if (one > 0) close(made);
    for (uint32_t i = 0; i < count; i++) close(fds[i]);
    /* Only now nothing of the caller's is held here any more. */
    if (send(socket, "", 1, MSG_NOSIGNAL) != 1) die("answering");
  }
}

static long ask(uint32_t which, const long *arguments) {
  static struct request request;
  static struct answer answer;
  const struct call *call = &calls[which];
  long a[6];
  memcpy(a, arguments, sizeof a);
  pthread_mutex_lock(&one_at_a_time);
  memset(&request, 0, offsetof(struct request, data));
  request.call = which;
  request.umask = file_mode_mask;
  int fds[MOST_FDS];
  fds[NAMESPACE] = openat(proc, "thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
  fds[ROOT] = open("/", O_PATH | O_CLOEXEC);
  fds[DIRECTORY] = open(".", O_PATH | O_CLOEXEC);
  if (fds[NAMESPACE] < 0 || fds[ROOT] < 0 || fds[DIRECTORY] < 0) die("finding out where the caller stands");
  uint32_t count = PLACES;
  for (int i = 0; call->arguments[i] != 0; i++) {
    char kind = call->arguments[i];
    request.arguments[i] = a[i];
    if (kind == 'f' && (int)a[i] >= 0) {
      request.sent[i] = 'f';
      request.arguments[i] = count;
      fds[count++] = (int)a[i];
    } else if (kind == 's' || kind == 'b') {
      const char *from = (const char *)(intptr_t)a[i];
      size_t size = from == NULL ? 0 : kind == 's' ? strlen(from) + 1 : (size_t)a[i + 1];
      request.sent[i] = 'd';
      request.arguments[i] = from == NULL ? -1 : (long)request.used;
      if (size > MOST_DATA - request.used) {
        errno = E2BIG;
        die("passing on what the call points to");
      }
      if (size > 0) memcpy(request.data + request.used, from, size);
      request.used += (size + 7) & ~(size_t)7;
    }
  }
  request.descriptors = count;
  long value = -1;
  int reason = EBADF, made;
  if (transfer(helper, &request, offsetof(struct request, data) + request.used, fds, &count, true) < 0) {
    /* A descriptor of the caller's that is none. */
    if (errno != EBADF) die("asking");
  } else {
    char over;
    if (transfer(helper, &answer, sizeof answer, &made, &count, false) != sizeof answer) die("hearing");
    if (recv(helper, &over, 1, 0) != 1) die("hearing");
    value = answer.with_descriptor ? made : answer.value;
    reason = answer.reason;
  }
  for (int i = 0; i < PLACES; i++) close(fds[i]);
  pthread_mutex_unlock(&one_at_a_time);
  if (value < 0) errno = reason;
  return value;
}

long syscall(long number, ...) {
  long a[6];
  va_list rest;
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  for (uint32_t i = 0; helper >= 0 && i < sizeof calls / sizeof calls[0]; i++)
    if (calls[i].number == number) return ask(i, a);
  if (kernel == NULL) *(void **)&kernel = dlsym(RTLD_NEXT, "syscall");
  return kernel(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Before main: as the helper, or to start one. */
__attribute__((constructor)) static void begin(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "--helper") == 0) serve(atoi(argv[2]));
  if (getenv("NSGATE_VALGRIND") == NULL) return;
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) die("socketpair");
  proc = open("/proc", O_PATH | O_CLOEXEC);
  file_mode_mask = umask(0);
  umask(file_mode_mask);
  pid_t child = fork();
  if (child == 0) {
    char number[16];
    int inherited = dup(pair[1]);
    snprintf(number, sizeof number, "%d", inherited);
    execl(argv[0], argv[0], "--helper", number, (char *)NULL);
    die(argv[0]);
  }
  if (proc < 0 || child < 0) die("starting the helper");
  close(pair[1]);
  helper = pair[0];
}
