// TopicTest: a cluster that hosts topics, readers and an editor, under a seed.
#pragma once

#include <string>
#include <vector>

#include "cluster_fixture.h"
#include "news.h"

namespace troupe {

inline std::vector<uint64_t> From(uint64_t first, uint64_t last) {
  std::vector<uint64_t> out;
  for (uint64_t i = first; i <= last; ++i) out.push_back(i);
  return out;
}

class TopicTest : public ClusterFixture {
 protected:
  struct Read {
    std::vector<uint64_t> numbers;
    uint64_t missed;
    std::string subjects;
  };

  void Begin(TopicOptions options = {}) {
    registry_.Host<ReaderActor>([this] { return kj::heap<ReaderActor>(office_); });
    registry_.Host<EditorActor>();
    registry_.Host<Topic>([options] { return kj::heap<Topic>(options); },
                          {.idle_timeout = absl::Seconds(20)});
    Start(nodes_);
    Connect(*client_);
  }
  void Connect(Client& client) {
    cluster_->Await(client.Connected(absl::Seconds(5)));
    cluster_->Run(absl::Milliseconds(200));
  }
  ClientTopic<News> Daily(const std::string& name = "daily") { return client_->Topic<News>(name); }
  uint64_t Follow(const std::string& reader, const std::string& topic = "daily") {
    return cluster_->Await(client_->Get<Reader>(reader).Follow(topic));
  }
  // Of the next numbers.
  uint64_t Publish(uint32_t items = 1, const std::string& text = "news") {
    return cluster_->Await(Daily().Publish([&](auto& all) {
      for (uint32_t i = 0; i < items; ++i) all.Item(++published_, text);
    }));
  }
  Read Seen(const std::string& reader) {
    return cluster_->Await(client_->Get<Reader>(reader).Read().AsPromise().then([](auto&& r) {
      Read out{{}, r.getMissed(), r.getSubjects().cStr()};
      for (auto number : r.getNumbers()) out.numbers.push_back(number);
      return out;
    }));
  }
  bool Comes(const std::string& reader, size_t count, absl::Duration limit = absl::Seconds(30)) {
    return cluster_->RunUntil([&] { return Seen(reader).numbers.size() >= count; }, limit);
  }
  ActorId TopicId(const std::string& name = "daily") { return Daily(name).id(); }
  void KillTopic() {
    const auto node = cluster_->PrimaryOf(TopicId());
    cluster_->Kill(node);
    cluster_->Run(absl::Milliseconds(300));
    cluster_->Restart(node);
    ASSERT_TRUE(cluster_->Settle()) << cluster_->Describe();
  }
  absl::Time Now() { return cluster_->world().machine("client").control().clock().Now(); }

  std::vector<std::string> nodes_ = {"a", "b", "c"};
  NewsOffice office_;
  uint64_t published_ = 0;
};

}  // namespace troupe
