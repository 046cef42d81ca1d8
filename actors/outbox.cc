#include "troupe/actors/outbox.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe {
namespace {

const std::vector<SharedTold>& EntriesOf(const OutboxSnapshot& list) {
  static const std::vector<SharedTold> kNone;
  return list == nullptr ? kNone : list->entries;
}

ToldNumber NumberOf(const SharedTold& told) { return told->number; }

OutboxSnapshot Make(std::vector<SharedTold> entries) {
  auto list = std::make_shared<OutboxList>();
  for (const auto& told : entries) list->bytes += told->bytes();
  list->entries = std::move(entries);
  return list;
}

std::string Kept(OutboxReserve reserve) {
  if (reserve.entries == 0) return "";
  return absl::StrCat("; room for ", reserve.entries, " more is kept for those who watch it");
}

}  // namespace

bool operator==(const Told& a, const Told& b) {
  return a.number == b.number && a.target == b.target && a.interface_id == b.interface_id &&
         a.method_id == b.method_id && a.id == b.id && a.metadata == b.metadata &&
         a.params.words().asBytes() == b.params.words().asBytes();
}

bool operator==(const OutboxList& a, const OutboxList& b) {
  return std::equal(a.entries.begin(), a.entries.end(), b.entries.begin(), b.entries.end(),
                    [](const auto& one, const auto& other) { return *one == *other; });
}

size_t OutboxChanges::bytes() const {
  size_t out = 16 * done.size();
  for (const auto& told : added) out += told->bytes();
  return out;
}

const std::vector<SharedTold>& Outbox::entries() const { return EntriesOf(list_); }

Outbox::Outbox(OutboxSnapshot list) : list_(std::const_pointer_cast<OutboxList>(list)) {}

ToldNumber Outbox::last() const { return empty() ? ToldNumber() : entries().back()->number; }

ToldNumber Outbox::LastBefore(uint64_t turn) const {
  const auto& all = entries();
  const auto end = std::ranges::lower_bound(all, ToldNumber{turn, 0}, {}, NumberOf);
  return end == all.begin() ? ToldNumber() : (*std::prev(end))->number;
}

uint64_t Outbox::OldestTurn() const {
  return empty() ? std::numeric_limits<uint64_t>::max() : entries().front()->number.turn;
}

bool Outbox::HasRoom(OutboxReserve reserve) const {
  return entries().size() + reserve.entries <= kOutboxMax &&
         (list_ == nullptr ? 0 : list_->bytes) + reserve.bytes <= kOutboxBytesMax;
}

absl::Status Outbox::Add(Told told, OutboxReserve reserve) {
  const size_t bytes = (list_ == nullptr ? 0 : list_->bytes) + told.bytes();
  if (entries().size() + reserve.entries >= kOutboxMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kOutboxMax - reserve.entries,
                     " calls that were told wait to be answered already", Kept(reserve)));
  }
  if (bytes + reserve.bytes > kOutboxBytesMax) {
    return absl::ResourceExhaustedError(
        absl::StrCat("what was told and is not answered would be ", bytes, " bytes; at most ",
                     kOutboxBytesMax - reserve.bytes, Kept(reserve)));
  }
  OutboxList& list = Own();
  list.entries.push_back(std::make_shared<const Told>(std::move(told)));
  list.bytes = bytes;
  return absl::OkStatus();
}

void Outbox::Remove(const std::set<ToldNumber>& done) {
  if (done.empty()) return;
  OutboxList& list = Own();
  std::erase_if(list.entries, [&](const SharedTold& told) {
    const bool gone = done.contains(told->number);
    if (gone) list.bytes -= told->bytes();
    return gone;
  });
}

void Outbox::RemoveSince(uint64_t turn, bool (*keep)(const Told&)) {
  std::set<ToldNumber> numbers;
  for (const auto& told : entries()) {
    if (told->number.turn >= turn && !keep(*told)) numbers.insert(told->number);
  }
  Remove(numbers);
}

OutboxList& Outbox::Own() {
  if (list_ == nullptr) list_ = std::make_shared<OutboxList>();
  if (list_.use_count() > 1) list_ = std::make_shared<OutboxList>(*list_);
  return *list_;
}

OutboxChanges Difference(const OutboxSnapshot& before, const OutboxSnapshot& after) {
  OutboxChanges out;
  const auto& old = EntriesOf(before);
  const auto& now = EntriesOf(after);
  const ToldNumber last = old.empty() ? ToldNumber() : old.back()->number;
  auto added = std::ranges::upper_bound(now, last, {}, NumberOf);
  out.added.assign(added, now.end());
  for (const auto& told : old) {
    if (!std::ranges::binary_search(now.begin(), added, told->number, {}, NumberOf)) {
      out.done.push_back(told->number);
    }
  }
  return out;
}

OutboxSnapshot Apply(const OutboxSnapshot& before, const OutboxChanges& changes) {
  auto entries = EntriesOf(before);
  std::erase_if(entries, [&changes](const SharedTold& told) {
    return std::ranges::binary_search(changes.done, told->number);
  });
  entries.insert(entries.end(), changes.added.begin(), changes.added.end());
  return entries.empty() ? nullptr : Make(std::move(entries));
}

}  // namespace troupe
