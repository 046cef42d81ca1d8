#include "troupe/rpc/status.h"

#include "kj/string.h"

namespace troupe {
namespace {

using Type = kj::Exception::Type;

kj::Exception Make(Type type, std::string_view text) {
  return kj::Exception(type, "troupe", 0, kj::heapString(text.data(), text.size()));
}

constexpr std::string_view kEllipsis = "\u2026";

// No character of UTF-8 is cut in two.
void Bound(std::string& text) {
  if (text.size() <= kFailureTextBytesMax) return;
  size_t end = kFailureTextBytesMax - kEllipsis.size();
  auto continues = [&text](size_t at) {
    return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  for (int i = 0; i < 3 && continues(end); ++i) --end;
  text.resize(end);
  text += kEllipsis;
}

}  // namespace

std::string Words(const kj::Exception& exception) {
  auto text = exception.getDescription();
  std::string words(text.begin(), text.size());
  constexpr std::string_view kRemote = "remote exception: ";  // Added by Cap'n Proto RPC.
  if (words.compare(0, kRemote.size(), kRemote) == 0) words.erase(0, kRemote.size());
  return words;
}

absl::Status ToStatus(const kj::Exception& exception) {
  switch (exception.getType()) {
    case Type::DISCONNECTED:
      return absl::UnavailableError(Words(exception));
    case Type::OVERLOADED:
      return absl::ResourceExhaustedError(Words(exception));
    case Type::UNIMPLEMENTED:
      return absl::UnimplementedError(Words(exception));
    case Type::FAILED:
      break;
  }
  return absl::UnknownError(Words(exception));
}

kj::Exception ToException(const absl::Status& status) {
  const std::string_view text(status.message().data(), status.message().size());
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return Disconnected(text);
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kDeadlineExceeded:
      return Overloaded(text);
    case absl::StatusCode::kUnimplemented:
      return Unimplemented(text);
    default:
      return Failed(text);
  }
}

void EncodeFailure(const kj::Exception& exception, wire::Failure::Builder out) {
  std::string words = Words(exception);
  Bound(words);
  out.setText(kj::StringPtr(words.c_str(), words.size()));
  switch (exception.getType()) {
    case Type::FAILED:
      return out.setKind(wire::Failure::Kind::FAILED);
    case Type::OVERLOADED:
      return out.setKind(wire::Failure::Kind::OVERLOADED);
    case Type::DISCONNECTED:
      return out.setKind(wire::Failure::Kind::DISCONNECTED);
    case Type::UNIMPLEMENTED:
      return out.setKind(wire::Failure::Kind::UNIMPLEMENTED);
  }
}

kj::Exception DecodeFailure(wire::Failure::Reader in) {
  const std::string_view text(in.getText().begin(), in.getText().size());
  switch (in.getKind()) {
    case wire::Failure::Kind::OVERLOADED:
      return Overloaded(text);
    case wire::Failure::Kind::DISCONNECTED:
      return Disconnected(text);
    case wire::Failure::Kind::UNIMPLEMENTED:
      return Unimplemented(text);
    case wire::Failure::Kind::FAILED:
      break;
  }
  return Failed(text);
}

kj::Exception Failed(std::string_view text) { return Make(Type::FAILED, text); }
kj::Exception Overloaded(std::string_view text) { return Make(Type::OVERLOADED, text); }
kj::Exception Disconnected(std::string_view text) { return Make(Type::DISCONNECTED, text); }
kj::Exception Unimplemented(std::string_view text) { return Make(Type::UNIMPLEMENTED, text); }

}  // namespace troupe
