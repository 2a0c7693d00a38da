/// A small server: one arena serves every request and is reset after it, so the memory of a request
/// comes back at once, whatever the request did with it. What usual requests need stays; what one
/// huge request took goes back.
///
/// It listens on a Unix socket of its own, asks itself a few questions, and prints what it used.
#include <acre/region/arena.hpp>

#include <array>
#include <charconv>
#include <cstdio>
#include <memory_resource>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

namespace {

namespace region = acre::region;

/// Answers "sum 1 2 3" and "reverse a b c"; everything it makes lives in the arena.
std::string_view answer(std::string_view request, region::arena& arena) {
  std::pmr::vector<std::string_view> words(&arena);
  while (!request.empty()) {
    const std::size_t end = request.find(' ');
    words.push_back(request.substr(0, end));
    request.remove_prefix(end == std::string_view::npos ? request.size() : end + 1);
  }
  auto& reply = *arena.make<std::pmr::string>();
  if (!words.empty() && words.front() == "sum") {
    long sum = 0;
    for (const std::string_view word : words) {
      long number = 0;
      std::from_chars(word.data(), word.data() + word.size(), number);
      sum += number;
    }
    reply = std::to_string(sum);
  } else if (!words.empty() && words.front() == "reverse") {
    for (std::size_t left = words.size(); left > 1; --left)
      reply.append(words[left - 1]).append(left > 2 ? " " : "");
  } else {
    reply = "unknown request";
  }
  return reply;
}

void serve(int socket) {
  region::arena arena({.name = "request",
                       .first_block_bytes = 4096,
                       .budget_bytes = std::size_t{1} << 20U,
                       .on_reset = region::keep::recent(90, 32)});
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t received = read(socket, buffer.data(), buffer.size());
    if (received <= 0) break;
    const std::string_view reply =
        answer({buffer.data(), static_cast<std::size_t>(received)}, arena);
    if (write(socket, reply.data(), reply.size()) < 0) break;
    arena.reset();
  }
  const region::arena_statistics used = arena.statistics();
  std::printf("requests %zu, largest %zu bytes, kept %zu bytes\n", used.resets,
              used.used_bytes_peak, used.held_bytes);
  close(socket);
}

std::string ask(int socket, std::string_view request) {
  std::array<char, 4096> buffer{};
  if (write(socket, request.data(), request.size()) < 0) return {};
  const ssize_t received = read(socket, buffer.data(), buffer.size());
  return {buffer.data(), received > 0 ? static_cast<std::size_t>(received) : 0};
}

}  // namespace

int main() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()) != 0) return 1;
  std::thread server(serve, ends[0]);
  bool is_right = ask(ends[1], "reverse the words of this") == "this of words the";
  for (int number = 0; number < 1000; ++number)
    is_right =
        is_right && ask(ends[1], "sum 1 2 " + std::to_string(number)) == std::to_string(3 + number);
  is_right = is_right && ask(ends[1], "jump") == "unknown request";
  close(ends[1]);
  server.join();
  return is_right ? 0 : 1;
}
