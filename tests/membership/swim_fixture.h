// SwimFixture: one Swim, and the words in which its tests are told.
//
// Virtual time; every timer fires when it is due. The peers are not simulated: the test says what
// they send. `answering` names those who answer pings at once.
#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "troupe/membership/swim.h"

namespace troupe {

inline Id128 NonceOf(std::string_view name, int run = 0) {
  return Random(7).Fork(std::string(name) + "#" + std::to_string(run)).NextId();
}

inline Member Alive(std::string name, uint64_t incarnation = 0, Boot boot = 0, int run = 0) {
  Member member;
  member.id = {name, NonceOf(name, run), boot};
  member.incarnation = incarnation;
  member.rpc_address = name + ":1";
  member.gossip_address = name + ":2";
  return member;
}
inline Member Suspect(std::string name, uint64_t incarnation, std::string accuser, Boot boot = 0,
                      int run = 0) {
  return Accusation(Alive(name, incarnation, boot, run), MemberState::kSuspect, accuser);
}
inline Member Dead(std::string name, uint64_t incarnation, std::string accuser, Boot boot = 0,
                   int run = 0) {
  return Accusation(Alive(name, incarnation, boot, run), MemberState::kDead, accuser);
}
inline Member Left(std::string name, uint64_t incarnation, Boot boot = 0, int run = 0) {
  return Accusation(Alive(name, incarnation, boot, run), MemberState::kLeft, name);
}

inline const absl::Time kStart = absl::FromUnixSeconds(1000);

class SwimFixture : public ::testing::Test {
 public:
  using Kind = SwimNotice::Kind;
  struct Sent {
    std::string to;
    GossipDatagram datagram;
  };

  explicit SwimFixture(SwimOptions options = LanFastProfile(), Boot boot = 0)
      : swim(options, SelfOf("me", boot), Random(1), kStart) {}

  static SwimSelf SelfOf(std::string name, Boot boot = 0) {
    SwimSelf self;
    self.name = name;
    self.nonce = NonceOf(name);
    self.boot = boot;
    self.rpc_address = name + ":1";
    self.gossip_address = name + ":2";
    return self;
  }

  // ---- What peers do.
  GossipHeader HeaderOf(const std::string& sender) {
    GossipHeader header;
    header.sender = {sender, NonceOf(sender), 0};
    header.cluster = swim.cluster();
    return header;
  }
  void Deliver(const GossipDatagram& datagram) {
    swim.OnDatagram(now, datagram.header.sender.name + ":2", Encode(datagram), actions);
    Collect();
  }
  void Hear(std::vector<Member> rumours, std::string from = "stranger") {
    Deliver({HeaderOf(from), GossipOnly{}, std::move(rumours)});
  }
  void HearBody(const std::string& from, GossipBody body, std::vector<Member> rumours = {}) {
    Deliver({HeaderOf(from), std::move(body), std::move(rumours)});
  }
  void HearPushPull(std::vector<Member> members, std::string from = "stranger") {
    EXPECT_TRUE(
        swim.AnswerPushPull(now, from + ":1", Encode(PushPull{HeaderOf(from), members}), actions)
            .ok());
    Collect();
  }
  void Know(const std::vector<std::string>& names) {
    for (const std::string& name : names) Hear({Alive(name)});
    Forget();
  }

  // ---- Time. Links never answer unless the test says so.
  void Run(absl::Duration duration) {
    absl::Time end = now + duration;
    while (swim.NextDeadline() <= end) {
      now = std::max(now, swim.NextDeadline());
      swim.OnTimer(now, actions);
      Collect();
      ASSERT_GT(swim.NextDeadline(), now - absl::Milliseconds(1))
          << "a timer that does not move on";
      ASSERT_LT(++steps_, 2000000) << "time stands still";
    }
    now = end;
  }
  // Until a ping goes to `name`; that ping.
  Ping RunToPingOf(const std::string& name) {
    for (int i = 0; i < 4000; ++i) {
      for (const Sent& one : sent) {
        if (const auto* ping = std::get_if<Ping>(&one.datagram.body); ping && ping->name == name)
          return *ping;
      }
      Run(absl::Milliseconds(5));
    }
    ADD_FAILURE() << "no ping to " << name;
    return {};
  }

  void Forget() {
    sent.clear();
    notices.clear();
    link_pings.clear();
    push_pulls.clear();
  }

  // ---- What it did since the last Forget().
  std::vector<std::string> Noticed(Kind kind) const {
    std::vector<std::string> names;
    for (const SwimNotice& notice : notices) {
      if (notice.kind == kind) names.push_back(notice.member.id.name);
    }
    return names;
  }
  template <typename Body>
  std::vector<std::pair<std::string, Body>> SentBodies() const {
    std::vector<std::pair<std::string, Body>> bodies;
    for (const Sent& one : sent) {
      if (const auto* body = std::get_if<Body>(&one.datagram.body))
        bodies.emplace_back(one.to, *body);
    }
    return bodies;
  }
  // The rumours sent about `name`, in order.
  std::vector<Member> Told(const std::string& name) const {
    std::vector<Member> told;
    for (const Sent& one : sent) {
      for (const Member& update : one.datagram.updates) {
        if (update.id.name == name) told.push_back(update);
      }
    }
    return told;
  }
  MemberState StateOf(const std::string& name) const { return swim.Find(name)->state; }
  bool Knows(const std::string& name) const { return swim.Find(name).has_value(); }

  Swim swim;
  absl::Time now = kStart;
  std::vector<Sent> sent;
  std::vector<SwimNotice> notices;
  std::vector<SwimActions::StartLinkPing> link_pings;
  std::vector<SwimActions::StartPushPull> push_pulls;
  std::set<std::string> answering;  // Names; "*" for all.

 private:
  void Collect() {
    SwimActions done = std::exchange(actions, {});
    for (auto& notice : done.notices) notices.push_back(std::move(notice));
    for (auto& ping : done.link_pings) link_pings.push_back(std::move(ping));
    for (auto& one : done.push_pulls) push_pulls.push_back(std::move(one));
    std::vector<std::pair<std::string, PingAck>> acks;
    for (auto& one : done.datagrams) {
      EXPECT_LE(one.bytes.size(), LanFastProfile().datagram_bytes_max);
      auto decoded = DecodeDatagram(one.bytes);
      ASSERT_TRUE(decoded.ok()) << decoded.status();
      if (const auto* ping = std::get_if<Ping>(&decoded->body)) {
        if (answering.count("*") || answering.count(ping->name)) {
          acks.emplace_back(ping->name, PingAck{ping->sequence, ping->nonce});
        }
      }
      sent.push_back({one.to, std::move(*decoded)});
    }
    for (const auto& [name, ack] : acks) HearBody(name, ack);
  }

  SwimActions actions;
  int steps_ = 0;
};

}  // namespace troupe
