// Batches of commands and of answers as bytes; see register_codec.h.
#include "troupe/membership/codec_parts.h"
#include "troupe/membership/register.capnp.h"
#include "troupe/membership/register_codec.h"

namespace troupe {
namespace {

constexpr size_t kMessageBytesMax = 1024;

absl::StatusOr<std::vector<CommandItem>> ReadCommands(wire::CommandBatch::Reader in) {
  auto list = in.getCommands();
  if (list.size() > kCommandsMax) return codec::TooMany("commands", list.size(), kCommandsMax);
  std::vector<CommandItem> items;
  for (wire::CommandBatch::Item::Reader item : list) {
    CommandItem& added = items.emplace_back();
    added.id = item.getId();
    if (item.hasCommand()) TROUPE_TAKE(added.command, Read(item.getCommand()));
  }
  return items;
}

absl::StatusOr<std::vector<CommandAnswer>> ReadAnswers(wire::CommandReplies::Reader in) {
  auto list = in.getReplies();
  if (list.size() > kCommandsMax) return codec::TooMany("answers", list.size(), kCommandsMax);
  std::vector<CommandAnswer> answers;
  for (wire::CommandReplies::Item::Reader item : list) {
    CommandAnswer& added = answers.emplace_back();
    added.id = item.getId();
    added.version = item.getVersion();
    auto message = item.getMessage();
    if (message.size() > kMessageBytesMax) {
      return codec::TooMany("bytes", message.size(), kMessageBytesMax);
    }
    bool known = item.getCode() <= static_cast<int>(absl::StatusCode::kUnauthenticated);
    auto code = known ? static_cast<absl::StatusCode>(item.getCode()) : absl::StatusCode::kUnknown;
    added.status = absl::Status(code, std::string(message.cStr(), message.size()));
  }
  return answers;
}

}  // namespace

Bytes Encode(const std::vector<CommandItem>& items) {
  capnp::MallocMessageBuilder builder;
  auto list = builder.initRoot<wire::CommandBatch>().initCommands(items.size());
  for (unsigned i = 0; i < items.size(); ++i) {
    list[i].setId(items[i].id);
    if (items[i].command) Write(*items[i].command, list[i].initCommand());
  }
  return codec::ToBytes(builder);
}

absl::StatusOr<std::vector<CommandItem>> DecodeCommands(std::span<const std::byte> bytes) {
  return codec::Parse<wire::CommandBatch>(
      bytes, [](wire::CommandBatch::Reader in) { return ReadCommands(in); });
}

Bytes Encode(const std::vector<CommandAnswer>& answers) {
  capnp::MallocMessageBuilder builder;
  auto list = builder.initRoot<wire::CommandReplies>().initReplies(answers.size());
  for (unsigned i = 0; i < answers.size(); ++i) {
    list[i].setId(answers[i].id);
    list[i].setVersion(answers[i].version);
    list[i].setCode(static_cast<uint16_t>(answers[i].status.code()));
    std::string message(answers[i].status.message());
    message.resize(std::min(message.size(), kMessageBytesMax));
    list[i].setMessage(codec::AsText(message));
  }
  return codec::ToBytes(builder);
}

absl::StatusOr<std::vector<CommandAnswer>> DecodeAnswers(std::span<const std::byte> bytes) {
  return codec::Parse<wire::CommandReplies>(
      bytes, [](wire::CommandReplies::Reader in) { return ReadAnswers(in); });
}

}  // namespace troupe
