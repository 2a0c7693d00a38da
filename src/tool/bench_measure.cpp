#include "tool/bench_measure.hpp"

#include "tool/environment.hpp"
#include "tool/error.hpp"
#include "tool/file_descriptor.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace acre::tool {
namespace {

/// The process to end when the user interrupts; written before and after each run, read by the
/// handler alone.
volatile std::sig_atomic_t running = 0;
volatile std::sig_atomic_t interrupted = 0;

void interrupt(int number) {
  interrupted = number;
  if (running > 0) ::kill(running, SIGTERM);  // acre-measure then kills the command
}

/// Turns interrupts into an early end of the measurement for as long as it lives.
class interrupt_guard {
 public:
  interrupt_guard() {
    struct sigaction action{};
    action.sa_handler = interrupt;
    ::sigaction(SIGINT, &action, &interrupt_before_);
    ::sigaction(SIGTERM, &action, &terminate_before_);
  }
  interrupt_guard(const interrupt_guard&) = delete;
  interrupt_guard& operator=(const interrupt_guard&) = delete;
  ~interrupt_guard() {
    running = 0;
    ::sigaction(SIGINT, &interrupt_before_, nullptr);
    ::sigaction(SIGTERM, &terminate_before_, nullptr);
  }

 private:
  struct sigaction interrupt_before_{};
  struct sigaction terminate_before_{};
};

std::string read_whole(int file, off_t offset) {
  std::string text;
  std::array<char, 4096> buffer;
  ssize_t size = 0;
  while ((size = ::pread(file, buffer.data(), buffer.size(), offset)) > 0) {
    text.append(buffer.data(), static_cast<std::size_t>(size));
    offset += size;
  }
  return text;
}

/// A file in memory that a child inherits.
file_descriptor make_memory_file(const char* name) {
  file_descriptor file(::memfd_create(name, 0));
  if (!file.is_open()) throw error(exit_code::misuse, "cannot make a memory file");
  return file;
}

/// Makes the calling process, a fresh child, the command; input from nowhere.
[[noreturn]] void become(char* const* words, char* const* variables, int input,
                         int output) noexcept {
  // A group of its own, so that the terminal's interrupt reaches the tool alone, which passes it
  // on.
  ::setpgid(0, 0);
  ::dup2(input, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  ::execve(words[0], words, variables);
  ::_exit(127);
}

std::string find_checksum(const std::string& output) {
  constexpr std::string_view mark = "checksum ";
  const auto start = output.rfind(mark);
  if (start == std::string::npos) return {};
  return output.substr(start + mark.size(), output.find('\n', start) - start - mark.size());
}

std::string last_line_of(std::string_view output) {
  const auto end = output.find_last_not_of(" \n");
  if (end == std::string_view::npos) return {};
  output = output.substr(0, end + 1);
  return std::string(output.substr(output.rfind('\n') + 1));
}

}  // namespace

measurement measure(const std::string& measure_program, const std::string& preload,
                    const std::vector<std::string>& command, int repeat,
                    std::chrono::seconds timeout) {
  const auto result = make_memory_file("acre-measure");
  const auto output = make_memory_file("acre-output");
  std::vector<std::string> words{measure_program, std::to_string(result.get()),
                                 std::to_string(timeout.count()), std::to_string(repeat)};
  words.insert(words.end(), command.begin(), command.end());
  auto variables = environment::inherited();
  variables.unset("ACRE_OPTIONS");
  variables.unset("LD_PRELOAD");
  if (!preload.empty()) variables.set("LD_PRELOAD", preload);

  const auto word_pointers = exec_pointers(words);
  const auto variable_pointers = exec_pointers(variables.entries());
  const file_descriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!input.is_open()) throw error(exit_code::misuse, "cannot open /dev/null");

  const interrupt_guard guard;
  const pid_t pid = ::fork();
  if (pid == 0) become(word_pointers.data(), variable_pointers.data(), input.get(), output.get());
  if (pid < 0) throw error(exit_code::misuse, "cannot start a process");
  running = pid;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  running = 0;
  if (interrupted != 0) throw error(static_cast<exit_code>(128 + interrupted), "interrupted");

  const auto figures = nlohmann::json::parse(read_whole(result.get(), 0), nullptr, false);
  if (!figures.is_object())
    throw error(exit_code::misuse, fmt::format("{} gave no figures", measure_program));
  const auto printed = read_whole(output.get(), 0);
  measurement one;
  one.cpu_s = figures.value("user_s", 0.0) + figures.value("system_s", 0.0);
  one.wall_s = figures.value("wall_s", 0.0);
  one.peak_bytes = figures.value("peak_kib", 0.0) * 1024;
  one.status = figures.value("status", 0);
  one.checksum = find_checksum(printed);
  if (one.status != 0) one.last_line = last_line_of(printed);
  // The loader says so and goes on, and the figures would be the C library's.
  one.was_preloaded = printed.find("cannot be preloaded") == std::string::npos;
  return one;
}

}  // namespace acre::tool
