// TraderActor: what trader.capnp says.
#pragma once

#include <string>
#include <string_view>

#include "troupe/actors/actor.h"
#include "troupe/actors/topic.h"
#include "troupe/runtime/task.h"
#include "troupe/sim/traders/trader_book.h"

namespace troupe::sim {

// Of a node, among what is watched.
inline std::string NodeName(std::string_view node) { return "node " + std::string(node); }

class TraderActor final : public Trader::Actor {
 public:
  // For how long a run of a transaction that it begins holds others.
  explicit TraderActor(absl::Duration hold_limit) : hold_limit_(hold_limit) {}

 private:
  Task<uint64_t> Pay(std::string to, std::string also, std::string how) override;
  Task<void> Receive(std::string from, uint64_t number) override;

  Task<void> Move(uint64_t deal, int64_t amount, std::string note) override;
  Task<void> Note(uint64_t deal) override;
  Task<void> Broker(uint64_t deal, std::string from, std::string to, int64_t amount) override;

  Task<void> Step(uint64_t entry, std::string to, std::string at, std::string how) override;
  Task<void> Tour(uint64_t entry, std::string to) override;
  Task<void> Visit(uint64_t entry, std::string back) override;
  Task<void> Mark(uint64_t entry) override;

  Task<uint64_t> Announce(std::string topic, uint32_t items) override;
  Task<void> Item(std::string from, uint64_t number) override;
  Task<void> Missed(std::string topic, uint64_t count, uint64_t next) override;

  Task<Trader::WatchReply> Watch(std::string who, std::string how) override;
  Task<Trader::WatchNodeReply> WatchNode(std::string name) override;
  Task<void> Greet(std::string from, uint64_t serial) override;
  Task<void> End(std::string how, Trader::EndResults::Builder results) override;
  Task<void> OnNotice(const Notice& notice) override;

  Task<void> Show(Trader::ShowResults::Builder results) override;

  void PayOne(const std::string& to);
  void Save(TraderState::Builder out) const override { book_.Write(out); }
  void Load(TraderState::Reader in) override { book_ = TraderBook::From(in); }
  std::string Key() { return std::string(context().key()); }

  const absl::Duration hold_limit_;
  TraderBook book_;
};

}  // namespace troupe::sim
