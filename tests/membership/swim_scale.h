// SwimScale: many Swims on one queue of events, fast enough for thousands.
//
// Every node is one whole Swim that knows all the others from the start. Datagrams take 0.1 to 2
// ms; push/pull and link pings 1 ms a way. Bytes are counted with 28 of IP and UDP for each
// datagram. Where `spread_maps` is set a node that hears of a newer map pulls it from who has it, 2
// ms later, as MapSpread does without the push.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "troupe/membership/swim.h"

namespace troupe {

class SwimScale {
 public:
  using Kind = SwimNotice::Kind;
  struct Verdict {
    absl::Time when;
    int observer;
    int subject;
    Kind kind;
  };

  SwimScale(int size, uint64_t seed, SwimOptions options = LanFastProfile())
      : random_(seed), size_(size) {
    nodes_.resize(static_cast<size_t>(size));
    PushPull everybody;
    for (int i = 0; i < size; ++i) {
      SwimSelf self;
      self.name = NameOf(i);
      self.nonce = random_.NextId();
      self.rpc_address = self.name + ":1";
      self.gossip_address = self.name + ":2";
      Node& node = nodes_[static_cast<size_t>(i)];
      node.swim =
          std::make_unique<Swim>(options, self, random_.Fork(self.name), now_, &descriptions_);
      everybody.members.push_back(node.swim->self());
    }
    everybody.header.sender = {"oracle", random_.NextId(), 0};
    everybody.buckets = {0};  // It has been asked for this, and wants no answer.
    for (int i = 0; i < size; ++i) {
      SwimActions actions;
      EXPECT_TRUE(at(i).AnswerPushPull(now_, "oracle:1", everybody, actions).ok());
      Arm(i);
    }
  }

  static std::string NameOf(int i) { return "n" + std::to_string(100000 + i); }
  static int NodeAt(std::string_view address) {
    return std::stoi(std::string(address.substr(1, 6))) - 100000;
  }

  Swim& at(int i) { return *nodes_[static_cast<size_t>(i)].swim; }
  void Kill(int i) { nodes_[static_cast<size_t>(i)].running = false; }
  bool runs(int i) const { return nodes_[static_cast<size_t>(i)].running; }
  void SetMap(int i, uint64_t version) {
    at(i).SetMapVersion(now_, version, Swim::MapNews::kAnnounce);
    Arm(i);
  }
  // A rumour that lies, from one node to some others.
  void Tell(int liar, int to, Member rumour) {
    GossipDatagram datagram;
    datagram.header.sender = at(liar).self().id;
    datagram.updates.push_back(std::move(rumour));
    Deliver(liar, to, Encode(datagram));
  }

  void Run(absl::Duration duration) {
    const absl::Time end = now_ + duration;
    while (!events_.empty() && events_.top().when <= end) {
      Event event = std::move(const_cast<Event&>(events_.top()));
      events_.pop();
      now_ = event.when;
      event.act();
    }
    now_ = end;
  }
  // Until it is so, looked at every 50 ms; how long it took, infinite if it did not come.
  absl::Duration Await(absl::Duration limit, const std::function<bool()>& done) {
    const absl::Time begun = now_;
    while (!done()) {
      if (now_ - begun >= limit) return absl::InfiniteDuration();
      Run(absl::Milliseconds(50));
    }
    return now_ - begun;
  }
  // Counted as they happen: every living node's verdict about those killed.
  size_t Count(Kind kind) const {
    return static_cast<size_t>(std::count_if(verdicts.begin(), verdicts.end(),
                                             [&](const Verdict& v) { return v.kind == kind; }));
  }

  std::function<double(int, int)> loss = [](int, int) { return 0.0; };
  bool spread_maps = false;
  std::vector<Verdict> verdicts;  // Suspicions and deaths.
  uint64_t datagram_bytes = 0;
  uint64_t datagrams = 0;
  uint64_t exchange_bytes = 0;
  uint64_t events = 0;
  absl::Time now() const { return now_; }
  int size() const { return size_; }

 private:
  struct Node {
    std::unique_ptr<Swim> swim;
    bool running = true;
    absl::Time timer = absl::InfiniteFuture();
  };
  struct Event {
    absl::Time when;
    uint64_t order;
    std::function<void()> act;
    bool operator<(const Event& other) const {
      return when != other.when ? when > other.when : order > other.order;
    }
  };

  void At(absl::Time when, std::function<void()> act) {
    events_.push({when, events++, std::move(act)});
  }
  void Arm(int i) {
    Node& node = nodes_[static_cast<size_t>(i)];
    const absl::Time due = std::max(now_, node.swim->NextDeadline());
    if (due >= node.timer) return;  // What is set earlier looks again.
    node.timer = due;
    At(due, [this, i, due] {
      Node& node = nodes_[static_cast<size_t>(i)];
      if (!node.running || node.timer != due) return;
      node.timer = absl::InfiniteFuture();
      if (node.swim->NextDeadline() > now_) return Arm(i);
      SwimActions actions;
      node.swim->OnTimer(now_, actions);
      Perform(i, std::move(actions));
    });
  }
  void With(int i, const std::function<void(Swim&, SwimActions&)>& act) {
    if (!runs(i)) return;
    SwimActions actions;
    act(at(i), actions);
    Perform(i, std::move(actions));
  }
  void Deliver(int from, int to, std::vector<std::byte> bytes) {
    datagram_bytes += bytes.size() + 28;
    ++datagrams;
    if (random_.Chance(loss(from, to))) return;
    At(now_ + absl::Microseconds(100 + random_.Below(1900)),
       [this, from, to, bytes = std::move(bytes)] {
         With(to, [&](Swim& swim, SwimActions& actions) {
           swim.OnDatagram(now_, NameOf(from) + ":2", bytes, actions);
         });
       });
  }
  void Perform(int i, SwimActions actions) {
    for (const auto& notice : actions.notices) Note(i, notice);
    for (auto& one : actions.datagrams) Deliver(i, NodeAt(one.to), std::move(one.bytes));
    for (const auto& one : actions.push_pulls) Exchange(i, NodeAt(one.address), one.exchange);
    for (const auto& ping : actions.link_pings) {
      const int to = NodeAt(ping.member.rpc_address);
      if (loss(i, to) >= 1 || loss(to, i) >= 1) continue;
      At(now_ + absl::Milliseconds(2), [this, i, to, probe = ping.probe] {
        With(i, [&](Swim& swim, SwimActions& out) {
          swim.OnLinkPing(now_, probe,
                          runs(to) ? Swim::LinkPing::kAnswered : Swim::LinkPing::kFailed, out);
        });
      });
    }
    Arm(i);
  }
  void Note(int i, const SwimNotice& notice) {
    if (notice.kind == Kind::kSuspected || notice.kind == Kind::kDied) {
      verdicts.push_back({now_, i, NodeAt(notice.member.id.name), notice.kind});
    }
    const uint64_t version = notice.member.map_version;
    if (!spread_maps || version <= at(i).self().map_version) return;
    At(now_ + absl::Milliseconds(2), [this, i, version] {
      With(i, [&](Swim& swim, SwimActions&) {
        swim.SetMapVersion(now_, version, Swim::MapNews::kInHeaders);
      });
    });
  }
  void Exchange(int from, int to, uint64_t exchange) {
    auto fail = [this, from, exchange] {
      With(from, [&](Swim& swim, SwimActions& out) { swim.OnPushPullFailed(now_, exchange, out); });
    };
    if (loss(from, to) >= 1 || loss(to, from) >= 1) return At(now_ + absl::Seconds(1), fail);
    auto request = at(from).MakePushPull(exchange);
    exchange_bytes += request.size();
    At(now_ + absl::Milliseconds(1), [=, this] {
      if (!runs(to)) return fail();
      std::vector<std::byte> answer;
      With(to, [&](Swim& swim, SwimActions& out) {
        auto made = swim.AnswerPushPull(now_, NameOf(from) + ":1", request, out);
        if (made.ok()) answer = std::move(*made);
      });
      exchange_bytes += answer.size();
      At(now_ + absl::Milliseconds(1), [=, this] {
        With(from, [&](Swim& swim, SwimActions& out) {
          EXPECT_TRUE(swim.MergePushPull(now_, exchange, answer, out).ok());
        });
      });
    });
  }

  Random random_;
  const int size_;
  absl::Time now_ = absl::FromUnixSeconds(1000);
  DescriptionPool descriptions_;
  std::vector<Node> nodes_;
  std::priority_queue<Event> events_;
};

}  // namespace troupe
