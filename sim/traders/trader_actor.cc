#include "troupe/sim/traders/trader_actor.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace troupe::sim {
namespace {

constexpr absl::Duration kBrokerDeadline = absl::Seconds(2);

bool Has(const std::vector<uint64_t>& list, uint64_t one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

Task<void> MoveTwo(Transaction& tx, uint64_t deal, std::string from, std::string to,
                   int64_t amount) {
  co_await tx.Get<Trader>(from).Move(deal, -amount, "");
  co_await tx.Get<Trader>(to).Move(deal, amount, "");
}

}  // namespace

// ---- What is told

void TraderActor::PayOne(const std::string& to) {
  context().Tell<Trader>(to).Receive(Key(), ++book_.sent[to]);
}

Task<uint64_t> TraderActor::Pay(std::string to, std::string also, std::string how) {
  PayOne(to);
  if (!also.empty()) PayOne(also);
  if (how == "fail") co_await Fail("told to fail");
  if (how == "leave") context().Deactivate();
  co_return book_.sent[to];
}

Task<void> TraderActor::Receive(std::string from, uint64_t number) {
  const uint64_t expected = ++book_.received[from];
  if (number != expected) {
    book_.Wrong(absl::StrCat("payment ", number, " of ", from, " came where number ", expected,
                             " was expected"));
  }
  co_return;
}

// ---- Transactions

Task<void> TraderActor::Move(uint64_t deal, int64_t amount, std::string note) {
  book_.cash += amount;
  if (Has(book_.deals, deal)) book_.Wrong(absl::StrCat("deal ", deal, " was done here twice"));
  book_.deals.push_back(deal);
  if (!note.empty()) context().Tell<Trader>(note).Note(deal);
  co_return;
}

Task<void> TraderActor::Note(uint64_t deal) {
  if (Has(book_.notes, deal)) book_.Wrong(absl::StrCat("was told of deal ", deal, " twice"));
  book_.notes.push_back(deal);
  co_return;
}

Task<void> TraderActor::Broker(uint64_t deal, std::string from, std::string to, int64_t amount) {
  auto moved =
      context().Transact([=](Transaction& tx) { return MoveTwo(tx, deal, from, to, amount); },
                         {.limit = hold_limit_, .deadline = kBrokerDeadline});
  co_await moved;
  book_.brokered.push_back(deal);
}

// ---- Turns of several parts

Task<void> TraderActor::Step(uint64_t entry, std::string to, std::string at, std::string how) {
  if (Has(book_.begun, entry)) {
    book_.Wrong(absl::StrCat("entry ", entry, " runs again though its beginning was persisted"));
  }
  book_.begun.push_back(entry);
  PayOne(to);
  if (how == "fail early") co_await Fail("told to fail");
  co_await context().Persisted();
  auto shown = context().Get<Trader>(at).Show();
  auto reply = co_await shown;
  if (how == "fail late") co_await Fail("told to fail");
  book_.ended.push_back(entry);
}

Task<void> TraderActor::Tour(uint64_t entry, std::string to) {
  const bool kept = Has(book_.begun, entry);
  if (kept != context().Interrupted()) {
    const char* const what = kept ? " was begun and not" : " was not begun but";
    book_.Wrong(absl::StrCat("entry ", entry, what, " interrupted"));
  }
  if (!kept) book_.begun.push_back(entry);
  co_await context().Get<Trader>(to).Visit(entry, Key());
  if (!Has(book_.marked, entry)) {
    book_.Wrong(absl::StrCat("entry ", entry, ": the visit was answered and left no mark"));
  }
  book_.ended.push_back(entry);
}

Task<void> TraderActor::Visit(uint64_t entry, std::string back) {
  return context().Get<Trader>(back).Mark(entry);
}

Task<void> TraderActor::Mark(uint64_t entry) {
  if (Has(book_.marked, entry)) book_.Wrong(absl::StrCat("entry ", entry, " was marked twice"));
  book_.marked.push_back(entry);
  co_return;
}

// ---- The topic

Task<uint64_t> TraderActor::Announce(std::string topic, uint32_t items) {
  context().Topic<Bulletin>(topic).Tell([&](auto& all) {
    for (uint32_t i = 0; i < items; ++i) all.Item(Key(), ++book_.announced);
  });
  co_return book_.announced;
}

Task<void> TraderActor::Item(std::string from, uint64_t number) {
  book_.items.emplace_back(from, number);
  co_return;
}

Task<void> TraderActor::Missed(std::string, uint64_t count, uint64_t) {
  book_.Wrong(absl::StrCat("missed ", count, " items that the log still has"));
  co_return;
}

// ---- Watches

Task<Trader::WatchReply> TraderActor::Watch(std::string who, std::string how) {
  const auto other = context().Get<Trader>(who);
  if (const auto old = book_.watches.find(who); old != book_.watches.end()) {
    if (how != "anew") co_return {old->second, false};
    if (!context().Unwatch(other)) book_.Wrong(absl::StrCat("its watch of ", who, " is gone"));
    book_.dropped.emplace_back(*old);
  }
  context().Watch(other);
  context().Tell(other).Greet(Key(), ++book_.serial);
  book_.watches[who] = book_.serial;
  co_return {book_.serial, true};
}

Task<Trader::WatchNodeReply> TraderActor::WatchNode(std::string name) {
  uint64_t& serial = book_.watches[NodeName(name)];
  if (serial != 0) co_return {serial, false};
  context().WatchNode(name);
  serial = ++book_.serial;
  co_return {serial, true};
}

Task<void> TraderActor::Greet(std::string from, uint64_t serial) {
  book_.guests.emplace_back(from, serial);
  co_return;
}

Task<void> TraderActor::End(std::string how, Trader::EndResults::Builder results) {
  auto guests = results.initGuests(static_cast<unsigned>(book_.guests.size()));
  for (unsigned i = 0; i < guests.size(); ++i) {
    guests[i].setName(book_.guests[i].first.c_str());
    guests[i].setSerial(book_.guests[i].second);
  }
  context().Erase();
  if (how == "fail") co_await Fail("told to fail");
}

Task<void> TraderActor::OnNotice(const Notice& notice) {
  const std::string who = notice.who ? notice.who.key() : NodeName(notice.node);
  const auto expected = notice.who ? Notice::Why::kErased : Notice::Why::kNodeGone;
  if (notice.why != expected) {
    book_.Wrong(absl::StrCat("a notice of ", who, " says ", Name(notice.why), ": ", notice.text));
  }
  const auto watch = book_.watches.find(who);
  if (watch != book_.watches.end()) {
    book_.notices.emplace_back(*watch);
    book_.watches.erase(watch);
  } else {
    book_.Wrong(absl::StrCat("a notice of ", who, ", which it does not watch"));
  }
  if (!notice.who) co_return;
  // So that the turn takes its time.
  auto looked = context().Get<Trader>(who).Show();
  auto reply = co_await looked;
}

Task<void> TraderActor::Show(Trader::ShowResults::Builder results) {
  book_.Write(results.initState());
  co_return;
}

}  // namespace troupe::sim
