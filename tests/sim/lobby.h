// LobbyActor: pushes what is said in it to those who listen; Screen: an observer that writes it
// down.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lobby.troupe.h"
#include "troupe/actors/actor.h"
#include "troupe/actors/observer.h"
#include "troupe/rpc/status.h"
#include "troupe/runtime/task.h"

namespace troupe {

class LobbyActor final : public Lobby::Actor {
  Task<void> Join(std::string name, Guest::Ref guest) override {
    guests_[name] = guest;
    co_return;
  }

  Task<uint64_t> Say(std::string who, std::string text) override {
    uint64_t heard = 0;
    std::vector<std::string> gone;
    for (auto& [name, guest] : guests_) {
      auto said = guest.WithDeadline(absl::Seconds(1)).Said(who, text);
      auto outcome = co_await Settled(said);
      if (outcome.ok()) {
        ++heard;
      } else if (outcome.exception().getType() == kj::Exception::Type::DISCONNECTED) {
        gone.push_back(name);
      }
    }
    for (const auto& name : gone) guests_.erase(name);
    co_return heard;
  }

  Task<void> Announce(std::string who, std::string text, uint32_t times) override {
    for (uint32_t i = 0; i < times; ++i) {
      for (auto& [name, guest] : guests_) {
        context().Tell(guest).Said(who, times == 1 ? text : absl::StrCat(text, i));
      }
    }
    co_return;
  }

  Task<std::string> Members() override {
    std::string names;
    for (const auto& [name, guest] : guests_) {
      absl::StrAppend(&names, names.empty() ? "" : ",", name);
    }
    co_return names;
  }

  Task<Lobby::AskReply> Ask(std::string name, std::string text, uint32_t deadline_ms) override {
    Lobby::AskReply reply;
    auto said = guests_.at(name).WithDeadline(absl::Milliseconds(deadline_ms)).Said("", text);
    auto outcome = co_await Settled(said);
    if (outcome.ok()) {
      reply.heard = outcome.value();
    } else {
      reply.error = absl::StrCat(kj::str(outcome.exception().getType()).cStr(), ": ",
                                 Words(outcome.exception()));
    }
    co_return reply;
  }

  Task<Lobby::FloodReply> Flood(std::string name, std::string text, uint32_t times) override {
    std::vector<Task<uint64_t>> calls;
    auto guest = guests_.at(name).WithDeadline(absl::Seconds(2));
    for (uint32_t i = 0; i < times; ++i) calls.push_back(guest.Said("", text));
    Lobby::FloodReply reply;
    for (auto& call : calls) {
      auto outcome = co_await Settled(call);
      if (outcome.ok()) {
        ++reply.answered;
        continue;
      }
      reply.refused += outcome.exception().getType() == kj::Exception::Type::OVERLOADED;
      reply.error = Words(outcome.exception());
    }
    co_return reply;
  }

  void Save(LobbyState::Builder out) const override {
    auto members = out.initMembers(static_cast<unsigned>(guests_.size()));
    unsigned i = 0;
    for (const auto& [name, guest] : guests_) {
      members[i].setName(name);
      members[i++].setGuest(guest);
    }
  }
  void Load(LobbyState::Reader in) override {
    for (auto member : in.getMembers()) {
      guests_[member.getName().cStr()] = member.getGuest();
    }
  }
  std::map<std::string, Guest::Ref> guests_;
};

class Screen final : public Guest::Actor {
 public:
  explicit Screen(std::vector<std::string>& lines) : lines_(lines) {}

 private:
  Task<uint64_t> Said(std::string who, std::string text) override {
    lines_.push_back(who + ": " + text);
    co_return lines_.size();
  }
  std::vector<std::string>& lines_;
};

}  // namespace troupe
