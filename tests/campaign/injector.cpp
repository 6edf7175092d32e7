// Loaded before the program (LD_PRELOAD): makes one of its calls go wrong, as
//   METASCALE_FAULT=CALL:PART:NUMBER:ACTION
// says: the NUMBER-th CALL on a file whose path holds PART. A file METASCALE_FAULT_HIT appears when
// that has come.
//   CALL    write, sync, rename, create, clock, network (PART is empty in the last two: a
//   connection
//           beyond this machine, or the question for an address)
//   ACTION  kill, term, stop  the process gets this signal, then the call goes on
//           torn              a write leaves its first half, then the process is killed
//           short             this write and all later ones do the half of what they are asked
//           size              the limit on file sizes is 1 kB from now on
//           errno NUMBER      this call fails; from ENOSPC, EDQUOT and EROFS on, all later ones do
//           for clock: a signal, or so many seconds that are added from now on
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

struct Fault {
  std::string call, part, action;
  long number = 0;
  bool stays = false;
};

Fault read_fault() {
  const char* text = std::getenv("METASCALE_FAULT");
  std::string fields[4];
  for (int field = 0; text && *text; ++text)
    if (*text == ':' && field < 3)
      ++field;
    else
      fields[field] += *text;
  const int error = std::atoi(fields[3].c_str());
  return {.call = fields[0],
          .part = fields[1],
          .action = fields[3],
          .number = std::atol(fields[2].c_str()),
          .stays = fields[3] == "short" || error == ENOSPC || error == EDQUOT || error == EROFS};
}

const Fault& fault() {
  static const Fault read = read_fault();
  return read;
}

void say_hit() {
  const char* path = std::getenv("METASCALE_FAULT_HIT");
  const int descriptor =
      path ? next<int(const char*, int, ...)>("open")(path, O_CREAT | O_WRONLY, 0600) : -1;
  if (descriptor >= 0) ::close(descriptor);
}

std::string path_of(int descriptor) {
  char link[32], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = ::readlink(link, path, sizeof path);
  return {path, std::size_t(length < 0 ? 0 : length)};
}

// Whether this call is the one, or a later one of a fault that stays.
bool is_hit(const char* call, const std::string& path) {
  static std::atomic<long> count = 0;
  const Fault& wanted = fault();
  if (wanted.call != call || path.find(wanted.part) == std::string::npos) return false;
  const long number = ++count;
  if (number == wanted.number) say_hit();
  return number == wanted.number || (wanted.stays && number > wanted.number);
}

bool is_hit(const char* call, int descriptor) {
  return fault().call == call && is_hit(call, path_of(descriptor));
}

// What happens before the call. Returns the error number that the call fails with; 0: it goes on.
int act() {
  const std::string& action = fault().action;
  if (action == "kill") ::kill(::getpid(), SIGKILL);
  if (action == "term") ::kill(::getpid(), SIGTERM);
  if (action == "stop") ::kill(::getpid(), SIGSTOP);
  if (action == "size") {
    const rlimit limit{.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  return std::atoi(action.c_str());
}

// some(bytes): writes so many.
template <typename Some>
ssize_t faulty_write(int descriptor, std::size_t bytes, Some&& some) {
  if (!is_hit("write", descriptor)) return some(bytes);
  const std::size_t half = bytes > 1 ? bytes / 2 : bytes;
  if (fault().action == "short") return some(half);
  if (fault().action == "torn") {
    some(half);
    ::kill(::getpid(), SIGKILL);
  }
  const int error = act();
  if (error == 0) return some(bytes);
  errno = error;
  return -1;
}

bool is_beyond_this_machine(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* here = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(here->sin_addr.s_addr) >> 24 != 127;
  }
  if (address->sa_family != AF_INET6) return false;
  return !IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

template <typename Call>
int faulty(bool hit, Call&& call) {
  const int error = hit ? act() : 0;
  if (error == 0) return call();
  errno = error;
  return -1;
}

}  // namespace

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t count) {
  return faulty_write(descriptor, count, [&](std::size_t some) {
    return next<ssize_t(int, const void*, size_t)>("write")(descriptor, bytes, some);
  });
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  return faulty_write(descriptor, count, [&](std::size_t some) {
    return next<ssize_t(int, const void*, size_t, off_t)>("pwrite")(descriptor, bytes, some,
                                                                    offset);
  });
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t offset) {
  return pwrite(descriptor, bytes, count, offset);
}

// A part of it is its first piece, or the half of that.
ssize_t writev(int descriptor, const iovec* pieces, int count) {
  std::size_t whole = 0;
  for (int piece = 0; piece < count; ++piece) whole += pieces[piece].iov_len;
  return faulty_write(descriptor, whole, [&](std::size_t some) {
    if (some == whole)
      return next<ssize_t(int, const iovec*, int)>("writev")(descriptor, pieces, count);
    const std::size_t first = pieces[0].iov_len;
    return next<ssize_t(int, const void*, size_t)>("write")(descriptor, pieces[0].iov_base,
                                                            first < some ? first : some);
  });
}

int fsync(int descriptor) {
  return faulty(is_hit("sync", descriptor), [&] { return next<int(int)>("fsync")(descriptor); });
}

int fdatasync(int descriptor) {
  return faulty(is_hit("sync", descriptor),
                [&] { return next<int(int)>("fdatasync")(descriptor); });
}

int rename(const char* from, const char* to) {
  return faulty(is_hit("rename", std::string(to)),
                [&] { return next<int(const char*, const char*)>("rename")(from, to); });
}

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return faulty((flags & O_CREAT) && is_hit("create", std::string(path)),
                [&] { return next<int(const char*, int, ...)>("open")(path, flags, mode); });
}

int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  return open(path, flags | O_LARGEFILE, mode);
}

int connect(int descriptor, const sockaddr* address, socklen_t length) {
  return faulty(is_beyond_this_machine(address) && is_hit("network", std::string()), [&] {
    return next<int(int, const sockaddr*, socklen_t)>("connect")(descriptor, address, length);
  });
}

int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** found) {
  if (is_hit("network", std::string())) return EAI_AGAIN;
  return next<int(const char*, const char*, const addrinfo*, addrinfo**)>("getaddrinfo")(
      node, service, hints, found);
}

int clock_gettime(clockid_t clock, timespec* time) {
  const int result = next<int(clockid_t, timespec*)>("clock_gettime")(clock, time);
  static std::atomic<bool> jumped = false;
  if (clock != CLOCK_REALTIME || fault().call != "clock") return result;
  if (is_hit("clock", std::string())) {
    jumped = true;
    act();
  }
  if (jumped) time->tv_sec += std::atol(fault().action.c_str());
  return result;
}
}
