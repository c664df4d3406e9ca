/* os_log: a line in the log of the mock. */
#ifndef DEXTAPE_OS_LOG_H
#define DEXTAPE_OS_LOG_H

#include <DriverKit/OSObject.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef void *os_log_t;
#define OS_LOG_DEFAULT nullptr

namespace DEXTAPE_HIDDEN dextape {
/* Formats as printf does; %{public}s and its kin lose what stands in braces. */
inline void log(const char *format, ...) {
  char plain[1024], line[2048];
  size_t length = 0;
  for (const char *at = format; *at != 0 && length + 1 < sizeof plain; at++) {
    plain[length++] = *at;
    const char *end = at[0] == '%' && at[1] == '{' ? strchr(at, '}') : nullptr;
    if (end != nullptr) at = end;
  }
  plain[length] = 0;
  va_list arguments;
  va_start(arguments, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  int written = vsnprintf(line, sizeof line, plain, arguments);
#pragma GCC diagnostic pop
  va_end(arguments);
  if (written < 0) return;
  size_t all = static_cast<size_t>(written);
  host->log(line, all < sizeof line ? all : sizeof line - 1);
}
}  // namespace dextape

#define os_log(to, ...) ((void)(to), ::dextape::log(__VA_ARGS__))
#define os_log_info os_log
#define os_log_debug os_log
#define os_log_error os_log
#define os_log_fault os_log
#define IOLog(...) ::dextape::log(__VA_ARGS__)

#endif
