#include <acre/bytes/copy.hpp>

namespace acre::bytes {

std::string copy_error::message() const {
  std::string text = "acre::bytes::";
  text += operation;
  if (why == reason::size_mismatch) {
    text += ": the destination has " + std::to_string(destination_bytes) +
            " bytes and the source " + std::to_string(source_bytes) +
            "; they must have the same size: take a subspan of the larger";
  } else {
    text += ": destination and source, of " + std::to_string(source_bytes) +
            " bytes each, overlap; use acre::bytes::move";
  }
  return text;
}

copy_refused::copy_refused(const copy_error& error)
    : std::logic_error(error.message()), error_(error) {}

copy_refused::~copy_refused() = default;

copy_error detail::refusal(const char* operation, writable_view to, view from) noexcept {
  const auto why =
      to.size() != from.size() ? copy_error::reason::size_mismatch : copy_error::reason::overlap;
  return {why, operation, to.size(), from.size()};
}

void detail::refuse(const char* operation, writable_view to, view from) {
  throw copy_refused(refusal(operation, to, from));
}

}  // namespace acre::bytes
