#include <acre/os/shared_memory.hpp>

#include "os/kernel.hpp"
#include "os/refusal.hpp"

#include <cstring>

#include <sys/socket.h>

namespace acre::os {

namespace {

/// One message of one byte, with room for some descriptors: more than the one that is expected, so
/// that those of a faulty sender come here and can be closed.
struct descriptor_message {
  static constexpr std::size_t descriptors_max = 16;

  char byte = 's';
  iovec data{.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(descriptors_max * sizeof(int))> control{};
  msghdr header{};

  explicit descriptor_message(std::size_t descriptors) noexcept {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
  }
  descriptor_message(const descriptor_message&) = delete;
  descriptor_message& operator=(const descriptor_message&) = delete;
};

/// The system call, again when a signal came between.
template <class Message>
result<long> transfer(const system_call& call, int socket, Message* header, int flags) noexcept {
  for (;;) {
    const auto count = ask(call, socket, header, flags);
    if (count || count.error().number != EINTR) return count;
  }
}

/// The descriptors that came along; their number.
std::size_t take_descriptors(msghdr& header, std::span<int> into) noexcept {
  std::size_t count = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t bytes = part->cmsg_len - CMSG_LEN(0);
    for (std::size_t at = 0; at + sizeof(int) <= bytes && count < into.size(); at += sizeof(int)) {
      std::memcpy(&into[count], CMSG_DATA(part) + at, sizeof(int));
      ++count;
    }
  }
  return count;
}

}  // namespace

result<void> shared_memory::send(int socket) const noexcept {
  descriptor_message message(1);
  cmsghdr* const part = CMSG_FIRSTHDR(&message.header);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(part), &descriptor_, sizeof(int));
  const auto sent = transfer(calls::sendmsg, socket, &message.header, MSG_NOSIGNAL);
  if (!sent) return std::unexpected(sent.error());
  return {};
}

result<shared_memory> shared_memory::receive(int socket, const segment_layout& layout,
                                             segment_access access,
                                             const segment_seals& required) noexcept {
  descriptor_message message(descriptor_message::descriptors_max);
  const auto received = transfer(calls::recvmsg, socket, &message.header, MSG_CMSG_CLOEXEC);
  if (!received) return std::unexpected(received.error());
  std::array<int, descriptor_message::descriptors_max> descriptors{};
  const std::size_t count = take_descriptors(message.header, descriptors);
  if (count == 1) return adopt(descriptors[0], layout, access, required);
  for (std::size_t i = 0; i < count; ++i)
    (void)tell(calls::close, descriptors[i]);
  if (*received == 0) return refusal(EPIPE, "recvmsg", "the other side has ended");
  return refusal(EBADMSG, "recvmsg", "the message carries % descriptors instead of one", count);
}

}  // namespace acre::os
