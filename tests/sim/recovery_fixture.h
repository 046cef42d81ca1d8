// RecoveryFixture: clusters of which an operator decides, and a founder that stands alone.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster_fixture.h"
#include "troupe/membership/operator_call.h"

namespace troupe {

class RecoveryFixture : public ClusterFixture {
 protected:
  OperatorReply Ask(const std::string& node, OperatorRequest::Kind kind,
                    std::vector<ShardId> shards = {}) {
    auto& host = cluster_->world().machine("client").control();
    return cluster_->Await(AskNode(host, cluster_->AddressOf(node), "troupe",
                                   {kind, std::move(shards)}, absl::Seconds(20)));
  }
  // A process of node c that was started without its seeds.
  Node& StartAlone() {
    NodeOptions options;
    options.membership.node = "c";
    options.membership.listen = cluster_->AddressOf("c");
    options.membership.config = {.shards = 16};
    lone_ = std::make_unique<Node>(cluster_->world().Restart("c"), registry_, options);
    cluster_->world().OnDestroy("c", [this] { lone_ = nullptr; });
    auto started = lone_->Start();
    EXPECT_TRUE(started.ok()) << started;
    return *lone_;
  }
  void TearDown() override {
    if (lone_) cluster_->Kill("c");
  }
  std::unique_ptr<Node> lone_;
};

}  // namespace troupe
